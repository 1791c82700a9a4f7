"""Who looks on while a run learns: a progress bar, the log, the records that choosing needs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from juyi.nets import SOURCE, TARGET, Network
from juyi.runs.files import Lines, write_tensors
from juyi.training.batches import Rows
from juyi.training.learn import Silent, Watcher
from juyi.training.serving import compute
from juyi.training.stage_run import StageRun


class Together:
    """Several watchers as one; each has its own part of the mark."""

    def __init__(self, watchers: Sequence[Watcher]) -> None:
        self.watchers = watchers

    def stage_begins(self, run: StageRun) -> None:
        """Tell them all."""
        for watcher in self.watchers:
            watcher.stage_begins(run)

    def step_done(self, run: StageRun) -> None:
        """Tell them all."""
        for watcher in self.watchers:
            watcher.step_done(run)

    def stage_ends(self, run: StageRun) -> None:
        """Tell them all."""
        for watcher in self.watchers:
            watcher.stage_ends(run)

    def mark(self) -> dict[str, Any]:
        """The marks of them all."""
        return {str(number): watcher.mark() for number, watcher in enumerate(self.watchers)}

    def rewind(self, mark: dict[str, Any]) -> None:
        """Rewind them all."""
        for number, watcher in enumerate(self.watchers):
            watcher.rewind(mark[str(number)])


class Log(Silent):
    """One JSON line an epoch in `log.jsonl`; on resuming, what a killed run wrote too far is cut off.

    Args:
        path: the file.
        model: the name of the model that is learning.
    """

    def __init__(self, path: Path, model: str) -> None:
        self.lines, self.model = Lines(path), model
        self.seconds = 0.0
        self._since = time.monotonic()

    def stage_begins(self, run: StageRun) -> None:
        """The clock starts; what a killed run wrote too far is cut off.

        Not before: a model that is finished is replayed too, and the lines after its own are another model's.
        """
        self._since = time.monotonic()
        self.lines.cut()

    def step_done(self, run: StageRun) -> None:
        """Write a line at the end of an epoch."""
        now = time.monotonic()
        self.seconds += now - self._since
        self._since = now
        if not run.at_epoch_end:
            return
        line = {
            "model": self.model,
            "stage": run.stage.name,
            "epoch": run.epoch,
            "epochs": run.stage.epochs,
            "step": run.step,
            "losses": {name: round(value, 6) for name, value in run.mean_losses().items()},
            "learning_rate": run.recipes[0].rate(run.progress) if run.recipes else None,
            "seconds": round(self.seconds, 2),
        }
        self.lines.add(line)

    def mark(self) -> dict[str, Any]:
        """The size of the file, and the seconds of training so far."""
        return {"size": self.lines.size, "seconds": self.seconds}

    def rewind(self, mark: dict[str, Any]) -> None:
        """Take note of the size that the file had; it is cut when the next stage begins."""
        self.seconds = float(mark["seconds"])
        self.lines.rewind(int(mark["size"]))


class Records(Silent):
    """Per epoch, the logits that choosing needs: of source validation and of target, at most 5,000 rows, float16.

    Args:
        folder: the run's `records`.
        model: the name of the model that is learning.
        validation: held-out rows of the source.
        target: rows of the target, or None.
    """

    limit = 5_000

    def __init__(self, folder: Path, model: str, validation: Rows | None, target: Rows | None) -> None:
        self.folder, self.model = folder, model
        self.sides = {SOURCE: validation, TARGET: target}

    def step_done(self, run: StageRun) -> None:
        """Write the logits at the end of an epoch."""
        if not run.at_epoch_end:
            return
        served = run.stage.serves or next(m for m in run.state.owners if isinstance(m, Network))
        tensors = {}
        for domain, rows in self.sides.items():
            if rows is not None:
                index = np.linspace(0, rows.size - 1, min(self.limit, rows.size)).astype(np.int64)
                found = compute(served, rows, index, partial(served, domain=domain))
                tensors[domain] = found.half() if served.label_scale is None else found  # numbers may be large
        name = f"{self.model}-{run.number}-{run.epoch:04d}.safetensors"
        write_tensors(self.folder / name, tensors, {"stage": run.stage.name, "epoch": run.epoch})


class Bar(Silent):
    """A progress bar with time left on a terminal; elsewhere, a line now and then.

    Args:
        console: where to show.
        model: the name of the model that is learning.
        every: seconds between two lines where there is no terminal.
        clock: the time in seconds, from any start.
    """

    def __init__(
        self, console: Console, model: str, every: float = 10.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.console, self.model, self.every, self.clock = console, model, every, clock
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._started = self._shown = 0.0
        self._first_step = 0

    def stage_begins(self, run: StageRun) -> None:
        """Open the bar."""
        self._started = self._shown = self.clock()
        self._first_step = run.step
        if not self.console.is_terminal:
            return
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn(f"{run.stage.unit} {{task.fields[epoch]}}/{{task.fields[epochs]}}"),
            TextColumn("{task.fields[losses]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self.console,
            transient=True,
        )
        self._bar.start()
        self._task = self._bar.add_task(
            f"{self.model}: {run.stage.name}",
            total=run.total_steps,
            completed=run.step,
            epoch=run.epoch + 1,
            epochs=run.stage.epochs,
            losses="",
        )

    def step_done(self, run: StageRun) -> None:
        """Move on."""
        now = self.clock()
        if now - self._shown < (0.2 if self._bar else self.every):
            return
        self._shown = now
        losses = " ".join(f"{name} {value:.3f}" for name, value in run.mean_losses().items())
        epoch = (run.step - 1) // run.steps_per_epoch + 1  # the one that this step belongs to
        if self._bar:
            self._bar.update(self._task, completed=run.step, epoch=epoch, losses=losses)
        else:
            left = (now - self._started) / max(1, run.step - self._first_step) * (run.total_steps - run.step)
            at = f"{run.stage.unit} {epoch}/{run.stage.epochs}"
            said = ", ".join(part for part in (run.stage.name, at, losses, f"{left:.0f} s left") if part)
            self.console.print(f"{self.model}: {said}", highlight=False)

    def stage_ends(self, run: StageRun) -> None:
        """Close the bar and say how it went."""
        self.close()
        losses = ", ".join(f"{name} {value:.3f}" for name, value in run.mean_losses().items())
        seconds = self.clock() - self._started
        self.console.print(
            f"{self.model}: {run.stage.name}: {run.stage.epochs} {run.stage.unit}s in {seconds:.0f} s"
            + (f", {losses}" if losses else ""),
            highlight=False,
        )

    def close(self) -> None:
        """Take the bar off the screen, also when the run was cut short."""
        if self._bar:
            self._bar.stop()
            self._bar = None
