"""What the methods for other shares of the classes have in common: a model looked at, shares, weights, a model."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import numpy as np
from sklearn.model_selection import StratifiedKFold

from juyi.adapt.heads import probabilities
from juyi.adapt.samples import Samples
from juyi.adapt.shallow import Shallow, Solved

FOLDS = 5


class LabelShift(Shallow):
    """Find the target's shares of the classes, and learn again from the source as if it had them.

    After `fit`, `shares_` holds the estimated shares, in the order of the classes.
    """

    carries: ClassVar[str | None] = "instances"
    regression: ClassVar[bool] = False
    exempt: ClassVar[dict[str, str]] = {"learns_a_shift": "it weighs classes and moves no row"}
    scikit_exempt: ClassVar[dict[str, str]] = {}

    @abstractmethod
    def shares_of(self, given: Samples, told: np.ndarray, here: np.ndarray) -> np.ndarray:
        """The target's shares, C, from probabilities of source rows, told without having seen them, and of its own."""

    def solve(self, given: Samples) -> Solved:
        """Learn, look, weigh, learn again."""
        even = np.ones(len(given.source))
        counts = np.bincount(given.labels, minlength=given.classes)
        few = int(counts[counts > 0].min())
        told = np.zeros((len(given.source), given.classes))
        if few > 1:
            parts = StratifiedKFold(min(FOLDS, few), shuffle=True, random_state=int(given.draws().integers(2**31)))
            for seen, left in parts.split(given.source, given.labels):
                model = self.fitted_model(given, given.source[seen], given.labels[seen], even[seen])
                told[left] = probabilities(model, given.source[left], given.classes)
        whole = self.fitted_model(given, given.source, given.labels, even)
        if few == 1:
            given.remark("a class has one row, so the model is judged on rows that it has learnt from", alarm=True)
            told = probabilities(whole, given.source, given.classes)
        shares = self.shares_of(given, told, probabilities(whole, given.target, given.classes))
        self.shares_ = shares
        told_of = ", ".join(f"{share:.1%}" for share in shares[:20])
        given.remark(f"estimated shares of the classes in the target, in their order: {told_of}")
        prior = counts / counts.sum()
        return self.solved(given, weights=(shares / np.maximum(prior, 1e-300))[given.labels])
