"""Distances of means and covariances: CORAL and Fréchet, freed of the bias that few rows give them."""

from __future__ import annotations

import math

import numpy as np

from juyi.measure.estimate import Estimate
from juyi.measure.intervals import normal_quantile
from juyi.measure.kernel import centred_square, centred_square_across
from juyi.measure.two_samples import draw_rows, two_samples

PAIRS = 1_000
"""Rows of a side between which second-order parts of a variance are estimated, at most."""


def coral_distance(source: np.ndarray, target: np.ndarray, *, confidence: float = 0.95) -> Estimate:
    """Estimate the distance of the two covariances that Deep CORAL makes small.

        ‖C_s − C_t‖_F² / 4d²

    Sample covariances differ even where the domains are equal, by about ‖·‖² of each one's own error.  So the
    squares ‖C_s‖² and ‖C_t‖² are estimated without bias, from fourth moments; ⟨C_s, C_t⟩ has none.  The estimate
    may be below 0.  The formula as it stands, with sample covariances, is in the note.  Means are not compared.

    Args:
        source: float, N×d.
        target: float, M×d.
        confidence: of the interval, between 0 and 1.

    Returns:
        The distance, with an interval by the delta method (first and second order; the latter on at most 1,000 rows
        a side).  With fewer than 4 rows a side it is the plain formula, and there is no interval.

    Raises:
        DataError: see `two_samples`.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> x = rng.normal(size=(2000, 3))
        >>> found = coral_distance(x, rng.normal(size=(2000, 3)) * [1.0, 1.0, 2.0])  # (4 − 1)² / 36
        >>> found.low < 0.25 < found.high
        True

    Source: B. Sun and K. Saenko, "Deep CORAL: Correlation Alignment for Deep Domain Adaptation", ECCV Workshops
    2016, eq. 1; M. Himeno and T. Yamada, "Estimations for some functions of covariance matrix in high dimension under
    non-normality and its applications", Journal of Multivariate Analysis 130 (2014) (the unbiased tr C²).
    """
    x, y = (part - part.mean(0) for part in two_samples(source, target))
    n, m, scale = len(x), len(y), 4 * x.shape[1] ** 2
    difference = covariance(x) - covariance(y)
    plain = float((difference**2).sum()) / scale
    if min(n, m) < 4:
        return Estimate("coral_distance", plain, None, None, n, m, confidence, note="fewer than 4 rows: biased upwards")
    value = (_trace_of_square(x) + _trace_of_square(y) - 2 * float((covariance(x) * covariance(y)).sum())) / scale
    influence = [2 * ((part @ difference) * part).sum(1) for part in (x, y)]
    jackknife = sum(part.var(ddof=1) / len(part) for part in influence)
    rng = np.random.default_rng(0)
    a, b = draw_rows(x, PAIRS, rng), draw_rows(y, PAIRS, rng)
    within = [2 / (k * (k - 1)) * centred_square(_off_diagonal(part @ part.T) ** 2) for k, part in ((n, a), (m, b))]
    second = sum(within) + 4 / (n * m) * centred_square_across((a @ b.T) ** 2)
    reach = normal_quantile(confidence) * math.sqrt(max(jackknife - second, second)) / scale
    note = f"unbiased, so it may be below 0; the plain formula gives {plain:.4g}"
    return Estimate("coral_distance", value, value - reach, value + reach, n, m, confidence, note=note)


def frechet_distance(source: np.ndarray, target: np.ndarray, *, confidence: float = 0.95) -> Estimate:
    """Estimate the Fréchet distance of two Gaussians with the domains' means and covariances (as in FID).

        ‖μ_s − μ_t‖² + tr(C_s + C_t − 2 (C_s^½ C_t C_s^½)^½)

    It is the squared 2-Wasserstein distance of these Gaussians, and never above that of the domains themselves.
    Sample means and covariances make it too large, by about 1/N: the mean part by tr C_s/N + tr C_t/M exactly, the
    other by half its second derivative in the direction of each row's error, averaged over the rows.  Both are taken
    off, so the estimate may be below 0; the plain formula's figure is in the note.

    Args:
        source: float, N×d.
        target: float, M×d.
        confidence: of the interval, between 0 and 1.

    Returns:
        The squared distance, in squared units of the features, with an interval by the delta method.  With no more
        rows than features a side covariances are singular, the correction does not suffice, and the note says so.

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
    n, m = len(x), len(y)
    shift = x.mean(0) - y.mean(0)
    a, b = x - x.mean(0), y - y.mean(0)
    e, f, root = bures_coordinates(a, b, a, b)
    total = float((a * a).sum() / (n - 1) + (b * b).sum() / (m - 1))
    plain = float(shift @ shift) + max(0.0, total - 2 * float(root.sum()))
    bias = float((a * a).sum() / (n - 1) / n + (b * b).sum() / (m - 1) / m)
    bias += _bures_bias(e, root) / n + _bures_bias(f, root) / m
    jackknife = first = 0.0
    halves = [(a[k::2], b[k::2], x[k::2].mean(0) - y[k::2].mean(0)) for k in (0, 1)]
    for side, (part, coordinates, sign) in enumerate(((a, e, 1.0), (b, f, -1.0))):
        influence = _influence(part, coordinates, root, sign * shift)
        jackknife += influence.var(ddof=1) / len(part)
        if min(n, m) > 4 * x.shape[1]:
            by_half = [
                _influence(part, (found := bures_coordinates(a, b, c, d))[side], found[2], sign * moved)
                for c, d, moved in halves
            ]
            first += float(np.cov(by_half[0], by_half[1])[0, 1]) / len(part)
        else:
            first += influence.var(ddof=1) / len(part)
    reach = normal_quantile(confidence) * math.sqrt((jackknife + max(0.0, first)) / 2)
    note = f"of Gaussians with these means and covariances; the bias of few rows is taken off ({plain:.4g} with it)"
    if min(n, m) <= x.shape[1]:
        note += f"; fewer rows than the {x.shape[1]} features: take it as a rough figure"
    value = plain - bias
    return Estimate("frechet_distance", value, value - reach, value + reach, n, m, confidence, note=note)


def covariance(x: np.ndarray) -> np.ndarray:
    """Return the covariance, d×d, of rows N×d whose mean is 0, divided by N − 1."""
    result: np.ndarray = x.T @ x / (len(x) - 1)
    return result


def symmetric_root(c: np.ndarray) -> np.ndarray:
    """Return the square root of a symmetric matrix without negative eigenvalues, d×d."""
    values, vectors = np.linalg.eigh(c)
    result: np.ndarray = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    return result


def bures_coordinates(
    x: np.ndarray, y: np.ndarray, of_x: np.ndarray, of_y: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return x and y in the axes in which C_y^½ C_x C_y^½ and C_x^½ C_y C_x^½ are diagonal, and the diagonal's root.

    Args:
        x: float, N×d, around its mean.
        y: float, M×d, around its mean.
        of_x: the rows whose covariance is C_x.
        of_y: the rows whose covariance is C_y.

    Returns:
        e, N×r; f, M×r; √λ, r: axes with λ = 0 are left out.
    """
    c_x, c_y = covariance(of_x), covariance(of_y)
    root_y = symmetric_root(c_y)
    values, vectors = np.linalg.eigh(root_y @ c_x @ root_y)
    kept = values > 1e-12 * max(values[-1], 1e-300)
    root = np.sqrt(values[kept])
    axes = vectors[:, kept]
    # C_x^½ C_y^½ v / √λ are eigenvectors of the other product, to the same λ.
    return x @ (root_y @ axes), y @ (c_x @ (root_y @ axes) / root), root


def _trace_of_square(x: np.ndarray) -> float:
    """Estimate tr C² without bias from rows around their mean, at least 4."""
    n = len(x)
    c = covariance(x)
    fourth = float(((x * x).sum(1) ** 2).sum()) / (n - 1)
    inner = (n - 1) * (n - 2) * float((c * c).sum()) + float(np.trace(c)) ** 2 - n * fourth
    return (n - 1) / (n * (n - 2) * (n - 3)) * inner


def _off_diagonal(k: np.ndarray) -> np.ndarray:
    """Return a square matrix with a diagonal of 0."""
    np.fill_diagonal(k, 0.0)
    return k


def _bures_bias(e: np.ndarray, root: np.ndarray) -> float:
    """Return N times the bias that the covariance of the rows e = V'C^½x gives to −2 Σ √λ, to second order."""
    weights = 1 / (root[:, None] * root * (root[:, None] + root))
    square = e * e
    return float(((square @ weights) * square).sum(1).mean() - (np.diag(weights) * root**4).sum()) / 2


def _influence(x: np.ndarray, e: np.ndarray, root: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Return how the distance answers to each row's weight: 2⟨shift, x⟩ + ‖x‖² − x'Tx, T the optimal map."""
    result: np.ndarray = 2 * x @ shift + (x * x).sum(1) - (e * e) @ (1 / root)
    return result
