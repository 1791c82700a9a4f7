"""A whole personalisation, from names of data to a run folder with a model for each client."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console
from torch import nn

from juyi.data import Domain
from juyi.data.domain import notes_of
from juyi.personalize.auto import Auto
from juyi.personalize.base import Personaliser
from juyi.personalize.federation import Federation
from juyi.personalize.known import Known, differing
from juyi.personalize.outcome import GENERAL, LOCAL, TUNED, Outcome
from juyi.personalize.progress import Progress, Show
from juyi.personalize.protection import check_protection
from juyi.personalize.request import FLOWER, ClientData, Request, prepare
from juyi.personalize.simulation import Simulator, go_through, shared_settings, with_shared
from juyi.personalize.vector import Vector
from juyi.runs import RunFolder
from juyi.training import Checkpoint, Processes, Watcher, choose_device, command_name, given_again, join_processes
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


class Engine(Protocol):
    """What makes federations: of clients that are `here`, in this process, or of clients elsewhere."""

    processes: Processes
    here: bool

    def federation(self, name: str, method: Personaliser) -> Federation:
        """A server and clients that have not yet gone through a round."""
        ...


def run(
    request: Request,
    method: Personaliser,
    *,
    methods: Methods,
    out: Path | str | None = None,
    overwrite: bool = False,
    console: Console | None = None,
    show: Show | None = None,
) -> RunFolder:
    """Carry out a request in a new run folder.

    Args:
        request: the clients, and how they are tested.
        method: an unfitted method.
        methods: those that there are, by name: some are trained beside it.
        out: the folder; None takes the first free `runs/METHOD-N`.
        overwrite: replace a run that is there.
        console: where to show progress; None shows nothing.
        show: makes a page of how it goes, again and again.

    Raises:
        DataError, SettingError, RunFolderError: the input is wrong; nothing was written.
        WriteError: the work failed; what was stored is intact.
    """
    if request.engine == FLOWER:
        from juyi.personalize.flower.launch import check_flower, launch

        check_flower(request, method)
    method.check_hyperparameters()
    console = console or Console(quiet=True)
    processes = join_processes()
    given = prepare(request, method)
    plan = plan_of(method, given, methods)
    record = first_record(request, method, given, plan, given.newcomers)
    folder = new_folder(record, out, overwrite, processes, console)
    if request.engine == FLOWER:
        return launch(folder, record, method, given, console)
    engine = Simulator(given.clients, given.every, choose_device(method.device), processes)
    work = Work(folder, record, given, method, plan, engine, console, show)
    return work.carry_out([one.test for one in given.clients], given.newcomers)


def resume(
    folder: RunFolder,
    *,
    console: Console | None = None,
    methods: Methods,
    net: nn.Module | str | None = None,
    show: Show | None = None,
) -> RunFolder:
    """Go on with a run that was killed, to the same bits (same kind of machine, same number of threads).

    Args:
        folder: the run.
        console: where to show progress; None shows nothing.
        methods: those that there are, by name.
        net: the network, if it is one of your own.
        show: makes a page of how it goes, again and again.

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
    console = console or Console(quiet=True)
    if request.engine == FLOWER:
        from juyi.personalize.flower.launch import check_flower, launch

        check_flower(request, method)
        return launch(folder, record, method, given, console)
    mark_running(folder, record, processes)
    engine = Simulator(given.clients, given.every, choose_device(method.device), processes)
    work = Work(folder, record, given, method, plan, engine, console, show)
    return work.carry_out([one.test for one in given.clients], given.newcomers)


def plan_of(method: Personaliser, known: Known, methods: Methods) -> dict[str, Personaliser]:
    """What is trained, by name, in this order: what personal models are held against, then the method, or candidates.

    Raises:
        SettingError: a setting is not allowed for one of them, or the network does not suit it.
    """
    shared = shared_settings(method)
    plan = {name: with_shared(methods[name], shared) for name in (LOCAL, GENERAL, TUNED)}
    if isinstance(method, Auto):
        plan |= method.candidates_on([one.counts for one in known.clients], known.network(method))
    else:
        plan[command_name(type(method))] = method
    for one in plan.values():
        one.check_hyperparameters()
        model = Vector(known.network(one))
        one.check_net(model)
        check_protection(one, model, len(known.clients))
    return plan


def first_record(
    request: Request,
    method: Personaliser,
    known: Known,
    plan: dict[str, Personaliser],
    newcomers: Sequence[ClientData] = (),
) -> dict[str, Any]:
    """What run.json holds before the first step."""
    net = known.network(method)
    model = Vector(net)
    skew = differing([one.counts for one in known.clients])
    sizes = sorted(client.learns_from for client in known.clients)
    kind = "are what the data name" if known.how == "domains" else f"were dealt out by {known.how}"
    notes = [
        f"{len(known.clients)} clients, which {kind}, learn from {sizes[0]:,} to {sizes[-1]:,} rows each; their "
        f"classes differ by {skew:.2f} (0: all alike, 1: nothing in common)",
        f"trained: {', '.join(plan)}",
    ]
    if newcomers:
        notes.append(f"{len(newcomers)} clients come later: {', '.join(one.name for one in newcomers)}")
    return {
        "command": request.command,
        "request": dataclasses.asdict(request),
        "room": "personalize",
        **method_facts(method),
        "data": known.fingerprints,
        "target_labels": {"given": 0, "given_to_start": 0},
        "classes": list(known.classes),
        "floor": GENERAL,
        "network": {"name": net.name, "parameters": model["weights"].numel(), "features": net.width},
        "partition": {"how": known.how, "differing": round(skew, 4)},
        "notes": [*notes_of(known.fingerprints), *net.notes, *notes],
        "warnings": [],
    }


@dataclass
class Work:
    """A run that is going on; only the first of several processes shows and writes.

    Args:
        folder: the run.
        record: what run.json holds.
        known: the clients that take part.
        method: what was asked for.
        plan: what is trained, by name.
        engine: what goes through the rounds.
        console: where progress is shown.
        show: makes a page of how it goes.
    """

    folder: RunFolder
    record: dict[str, Any]
    known: Known
    method: Personaliser
    plan: dict[str, Personaliser]
    engine: Engine
    console: Console
    show: Show | None = None

    def carry_out(self, tests: Sequence[Domain] = (), newcomers: Sequence[ClientData] = ()) -> RunFolder:
        """Go through the rounds of every method, then look at each client's models.

        Args:
            tests: what each client is tested on, where that is on this machine.
            newcomers: clients that come later.
        """
        with naming(self.folder):
            learnt: dict[str, Federation] = {}
            for name, method in self.plan.items():
                like = learnt.get(method.learns_like or "")
                learnt[name] = like.under(method) if like else self._learn(name, method)
            if self.engine.processes.is_first:
                chosen = self._choose(learnt)
                self.record["serves"] = GENERAL
                self.console.print("looking at each client's models", highlight=False)
                Outcome(self.folder, self.record, learnt, chosen).write(self.known, tests, newcomers)
                mark_finished(self.folder, self.record)
                Progress.finish(self.folder, self.show)
        return self.folder

    def _learn(self, name: str, method: Personaliser) -> Federation:
        """Go through the rounds of a method, watched and stored."""
        federation = self.engine.federation(name, method)

        def train(watcher: Watcher | None, checkpoint: Checkpoint | None) -> Personaliser:
            go_through(federation, watcher, checkpoint)
            return method

        if self.engine.processes.is_first:
            names = [client.name for client in self.known.clients]
            going = [one for one in self.plan if not self.plan[one].learns_like]
            progress = Progress(self.folder, name, going, federation, names, self.show)
            elsewhere = not self.engine.here  # clients elsewhere forget what an older round would need
            learn_recorded(self.folder, self.record, name, train, self.console, [progress], at_every_step=elsewhere)
        else:
            train(None, None)
        return federation

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
