"""Two-stage TrAdaBoost.R2: boosting that first finds how far to trust the source's rows."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from scipy.optimize import brentq

from juyi.adapt.heads import probabilities
from juyi.adapt.pool import LEAST, Pool
from juyi.adapt.samples import Map, Samples
from juyi.adapt.shallow import Shallow, Solved, usable
from juyi.adapt.target_only import check_few_labels
from juyi.data.domain import Domain
from juyi.training import hyperparameter


class WeightedMedian:
    """Models of numbers that answer by their weighted median: half of the weight tells less, half more.

    Args:
        models: fitted.
        counts: how much each counts.
    """

    def __init__(self, models: list[Any], counts: np.ndarray) -> None:
        self.models, self.counts = models, counts

    def predict(self, x: np.ndarray) -> np.ndarray:
        """The numbers, n."""
        told = np.stack([np.ravel(model.predict(x)) for model in self.models], 1)
        order = told.argsort(1)
        reached = self.counts[order].cumsum(1) >= self.counts.sum() / 2
        found: np.ndarray = np.take_along_axis(told, order, 1)[np.arange(len(x)), reached.argmax(1)]
        return found


class TrAdaBoostR2(Shallow):
    """With some target labels: boosting over both domains, of which the source loses weight step by step.

    Each step t fits a model to all rows as they weigh, and tells how far it misses each, e_i = |y_i − ŷ_i| / max
    |y − ŷ| (for classes, which are this library's addition, 1 − p(y_i | x_i)):

        source:  w ← w β^e,   β such that the target's share of all weight becomes  s_0 + t / (S − 1) · (1 − s_0)

    with s_0 = m / (n + m).  So S weightings come about, from all rows alike to the target alone; the one that tells
    left-out target labels best is taken, by squared errors or, of classes, by −log p.  On each, and at the end,
    AdaBoost.R2 learns `rounds` models while the source's weights stay; with one, the default, it is the estimator
    itself, which a network can hold.

    Source: D. Pardoe and P. Stone, "Boosting for Regression Transfer", ICML 2010, algorithm 3.

    Example:
        >>> from juyi.data import Domain
        >>> rng = np.random.default_rng(0)
        >>> x, z = rng.normal(size=(2, 300, 2)).astype("float32")
        >>> there, here = np.where(x[:, 1] < 0, x[:, 0], -x[:, 0]), z[:, 0]
        >>> few = Domain(z, here, np.arange(300) < 15)
        >>> TrAdaBoostR2().fit(x, there, target=few).score(z, here) > 0.9
        True
    """

    carries: ClassVar[str | None] = "instances"
    quick: ClassVar[dict[str, Any]] = {"net": "linear", "steps": 5}
    needs_target_labels: ClassVar[bool] = True

    steps: int = hyperparameter(default=30, help="S, weightings that are tried", low=2, high=1_000)
    folds: int = hyperparameter(
        default=10, help="parts of the target labels that are left out in turn", low=2, high=100
    )
    rounds: int = hyperparameter(default=1, help="N, models of AdaBoost.R2 on a weighting", low=1, high=1_000)

    def check_target(self, target: Domain, rows: int) -> None:
        """Refuse a target with too few labels too."""
        super().check_target(target, rows)
        check_few_labels(type(self).__name__, target)

    def solve(self, given: Samples) -> Solved:
        """Weightings; the one that tells left-out labels best; a model of it."""
        (x, y), n = given.together(), len(given.source)
        m = len(x) - n
        fold = given.draws().permutation(np.arange(m) % min(self.folds, m))
        weights, start = np.full(n + m, 1 / (n + m)), m / (n + m)
        best, chosen = np.inf, weights
        for step in range(1, self.steps + 1):  # at the last the target has all weight
            error = self.left_out_error(given, x, y, weights, fold)
            if error < best:
                best, chosen = error, weights.copy()
            missed = errors_of(self.fitted_model(given, x, y, weights), x, y, given.classes)
            if step == self.steps or not (missed[:n] > 0).any():
                break
            share = start + step / (self.steps - 1) * (1 - start)
            weights[:n] *= shrink(weights[:n], missed[:n], weights[n:].sum(), share)
            weights /= weights.sum()
        told = f"−log p {best:.3g}" if given.classes else f"root mean squared error {np.sqrt(best):.3g}"
        given.remark(f"the source has {chosen[:n].sum():.0%} of the weight; on left-out labels {told}")
        same = Map.identity(given.columns)
        return Solved(self.boosted(given, x, y, chosen, n), same, same, usable(given, chosen[:n]))

    def left_out_error(
        self, given: Samples, x: np.ndarray, y: np.ndarray, weights: np.ndarray, fold: np.ndarray
    ) -> float:
        """The mean error on target labels, each left out once: squared, or −log p."""
        n, found = len(x) - len(fold), np.empty(len(fold))
        for one in range(fold.max() + 1):
            kept = np.append(np.ones(n, bool), fold != one)
            model = self.boosted(given, x[kept], y[kept], weights[kept], n)
            if given.classes:
                right = probabilities(model, x[~kept], given.classes)[np.arange((~kept).sum()), y[~kept]]
                found[fold == one] = -np.log(np.maximum(right, LEAST))
            else:
                found[fold == one] = (model.predict(x[~kept]) - y[~kept]) ** 2
        return float(found.mean())

    def boosted(self, given: Samples, x: np.ndarray, y: np.ndarray, weights: np.ndarray, n: int) -> Any:
        """AdaBoost.R2 whose first n rows, the source's, keep their weights."""
        models: list[Any] = []
        counts: list[float] = []
        weights = weights.copy()
        for _ in range(self.rounds):
            model = self.fitted_model(given, x, y, weights)
            missed, total = errors_of(model, x, y, given.classes), weights[n:].sum()
            error = float(weights[n:] @ missed[n:] / total)
            if error >= 0.5 and models:
                break
            models.append(model)
            beta = np.clip(error / (1 - error), 1e-9, 1 - 1e-9) if error < 0.5 else 1 - 1e-9
            counts.append(-np.log(beta))
            if not 0 < error < 0.5:
                break
            weights[n:] *= beta ** (1 - missed[n:])
            weights[n:] *= total / weights[n:].sum()
        if len(models) == 1:
            return models[0]
        return (
            Pool(models, np.array(counts) / sum(counts)) if given.classes else WeightedMedian(models, np.array(counts))
        )


def errors_of(model: Any, x: np.ndarray, y: np.ndarray, classes: int) -> np.ndarray:
    """How far a model misses each row, 0 to 1, n: of numbers in units of the farthest."""
    if classes:
        missed: np.ndarray = 1 - probabilities(model, x, classes)[np.arange(len(y)), y]
        return missed
    missed = np.abs(np.ravel(model.predict(x)) - y)
    missed /= max(missed.max(), np.finfo(float).tiny)
    return missed


def shrink(weights: np.ndarray, missed: np.ndarray, rest: float, share: float) -> np.ndarray:
    """Factors β^e of weights, with the β, 0 to 1, at which the rest has this share of all weight.

    Where no β gives it the rest, since some weights are not missed at all, β is the least that is tried, 10⁻¹².

    Example:
        >>> shrink(np.array([1.0, 1.0]), np.array([1.0, 0.5]), 1.0, 0.5).round(3).tolist()  # β + √β = 1
        [0.382, 0.618]
    """
    wanted = rest * (1 / share - 1)

    def excess(log_beta: float) -> float:
        return float(weights @ np.exp(log_beta * missed) - wanted)

    least = np.log(1e-12)
    log_beta = least if excess(least) > 0 else 0.0 if excess(0.0) <= 0 else brentq(excess, least, 0.0)
    factors: np.ndarray = np.exp(log_beta * missed)
    return factors
