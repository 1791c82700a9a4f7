"""Intervals for shares and for the difference of two paired shares: how far a figure may be off."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import bdtr, ndtri

from juyi.errors import DataError, SettingError


@dataclass(frozen=True)
class PairedDifference:
    """By how much a first model's accuracy exceeds a second one's, on the same rows.

    Attributes:
        gain: accuracy of the first minus accuracy of the second, -1 to 1.
        low: lower end of the interval for the gain.
        high: upper end of the interval for the gain.
        p_value: of the exact McNemar test of "no difference", two-sided, 0 to 1.
        only_first: the number of rows that only the first model has right.
        only_second: the number of rows that only the second model has right.
        n: the number of rows.
        confidence: the share of such intervals that hold the true gain.
    """

    gain: float
    low: float
    high: float
    p_value: float
    only_first: int
    only_second: int
    n: int
    confidence: float = 0.95


def normal_quantile(confidence: float) -> float:
    """Return z with P(|Z| <= z) = confidence for a standard normal Z.

    Args:
        confidence: strictly between 0 and 1.

    Returns:
        z, above 0.

    Raises:
        SettingError: `confidence` is out of its range.

    Example:
        >>> round(normal_quantile(0.95), 4)
        1.96
    """
    if not 0 < confidence < 1:
        raise SettingError(f"confidence: {confidence} is not between 0 and 1; 0.95 is usual")
    return float(ndtri(0.5 + confidence / 2))


def wilson_interval(successes: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the Wilson score interval of a share.

    It holds every share p that a score test does not reject: |p̂ − p| ≤ z·√(p(1−p)/n), with p̂ = successes/n.
    Solved for p:

        (p̂ + z²/2n ± z·√(p̂(1−p̂)/n + z²/4n²)) / (1 + z²/n)

    It stays within 0 to 1 and keeps its coverage where p̂ is 0 or 1, where the usual ± 1.96 standard errors
    have no width at all.

    Args:
        successes: how many rows are right, 0 to `n`.
        n: how many rows there are, at least 1.
        confidence: strictly between 0 and 1; 0.95 by default.

    Returns:
        The lower and the upper end, 0 to 1.

    Raises:
        DataError: there are no rows, or more successes than rows.
        SettingError: `confidence` is out of its range.

    Example:
        >>> [round(end, 4) for end in wilson_interval(52, 100)]
        [0.4232, 0.6154]

    Source:
        E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927).
    """
    if n < 1 or not 0 <= successes <= n:
        raise DataError(f"a share needs 0 <= successes <= n and n >= 1, not {successes} of {n}")
    z = normal_quantile(confidence)
    share = successes / n
    middle = share + z * z / (2 * n)
    reach = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    whole = 1 + z * z / n
    low = 0.0 if successes == 0 else max(0.0, (middle - reach) / whole)
    high = 1.0 if successes == n else min(1.0, (middle + reach) / whole)
    return low, high


def share(hits: np.ndarray) -> dict[str, Any]:
    """Return the share of rows that are hits, as a record holds it: `value`, `low`, `high` (Wilson's, 95 %), and `n`.

    Args:
        hits: bool, N, at least one.

    Raises:
        DataError: there are no rows.

    Example:
        >>> found = share(np.array([True, False]))
        >>> found["value"], found["n"]
        (0.5, 2)
    """
    low, high = wilson_interval(int(hits.sum()), len(hits))
    return {"value": float(hits.mean()), "low": low, "high": high, "n": len(hits)}


def paired_difference(correct: np.ndarray, correct_floor: np.ndarray, confidence: float = 0.95) -> PairedDifference:
    """Compare two models on the same rows.

    Only rows on which the models differ carry information.  With b rows that only the first has right and c rows
    that only the second has right, of n, the gain is (b − c)/n.  The interval is the adjusted Wald interval:

        p₁ = (b + 1)/(n + 2),  p₂ = (c + 1)/(n + 2)
        (p₁ − p₂) ± z·√((p₁ + p₂ − (p₁ − p₂)²)/(n + 2)),  cut to −1 … 1

    The added ones give it a width, and nearly its nominal coverage, even where b and c are 0.  It is centred
    at (b − c)/(n + 2), a little nearer to 0 than the gain.  The p-value is of the exact McNemar test: under
    "no difference", b is binomial (b + c, ½), so p = 2·P(B ≤ min(b, c)), at most 1.

    Args:
        correct: bool, N: whether the first model is right on each row.
        correct_floor: bool, N: the same for the second model, on the same rows in the same order.
        confidence: strictly between 0 and 1; 0.95 by default.

    Returns:
        The gain with its interval, p-value and counts.

    Raises:
        DataError: there are no rows, or the two do not have equally many.
        SettingError: `confidence` is out of its range.

    Example:
        >>> first = np.array([True] * 32 + [False] * 16)
        >>> second = np.array([True] * 6 + [False] * 26 + [True] * 4 + [False] * 12)
        >>> d = paired_difference(first, second)
        >>> d.only_first, d.only_second, round(d.low, 4), round(d.high, 4)
        (26, 4, 0.2548, 0.6252)

    Source:
        D. G. Bonett and R. M. Price, "Adjusted Wald confidence interval for a difference of binomial proportions
        based on paired data", Journal of Educational and Behavioral Statistics 37 (2012), 479-488.  (The example
        is that of `ci.prop.ps` in the first author's R package statpsych.)
        Q. McNemar, "Note on the sampling error of the difference between correlated proportions", Psychometrika 12
        (1947).
    """
    first, second = np.asarray(correct, bool), np.asarray(correct_floor, bool)
    if first.ndim != 1 or first.shape != second.shape or not len(first):
        raise DataError(
            f"two models are compared on the same rows, at least one, not on {first.shape} and {second.shape}"
        )
    z = normal_quantile(confidence)
    n = len(first)
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    share_first, share_second = (only_first + 1) / (n + 2), (only_second + 1) / (n + 2)
    middle = share_first - share_second
    reach = z * math.sqrt((share_first + share_second - middle * middle) / (n + 2))
    differing = only_first + only_second
    return PairedDifference(
        gain=(only_first - only_second) / n,
        low=max(-1.0, middle - reach),
        high=min(1.0, middle + reach),
        p_value=min(1.0, 2 * float(bdtr(min(only_first, only_second), differing, 0.5))),
        only_first=only_first,
        only_second=only_second,
        n=n,
        confidence=confidence,
    )
