"""What every measure of two domains does first: look at both sides, and draw rows where there are too many."""

from __future__ import annotations

import numpy as np

from juyi.errors import DataError, SettingError

LARGEST = 1e100
"""A feature beyond it would overflow when it is squared and summed."""


def two_samples(source: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Check two domains' features and return them as float64, moved together so that their common mean is 0.

    No distance between the two changes when both are moved by the same vector, and sums of squares lose fewer digits
    around 0.

    Args:
        source: float, N×d, finite, N at least 2.
        target: float, M×d, finite, M at least 2.

    Returns:
        The two, float64, N×d and M×d.

    Raises:
        DataError: a side is not a matrix of finite numbers, has fewer than 2 rows, or other features than the other;
            or every feature has one and the same value in all rows.

    Example:
        >>> x, y = two_samples([[1.0], [3.0]], [[5.0], [7.0]])
        >>> x.ravel().tolist(), y.ravel().tolist()
        ([-3.0, -1.0], [1.0, 3.0])
    """
    x, y = _matrix(source, "source"), _matrix(target, "target")
    if x.shape[1] != y.shape[1]:
        raise DataError(
            f"the source has {x.shape[1]} features and the target {y.shape[1]}; give both the same columns, or the "
            "features of one network"
        )
    low, high = np.minimum(x.min(0), y.min(0)), np.maximum(x.max(0), y.max(0))
    if (low == high).all():
        raise DataError(
            "every feature has one and the same value in all rows of both domains, so nothing can be compared; the "
            "network may have collapsed, or the wrong columns were taken"
        )
    middle = (x.sum(0) + y.sum(0)) / (len(x) + len(y))
    return x - middle, y - middle


def _matrix(side: np.ndarray, which: str) -> np.ndarray:
    """Return one side as a float64 matrix, or say what it lacks."""
    try:
        x = np.asarray(side, np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"the {which} is not a matrix of numbers, rows×features: {error}") from error
    if x.ndim != 2 or not x.shape[1]:
        raise DataError(f"the {which} must be rows×features, not of shape {x.shape}; images go through a network first")
    if len(x) < 2:
        raise DataError(f"the {which} has {len(x)} row{'s' if len(x) != 1 else ''}; a distance needs at least 2 a side")
    bad = ~(np.abs(x) <= LARGEST)
    if bad.any():
        row, column = (int(k) for k in np.argwhere(bad)[0])
        raise DataError(
            f"the {which} has {int(bad.sum())} values that are missing, infinite or beyond 1e100, the first in row "
            f"{row}, feature {column}; fill them in or leave these rows out"
        )
    return x


def check_positive(name: str, value: float, least: float = 1) -> None:
    """Raise SettingError unless `value` is a number that is at least `least`.

    Example:
        >>> check_positive("rows", 0, 2)
        Traceback (most recent call last):
        juyi.errors.SettingError: rows: 0 is below 2, the least that is possible
    """
    if not value >= least:
        raise SettingError(f"{name}: {value} is below {least}, the least that is possible")


def draw_rows(x: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """Return all rows, or `most` of them drawn at random without replacement where there are more.

    Example:
        >>> draw_rows(np.zeros((5, 2)), 3, np.random.default_rng(0)).shape
        (3, 2)
    """
    return x if len(x) <= most else x[rng.choice(len(x), most, replace=False)]


def covariance(x: np.ndarray) -> np.ndarray:
    """Return the covariance, d×d, of rows N×d whose mean is 0, divided by N − 1."""
    result: np.ndarray = x.T @ x / (len(x) - 1)
    return result


def rows_note(used: tuple[int, int], given: tuple[int, int]) -> str:
    """Say on how many rows a figure was computed.

    Example:
        >>> rows_note((10, 10), (10, 10)), rows_note((10, 10), (10, 30))
        ('on all rows', 'on 10 + 10 rows drawn at random of 10 + 30')
    """
    if used == given:
        return "on all rows"
    return f"on {used[0]:,} + {used[1]:,} rows drawn at random of {given[0]:,} + {given[1]:,}"
