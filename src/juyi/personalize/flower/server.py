"""The server as a Flower app: it gathers the clients, and goes through the rounds of a run with them."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from rich.console import Console

from juyi.errors import JuyiError, RunFolderError
from juyi.personalize import METHODS
from juyi.personalize.base import Personaliser
from juyi.personalize.flower.certificates import write_secret
from juyi.personalize.flower.node import PRECISIONS
from juyi.personalize.flower.post import Post
from juyi.personalize.flower.remote import Elsewhere
from juyi.personalize.flower.setup import Form, build_for, scales_by_rows
from juyi.personalize.flower.told import Told
from juyi.personalize.progress import Show
from juyi.personalize.request import FLOWER, Request
from juyi.personalize.run import Work, first_record, plan_of
from juyi.runs import RunFolder
from juyi.runs.files import read_json
from juyi.training.machine import now
from juyi.training.recording import announce, mark_running, read_begun

if TYPE_CHECKING:
    from flwr.serverapp import Grid, ServerApp


def server_app(settings: Path, show: Show | None = None) -> ServerApp:
    """Make the app that Flower runs at the server.

    Args:
        settings: the file that `juyi personalize --make-app` wrote.
        show: makes a page of how it goes.
    """
    from flwr.serverapp import ServerApp

    app = ServerApp()

    @app.main()  # type: ignore[untyped-decorator]
    def main(grid: Grid, context: Any) -> None:
        serve(grid, read_json(settings), show)

    return app


def serve(grid: Grid, settings: dict[str, Any], show: Show | None = None, **clocks: Callable[..., Any]) -> RunFolder:
    """Gather the clients and go through all rounds; an unfinished run goes on.

    Args:
        grid: Flower's.
        settings: what `juyi personalize --make-app` wrote.
        show: makes a page of how it goes.
        clocks: `clock` and `pause`, for who waits otherwise.
    """
    folder = RunFolder(Path(settings["run"]))
    begun = (folder.path / "run.json").exists()
    record = folder.read() if begun else {}
    console = Console(soft_wrap=True)

    def say(text: str) -> None:
        console.print(text, highlight=False, markup=False)
        with (folder.path / "federation.log").open("a", encoding="utf-8") as file:
            file.write(f"{now()} {text}\n")

    folder.path.mkdir(parents=True, exist_ok=True)
    secret = folder.path / "secret"
    try:
        method = _method(folder, settings, begun)
        form = Form.read(settings["form"])
        federation = record.get("federation", {"id": secrets.token_hex(8), "clients": settings["clients"]})
        names = federation["clients"] if isinstance(federation["clients"], list) else None
        scaled = scales_by_rows(build_for(method, form)) is not None
        post = Post(grid, federation["id"], form, scaled, names, float(settings["patience"]), say, **clocks)
        told = post.gather(len(names) if names is not None else int(federation["clients"]))
        known = Told(told, form, str(settings["how"]), str(settings["data"]))
        plan = plan_of(method, known, METHODS)
        federation = {**federation, "clients": [client.name for client in told]}
        if begun:
            record["federation"] = federation
            mark_running(folder, record, Elsewhere.processes)
        else:
            request = Request(
                known.name, engine=FLOWER, gate=bool(settings["gate"]), patience=float(settings["patience"]),
                command=str(settings["command"]),
            )  # fmt: skip
            record = first_record(request, method, known, plan)
            record["federation"] = federation
            folder.write(record)
            announce(record, folder, console)
        dtype = PRECISIONS["float32" if method.precision == "auto" else method.precision]
        torch.set_num_threads(int(record["machine"]["threads"]))
        engine = Elsewhere(known, post, dtype, secret_of(secret, federation["id"]))
        done = Work(folder, record, known, method, plan, engine, console, show).carry_out()
        secret.unlink(missing_ok=True)  # nobody needs it any more
        return done
    except JuyiError as error:
        say(f"failed: {error}")
        raise


def secret_of(path: Path, federation: str) -> int:
    """A number that no record holds, and that is gone when the run has ended: 128 bits that were drawn, and more.

    The noise that hides clients is a function of it: whoever knew it could take the noise away.

    Args:
        path: the file in which the bits lie till then, which nobody else may read.
        federation: its identity, in hexadecimal digits, so that a run over an earlier one has noise of its own.
    """
    if not path.exists():
        write_secret(path, secrets.token_hex(16).encode())
    return int(path.read_bytes() + federation.encode(), 16)


def _method(folder: RunFolder, settings: dict[str, Any], begun: bool) -> Personaliser:
    """The method that is asked for: what the run began with, or what the settings name."""
    if begun:
        return read_begun(folder, METHODS, Request)[1]
    kind = METHODS.get(settings["method"])
    if kind is None:
        raise RunFolderError(f"{settings['method']}: is no method of personalisation")
    return kind(**settings["hyperparameters"])
