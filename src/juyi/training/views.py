"""Batches as they are seen through a view."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from torch import Tensor

from juyi.training.batches import Batch, PairBatch
from juyi.training.stages import Batches


class Viewed:
    """Batches of which each is seen through a view: its inputs are changed as it comes, its labels are not.

    Args:
        over: where the batches come from.
        view: from raw inputs to inputs; it may draw from torch's generator, which the loop seeds for each step.
    """

    def __init__(self, over: Batches, view: Callable[[Tensor], Tensor]) -> None:
        self.over, self.view = over, view

    def steps_per_epoch(self, processes: int) -> int:
        """As without the view."""
        return self.over.steps_per_epoch(processes)

    def batch(self, key: tuple[int, ...], step: int, process: int, processes: int) -> Any:
        """The batch of this step, seen through the view."""
        batch = self.over.batch(key, step, process, processes)
        if batch is None:  # what is made and not drawn is not seen through anything
            return None
        if isinstance(batch, Batch):
            return replace(batch, x=self.view(batch.x))
        assert isinstance(batch, PairBatch)
        source, target = (replace(side, x=self.view(side.x)) for side in (batch.source, batch.target))
        return replace(batch, source=source, target=target)
