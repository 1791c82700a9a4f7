"""Betting on what a random row shows: intervals for a finite population that hold after every row that is drawn."""

from __future__ import annotations

import math

import numpy as np

from juyi.errors import DataError, SettingError

BETS = np.array([0.05, 0.15, 0.35, 0.65, 0.95])
"""Shares of the capital that are bet, from timid to bold: each suits another difference between the two models."""
WEIGHTS = np.array([1, 1, 2, 2, 2]) / 8
"""How the first capital is divided among them.  Both were chosen on simulated populations, before any real one."""
CARE = 0.95
"""No bet may lose more than this share of the capital: what is ruined once never comes back."""


def capital(z: np.ndarray, population: int, total: int | np.ndarray) -> np.ndarray:
    """Return the logarithm of the capital of someone who bets that a sum is above `total`, after each row.

    How the bets are chosen, and what the capital proves, is in `juyi.measure.sequential.settle`.

    Args:
        z: …×t: the rows' values in the order in which they were drawn at random without replacement, −1 to 1.
        population: how many rows there are, at least t.
        total: the largest sum over all of them that the hypothesis allows; a number, or an array that fits z[..., 0].

    Returns:
        …×t.  Where the hypothesis is true, its exponential is a supermartingale that begins at 1.

    Example:
        >>> np.exp(capital(np.array([1, 1, 1, 1]), 10**6, 0)).round(2).tolist()
        [1.51, 2.39, 3.93, 6.67]
    """
    z = np.asarray(z, np.float64)
    steps = z.shape[-1]
    left = population - np.arange(steps)
    seen = np.cumsum(z, axis=-1) - z
    expected = (np.asarray(total)[..., None] - seen) / left
    surprise = z - expected
    with np.errstate(divide="ignore"):
        largest = np.where(expected > -1, CARE / (1 + expected), 0.0)  # at -1 and below the sum is impossible anyway
    grown = [
        np.log1p(np.minimum(bet * population / left, largest) * surprise).cumsum(-1) + math.log(weight)
        for bet, weight in zip(BETS, WEIGHTS, strict=True)
    ]
    found: np.ndarray = np.logaddexp.reduce(grown)
    return found


def ends(z: np.ndarray, population: int, level: float) -> tuple[int, int]:
    """Return between which whole numbers the population's sum lies, each end wrong with probability `level` at most.

    Args:
        z: int, t: the values of the rows in the order in which they were drawn, −1, 0 or 1.
        population: how many rows there are, at least t.
        level: between 0 and 1, both excluded.

    Example:
        >>> ends(np.array([1, 1]), 10, 0.025), ends(np.ones(9, int), 20, 0.025)
        ((-6, 10), (8, 20))
    """
    seen, left = int(z.sum()), population - len(z)
    surely = seen - left, seen + left
    low = _lowest(z, population, level, surely)
    high = -_lowest(-z, population, level, (-surely[1], -surely[0]))
    return (low, high) if low <= high else (high, low)  # if one is wrong they may have crossed


def _lowest(z: np.ndarray, population: int, level: float, surely: tuple[int, int]) -> int:
    """Find the smallest sum that was never rejected, from below."""
    low, high = surely
    while low < high:
        middle = (low + high) // 2
        if capital(z, population, middle).max(initial=0.0) >= -math.log(level):
            low = middle + 1
        else:
            high = middle
    return low


def first(*signs: np.ndarray) -> np.ndarray:
    """Count from 1 where in each row one of the signs first holds; one more than there are columns if it never does.

    Example:
        >>> first(np.array([[False, True, True], [False, False, False]])).tolist()
        [2, 4]
    """
    holds = np.logical_or.reduce(signs)
    found: np.ndarray = np.where(holds.any(1), holds.argmax(1), holds.shape[1]) + 1
    return found


def check_population(population: int, rows_total: int, margin: float, alpha: float) -> None:
    """Refuse numbers of rows that cannot be, and settings out of their range."""
    if not (0 <= population <= rows_total and rows_total >= 1):
        raise DataError(f"{population:,} disagreeing rows of {rows_total:,} cannot be")
    if not 0 < alpha < 1:
        raise SettingError(f"alpha: {alpha} is not between 0 and 1; 0.05 is usual")
    if not 0 <= margin <= 1:
        raise SettingError(f"margin: {margin} is not between 0 and 1; 0.02 is two points")


def margin_rows(margin: float, rows_total: int) -> int:
    """The most rows by which two models may differ in right answers without its mattering.

    Example:
        >>> margin_rows(0.02, 50), margin_rows(0.02, 149)
        (1, 2)
    """
    return math.floor(margin * rows_total + 1e-9)


def labels_until(
    z: np.ndarray, population: int, rows_total: int, margin: float = 0.02, alpha: float = 0.05
) -> np.ndarray:
    """Count after how many labels `settle` first gives an answer, for many orders at once.

    Args:
        z: int, orders×t: the labels of each order.
        population: N_D, how many rows they are drawn from.
        rows_total: N.
        margin: the largest difference in accuracy that does not matter.
        alpha: the largest probability of a wrong answer.

    Returns:
        int, orders; t + 1 where t labels are too few.

    Example:
        >>> labels_until(np.ones((1, 20)), 400, 2000).tolist()
        [8]
    """
    if population <= margin_rows(margin, rows_total):
        return np.zeros(len(z), np.int64)
    found: np.ndarray = np.minimum.reduce(list(moments(z, population, rows_total, margin, alpha).values()))
    return found


def moments(
    z: np.ndarray, population: int, rows_total: int, margin: float = 0.02, alpha: float = 0.05
) -> dict[str, np.ndarray]:
    """Count after how many labels each answer of `settle` is first right to give; arguments as in `labels_until`.

    Example:
        >>> {answer: int(label[0]) for answer, label in moments(np.ones((1, 20)), 400, 2000).items()}
        {'helped': 8, 'hurt': 21, 'no_difference': 21}
    """
    z = np.asarray(z)
    bound = margin_rows(margin, rows_total)
    seen, left = z.cumsum(1), population - 1 - np.arange(z.shape[1])
    above = first(capital(z, population, -bound - 1) >= -math.log(alpha), seen - left >= -bound)
    below = first(capital(-z, population, -bound - 1) >= -math.log(alpha), seen + left <= bound)
    return {
        "helped": first(capital(z, population, 0) >= -math.log(alpha / 2), seen - left > 0),
        "hurt": first(capital(-z, population, 0) >= -math.log(alpha / 2), seen + left < 0),
        "no_difference": np.maximum(above, below),
    }
