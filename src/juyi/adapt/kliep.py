"""KLIEP: weigh source rows so that, so weighed, the target is as likely as can be."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from juyi.adapt.kernels import WIDTHS, median_distance, squared_distances
from juyi.adapt.samples import Samples
from juyi.adapt.shallow import Shallow, Solved
from juyi.training import hyperparameter

FOLDS = 5
TOLERANCE = 1e-3
MOST_ROWS = 5_000
"""Of a large target so many rows, drawn, suffice to see how likely it is."""


def expectation_maximisation(
    kernel: np.ndarray, mean: np.ndarray, steps: int, tolerance: float = TOLERANCE
) -> tuple[np.ndarray, float]:
    """Find α ≥ 0 with bᵀα = 1 that maximises mean_t log (A α)_t; return it and how far it is from the maximum.

    α_l ← α_l · mean_t (A_tl / (A α)_t) / b_l keeps both conditions by itself, never lowers the mean, and needs no step
    size: it is the EM of a mixture with fixed components A_tl / b_l and weights b_l α_l.  At the maximum the factor is
    at most 1 for every l, and by how much the largest exceeds 1 bounds what is still to be won.

    Args:
        kernel: A, the kernels of target rows, m×b.
        mean: b, their means over source rows, above 0.
        steps: at most so many.
        tolerance: of the largest factor above 1.
    """
    alpha = np.full(len(mean), 1.0 / mean.sum())
    gap = np.inf
    for _ in range(steps):
        ratio = np.maximum(kernel @ alpha, np.finfo(float).tiny)
        factor = (1.0 / ratio) @ kernel / (len(kernel) * mean)
        gap = float(factor.max()) - 1.0
        if gap <= tolerance:
            break
        alpha = alpha * factor
        alpha /= mean @ alpha
    return alpha, gap


class KLIEP(Shallow):
    """Weights w(x) = Σ_l α_l k(x, c_l) under which the source is nearest to the target in Kullback's sense.

        max over α  mean_t log Σ_l α_l k(x_t, c_l)   where   mean_s Σ_l α_l k(x_s, c_l) = 1,   α ≥ 0

    with Gaussian kernels at some target rows.  The maximum is found without any step size, by expectation and
    maximisation; the kernels' width is that under which left-out fifths of the target are likeliest.

    Source: M. Sugiyama et al., "Direct Importance Estimation for Covariate Shift Adaptation", Annals of the Institute
    of Statistical Mathematics 60 (2008); the steps are those of a mixture whose components are fixed.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> x = rng.uniform(-2, 2, (500, 1))
        >>> model = KLIEP().fit(x, np.sign(x[:, 0]), target=rng.normal(1, 0.3, (300, 1)))
        >>> bool(model.weights_[x[:, 0] > 0.5].mean() > 10 * model.weights_[x[:, 0] < -0.5].mean())
        True
    """

    carries: ClassVar[str | None] = "instances"
    draws: ClassVar[bool] = True
    exempt: ClassVar[dict[str, str]] = {"learns_a_shift": "it weighs rows and moves none"}

    centres: int = hyperparameter(default=100, help="kernels, at most", low=1, high=5_000)
    steps: int = hyperparameter(default=2_000, help="of expectation and maximisation, at most", low=1, high=1_000_000)

    def solve(self, given: Samples) -> Solved:
        """Weigh the source."""
        draws = given.draws()
        target = given.target[draws.permutation(len(given.target))[:MOST_ROWS]]
        chosen = target[draws.permutation(len(target))[: self.centres]]
        distances = [squared_distances(x, chosen) for x in (given.source, target)]
        median = median_distance(distances[1] if len(target) > 1 else distances[0])
        fold = draws.permutation(np.arange(len(target)) % FOLDS)
        best, kept = -np.inf, None
        for width in WIDTHS:
            k_source, k_target = (np.exp(squared / (-2.0 * (width * median) ** 2)) for squared in distances)
            mean = k_source.mean(0)
            near = mean > 1e-12  # a kernel that no source row is near cannot weigh any
            if not near.any():
                continue
            k_source, k_target, mean = k_source[:, near], k_target[:, near], mean[near]
            score = left_out(k_target, mean, fold, self.steps)
            if score > best:
                best, kept = score, (k_source, k_target, mean)
        if kept is None:
            return self.solved(given, weights=np.zeros(len(given.source)))
        alpha, residual = expectation_maximisation(*kept[1:], self.steps)
        if residual > TOLERANCE:
            given.remark(
                f"after {self.steps:,} steps the weights could still be {residual:.2g} likelier; allow more", True
            )
        return self.solved(given, weights=kept[0] @ alpha)


def left_out(kernel: np.ndarray, mean: np.ndarray, fold: np.ndarray, steps: int) -> float:
    """The mean log ratio of target rows in fifths that were left out; of so few that there are none, of all."""
    if len(kernel) < 2:
        return 0.0
    scores = []
    for one in range(int(fold.max()) + 1):
        alpha, _ = expectation_maximisation(kernel[fold != one], mean, steps, 10 * TOLERANCE)
        scores.append(np.log(np.maximum(kernel[fold == one] @ alpha, np.finfo(float).tiny)))
    return float(np.concatenate(scores).mean())
