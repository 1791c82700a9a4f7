"""A whole personalisation, from names of data to a run folder with a model for each client."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch import nn

from juyi.data.domain import notes_of
from juyi.personalize.auto import Auto
from juyi.personalize.base import Personaliser
from juyi.personalize.client import ClientRows
from juyi.personalize.federation import Federation
from juyi.personalize.outcome import GENERAL, LOCAL, TUNED, Outcome
from juyi.personalize.protection import check_protection
from juyi.personalize.request import Given, Request, prepare
from juyi.personalize.simulation import build, differing, federation_of, go_through, shared_settings, with_shared
from juyi.personalize.vector import Vector
from juyi.runs import RunFolder
from juyi.training import (
    Checkpoint,
    Processes,
    Watcher,
    choose_device,
    command_name,
    given_again,
    join_processes,
)
from juyi.training.recording import (
    learn_recorded,
    mark_finished,
    mark_running,
    method_facts,
    naming,
    new_folder,
    read_begun,
)

Methods = dict[str, type[Personaliser]]


def run(
    request: Request,
    method: Personaliser,
    *,
    methods: Methods,
    out: Path | str | None = None,
    overwrite: bool = False,
    console: Console | None = None,
) -> RunFolder:
    """Carry out a request in a new run folder.

    Args:
        request: the clients, and how they are tested.
        method: an unfitted method.
        methods: those that there are, by name: some are trained beside it.
        out: the folder; None takes the first free `runs/METHOD-N`.
        overwrite: replace a run that is there.
        console: where to show progress; None shows nothing.

    Raises:
        DataError, SettingError, RunFolderError: the input is wrong; nothing was written.
        WriteError: the work failed; what was stored is intact.
    """
    method.check_hyperparameters()
    console = console or Console(quiet=True)
    processes = join_processes()
    given = prepare(request, method)
    plan = plan_of(method, given, methods)
    record = first_record(request, method, given, plan)
    folder = new_folder(record, out, overwrite, processes, console)
    return _Work(folder, record, given, method, plan, processes, console).carry_out()


def resume(
    folder: RunFolder, *, console: Console | None = None, methods: Methods, net: nn.Module | str | None = None
) -> RunFolder:
    """Go on with a run that was killed, to the same bits (same kind of machine, same number of threads).

    Args:
        folder: the run.
        console: where to show progress; None shows nothing.
        methods: those that there are, by name.
        net: the network, if it is one of your own.

    Raises:
        RunFolderError: the run is finished.
        SettingError: the network is one of your own, and was not given again.
        DataChangedError: the data are no longer those that the run began with.
    """
    record, method, request, began_with = read_begun(folder, methods, Request)
    method.net = given_again(folder, method.net, net)
    given = prepare(request, method)
    folder.check_unchanged(began_with, given.fingerprints)
    plan = plan_of(method, given, methods)
    processes = join_processes()
    mark_running(folder, record, processes)
    return _Work(folder, record, given, method, plan, processes, console or Console(quiet=True)).carry_out()


def plan_of(method: Personaliser, given: Given, methods: Methods) -> dict[str, Personaliser]:
    """What is trained, by name, in this order: what personal models are held against, then the method, or candidates.

    Raises:
        SettingError: a setting is not allowed for one of them, or the network does not suit it.
    """
    shared = shared_settings(method)
    plan = {name: with_shared(methods[name], shared) for name in (LOCAL, GENERAL, TUNED)}
    if isinstance(method, Auto):
        plan |= method.candidates_on([one.train for one in given.clients], given.every)
    else:
        plan[command_name(type(method))] = method
    for one in plan.values():
        one.check_hyperparameters()
        model = Vector(build(one, given.every))
        one.check_net(model)
        check_protection(one, model, len(given.clients))
    return plan


def first_record(request: Request, method: Personaliser, given: Given, plan: dict[str, Personaliser]) -> dict[str, Any]:
    """What run.json holds before the first step."""
    net = build(method, given.every)
    model = Vector(net)
    skew = differing([one.train for one in given.clients])
    sizes = sorted(client.train.size for client in given.clients)
    kind = "are what the data name" if given.how == "domains" else f"were dealt out by {given.how}"
    notes = [
        f"{len(given.clients)} clients, which {kind}, learn from {sizes[0]:,} to {sizes[-1]:,} rows each; their "
        f"classes differ by {skew:.2f} (0: all alike, 1: nothing in common)",
        f"trained: {', '.join(plan)}",
    ]
    if given.newcomers:
        notes.append(f"{len(given.newcomers)} clients come later: {', '.join(one.name for one in given.newcomers)}")
    return {
        "command": request.command,
        "request": dataclasses.asdict(request),
        "room": "personalize",
        **method_facts(method),
        "data": given.fingerprints,
        "target_labels": {"given": 0, "given_to_start": 0},
        "classes": list(given.every.classes or ()),
        "floor": GENERAL,
        "network": {"name": net.name, "parameters": model["weights"].numel(), "features": net.width},
        "partition": {"how": given.how, "differing": round(skew, 4)},
        "notes": [*notes_of(given.fingerprints), *net.notes, *notes],
        "warnings": [],
    }


@dataclass
class _Work:
    """A run that is going on; only the first of several processes shows and writes."""

    folder: RunFolder
    record: dict[str, Any]
    given: Given
    method: Personaliser
    plan: dict[str, Personaliser]
    processes: Processes
    console: Console
    device: torch.device = field(init=False)
    dtype: torch.dtype | None = None

    def carry_out(self) -> RunFolder:
        """Go through the rounds of every method, then look at each client's models."""
        self.device = choose_device(self.method.device)
        with naming(self.folder):
            clients = [one.on(self.device) for one in self.given.clients]
            learnt: dict[str, Federation] = {}
            for name, method in self.plan.items():
                like = learnt.get(method.learns_like or "")
                learnt[name] = self._copied(method, like) if like else self._learn(name, method, clients)
            if self.processes.is_first:
                chosen = self._choose(learnt)
                self.record["serves"] = GENERAL
                self.console.print("looking at each client's models", highlight=False)
                Outcome(self.folder, self.record, learnt, chosen).write(self.given)
                mark_finished(self.folder, self.record)
        return self.folder

    def _learn(self, name: str, method: Personaliser, clients: list[ClientRows]) -> Federation:
        """Go through the rounds of a method, watched and stored."""
        federation = federation_of(method, clients, self.given.every, self.device, self.processes, self.dtype)
        self.dtype = federation.settings.dtype  # the same for all

        def train(watcher: Watcher | None, checkpoint: Checkpoint | None) -> Personaliser:
            go_through(federation, watcher, checkpoint)
            return method

        if self.processes.is_first:
            learn_recorded(self.folder, self.record, name, train, self.console)
        else:
            train(None, None)
        return federation

    def _copied(self, method: Personaliser, like: Federation) -> Federation:
        """A method whose rounds another has gone through."""
        found = Federation(method, like.model, like.clients, like.settings)
        found.follow(like)
        return found

    def _choose(self, learnt: dict[str, Federation]) -> str:
        """The method whose personal models serve: what was asked for, or the best candidate on held-out rows."""
        if not isinstance(self.method, Auto):
            return command_name(type(self.method))
        chosen = self.method.choose(learnt)
        self.record["compared"] = {
            "chosen": chosen,
            "candidates": {
                name: {"name": "accuracy", "value": round(value, 4)} for name, value in self.method.compared_.items()
            },
        }
        return chosen
