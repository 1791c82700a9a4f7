"""Which features differ: a two-sample Kolmogorov-Smirnov test of each, corrected for their number."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import kolmogi, kolmogorov
from scipy.stats import ks_2samp

from juyi.errors import DataError
from juyi.measure.estimate import Estimate
from juyi.measure.intervals import normal_quantile
from juyi.measure.two_samples import two_samples

EXACT = 40_000
"""Up to so many pairs of rows the p-value is exact."""


def feature_tests(
    source: np.ndarray, target: np.ndarray, names: Sequence[str] | None = None, *, confidence: float = 0.95
) -> list[Estimate]:
    """Test each feature for a difference of the domains, and name those that differ most.

    The Kolmogorov-Smirnov statistic D = sup |F − G| is the largest difference of the shares of rows below some
    value.  The p-values are corrected by Holm's rule, p_(k) ← max over j ≤ k of min(1, (d − j + 1) p_(j)): the
    chance that any feature is named that does not differ is at most the level, however features depend on each other.

    The interval's lower end takes off the 1 − α/2 quantile of the statistic under equality, so it is above 0 only
    where that test rejects, and the upper end adds z standard errors of two shares, at most z/2 · √(1/N + 1/M); it
    holds the truth at least as often as it says.

    Args:
        source: float, N×d.
        target: float, M×d.
        names: d names; their positions, from 0, by default.
        confidence: of each interval by itself, between 0 and 1.

    Returns:
        One estimate a feature, named `feature_tests[NAME]`, the largest statistic first.  A feature that has the same
        value in all rows of both domains has 0, p = 1 and a note.

    Raises:
        DataError: see `two_samples`; or there are not d names.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> x, y = rng.normal(size=(300, 3)), rng.normal(size=(300, 3)) + [0.0, 1.0, 0.0]
        >>> first = feature_tests(x, y, ["length", "width", "height"])[0]
        >>> first.name, first.p_value < 1e-9
        ('feature_tests[width]', True)

    Source: S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6
    (1979); the p-values are scipy's: exact up to 40,000 pairs of rows, and else of Kolmogorov's limit, a little larger.
    """
    x, y = two_samples(source, target)
    n, m = len(x), len(y)
    names = [str(k) for k in range(x.shape[1])] if names is None else [str(name) for name in names]
    if len(names) != x.shape[1]:
        raise DataError(f"{len(names)} names do not fit {x.shape[1]} features; give one name for each column")
    spread = math.sqrt(1 / n + 1 / m)
    statistic = np.array([largest_gap(x[:, k], y[:, k]) for k in range(x.shape[1])])
    if n * m <= EXACT:
        single = np.array([float(ks_2samp(x[:, k], y[:, k], method="exact").pvalue) for k in range(x.shape[1])])
    else:
        single = kolmogorov(statistic / spread)
    p_values = holm(single)
    below = float(kolmogi(0.5 - confidence / 2)) * spread
    above = normal_quantile(confidence) / 2 * spread
    constant = (x.min(0) == x.max(0)) & (y.min(0) == y.max(0)) & (x[0] == y[0])
    return [
        Estimate(
            f"feature_tests[{names[k]}]", float(statistic[k]), float(max(0.0, statistic[k] - below)),
            float(min(1.0, statistic[k] + above)), n, m, confidence, p_value=float(p_values[k]),
            note="one value in all rows of both domains" if constant[k]
            else f"Kolmogorov-Smirnov; p corrected by Holm's rule for {len(names)} features",
        )
        for k in np.argsort(-statistic, kind="stable")
    ]  # fmt: skip


def largest_gap(x: np.ndarray, y: np.ndarray) -> float:
    """Return sup |F − G| of two sets of numbers, the Kolmogorov-Smirnov statistic.

    Example:
        >>> largest_gap(np.array([1.0, 2.0, 3.0, 4.0]), np.array([3.0, 5.0]))
        0.5
    """
    x, y = np.sort(x), np.sort(y)
    at_x = np.arange(1, len(x) + 1) / len(x) - np.searchsorted(y, x, side="right") / len(y)
    at_y = np.searchsorted(x, y, side="right") / len(x) - np.arange(1, len(y) + 1) / len(y)
    last_x, last_y = np.append(x[1:] != x[:-1], True), np.append(y[1:] != y[:-1], True)
    return float(max(np.abs(at_x[last_x]).max(), np.abs(at_y[last_y]).max()))


def holm(p_values: np.ndarray) -> np.ndarray:
    """Correct p-values for their number by Holm's rule.

    Args:
        p_values: float, k, 0 to 1.

    Returns:
        Float, k, 0 to 1, none below what was given.

    Example:
        >>> holm(np.array([0.01, 0.04, 0.03])).round(2).tolist()
        [0.03, 0.06, 0.06]
    """
    order = np.argsort(p_values, kind="stable")
    steps = np.maximum.accumulate(p_values[order] * np.arange(len(order), 0, -1))
    result = np.empty(len(order))
    result[order] = np.minimum(1.0, steps)
    return result
