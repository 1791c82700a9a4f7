"""A whole adaptation, from names of data to a run folder with models, predictions, verdict and report's figures."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from torch import nn

from juyi.adapt.base import Adapter
from juyi.adapt.outcome import FLOOR, Outcome
from juyi.adapt.outcome_numbers import NumbersOutcome
from juyi.adapt.rehearsal import Stage, check_rehearsal
from juyi.adapt.request import Given, Request, prepare
from juyi.data import withhold_labels
from juyi.data.domain import Domain, notes_of
from juyi.nets import Network
from juyi.runs import RunFolder
from juyi.training import (
    Checkpoint,
    Processes,
    Rows,
    Served,
    Watcher,
    choose_device,
    given_again,
    join_processes,
    write_model,
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
from juyi.training.watchers import Records


def run(
    request: Request,
    method: Adapter,
    *,
    out: Path | str | None = None,
    overwrite: bool = False,
    console: Console | None = None,
) -> RunFolder:
    """Carry out a request in a new run folder.

    Source only is trained beside `method`, under the same shared settings; both are written, applied to the
    target and, if `test` was named, scored on it once, at the end.

    Args:
        request: the data.
        method: an unfitted method; source only itself gives a run with one model.
        out: the folder; None takes the first free `runs/METHOD-N`.
        overwrite: replace a run that is there.
        console: where to show progress; None shows nothing.

    Raises:
        DataError, SettingError, RunFolderError: the input is wrong; nothing was written.
        TrainingDivergedError, WriteError: the work failed; what was stored is intact.
    """
    method.check_hyperparameters()
    console = console or Console(quiet=True)
    processes = join_processes()
    given = prepare(request, method)
    if request.rehearse:
        check_rehearsal(given.training, given.target, processes)
    record = first_record(request, method, given, method.check_network(given.training))
    folder = new_folder(record, out, overwrite, processes, console)
    return _Work(folder, record, given, method, processes, console).carry_out()


def resume(
    folder: RunFolder,
    *,
    console: Console | None = None,
    methods: dict[str, type[Adapter]],
    net: nn.Module | str | None = None,
) -> RunFolder:
    """Go on with a run that was killed, to the same bits (same kind of machine, same number of threads).

    Args:
        folder: the run.
        console: where to show progress; None shows nothing.
        methods: those that there are, by name.
        net: the network, if it is one of your own: a file must not say what code to run.

    Raises:
        RunFolderError: the run is finished.
        SettingError: the network is one of your own, and was not given again.
        DataChangedError: the data are no longer those that the run began with.
    """
    record, method, request, began_with = read_begun(folder, methods, Request)
    method.net = given_again(folder, method.net, net)
    given = prepare(request, method)
    folder.check_unchanged(began_with, given.fingerprints)
    processes = join_processes()
    mark_running(folder, record, processes)
    return _Work(folder, record, given, method, processes, console or Console(quiet=True)).carry_out()


def first_record(request: Request, method: Adapter, given: Given, net: Network) -> dict[str, Any]:
    """What run.json holds before the first step."""
    return {
        "command": request.command,
        "request": dataclasses.asdict(request),
        "room": "adapt" if request.target else "train",
        **method_facts(method),
        "data": given.fingerprints,
        "target_labels": {
            "given": int(given.target.labelled.sum()) if given.target else 0,
            "given_to_start": given.given_to_start,
        },
        "classes": None if given.classes is None else list(given.classes),
        "floor": method.floor,
        **({} if given.classes is not None else {"unit": given.unit}),
        "network": {
            "name": net.name,
            "parameters": sum(p.numel() for p in net.parameters()),
            "fitted": list(net.notes),
        },
        "notes": [*notes_of(given.fingerprints), *net.notes],
    }


@dataclass(frozen=True)
class _Work:
    """A run that is going on; only the first of several processes shows and writes."""

    folder: RunFolder
    record: dict[str, Any]
    given: Given
    method: Adapter
    processes: Processes
    console: Console

    def carry_out(self) -> RunFolder:
        """Learn, then look at what was learnt."""
        with naming(self.folder):
            models = self._learn_all()
            if self.processes.is_first:
                self._finish(models)
        return self.folder

    def _learn_all(self) -> dict[str, Adapter]:
        name = self.record["method"]
        models = {} if name == FLOOR else self.method.floors(self.given.training)
        models[name] = self.method
        for model, adapter in models.items():
            if model == FLOOR and isinstance(self.given.training, Served):
                adapter.adopt(self.given.training)
                if self.processes.is_first:
                    self._write_model(model, adapter)
            elif self.processes.is_first:
                self._learn(model, adapter)
            else:
                adapter.learn(self.given.training, self._target_of(model), processes=self.processes)
        return {kept: fitted for model, adapter in models.items() for kept, fitted in adapter.leaves(model).items()}

    def _target_of(self, model: str) -> Domain | None:
        """The target as a model may see it: where another floor has its labels, source only has none."""
        target = self.given.target
        return withhold_labels(target) if target and model == FLOOR != self.method.floor else target

    def _learn(self, model: str, adapter: Adapter) -> None:
        given, folder = self.given, self.folder
        device = choose_device(adapter.device)
        target = Rows(given.target, device) if given.target else None
        validation = Rows(given.validation, device) if given.validation else None

        def learn(watcher: Watcher, checkpoint: Checkpoint) -> Adapter:
            return adapter.learn(
                given.training, self._target_of(model), watcher=watcher, checkpoint=checkpoint, processes=self.processes
            )

        records = Records(folder.records, model, validation, target)
        learn_recorded(folder, self.record, model, learn, self.console, [records])
        for kept, fitted in adapter.leaves(model).items():
            self._write_model(kept, fitted)

    def _write_model(self, model: str, adapter: Adapter) -> None:
        write_model(
            self.folder.models,
            model,
            adapter.net_,
            adapter.shape_,
            adapter.domain_classes_,
            adapter.layers,
            adapter.columns_,
        )

    def _finish(self, models: dict[str, Adapter]) -> None:
        given, choice = self.given, getattr(self.method, "choice_", None)
        self.record["serves"] = choice.serves if choice else self.record["method"]
        if choice:
            self.record["choice"] = choice.as_json()
        judged = models[choice.judged if choice else self.record["method"]]
        if self.record["request"].get("rehearse"):
            self.record["rehearsal"] = self._rehearse(judged)
        self.console.print("predicting, drawing the maps", highlight=False)
        if self.record["classes"] is None:
            NumbersOutcome(self.folder, self.record, models).write(given.validation, given.target, given.test)
        else:
            Outcome(self.folder, self.record, models, choice).write(given.validation, given.target, given.test)
        mark_finished(self.folder, self.record)

    def _rehearse(self, method: Adapter) -> dict[str, Any]:
        self.console.print("rehearsing on the source in the target's look", highlight=False)
        assert isinstance(self.given.training, Domain) and self.given.target  # else it was refused
        stage = Stage(self.given.training, self.given.target, method.random_state)
        return stage.rehearse(method).as_json()
