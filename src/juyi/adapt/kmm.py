"""Kernel mean matching: weights under which the source's mean, in the space of a kernel, is the target's."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from juyi.adapt.kernels import lift_of
from juyi.adapt.samples import BLOCK, Samples
from juyi.adapt.shallow import Shallow, Solved
from juyi.training import hyperparameter

TOLERANCE = 1e-4


def projected(beta: np.ndarray, most: float, slack: float) -> np.ndarray:
    """Return the nearest weights with 0 ≤ β ≤ B and a mean from 1 − ε to 1 + ε.

    >>> projected(np.array([5.0, 1.0]), 10.0, 0.0).tolist()
    [2.0, 0.0]
    """
    found: np.ndarray = np.clip(beta, 0.0, most)
    wanted = np.clip(found.mean(), 1.0 - slack, 1.0 + slack)
    if found.mean() == wanted:
        return found
    low, high = -beta.max() - 1.0, most - beta.min() + 1.0
    for _ in range(100):  # a shift of all of them, by halving
        middle = (low + high) / 2
        if np.clip(beta + middle, 0.0, most).mean() < wanted:
            low = middle
        else:
            high = middle
    found = np.clip(beta + (low + high) / 2, 0.0, most)
    return found


def matched(phi: np.ndarray, mean: np.ndarray, most: float, slack: float, steps: int) -> tuple[np.ndarray, float]:
    """Minimise ½ ‖Φᵀβ/n − φ̄_t‖² over 0 ≤ β ≤ B, |mean β − 1| ≤ ε; return β and what is left of the gap.

    By gradients that are projected and accelerated, from β = 1; the gap is counted in ‖mean φ_s − φ̄_t‖, which is 1
    for even weights.

    Args:
        phi: Φ, the lifted source rows, n×D.
        mean: φ̄_t, the mean of the lifted target rows, D.
        most: B.
        slack: ε.
        steps: at most so many.

    Source: A. Beck and M. Teboulle, "A Fast Iterative Shrinkage-Thresholding Algorithm", SIAM Journal on Imaging
    Sciences 2 (2009).
    """
    n = len(phi)
    step = n**2 / max(float(np.linalg.eigvalsh(phi.T @ phi)[-1]), 1e-12)
    start = max(float(np.linalg.norm(phi.mean(0) - mean)), 1e-12)
    beta, ahead, t, moved = np.ones(n), np.ones(n), 1.0, np.inf
    for _ in range(steps):
        new = projected(ahead - step * (phi @ (ahead @ phi / n - mean)) / n, most, slack)
        later = (1.0 + np.sqrt(1.0 + 4.0 * t * t)) / 2.0
        ahead = new + (t - 1.0) / later * (new - beta)
        moved, beta, t = float(np.abs(new - beta).mean()), new, later
        if moved <= TOLERANCE:
            break
    return beta, float(np.linalg.norm(beta @ phi / n - mean)) / start


class KMM(Shallow):
    """Kernel mean matching: no density is estimated, only the means of both domains in a kernel's space agree.

        min over β  ‖ mean_s β_i φ(x_i) − mean_t φ(x_j) ‖²   where   0 ≤ β_i ≤ B,   |mean β − 1| ≤ ε

    φ are random Fourier features of a Gaussian kernel as wide as the median distance, so that time and memory grow
    linearly with the rows, not with their square or cube.

    Source: J. Huang et al., "Correcting Sample Selection Bias by Unlabeled Data", NIPS 2006, with ε = (√n − 1)/√n as
    there; the random features are this library's.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> x = rng.uniform(-2, 2, (500, 1))
        >>> model = KMM().fit(x, np.sign(x[:, 0]), target=rng.normal(1, 0.3, (300, 1)))
        >>> bool(model.weights_[x[:, 0] > 0.5].mean() > 5 * model.weights_[x[:, 0] < -0.5].mean())
        True
    """

    carries: ClassVar[str | None] = "instances"
    draws: ClassVar[bool] = True
    exempt: ClassVar[dict[str, str]] = {"learns_a_shift": "it weighs rows and moves none"}

    most: float = hyperparameter(default=1_000.0, help="B, the largest weight of a row", low=1.0, high=1e9)
    slack: float | None = hyperparameter(
        default=None, help="ε, how far the mean weight may be from 1; by default (√n − 1)/√n", low=0.0, high=1.0
    )
    features: int = hyperparameter(default=300, help="random features, D", low=1, high=10_000)
    steps: int = hyperparameter(default=500, help="of the search for weights, at most", low=1, high=1_000_000)

    def solve(self, given: Samples) -> Solved:
        """Weigh the source."""
        lift, root = lift_of(given, self.features), np.sqrt(len(given.source))
        phi, mean = lift(given.source), np.zeros(self.features)
        for start in range(0, len(given.target), BLOCK):
            mean += lift(given.target[start : start + BLOCK]).sum(0) / len(given.target)
        slack = (root - 1.0) / root if self.slack is None else self.slack
        weights, gap = matched(phi, mean, self.most, slack, self.steps)
        given.remark(f"of the distance of the kernel means, {100 * gap:.0f} % is left")
        return self.solved(given, weights=weights)
