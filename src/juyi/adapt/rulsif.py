"""RuLSIF: weigh each source row by how much likelier it is in the target, a ratio fitted by least squares."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from juyi.adapt.kernels import WIDTHS, median_distance, squared_distances
from juyi.adapt.samples import Samples
from juyi.adapt.shallow import Shallow, Solved
from juyi.training import hyperparameter

PENALTIES = (1e-3, 1e-2, 1e-1, 1.0)
FOLDS = 5


def relative_ratio(
    source: np.ndarray, target: np.ndarray, alpha: float, centres: int, draws: np.random.Generator
) -> np.ndarray:
    """Estimate the relative density ratio of source rows, r(x) = p_t(x) / (α p_t(x) + (1 − α) p_s(x)), n.

    r(x) = Σ_l θ_l k(x, c_l) with Gaussian kernels at some target rows c_l, and least squares have a closed form:

        min over θ  ½ θᵀHθ − hᵀθ + ½ λ ‖θ‖²,   H = α mean_t kkᵀ + (1 − α) mean_s kkᵀ,   h = mean_t k

    Width and λ are those of the least ½ θᵀHθ − hᵀθ on left-out fifths of both domains.

    Args:
        source: n×d.
        target: m×d.
        alpha: α, 0 to below 1; r is at most 1/α.
        centres: how many kernels, at most.
        draws: which target rows are centres, and which rows are left out.
    """
    chosen = target[draws.permutation(len(target))[:centres]]
    distances = [squared_distances(x, chosen) for x in (source, target)]
    median = median_distance(distances[1] if len(target) > 1 else distances[0])
    folds = [draws.permutation(np.arange(len(x)) % FOLDS) for x in (source, target)]
    every, best, found = np.arange(FOLDS), np.inf, np.ones(len(source))
    for width in WIDTHS:
        kernels = [np.exp(squared / (-2.0 * (width * median) ** 2)) for squared in distances]
        moments = Moments(kernels, folds, alpha)
        for penalty in PENALTIES:
            scores = []
            for fold in moments.filled:
                theta = solution(*moments.of(every[every != fold]), penalty)
                second, first = moments.of(every[fold : fold + 1])
                scores.append(0.5 * theta @ second @ theta - first @ theta)
            if scores and (score := float(np.mean(scores))) < best:
                best, found = score, kernels[0] @ solution(*moments.of(every), penalty)
    return found


class Moments:
    """H and h of each fifth of the domains, of which those of any others are sums.

    Args:
        kernels: of source and target rows with the centres, n×b and m×b.
        folds: the fifth of each row.
        alpha: α.
    """

    def __init__(self, kernels: list[np.ndarray], folds: list[np.ndarray], alpha: float) -> None:
        self.alpha, self.counts = alpha, [np.bincount(fold, minlength=FOLDS) for fold in folds]
        parts = [[k[fold == f] for f in range(FOLDS)] for k, fold in zip(kernels, folds, strict=True)]
        self.second = [np.stack([part.T @ part for part in side]) for side in parts]
        self.first = np.stack([part.sum(0) for part in parts[1]])
        filled = (self.counts[0] > 0) & (self.counts[1] > 0) & (self.counts[1] < self.counts[1].sum())
        self.filled = np.flatnonzero(filled)

    def of(self, kept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """H, b×b, and h, b, of these fifths."""
        n, m = (max(1, count[kept].sum()) for count in self.counts)
        source, target = (side[kept].sum(0) for side in self.second)
        return self.alpha * target / m + (1.0 - self.alpha) * source / n, self.first[kept].sum(0) / m


def solution(second: np.ndarray, first: np.ndarray, penalty: float) -> np.ndarray:
    """Return θ = max(0, (H + λI)⁻¹ h), b."""
    theta: np.ndarray = np.maximum(0.0, np.linalg.solve(second + penalty * np.eye(len(first)), first))
    return theta


class RuLSIF(Shallow):
    """Relative density ratio: each source row counts by how much likelier it is in the target than in both together.

        w(x) = p_t(x) / (α p_t(x) + (1 − α) p_s(x))

    The ratio itself is estimated, by least squares with a closed form, and neither density.  It is at most 1/α, so that
    no row can outweigh all others; α = 0 is uLSIF, the plain ratio.  For targets that are the source seen more often
    in some places: the label of a place must be the same in both.  Time grows linearly with the rows.

    Source: M. Yamada et al., "Relative Density-Ratio Estimation for Robust Distribution Comparison", NIPS 2011;
    α = 0: T. Kanamori, S. Hido and M. Sugiyama, "A Least-squares Approach to Direct Importance Estimation", JMLR 2009.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> x = rng.uniform(-2, 2, (500, 1))
        >>> model = RuLSIF().fit(x, np.sign(x[:, 0]), target=rng.normal(1, 0.3, (300, 1)))
        >>> bool(model.weights_[x[:, 0] > 0.5].mean() > 10 * model.weights_[x[:, 0] < -0.5].mean())
        True
    """

    carries: ClassVar[str | None] = "instances"
    draws: ClassVar[bool] = True
    exempt: ClassVar[dict[str, str]] = {
        "learns_a_shift": "rows that have moved away get no weight: it does not move any"
    }

    alpha: float = hyperparameter(
        default=0.1,
        help="α, the share of the target in what is compared with; 0 for the plain ratio",
        low=0.0,
        high=0.99,
    )
    centres: int = hyperparameter(default=100, help="kernels, at most", low=1, high=5_000)

    def solve(self, given: Samples) -> Solved:
        """Weigh the source."""
        weights = relative_ratio(given.source, given.target, self.alpha, self.centres, given.draws())
        return self.solved(given, weights=weights)
