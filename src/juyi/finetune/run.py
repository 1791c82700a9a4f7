"""A whole fine-tuning, from the names of a backbone and of data to a run folder with the classifier."""

from __future__ import annotations

import copy
import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from sklearn.base import clone
from torch import nn

from juyi.data.domain import Domain, notes_of
from juyi.finetune.base import Finetuner
from juyi.finetune.full import Full, Tuned
from juyi.finetune.linear import Linear
from juyi.finetune.lp_ft import LPFT
from juyi.finetune.outcome import SCRATCH, UNTRAINED, Outcome
from juyi.finetune.request import Given, Request, prepare
from juyi.runs import RunFolder
from juyi.training import (
    Checkpoint,
    Processes,
    Served,
    Watcher,
    command_name,
    declared,
    given_again,
    join_processes,
    write_model,
)
from juyi.training.recording import (
    learn_recorded,
    mark_finished,
    mark_running,
    method_facts,
    model_entry,
    naming,
    new_folder,
    read_begun,
)


def run(
    request: Request,
    method: Finetuner,
    *,
    out: Path | str | None = None,
    overwrite: bool = False,
    console: Console | None = None,
) -> RunFolder:
    """Carry out a request in a new run folder.

    Args:
        request: the backbone and the data.
        method: an unfitted method; its own `backbone` is not looked at.
        out: the folder; None takes the first free `runs/METHOD-N`.
        overwrite: replace a run that is there.
        console: where to show progress; None shows nothing.

    Raises:
        DataError, SettingError, RunFolderError, ForeignFileError: the input is wrong; nothing was written.
        TrainingDivergedError, WriteError: the work failed; what was stored is intact.
    """
    method.check_hyperparameters()
    console = console or Console(quiet=True)
    processes = join_processes()
    given = prepare(request, method)
    record = first_record(request, method, given)
    folder = new_folder(record, out, overwrite, processes, console)
    return _Work(folder, record, given, method, processes, console).carry_out()


def resume(
    folder: RunFolder,
    *,
    console: Console | None = None,
    methods: dict[str, type[Finetuner]],
    net: nn.Module | str | None = None,
) -> RunFolder:
    """Go on with a run that was killed, to the same bits (same kind of machine, same number of threads).

    Args:
        folder: the run.
        console: where to show progress; None shows nothing.
        methods: those that there are, by name.
        net: the backbone, if it is one of your own.

    Raises:
        RunFolderError: the run is finished.
        SettingError: the backbone is one of your own, and was not given again.
        DataChangedError: the backbone or the data are no longer those that the run began with.
    """
    record, method, request, began_with = read_begun(folder, methods, Request)
    given_again(folder, request.backbone, net)
    given = prepare(request, method)
    folder.check_unchanged(began_with, _fingerprints(request, given))
    processes = join_processes()
    mark_running(folder, record, processes)
    return _Work(folder, record, given, method, processes, console or Console(quiet=True)).carry_out()


def _fingerprints(request: Request, given: Given) -> dict[str, dict[str, Any]]:
    """What run.json holds under `data`: the backbone first."""
    net = given.backbone.net
    size = sum(p.numel() for p in net.parameters())
    entry = model_entry(request.backbone, given.backbone.fingerprint(), given.backbone.shape, size, net.notes)
    return {"backbone": entry, **given.fingerprints}


def first_record(request: Request, method: Finetuner, given: Given) -> dict[str, Any]:
    """What run.json holds before the first step."""
    data = _fingerprints(request, given)
    net = given.backbone.net
    return {
        "command": request.command,
        "request": dataclasses.asdict(request),
        "room": "finetune",
        **method_facts(method),
        "data": data,
        "target_labels": {"given": given.few.size, "given_to_start": 0},
        "classes": list(given.few.classes or ()),
        "floor": SCRATCH,
        "network": {
            "name": net.name,
            "parameters": data["backbone"]["parameters"],
            "features": net.width,
            "frozen": not method.tunes_body,
        },
        "notes": notes_of(data),
        "warnings": [],
    }


@dataclass(frozen=True)
class _Work:
    """A run that is going on; only the first of several processes shows and writes."""

    folder: RunFolder
    record: dict[str, Any]
    given: Given
    method: Finetuner
    processes: Processes
    console: Console

    def carry_out(self) -> RunFolder:
        """Learn, then look at what was learnt."""
        with naming(self.folder):
            given, name = self.given, self.record["method"]
            models = self._learn_all(given.few, "")
            curve = {
                count: self._learn_all(given.with_labels(count, self.method.random_state), f"_{count}", tuned=True)
                for count in given.curve
            }
            if self.processes.is_first:
                self.record["serves"] = name
                self.console.print("looking at the classifier", highlight=False)
                Outcome(self.folder, self.record, models, curve).write(given)
                mark_finished(self.folder, self.record)
        return self.folder

    def _learn_all(self, few: Domain, suffix: str, tuned: bool = False) -> dict[str, Finetuner]:
        """The models that are trained on these labels, by name, the method's own last."""
        name, given = self.record["method"], self.given
        planned: dict[str, tuple[Finetuner, Served]] = {}
        if self.record["request"]["beside"] and any(True for _ in given.backbone.net.body.parameters()):
            start = untrained(given.backbone, self.method.random_state)
            planned[SCRATCH] = (from_scratch(self.method), start)
            if not self.method.tunes_body:
                planned[UNTRAINED] = (clone(self.method), start)
        if tuned:
            other: Finetuner = Linear(**_shared(self.method, Linear)) if self.method.tunes_body else _tuned(self.method)
            if type(other) is not type(self.method):
                planned[command_name(type(other))] = (other, given.backbone)
        planned[name] = (clone(self.method), given.backbone)
        return {model: self._learn(f"{model}{suffix}", *plan, few) for model, plan in planned.items()}

    def _learn(self, model: str, method: Finetuner, backbone: Served, few: Domain) -> Finetuner:
        def learn(watcher: Watcher | None, checkpoint: Checkpoint | None) -> Finetuner:
            return method.learn(
                backbone, few, self.given.unlabelled, watcher=watcher, checkpoint=checkpoint, processes=self.processes
            )

        if not self.processes.is_first:
            return learn(None, None)
        learn_recorded(self.folder, self.record, model, learn, self.console)
        if model in (SCRATCH, self.record["method"]):
            write_model(
                self.folder.models, model, method.net_, backbone.shape, few.classes, method.layers_of(backbone, few),
                backbone.columns or None,
            )  # fmt: skip
        return method


def _tuned(method: Finetuner) -> LPFT:
    """Tuning of the backbone too, under a method's settings."""
    return LPFT(**_shared(method, LPFT) | {"augment": "weak"})


def _shared(method: Finetuner, kind: type[Finetuner]) -> dict[str, Any]:
    """The settings of `kind` that a method has."""
    return {field: getattr(method, field) for field in declared(kind) if field in declared(type(method))}


def from_scratch(method: Finetuner) -> Finetuner:
    """The whole network, from random weights, on the labels alone, under the method's settings."""
    settings = _shared(method, Full) | ({} if isinstance(method, Tuned) else {"augment": "weak"})
    return Full(**{**settings, "body_rate": 1.0, "average": 0.0, "freeze": None})


def untrained(backbone: Served, seed: int) -> Served:
    """The same network with new weights, the same for the same seed; how it scales its inputs stays."""
    net = copy.deepcopy(backbone.net)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        for part in net.body.modules():
            if callable(start := getattr(part, "reset_parameters", None)):
                start()
    return Served(net, backbone.shape, (), backbone.columns, backbone.layers)
