"""Checkpoints without pickle: the end of every finished stage, and one `latest` inside the running one."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from juyi.runs.files import read_tensors, write_tensors
from juyi.training.stage_run import StageRun
from juyi.training.state import State


class Checkpoint:
    """A folder from which a killed run goes on to the same bits.

    Args:
        folder: where; made on first writing.
        every: seconds between two writings inside a stage; the first comes after the first step.
    """

    def __init__(self, folder: Path, every: float = 30.0) -> None:
        self.folder = Path(folder)
        self.every = every
        self._next = 0.0

    def _end(self, number: int) -> Path:
        return self.folder / f"stage-{number}.safetensors"

    @property
    def _latest(self) -> Path:
        return self.folder / "latest.safetensors"

    def save_end(self, number: int, state: State, mark: Mapping[str, Any]) -> None:
        """Store the state at the end of a stage; `mark` is what the watcher wants back."""
        write_tensors(self._end(number), state.tensors(), {"plain": state.plain(), "mark": mark})
        self._next = 0.0

    def load_end(self, number: int, state: State) -> dict[str, Any] | None:
        """Put the state back to the end of this stage, if it was finished; return the watcher's mark."""
        if not self._end(number).exists():
            return None
        tensors, note = read_tensors(self._end(number))
        state.load(tensors, note["plain"])
        mark: dict[str, Any] = note["mark"]
        return mark

    def save_latest_if_due(self, run: StageRun, mark: Mapping[str, Any]) -> None:
        """Store a position inside a stage, if enough time has gone by and all weights are finite."""
        if time.monotonic() < self._next or run.step == run.total_steps:
            return
        tensors = run.tensors()
        if all(bool(torch.isfinite(value).all()) for value in tensors.values() if value.is_floating_point()):
            write_tensors(self._latest, tensors, {**run.note(), "mark": mark})
        self._next = time.monotonic() + self.every

    def load_latest(self, run: StageRun) -> dict[str, Any] | None:
        """Go to the stored position inside this stage, if there is one; return the watcher's mark."""
        if not self._latest.exists():
            return None
        tensors, note = read_tensors(self._latest)
        if note["stage"] != run.number:
            return None
        run.load(tensors, note)
        mark: dict[str, Any] = note["mark"]
        return mark
