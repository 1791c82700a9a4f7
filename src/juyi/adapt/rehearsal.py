"""The dress rehearsal: the same method on a pseudo-target made of the source, where the labels are known."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from sklearn.base import clone

from juyi.adapt.base import Adapter
from juyi.adapt.source_only import SourceOnly
from juyi.data.domain import Domain
from juyi.data.pseudo_target import pseudo_target
from juyi.data.splits import hold_out, withhold_labels
from juyi.errors import SettingError
from juyi.measure import paired_difference
from juyi.training import Processes, Served


@dataclass(frozen=True)
class Rehearsal:
    """How a method fared against source only on a pseudo-target.

    Attributes:
        gain: accuracy of the method minus that of source only, on the pseudo-target's rows.
        low: lower end of the 95 % interval of the gain.
        high: upper end.
        accuracy: of the method.
        accuracy_floor: of source only.
        disagreement: the share of rows on which the two differ.
        n: rows of the pseudo-target.
    """

    gain: float
    low: float
    high: float
    accuracy: float
    accuracy_floor: float
    disagreement: float
    n: int

    def as_json(self) -> dict[str, Any]:
        """The same, for run.json."""
        return asdict(self)


class Stage:
    """The halves of the source for a rehearsal: one to learn from, one in the target's look to be judged on.

    Args:
        source: labelled rows.
        target: rows whose look the pseudo-target takes; none of their labels is read.
        seed: which rows go where.

    Raises:
        DataError: the source has too few labelled rows to be halved.
    """

    def __init__(self, source: Domain, target: Domain, seed: int = 0) -> None:
        known = source.select(source.labelled)
        self.source, half = hold_out(known, 0.5, limit=known.size, seed=seed)
        self.target = pseudo_target(half, target, seed)
        self._floor: np.ndarray | None = None

    def right(self, method: Adapter) -> tuple[np.ndarray, np.ndarray]:
        """Fit a copy of `method`; return its predictions on the pseudo-target, and which of them are right."""
        fitted = clone(method).fit(self.source, target=withhold_labels(self.target))
        predicted = fitted.scores(Domain(self.target.x)).argmax(1)
        return predicted, predicted == self.target.y

    def rehearse(self, method: Adapter) -> Rehearsal:
        """Run `method` and, once for all methods, source only; compare them on the pseudo-target's labels."""
        if self._floor is None:
            self._floor = self.right(SourceOnly(**method.shared()))[0]
        predicted, right = self.right(method)
        floor = self._floor == self.target.y
        found = paired_difference(right, floor)
        return Rehearsal(
            gain=found.gain, low=found.low, high=found.high, accuracy=float(right.mean()),
            accuracy_floor=float(floor.mean()), disagreement=float((predicted != self._floor).mean()), n=len(right),
        )  # fmt: skip


def check_rehearsal(source: Domain | Served, target: Domain | None, processes: Processes) -> None:
    """Raise a `SettingError` unless there are classes, a source and a target to rehearse with, and one process."""
    why = None
    if not isinstance(source, Domain):
        why = "needs the source's data, not a run"
    elif target is None:
        why = "needs a target"
    elif source.classes is None:
        why = "is for classes, but the labels are numbers"
    elif processes.count > 1:
        why = "runs in one process; start it without torchrun"
    if why:
        raise SettingError(f"--rehearse: {why}; leave it out")
