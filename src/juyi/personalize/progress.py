"""How rounds go on, for a person who watches: who answered, who is late, how held-out rows are told, time left."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from juyi.measure.figures import clean
from juyi.personalize.federation import Federation
from juyi.runs import RunFolder
from juyi.runs.files import Lines, read_json, write_json
from juyi.training import Silent, StageRun
from juyi.training.machine import now

Show = Callable[[RunFolder, dict[str, Any]], object]
"""Makes a page of what progress.json holds."""


class Progress(Silent):
    """A watcher that writes `progress.json` now and then, and a line of `participation.jsonl` for each round.

    Args:
        folder: the run.
        name: what is learning.
        plan: all that learn, in order.
        federation: whose rounds are watched.
        names: of the clients, by number.
        show: makes a page of it; None makes none.
        every: seconds between two writings, at least.
        clock: the time in seconds, from any start.
    """

    def __init__(
        self,
        folder: RunFolder,
        name: str,
        plan: Sequence[str],
        federation: Federation,
        names: Sequence[str],
        show: Show | None = None,
        every: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.folder, self.name, self.plan, self.federation = folder, name, list(plan), federation
        self.names, self.show, self.every, self.clock = [clean(name) for name in names], show, every, clock
        self.lines = Lines(folder.path / "participation.jsonl")
        self._begun = self._since = self._written = clock() - every
        self._first = 0
        federation.listener = self.moved

    def stage_begins(self, run: StageRun) -> None:
        """The clock starts; what a killed run wrote too far is cut off."""
        self._begun = self._since = self.clock()
        self._first = self.federation.round
        self.lines.cut()

    def step_done(self, run: StageRun) -> None:
        """Write down who was there in the round."""
        federation = self.federation
        passed = self.clock() - self._since
        self._since += passed
        told = self._told()
        line = {
            "model": self.name, "round": federation.round, **self._there(), "held_out": told,
            "looked": None if told is None else list(federation.looked), "seconds": round(passed, 3),
        }  # fmt: skip
        self.lines.add(line)
        self._write(self._there())

    def moved(self, answered: Sequence[int], waiting: Sequence[int], refused: Sequence[int] = ()) -> None:
        """Within a round: who has answered, and for whom it waits."""
        self._write({"answered": answered, "waiting": waiting, "refused": refused})

    def stage_ends(self, run: StageRun) -> None:
        """Write where it stands, however short ago that was done."""
        self._written = -self.every + self._written
        self._write(self._there())

    def mark(self) -> dict[str, Any]:
        """The size of the file of participations."""
        return {"participation": self.lines.size}

    def rewind(self, mark: dict[str, Any]) -> None:
        """Take note of the size that the file had; it is cut when the next stage begins."""
        self.lines.rewind(int(mark["participation"]))

    @staticmethod
    def finish(folder: RunFolder, show: Show | None) -> None:
        """Say that the run is finished."""
        path = folder.path / "progress.json"
        if path.exists():
            content = {**read_json(path), "status": "finished", "left": 0.0, "written": now()}
            write_json(path, content)
            if show:
                show(folder, content)

    def _there(self) -> dict[str, list[int]]:
        """Who was there in the last round, and how."""
        there = self.federation.attendance
        return {how: list(getattr(there, how)) for how in ("answered", "late", "lost", "refused")}

    def _told(self) -> float | None:
        """How held-out rows are told after this round, if they were asked."""
        looks = self.federation.looks
        return float(looks[-1][1]) if looks and looks[-1][0] == self.federation.round else None

    def _write(self, standing: Mapping[str, Sequence[int]]) -> None:
        at = self.clock()
        if at - self._written < self.every:
            return
        self._written = at
        federation = self.federation
        done, rounds = federation.round, federation.method.rounds
        seconds = at - self._begun
        left = seconds / (done - self._first) * (rounds - done) if done > self._first else None
        content = {
            "status": "running", "model": self.name, "plan": self.plan, "round": done, "rounds": rounds,
            "clients": len(self.names), "left": None if left is None else round(left, 1),
            "looks": federation.looks, "lost": federation.lost, "refused": federation.rejected,
            "standing": {how: [self.names[number] for number in who] for how, who in standing.items()},
            "written": now(),
        }  # fmt: skip
        write_json(self.folder.path / "progress.json", content)
        if self.show:
            self.show(self.folder, content)
