"""CORAL: the distance of two domains' covariances, freed of the bias that few rows give it."""

from __future__ import annotations

import numpy as np
from threadpoolctl import threadpool_limits

from juyi.measure.blocks import pair_parts
from juyi.measure.estimate import Estimate
from juyi.measure.score_interval import score_interval
from juyi.measure.two_samples import covariance, draw_rows, two_samples

PAIRS = 1_000
"""Rows of a side between which the second-order part of the variance is estimated, at most."""


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
        The distance, with an interval (see `score_interval`; the second-order part of its variance is estimated on at
        most 1,000 rows a side).  With fewer than 4 rows a side it is the plain formula, and there is no interval.

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
    with threadpool_limits(limits=1):
        difference = covariance(x) - covariance(y)
        plain = float((difference**2).sum()) / scale
        if min(n, m) < 4:
            note = "the plain formula, too large on average; no interval with fewer than 4 rows a side"
            return Estimate("coral_distance", plain, None, None, n, m, confidence, note=note)
        value = (_trace_of_square(x) + _trace_of_square(y) - 2 * float((covariance(x) * covariance(y)).sum())) / scale
        influence = [2 * ((part @ difference) * part).sum(1) for part in (x, y)]
        jackknife = sum(float(part.var(ddof=1)) / len(part) for part in influence)
        second, steepest = _parts_of_products(x, y)
        low, high = score_interval(value * scale, jackknife - 2 * second, second, steepest, confidence)
    note = f"unbiased, so it may be below 0; the plain formula gives {plain:.4g}"
    return Estimate("coral_distance", value, low / scale, high / scale, n, m, confidence, note=note)


def _parts_of_products(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Return the second-order and the steepest part of the variance of ‖C_s − C_t‖², with the kernel ⟨x, x'⟩²."""
    rng = np.random.default_rng(0)
    a, b = draw_rows(x, PAIRS, rng), draw_rows(y, PAIRS, rng)
    within = [(part @ part.T) ** 2 for part in (a, b)]
    for part in within:
        np.fill_diagonal(part, 0.0)
    return pair_parts(within[0], within[1], (a @ b.T) ** 2, (len(x), len(y)))


def _trace_of_square(x: np.ndarray) -> float:
    """Estimate tr C² without bias from rows around their mean, at least 4."""
    n = len(x)
    c = covariance(x)
    fourth = float(((x * x).sum(1) ** 2).sum()) / (n - 1)
    inner = (n - 1) * (n - 2) * float((c * c).sum()) + float(np.trace(c)) ** 2 - n * fourth
    return (n - 1) / (n * (n - 2) * (n - 3)) * inner
