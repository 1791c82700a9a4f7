"""A whole pretraining, from the name of images to a run folder with the backbone."""

from __future__ import annotations

import copy
import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from torch import nn

from juyi.augmentation import LOOKS
from juyi.data.domain import notes_of
from juyi.nets import Network
from juyi.pretrain.base import Pretrainer
from juyi.pretrain.outcome import UNTRAINED, Outcome
from juyi.pretrain.request import Given, Request, prepare
from juyi.pretrain.watching import Measures, Watch
from juyi.runs import RunFolder
from juyi.training import Checkpoint, Processes, Watcher, choose_device, given_again, join_processes, write_model
from juyi.training.recording import (
    learn_recorded,
    mark_finished,
    mark_running,
    method_facts,
    naming,
    new_folder,
    read_begun,
)


def run(
    request: Request,
    method: Pretrainer,
    *,
    out: Path | str | None = None,
    overwrite: bool = False,
    console: Console | None = None,
) -> RunFolder:
    """Carry out a request in a new run folder.

    Args:
        request: the images, and what it is watched by.
        method: an unfitted method.
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
    record = first_record(request, method, given)
    folder = new_folder(record, out, overwrite, processes, console)
    return _Work(folder, record, given, method, processes, console).carry_out()


def resume(
    folder: RunFolder,
    *,
    console: Console | None = None,
    methods: dict[str, type[Pretrainer]],
    net: nn.Module | str | None = None,
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
    processes = join_processes()
    mark_running(folder, record, processes)
    return _Work(folder, record, given, method, processes, console or Console(quiet=True)).carry_out()


def first_record(request: Request, method: Pretrainer, given: Given) -> dict[str, Any]:
    """What run.json holds before the first step."""
    net = method.build(given.images)
    return {
        "command": request.command,
        "request": dataclasses.asdict(request),
        "room": "pretrain",
        **method_facts(method),
        "data": given.fingerprints,
        "target_labels": {"given": 0, "given_to_start": 0},
        "classes": None if given.known is None else list(given.known.classes or ()),
        "floor": UNTRAINED,
        "network": {
            "name": net.name,
            "parameters": sum(p.numel() for p in net.parameters()),
            "features": net.width,
            "fitted": list(net.notes),
        },
        "notes": [*notes_of(given.fingerprints), *net.notes, *_said_of_views(method, given)],
        "warnings": [],
    }


def _said_of_views(method: Pretrainer, given: Given) -> list[str]:
    """Say in words what the views are."""
    if not method.makes_views:
        return []
    name = method.look_name(given.images)
    look = LOOKS[name]
    said = [f"crops of {look.area[0]:.0%} to {look.area[1]:.0%} of the picture"]
    said += [f"turned by up to {look.turn:g}°"] if look.turn else []
    said += ["half of them mirrored" if look.flip else "never mirrored"]
    said += [f"brightness and contrast changed by up to {look.brightness:.0%}"]
    if given.images.x.shape[1] == 3:
        said += [f"colours by up to {look.saturation:.0%}, hue by {look.hue:.0%} of a turn, {look.grey:.0%} grey"]
    return [f"views by --look {name}: {', '.join(said)}"]


def embedded(net: Network, embedding: nn.Module) -> Network:
    """A copy of a backbone whose features are the embeddings."""
    found = copy.deepcopy(net)
    found.body = nn.Sequential(found.body, copy.deepcopy(embedding)).eval()
    return found


@dataclass(frozen=True)
class _Work:
    """A run that is going on; only the first of several processes shows and writes."""

    folder: RunFolder
    record: dict[str, Any]
    given: Given
    method: Pretrainer
    processes: Processes
    console: Console

    def carry_out(self) -> RunFolder:
        """Learn, then look at what was learnt."""
        with naming(self.folder):
            measures = Measures(self.method, self.given)
            self._learn(measures)
            if self.processes.is_first:
                self._finish(measures)
                mark_finished(self.folder, self.record)
        return self.folder

    def _learn(self, measures: Measures) -> None:
        name, method, images = self.record["method"], self.method, self.given.images

        def learn(watcher: Watcher | None, checkpoint: Checkpoint | None) -> Pretrainer:
            return method.learn(images, watcher=watcher, checkpoint=checkpoint, processes=self.processes)

        if not self.processes.is_first:
            learn(None, None)
            return
        watch = Watch(self.folder, name, measures, self.console)
        learn_recorded(self.folder, self.record, name, learn, self.console, [watch])
        write_model(self.folder.models, name, method.net_, images.x.shape[1:], None, method.layers)

    def _finish(self, measures: Measures) -> None:
        name, device = self.record["method"], choose_device(self.method.device)
        self.record["serves"] = name
        self.console.print("looking at the features", highlight=False)
        before: Network = self.method.build(self.given.images).to(device)
        models = {UNTRAINED: before, name: self.method.net_}
        if self.method.embedding_ is not None:
            models[f"{name}_embedding"] = embedded(self.method.net_, self.method.embedding_)
        Outcome(self.folder, self.record, measures, models).write(self.given)
