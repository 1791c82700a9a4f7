"""The interval of a squared distance that is estimated without bias, near equality as well as far from it."""

from __future__ import annotations

import math

import numpy as np

from juyi.measure.intervals import normal_quantile


def score_interval(
    value: float, first: float, second: float, steepest: float, confidence: float = 0.95
) -> tuple[float, float]:
    """Return the interval of a squared distance θ = ‖a − b‖² from its unbiased estimate T.

    The variance of T has two parts.  The first-order one grows with the distance itself, c θ: it is that of
    2 ⟨a − b, ·⟩ over the rows, and is nothing where the domains are equal.  The second-order one, v, stays.  In
    T ± z √variance the estimated variance is too small just where T is, and near equality the truth lies above such
    an interval in up to one sample of five.  So, as in Wilson's interval for a share, the interval holds every θ
    that is not rejected with the variance that it itself implies:

        |T − θ| ≤ z √(c θ + v),   that is  T + z²c/2 ± z √(c T + z²c²/4 + v)

    c is (first-order part + √v · c_max)/(T + √v): the ratio that was seen, where T is clear of its noise, and else
    the largest that is possible, along the direction in which the rows vary most.

    Args:
        value: T, which may be below 0.
        first: the first-order part of its variance, as estimated; a negative estimate counts as 0.
        second: v, the second-order part.
        steepest: c_max, the largest first-order part that there can be for θ = 1.
        confidence: between 0 and 1.

    Returns:
        The two ends, T between them even where no θ is likely (T far below 0).  The lower one is at most 0 where
        |T| ≤ z √v, that is, where equality is not rejected.

    Example:
        >>> low, high = score_interval(0.0, 0.0, 0.01, 0.1)  # √(z² · 0.01 + …) to both sides of z² · 0.1/2
        >>> round(low, 3), round(high, 3)
        (-0.082, 0.466)

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927), whose
    idea it is; the decomposition is W. Hoeffding's, "A Class of Statistics with Asymptotically Normal Distribution",
    Annals of Mathematical Statistics 19 (1948).
    """
    z = normal_quantile(confidence)
    above, noise = max(0.0, value), math.sqrt(max(0.0, second))
    ratio = (max(0.0, first) + noise * steepest) / (above + noise) if above + noise > 0 else 0.0
    reach = z * math.sqrt(max(0.0, ratio * value + (z * ratio / 2) ** 2 + noise**2))
    middle = value + z * z * ratio / 2
    return min(value, middle - reach), max(value, middle + reach)


def largest_eigenvalue(gram: np.ndarray, steps: int = 20) -> float:
    """Return about the largest eigenvalue of a covariance, from the inner products of N rows, by power iteration.

    Args:
        gram: float, N×N, symmetric; rows and columns are centred here.
        steps: of the iteration.

    Returns:
        That of (centred gram)/N, from below.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(200, 3)) * [3.0, 1.0, 1.0]
        >>> exact = np.linalg.eigvalsh(np.cov(x.T, ddof=0))[-1]
        >>> bool(abs(largest_eigenvalue(x @ x.T) / exact - 1) < 0.01)
        True
    """
    n = len(gram)
    v = np.random.default_rng(0).normal(size=n)
    value = 0.0
    for _ in range(steps):
        v -= v.mean()
        length = float(np.linalg.norm(v))
        if length == 0:
            return 0.0
        v /= length
        moved = gram @ v
        value = max(0.0, float(v @ moved))
        v = moved
    return value / n
