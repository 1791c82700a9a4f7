"""RuLSIF: weigh each source row by how much likelier it is in the target, a ratio fitted by least squares."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from juyi.adapt.samples import Samples
from juyi.adapt.shallow import Shallow, Solved
from juyi.training import hyperparameter

WIDTHS = (0.3, 0.5, 0.7, 1.0, 1.5, 2.5)
"""Kernel widths that are tried, in units of the median distance."""
PENALTIES = (1e-3, 1e-2, 1e-1, 1.0)
FOLDS = 5


def squared_distances(x: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Return ‖x_i − c_l‖², n×b, without an array of n×b×d."""
    found = (x**2).sum(1)[:, None] - 2.0 * (x @ centres.T) + (centres**2).sum(1)
    return np.maximum(found, 0.0, out=found)


def median_distance(squared: np.ndarray) -> float:
    """Return the median of distances that are not 0; 1 where all are."""
    some = squared[squared > 0]
    return float(np.sqrt(np.median(some))) if len(some) else 1.0


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
    best: tuple[float, np.ndarray] = (np.inf, np.ones(len(source)))
    for width in WIDTHS:
        kernels = [np.exp(squared / (-2.0 * (width * median) ** 2)) for squared in distances]
        second = [[k[fold == f].T @ k[fold == f] for f in range(FOLDS)] for k, fold in zip(kernels, folds, strict=True)]
        first = [kernels[1][folds[1] == f].sum(0) for f in range(FOLDS)]
        counts = [np.bincount(fold, minlength=FOLDS) for fold in folds]

        def moments(kept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            """H and h of these folds."""
            s, t = (sum(part[f] for f in kept) / max(1, n[kept].sum()) for part, n in zip(second, counts, strict=True))
            return alpha * t + (1.0 - alpha) * s, sum(first[f] for f in kept) / max(1, counts[1][kept].sum())

        for penalty in PENALTIES:
            scores = []
            for fold in range(FOLDS):
                if counts[0][fold] and counts[1][fold] and len(target) > counts[1][fold]:
                    theta = solution(*moments(np.flatnonzero(np.arange(FOLDS) != fold)), penalty)
                    h_left, first_left = moments(np.array([fold]))
                    scores.append(0.5 * theta @ h_left @ theta - first_left @ theta)
            score = float(np.mean(scores)) if scores else 0.0
            if score < best[0]:
                theta = solution(*moments(np.arange(FOLDS)), penalty)
                best = score, kernels[0] @ theta
    return np.maximum(best[1], 0.0)


def solution(second: np.ndarray, first: np.ndarray, penalty: float) -> np.ndarray:
    """Return θ = max(0, (H + λI)⁻¹ h), b."""
    theta: np.ndarray = np.linalg.solve(second + penalty * np.eye(len(first)), first)
    return np.maximum(theta, 0.0)


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
        >>> model.weights_[x[:, 0] > 0.5].mean() > 10 * model.weights_[x[:, 0] < -0.5].mean()
        True
    """

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
