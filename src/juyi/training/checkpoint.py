"""Checkpoints without pickle: the end of every finished stage, and one `latest` inside the running one."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from juyi.errors import ForeignFileError
from juyi.runs.files import read_tensors, write_tensors
from juyi.training.stage_run import StageRun
from juyi.training.state import State

Stored = tuple[dict[str, torch.Tensor], dict[str, Any]]
"""Tensors, and the note that goes with them."""

BEGINNING = -1
"""The stage whose end is the state before the first stage."""


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
        return self.folder / ("beginning.safetensors" if number == BEGINNING else f"stage-{number}.safetensors")

    @property
    def _latest(self) -> Path:
        return self.folder / "latest.safetensors"

    def save_end(self, number: int, state: State, mark: Mapping[str, Any]) -> None:
        """Store the state at the end of a stage; `mark` is what the watcher wants back."""
        write_tensors(self._end(number), state.tensors(), {"plain": state.plain(), "mark": mark})
        self._next = 0.0

    def read_end(self, number: int) -> Stored | None:
        """Read the state at the end of this stage (note: `plain`, `mark`); None if it was not finished.

        Raises:
            ForeignFileError: the file is damaged, or is not of this kind.
        """
        return _read(self._end(number), {"plain": dict, "mark": dict})

    def save_latest_if_due(self, run: StageRun, mark: Mapping[str, Any]) -> None:
        """Store a position inside a stage, if enough time has gone by and all weights are finite."""
        if time.monotonic() < self._next or run.step == run.total_steps:
            return
        if run.is_finite():
            write_tensors(self._latest, run.tensors(), {**run.note(), "mark": mark})
        self._next = time.monotonic() + self.every

    def read_latest(self, number: int) -> Stored | None:
        """Read the stored position inside this stage (note: what `StageRun.note` gave, `mark`), if there is one.

        Raises:
            ForeignFileError: the file is damaged, or is not of this kind.
        """
        stored = _read(
            self._latest, {"plain": dict, "mark": dict, "stage": int, "step": int, "total_steps": int, "sums": dict}
        )
        return stored if stored and stored[1]["stage"] == number else None


def _read(path: Path, kinds: Mapping[str, type]) -> Stored | None:
    if not path.exists():
        return None
    tensors, note = read_tensors(path)
    for name, kind in kinds.items():
        if not isinstance(note.get(name), kind):
            raise ForeignFileError(f"{path}: is no checkpoint of Juyi (its note lacks {name}); remove it to begin anew")
    return tensors, note
