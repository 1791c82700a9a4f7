"""Density ratio by a classifier: who can tell where a row comes from knows how much likelier it is there."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from juyi.adapt.samples import Samples
from juyi.adapt.shallow import Shallow, Solved
from juyi.training import hyperparameter

FOLDS = 5
MOST_ROWS = 10_000
"""Of a large domain so many rows, drawn, suffice to tell it from another."""


class DensityRatio(Shallow):
    """A classifier learns to tell target rows from source rows, and its odds are the ratio of the densities.

        w(x) = n_s / n_t · P(target | x) / P(source | x)

    The odds of a row come from a classifier that has not seen it (in five parts), since one that has would know where
    it was.  By default it is logistic regression on columns and their squares, which is right where both domains are
    normal with columns of their own; `classifier` takes another.  It learns from at most 10,000 rows of a domain.  For
    targets that are the source seen more often in some places: the label of a place must be the same in both.

    Source: S. Bickel, M. Brückner and T. Scheffer, "Discriminative Learning for Differing Training and Test
    Distributions", ICML 2007.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> x = rng.uniform(-2, 2, (500, 1))
        >>> model = DensityRatio().fit(x, np.sign(x[:, 0]), target=rng.normal(1, 0.3, (300, 1)))
        >>> bool(model.weights_[x[:, 0] > 0.5].mean() > 10 * model.weights_[x[:, 0] < -0.5].mean())
        True
    """

    carries: ClassVar[str | None] = "instances"
    draws: ClassVar[bool] = True
    exempt: ClassVar[dict[str, str]] = {"learns_a_shift": "it weighs rows and moves none"}

    clip: float = hyperparameter(
        default=0.01, help="least and, from 1, largest probability that is believed", low=0.0, high=0.49
    )
    classifier: Any = dataclasses.field(default=None)

    def solve(self, given: Samples) -> Solved:
        """Weigh the source."""
        draws, told = given.draws(), np.empty(len(given.source))
        source, target = (draws.permutation(len(x))[:MOST_ROWS] for x in (given.source, given.target))
        n, m = len(source), len(target)
        x, domain = self.seen(np.concatenate([given.source[source], given.target[target]])), np.repeat([0, 1], [n, m])
        model = LogisticRegression(max_iter=1_000) if self.classifier is None else clone(self.classifier)
        if (folds := min(FOLDS, n, m)) > 1:
            parts = StratifiedKFold(folds, shuffle=True, random_state=int(draws.integers(2**31)))
            told[source] = cross_val_predict(model, x, domain, cv=parts, method="predict_proba")[:n, 1]
        else:
            given.remark("the target has one row, so the classifier that tells the domains apart has seen every row")
            told[source] = model.fit(x, domain).predict_proba(x[:n])[:, 1]
        if len(others := np.setdiff1d(np.arange(len(told)), source)):  # which a classifier of all drawn has not seen
            told[others] = model.fit(x, domain).predict_proba(self.seen(given.source[others]))[:, 1]
        told = np.clip(told, max(self.clip, 1e-12), 1.0 - max(self.clip, 1e-12))
        return self.solved(given, weights=n / m * told / (1.0 - told))

    def seen(self, x: np.ndarray) -> np.ndarray:
        """Rows as the classifier sees them."""
        return np.concatenate([x, x**2], 1) if self.classifier is None else x
