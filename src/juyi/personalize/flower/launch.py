"""A whole run with all clients on this machine, each in processes of its own: start Flower, watch, stop it."""

from __future__ import annotations

import contextlib
import os
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich.console import Console

from juyi.data import load
from juyi.errors import DataError, ForeignFileError, SettingError, WriteError
from juyi.personalize.base import Personaliser
from juyi.personalize.flower.making import make_app, make_federation
from juyi.personalize.flower.processes import Process, Processes
from juyi.personalize.flower.setup import Form, build_for
from juyi.personalize.protection import check_protection
from juyi.personalize.request import Given, Request
from juyi.personalize.vector import Vector
from juyi.runs import RunFolder
from juyi.runs.files import read_json
from juyi.training import command_name
from juyi.training.recording import settings_of


def check_flower(request: Request, method: Personaliser) -> None:
    """Refuse what cannot be done on Flower.

    Raises:
        SettingError: Flower is not installed, or the request asks for something that only the simulator does.
    """
    if find_spec("flwr") is None:
        raise SettingError("--engine flower: needs Flower, which is not installed; pip install 'juyi[federated]'")
    if request.newcomers:
        raise SettingError("--newcomers: only the simulator lets clients come later; leave it out with --engine flower")
    if method.privacy == "sample":
        raise SettingError(
            "--privacy sample: on Flower clients tell the server, whom it is to hide rows from, their losses and which "
            "rows were told right without noise; use --privacy client, or leave --engine flower out"
        )


def app_settings(
    request: Request, method: Personaliser, form: Form, run: str, clients: list[str] | int, data: str, how: str
) -> dict[str, Any]:
    """What the server of an app reads.

    Args:
        request: what a person asks for.
        method: what is learnt, and how.
        form: what the rows of all clients look like.
        run: the run folder, where the server is.
        clients: their names, or how many are waited for.
        data: what their data are called.
        how: what made clients of the rows.
    """
    return {
        "run": run, "method": command_name(type(method)), "hyperparameters": settings_of(method), "clients": clients,
        "patience": request.patience, "how": how, "data": data, "form": vars(form), "command": request.command,
        "gate": request.gate,
    }  # fmt: skip


def make(folder: Path, request: Request, method: Personaliser, host: str) -> None:
    """Write all that several machines need, each with its own data.

    Args:
        folder: where to.
        request: its `clients` are data that look like each client's, its `number` how many clients there are.
        method: what is to be learnt, and how.
        host: the name or address by which the clients reach the server.

    Raises:
        DataError, SettingError, RunFolderError: the input is wrong; nothing was written.
    """
    check_flower(request, method)
    method.check_hyperparameters()
    if request.number is None or request.number < 2:
        raise SettingError("--make-app: say for how many clients with --clients, two or more")
    like = load(request.clients, label=request.label, size=request.size, skip_bad=request.skip_bad)
    if like.classes is None:
        raise DataError(f"{like.name}: has no labels of classes, and clients learn from labels; give data that have")
    form = Form(like.x.shape[1:], like.classes, like.columns or ())
    model = Vector(build_for(method, form))
    method.check_net(model)
    check_protection(method, model, request.number)
    name = "each client's own"
    make_federation(folder, app_settings(request, method, form, "run", request.number, name, "domains"), host)


def launch(
    folder: RunFolder, record: dict[str, Any], method: Personaliser, given: Given, console: Console
) -> RunFolder:
    """Go through the rounds of a run that has a folder, with every client in processes of its own.

    Raises:
        WriteError: the run failed; what was stored is intact.
    """
    names = [client.name for client in given.clients]
    app, run = folder.path / "flower" / "app", str(folder.path.resolve())
    form, data = Form(given.shape, given.classes, given.columns), given.fingerprints["clients"]["name"]
    make_app(app, app_settings(Request(**record["request"]), method, form, run, names, data, given.how))
    threads = max(1, (os.cpu_count() or 1) // len(names))
    console.print(f"starting Flower: a SuperLink and {len(names)} SuperNodes", highlight=False)
    with Processes(folder.path / "flower", threads) as flower:
        for number, _ in enumerate(names):
            config = {"run": run, "number": number, "threads": threads, "net": method.net}
            flower.node(f"node-{number + 1:04d}", config)
        server = flower.submit(app)
        _watch(folder, server, console)
    record = folder.read()
    if record["status"] != "finished":
        why = record.get("error") or f"{flower.log('server')} says why"
        raise WriteError(f"{folder.path}: the server stopped before the end ({why}); juyi resume {folder.path}")
    return folder


def _watch(folder: RunFolder, server: Process, console: Console) -> None:
    """Say how it goes, till the server has ended."""
    said, log = "", folder.path / "federation.log"
    told = log.stat().st_size if log.exists() else 0
    with console.status("clients gather") as status:
        while server.is_alive():
            time.sleep(0.5)
            with contextlib.suppress(ForeignFileError):
                text = in_words(read_json(folder.path / "progress.json"))
                if console.is_terminal:
                    status.update(text)
                elif text.partition(", ")[0] != said.partition(", ")[0]:
                    console.print(text, highlight=False, markup=False)
                said = text
            if log.exists() and log.stat().st_size > told:
                with log.open("rb") as file:
                    file.seek(told)
                    news = file.read()
                told += len(news)
                console.print(news.decode("utf-8", "replace").rstrip(), highlight=False, markup=False)


def in_words(progress: dict[str, Any]) -> str:
    """How it goes, in a line.

    Example:
        >>> in_words({"model": "ditto", "round": 3, "rounds": 20, "looks": [[2, 0.5]], "left": 70.2,
        ...           "standing": {"answered": ["ann"], "waiting": ["bob"]}})
        'ditto: round 3/20, held-out rows told 50.0 %, answered ann, waiting for bob, 70 s left'
    """
    standing = progress["standing"]
    words = [f"{progress['model']}: round {progress['round']}/{progress['rounds']}"]
    if progress["looks"]:
        words.append(f"held-out rows told {progress['looks'][-1][1]:.1%}".replace("%", " %"))
    for how, text in (("answered", "answered"), ("waiting", "waiting for"), ("lost", "lost"), ("refused", "refused")):
        if standing.get(how):
            words.append(f"{text} {_some(standing[how])}")
    if progress.get("left") is not None:
        words.append(f"{progress['left']:.0f} s left")
    return ", ".join(words)


def _some(names: list[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
