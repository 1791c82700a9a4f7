"""The shares of the classes in the target, as they are estimated while a method learns."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from juyi.nets import TARGET, Network
from juyi.training.batches import ByClass, Pairs, Rows
from juyi.training.processes import Processes, take_from_first
from juyi.training.serving import compute
from juyi.training.stages import Stage
from juyi.training.views import Viewed

Estimator = Callable[[np.ndarray], np.ndarray]


class ClassShares:
    """What the source is redrawn by, so that its classes are as frequent as the target's seem to be.

    The estimate q begins as the source's own shares p.  At the end of each epoch, but for the first tenth of a stage,
    q ← (1 − s) q + s e, where e is estimated from the scores of at most 5,000 target rows by the network that would
    serve.  The source is drawn by

        (1 − f) q + f p

    so that a class which the network has lost, for no better reason than that it is wrong, is still learnt and may
    come back.

    Args:
        source: the labelled domain.
        target: the other one.
        outputs: the number of classes.
        estimate: from scores (N×C) of target rows to shares (C).
        processes: which process this is; all take the first one's estimate.
        smoothing: s, 0 to 1: how far an estimate moves what is held.
        floor: f, 0 to 1: how much of the source's own shares remains.
    """

    limit = 5_000

    def __init__(
        self,
        source: Rows,
        target: Rows,
        outputs: int,
        estimate: Estimator,
        processes: Processes,
        *,
        smoothing: float = 0.5,
        floor: float = 0.1,
    ) -> None:
        known = source.y.cpu().numpy()[source.labelled_rows]
        self.source = np.bincount(known, minlength=outputs) / len(known)
        self.current = self.source
        self.target, self.estimate, self.processes = target, estimate, processes
        self.smoothing, self.floor = smoothing, floor
        self.steps = 0

    def drawn(self) -> np.ndarray:
        """The shares by which source rows are drawn, C."""
        shares: np.ndarray = (1 - self.floor) * self.current + self.floor * self.source
        return shares

    def redraw(self, stage: Stage, source: Rows, serves: Network) -> Stage:
        """Return the stage with its source rows drawn by these shares, which are estimated anew as it goes on.

        Args:
            stage: what a method yields; batches that hold no row of `source` stay as they are.
            source: the labelled domain.
            serves: the network that would serve if training ended with this stage.
        """
        self.steps = 0
        every = stage.over.steps_per_epoch(self.processes.count)
        warm = -(-stage.epochs // 10) * every

        def follow() -> None:
            self.steps += 1
            if self.steps % every == 0 and self.steps >= warm:
                self.update(serves)

        return stage.then(follow, over=_redrawn(stage.over, source, self.drawn), keeps=[*stage.keeps, serves, self])

    def update(self, net: Network) -> None:
        """Estimate the shares anew from what the network says of target rows."""
        index = np.linspace(0, self.target.size - 1, min(self.limit, self.target.size)).astype(np.int64)
        found = None
        if self.processes.is_first:
            scores = compute(net, self.target, index, partial(net, domain=TARGET)).numpy()
            if np.isfinite(scores).all():  # else training is about to stop, and says why
                found = self.estimate(scores)
        found = take_from_first(found, self.processes)
        if found is not None:
            self.current = (1 - self.smoothing) * self.current + self.smoothing * found

    def state_dict(self) -> dict[str, Any]:
        """The shares, and the steps of the stage so far."""
        return {"current": [float(share) for share in self.current], "steps": self.steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a stored state."""
        self.current, self.steps = np.array(state["current"], np.float64), int(state["steps"])


def _redrawn(over: Any, source: Rows, shares: Callable[[], np.ndarray]) -> Any:
    """Batches with the rows of `source` drawn by class; others as they are."""
    if isinstance(over, Viewed):
        return Viewed(_redrawn(over.over, source, shares), over.view)
    if isinstance(over, Pairs) and over.source and over.source.rows is source:
        return over.with_source(ByClass(source, over.source.size, shares))
    return over
