"""Run a method's stages one after the other, watched and stored, from the start or from where it was killed."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from typing import Any, Protocol

import torch

from juyi.nets import Network
from juyi.training.batches import seed_torch
from juyi.training.checkpoint import BEGINNING, Checkpoint
from juyi.training.processes import Processes, share_from_first, take_from_first
from juyi.training.stage_run import Settings, StageRun, run_stage
from juyi.training.stages import Stage, Step
from juyi.training.state import State

StageGenerator = Generator[Stage | Step, None, Network]


class Watcher(Protocol):
    """Whoever looks on: a progress bar, a log, records for choosing."""

    def stage_begins(self, run: StageRun) -> None:
        """A stage is about to run, from its start or from the middle."""
        ...

    def step_done(self, run: StageRun) -> None:
        """A step is done; `run.at_epoch_end` tells whether an epoch is."""
        ...

    def stage_ends(self, run: StageRun) -> None:
        """A stage is finished."""
        ...

    def mark(self) -> dict[str, Any]:
        """What to store with a checkpoint so that `rewind` can come back to this moment."""
        ...

    def rewind(self, mark: dict[str, Any]) -> None:
        """Forget what came after the moment of `mark`; of several calls before a stage begins, the last counts."""
        ...


class Silent:
    """A watcher that does nothing."""

    def stage_begins(self, run: StageRun) -> None:
        """Nothing."""

    step_done = stage_ends = stage_begins

    def mark(self) -> dict[str, Any]:
        """Nothing to come back to."""
        return {}

    def rewind(self, mark: dict[str, Any]) -> None:
        """Nothing to forget."""


def learn(
    stages: Callable[[Network], StageGenerator],
    net: Network,
    settings: Settings,
    watcher: Watcher | None = None,
    checkpoint: Checkpoint | None = None,
) -> Network:
    """Run the stages that a method yields, and return the network that it says serves.

    Killed at any moment and called again with the same arguments and the same checkpoint, it ends with the same
    bits on the same kind of machine and number of threads: the generator is replayed; after each finished stage
    the stored state is put back *before* the next stage is asked for, so that what the method builds there (a
    copy of an encoder) sees the right weights; the unfinished stage goes on at its last stored step.

    Args:
        stages: a method's generator function, called with the network.
        net: the network, on the settings' device; it is trained in place.
        settings: seed, device, precision, processes.
        watcher: who looks on; of many processes, only the first is watched.
        checkpoint: where to store, or None; of many processes, only the first reads and writes it.
    """
    processes = settings.processes
    watcher = watcher if watcher and processes.is_first else Silent()
    store = checkpoint if processes.is_first else None
    state = State()
    state.see([net])
    _begin(state, watcher, store, processes)
    with torch.random.fork_rng(devices=[settings.device] if settings.device.type == "cuda" else []):
        generator = stages(net)
        number = 0
        while True:
            seed_torch(settings.device, settings.seed, number)
            try:
                part = next(generator)
            except StopIteration as end:
                served: Network = end.value or net
                return served.eval()
            if isinstance(part, Step):
                state.see(part.keeps)
                run = None
            else:
                run = StageRun(part, number, state, settings)
            ended = take_from_first(store.read_end(number) if store else None, processes)
            if ended is not None:
                state.load(ended[0], ended[1]["plain"])
                watcher.rewind(ended[1]["mark"])
            else:
                if run is None:
                    assert isinstance(part, Step)
                    part.function()
                else:
                    _run_watched(run, watcher, store)
                _share_buffers(state, processes)
                if store:
                    store.save_end(number, state, watcher.mark())
            number += 1


def under_its_name(name: str, net: Network, stages: StageGenerator) -> StageGenerator:
    """Yield a method's stages with its name before theirs, and let the records follow its network."""

    def named(part: Stage | Step) -> Iterator[Stage | Step]:
        part = replace(part, name=f"{name}: {part.name}")
        yield part if isinstance(part, Step) else replace(part, serves=part.serves or net)

    return through(stages, named)


def through(stages: StageGenerator, change: Callable[[Stage | Step], Iterator[Stage | Step]]) -> StageGenerator:
    """Yield what each part of a method becomes, one part or several, and return the network that serves."""
    while True:
        try:
            part = next(stages)
        except StopIteration as end:
            served: Network = end.value
            return served
        yield from change(part)


def _begin(state: State, watcher: Watcher, store: Checkpoint | None, processes: Processes) -> None:
    """Go to the stored beginning, or store this one: every process then has the first one's weights."""
    stored = take_from_first(store.read_end(BEGINNING) if store else None, processes)
    if stored is not None:
        state.load(stored[0], stored[1]["plain"])
        watcher.rewind(stored[1]["mark"])
        return
    share_from_first(list(state.tensors().values()), processes)
    if store:
        store.save_end(BEGINNING, state, watcher.mark())


def _run_watched(run: StageRun, watcher: Watcher, store: Checkpoint | None) -> None:
    processes = run.settings.processes
    latest = take_from_first(store.read_latest(run.number) if store else None, processes)
    if latest is not None:
        run.load(*latest)
        watcher.rewind(latest[1]["mark"])
    watcher.stage_begins(run)

    alone = processes.count == 1

    def after_step(run: StageRun) -> None:
        # Many processes can go on to the same bits only from where they all have the same running statistics.
        together = alone or run.at_epoch_end or run.step == 1
        if together:
            _share_buffers(run.state, processes)
        watcher.step_done(run)
        if store and together:
            store.save_latest_if_due(run, watcher.mark())

    run_stage(run, after_step)
    watcher.stage_ends(run)


def _share_buffers(state: State, processes: Processes) -> None:
    """Give every process the first one's running statistics; what a thing in `keeps` holds stays each one's own."""
    if processes.count > 1:
        share_from_first([buffer for module in state.modules() for buffer in module.buffers()], processes)
