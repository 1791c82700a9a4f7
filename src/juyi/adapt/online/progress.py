"""A bar on a terminal, a line now and then elsewhere, while a stream is followed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rich import progress as bars
from rich.console import Console

from juyi.adapt.online.base import OnlineAdapter


class Progress:
    """Shows how far a stream has come.

    Args:
        console: where to show.
        model: the name of the method.
        batches: how many there will be.
        every: seconds between two lines where there is no terminal.
        clock: the time in seconds, from any start.
    """

    def __init__(
        self,
        console: Console,
        model: str,
        batches: int,
        every: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.console, self.model, self.batches, self.every, self.clock = console, model, batches, every, clock
        self._began = self._shown = clock()
        self._bar: bars.Progress | None = None
        self._task = bars.TaskID(0)
        if console.is_terminal:
            self._bar = bars.Progress(
                bars.TextColumn("{task.description}"),
                bars.BarColumn(),
                bars.TextColumn("batch {task.completed}/{task.total}"),
                bars.TextColumn("{task.fields[facts]}"),
                bars.TimeElapsedColumn(),
                bars.TextColumn("left"),
                bars.TimeRemainingColumn(),
                console=console,
                transient=True,
            )
            self._bar.start()
            self._task = self._bar.add_task(model, total=batches, facts="")

    def show(self, facts: dict[str, Any], online: OnlineAdapter) -> None:
        """Move on by a batch."""
        now, done = self.clock(), int(facts["batch"])
        last = done == self.batches
        if not last and now - self._shown < (0.2 if self._bar else self.every):
            return
        self._shown = now
        words = f"entropy {facts['entropy']:.2f}, held back {online.held_back_}, resets {online.resets_}"
        if self._bar:
            self._bar.update(self._task, completed=done, facts=words)
        elif last:
            self.say(f"{self.model}: {done:,} batches in {now - self._began:.0f} s, {words}")
        else:
            left = (now - self._began) / done * (self.batches - done)
            self.say(f"{self.model}: batch {done:,}/{self.batches:,}, {words}, {left:.0f} s left")

    def say(self, words: str) -> None:
        """Print a line, above the bar where there is one."""
        self.console.print(words, highlight=False)

    def close(self) -> None:
        """Take the bar off the screen, also when the run was cut short."""
        if self._bar:
            self._bar.stop()
            self._bar = None
