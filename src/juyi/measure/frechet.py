"""The Fréchet distance of two Gaussians with the domains' means and covariances, freed of the bias of few rows."""

from __future__ import annotations

import numpy as np
from threadpoolctl import threadpool_limits

from juyi.measure.blocks import pair_parts
from juyi.measure.estimate import Estimate
from juyi.measure.score_interval import score_interval
from juyi.measure.two_samples import covariance, draw_rows, two_samples

LEAST_ROWS = 4
"""Rows a feature that the correction needs."""
PAIRS = 300
"""Rows of a side between which the second-order part of the variance is estimated, at most."""


def frechet_distance(source: np.ndarray, target: np.ndarray, *, confidence: float = 0.95) -> Estimate:
    """Estimate the Fréchet distance of two Gaussians with the domains' means and covariances (as in FID).

        ‖μ_s − μ_t‖² + tr(C_s + C_t − 2 (C_s^½ C_t C_s^½)^½)

    It is the squared 2-Wasserstein distance of these Gaussians, and never above that of the domains themselves.
    Sample means and covariances make it too large, by about 1/N: the mean part by tr C_s/N + tr C_t/M exactly, the
    other by half its second derivative in the direction of each row's error, averaged over the rows.  Both are taken
    off; what is left, of order 1/N², goes by extrapolation from the halves of the rows, (4 whole − half)/3.  So the
    estimate may be below 0; the plain formula's figure is in the note.

    Args:
        source: float, N×d.
        target: float, M×d.
        confidence: of the interval, between 0 and 1.

    Returns:
        The squared distance, in squared units of the features, with an interval (see `score_interval`).  With fewer
        than 4 rows a feature the correction does not suffice, there is no interval, and the note says so.

    Raises:
        DataError: see `two_samples`.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> x, y = rng.normal(size=(2000, 3)), 1.0 + 2.0 * rng.normal(size=(2000, 3))  # 3·1² + 3·(2 − 1)²
        >>> found = frechet_distance(x, y)
        >>> found.low < 6 < found.high
        True

    Source: D. C. Dowson and B. V. Landau, "The Fréchet distance between multivariate normal distributions", Journal
    of Multivariate Analysis 12 (1982); M. J. Chong and D. Forsyth, "Effectively Unbiased FID and Inception Score and
    where to find them", CVPR 2020 (that the bias is of order 1/N).
    """
    x, y = two_samples(source, target)
    with threadpool_limits(limits=1):
        return _estimate(x, y, confidence)


def _estimate(x: np.ndarray, y: np.ndarray, confidence: float) -> Estimate:
    """Return what `frechet_distance` does, of rows that were looked at."""
    n, m = len(x), len(y)
    whole = _Gaussians(x, y)
    note = (
        f"of Gaussians with these means and covariances; the bias of few rows is taken off ({whole.plain:.4g} with it)"
    )
    if min(n, m) < LEAST_ROWS * x.shape[1]:
        note += f"; too few rows for {x.shape[1]} features: the figure is rough, and has no interval"
        return Estimate("frechet_distance", whole.corrected, None, None, n, m, confidence, note=note)
    rng = np.random.default_rng(0)
    order_x, order_y = rng.permutation(n), rng.permutation(m)
    halves = [_Gaussians(x[order_x[k::2]], y[order_y[k::2]]) for k in (0, 1)]
    value = (4 * whole.corrected - halves[0].corrected / 2 - halves[1].corrected / 2) / 3
    jackknife = sum(float(whole.influence(part, side).var(ddof=1)) / len(part) for side, part in enumerate((x, y)))
    second, steepest = _parts_near_equality(x - x.mean(0), y - y.mean(0))
    # The extrapolation weighs pairs of rows of one half 2/3, and of two halves 4/3: (4/9 + 16/9)/2 = 10/9.
    low, high = score_interval(value, jackknife - 2 * second, second * 10 / 9, steepest, confidence)
    return Estimate("frechet_distance", value, low, high, n, m, confidence, note=note)


def _parts_near_equality(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Return the second-order and the steepest part of the variance, where the domains are nearly equal.

    There the distance is ‖μ_s − μ_t‖² + Σ_ij (C_s − C_t)²_ij / (2 (κ_i + κ_j)), in the axes of the common covariance
    with eigenvalues κ: a squared distance of means with the kernel ⟨x, x'⟩ + Σ_ij x_i x'_i x_j x'_j / (2 (κ_i + κ_j)),
    whose weights are a sum of a few squares, Σ_q ω_q v_qi v_qj.
    """
    kappa, axes = np.linalg.eigh((covariance(x) + covariance(y)) / 2)
    kept = kappa > 1e-12 * max(kappa[-1], 0.0)
    if not kept.any():  # no row varies
        return 0.0, 0.0
    omega, v = np.linalg.eigh(1 / (2 * (kappa[kept, None] + kappa[kept])))
    used = omega > 1e-4 * omega[-1]
    rng = np.random.default_rng(0)
    a, b = (draw_rows(part, PAIRS, rng) @ axes[:, kept] for part in (x, y))

    def kernel(p: np.ndarray, q: np.ndarray) -> np.ndarray:
        result: np.ndarray = p @ q.T
        for weight, scale in zip(omega[used], v[:, used].T, strict=True):
            result += weight * ((p * scale) @ q.T) ** 2
        return result

    within = [kernel(part, part) for part in (a, b)]
    for part in within:
        np.fill_diagonal(part, 0.0)
    return pair_parts(within[0], within[1], kernel(a, b), (len(x), len(y)))


def symmetric_root(c: np.ndarray) -> np.ndarray:
    """Return the square root of a symmetric matrix without negative eigenvalues, d×d."""
    values, vectors = np.linalg.eigh(c)
    result: np.ndarray = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    return result


class _Gaussians:
    """The Fréchet distance of two sets of rows, plain and corrected, and how it answers to a row's weight.

    With V and λ the eigenvectors and eigenvalues of C_t^½ C_s C_t^½, the rows e = V'C_t^½ x and
    f = V'C_t^½ C_s y/√λ have second moments λ, and the distance is ‖μ_s − μ_t‖² + tr C_s + tr C_t − 2 Σ √λ.
    """

    def __init__(self, x: np.ndarray, y: np.ndarray):
        self.means = x.mean(0), y.mean(0)
        self.covariances = covariance(x - self.means[0]), covariance(y - self.means[1])
        root_target = symmetric_root(self.covariances[1])
        values, vectors = np.linalg.eigh(root_target @ self.covariances[0] @ root_target)
        kept = values > 1e-12 * max(float(values[-1]), 1e-300)
        self.root = np.sqrt(values[kept])
        to_source = root_target @ vectors[:, kept]
        self.axes = to_source, self.covariances[0] @ to_source / self.root
        shift = self.means[0] - self.means[1]
        traces = [float(np.trace(c)) for c in self.covariances]
        self.plain = float(shift @ shift) + max(0.0, sum(traces) - 2 * float(self.root.sum()))
        biases = [
            (trace + self._bias((part - mean) @ axes)) / len(part)
            for part, mean, trace, axes in zip((x, y), self.means, traces, self.axes, strict=True)
        ]
        self.corrected = self.plain - sum(biases)

    def _bias(self, e: np.ndarray) -> float:
        """Return N times the bias that the covariance of rows in these axes gives to −2 Σ √λ, to second order."""
        weights = 1 / (self.root[:, None] * self.root * (self.root[:, None] + self.root))
        square = e * e
        return float(((square @ weights) * square).sum(1).mean() - (np.diag(weights) * self.root**4).sum()) / 2

    def influence(self, rows: np.ndarray, side: int) -> np.ndarray:
        """Return 2⟨μ − μ', x⟩ + ‖x‖² − x'Tx for rows of a side, T the optimal map of its Gaussian to the other's."""
        x = rows - self.means[side]
        result: np.ndarray = 2 * x @ (self.means[side] - self.means[1 - side]) + (x * x).sum(1)
        result -= (x @ self.axes[side]) ** 2 @ (1 / self.root)
        return result
