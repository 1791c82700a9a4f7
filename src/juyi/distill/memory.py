"""Rows that a method has made: kept as data are kept, so that they can be learnt from, looked at and stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from juyi.data.domain import Domain
from juyi.distill.teacher import Teacher
from juyi.training import Rows, compute_rows


class Memory:
    """The last `size` rows that were made, images as uint8; it belongs into a stage's `keeps`.

    Args:
        size: how many rows it holds at most; then the oldest give way.
        shape: of a row, C×H×W or d.
        device: where it is.

    Example:
        >>> memory = Memory(3, (1, 2, 2))
        >>> memory.add(torch.full((2, 1, 2, 2), 300.0))
        >>> memory.held, int(memory.rows().max())
        (2, 255)
    """

    def __init__(self, size: int, shape: Sequence[int], device: torch.device | None = None) -> None:
        kind = torch.uint8 if len(shape) == 3 else torch.float32
        self._rows = torch.zeros((size, *shape), dtype=kind, device=device)
        self.added = 0

    @property
    def held(self) -> int:
        """How many rows it holds."""
        return min(self.added, len(self._rows))

    def add(self, x: Tensor) -> None:
        """Keep these rows, at most `size`; images are rounded to whole values, 0 to 255."""
        x = x.detach()
        if self._rows.dtype == torch.uint8:
            x = x.float().round().clamp(0, 255)
        places = (self.added + torch.arange(len(x), device=x.device)) % len(self._rows)
        self._rows[places] = x.to(self._rows.dtype)
        self.added += len(x)

    def draw(self, count: int) -> Tensor:
        """Draw rows that it holds, with replacement, by torch's generator; floats."""
        index = torch.randint(self.held, (count,), device=self._rows.device)
        return self._rows[index].float()

    def rows(self) -> Tensor:
        """All rows that it holds, in the order of their places."""
        return self._rows[: self.held]

    def told_by(self, teacher: Teacher, name: str) -> tuple[Domain, Tensor]:
        """Return what it holds as data, each row of the class that the teacher answers, and its scores, N×C."""
        x = self.rows().cpu().numpy()
        scores = compute_rows(teacher.scores, Rows(Domain(x, name=name), teacher.device))
        y = scores.argmax(1).cpu().numpy().astype(np.int64)
        return Domain(x, y, classes=teacher.classes, name=name), scores

    def state_dict(self) -> dict[str, Any]:
        """What is stored: the rows that it holds, and how many were ever added."""
        return {"rows": self.rows(), "added": self.added}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put back what was stored."""
        self.added = int(state["added"])
        self._rows[: self.held] = state["rows"]
