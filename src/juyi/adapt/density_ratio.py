"""Density ratio by a classifier: who can tell where a row comes from knows how much likelier it is there."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.special import expit
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

    The odds of a row come from a classifier that has not seen it, since one that has would know where it was.  By
    default it is logistic regression on columns and their squares, which is right where both domains are normal with
    columns of their own, and what it would say of a row without that row follows from one fit (`odds_without`).
    `classifier` takes another, which is fitted without each fifth of the rows.  It learns from at most 10,000 rows of a
    domain.  For targets that are the source seen more often in some places: the label of a place must be the same in
    both.

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
    exempt: ClassVar[dict[str, str]] = {"learns_a_shift": "it weighs rows and moves none"}

    clip: float = hyperparameter(
        default=0.01, help="least and, from 1, largest probability that is believed", low=0.0, high=0.49
    )
    ridge: float = hyperparameter(
        default=0.01, help="λ of the logistic regression, ½ λ ‖θ‖² beside the mean loss", low=1e-8, high=1e3
    )
    classifier: Any = dataclasses.field(default=None)

    def solve(self, given: Samples) -> Solved:
        """Weigh the source."""
        draws, told = given.draws(), np.empty(len(given.source))
        source, target = (draws.permutation(len(x))[:MOST_ROWS] for x in (given.source, given.target))
        n, m = len(source), len(target)
        x, domain = np.concatenate([given.source[source], given.target[target]]), np.repeat([0, 1], [n, m])
        if self.classifier is None:
            odds, model = odds_without(squared(x), domain, self.ridge)
            told[source] = expit(odds[:n])
        else:
            told[source] = self._without_a_fifth(given, x, domain, int(draws.integers(2**31)))[:n]
        if len(others := np.setdiff1d(np.arange(len(told)), source)):  # which no classifier has seen
            rows = given.source[others]
            if self.classifier is None:
                told[others] = model.predict_proba(squared(rows))[:, 1]
            else:
                told[others] = clone(self.classifier).fit(x, domain).predict_proba(rows)[:, 1]
        told = np.clip(told, max(self.clip, 1e-12), 1.0 - max(self.clip, 1e-12))
        return self.solved(given, weights=n / m * told / (1.0 - told))

    def _without_a_fifth(self, given: Samples, x: np.ndarray, domain: np.ndarray, seed: int) -> np.ndarray:
        """P(target) of rows, by the person's classifier fitted without the fifth in which a row is."""
        if (folds := min(FOLDS, *np.bincount(domain))) < 2:
            given.remark("the target has one row, so the classifier that tells the domains apart has seen every row")
            told: np.ndarray = clone(self.classifier).fit(x, domain).predict_proba(x)
        else:
            parts = StratifiedKFold(folds, shuffle=True, random_state=seed)
            told = cross_val_predict(self.classifier, x, domain, cv=parts, method="predict_proba")
        return told[:, 1]


def squared(x: np.ndarray) -> np.ndarray:
    """Columns and their squares, n×2d."""
    return np.concatenate([x, x**2], 1)


def odds_without(x: np.ndarray, y: np.ndarray, ridge: float) -> tuple[np.ndarray, LogisticRegression]:
    """Return the log odds that logistic regression without a row would give to that row, n, and the one of all rows.

        θᵀx_i + h_i (p_i − y_i) / (1 − p_i (1 − p_i) h_i),   h_i = x_iᵀ (Σ_j p_j (1 − p_j) x_j x_jᵀ + n λ I)⁻¹ x_i

    is one step of Newton's from θ towards the fit without row i, for all i at once.  Here x_i ends with a 1, for the
    constant, which λ does not hold back.

    Args:
        x: rows, n×d.
        y: 0 or 1, n; both occur.
        ridge: λ.

    Source: K. Rahnama Rad and A. Maleki, "A Scalable Estimate of the Out-of-Sample Prediction Error via Approximate
    Leave-One-Out Cross-Validation", Journal of the Royal Statistical Society B 82 (2020), equation 6.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> y = np.repeat([0, 1], 50)
        >>> x = rng.normal(size=(100, 3)) + y[:, None]
        >>> odds, model = odds_without(x, y, 0.01)
        >>> _, without = odds_without(x[1:], y[1:], 0.01 * 100 / 99)
        >>> bool(abs(odds[0] - without.decision_function(x[:1])[0]) < 0.02)
        True
    """
    model = LogisticRegression(C=1.0 / (ridge * len(x)), max_iter=1_000).fit(x, y)
    odds: np.ndarray = model.decision_function(x)
    told = expit(odds)
    rows = np.concatenate([x, np.ones((len(x), 1))], 1)
    curve = told * (1.0 - told)
    bend = rows.T @ (curve[:, None] * rows)
    bend[np.diag_indices(x.shape[1])] += ridge * len(x)
    bend[-1, -1] += 1e-9 * len(x)  # a classifier that is sure of all rows bends nowhere
    leverage = (rows * cho_solve(cho_factor(bend), rows.T).T).sum(1)
    return odds + leverage * (told - y) / np.maximum(1.0 - curve * leverage, 1e-6), model
