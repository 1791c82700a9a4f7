"""What is asked of arrays before anything is measured on them; each refusal is one sentence."""

from __future__ import annotations

import numpy as np

from juyi.errors import DataError, SettingError


def matrix(values: np.ndarray, name: str, least_columns: int = 1) -> np.ndarray:
    """Return rows of finite numbers as float64, at least two of them.

    Args:
        values: N×d numbers.
        name: what they are, for the sentence of an error.
        least_columns: how many columns there must be at least.

    Returns:
        The same, float64, N×d.

    Raises:
        DataError: it is no matrix of numbers, has fewer than two rows or too few columns, or holds NaN or infinity.

    Example:
        >>> matrix([[1, 2], [3, 4]], "features").dtype
        dtype('float64')
    """
    try:
        found = np.asarray(values, np.float64)
    except (TypeError, ValueError):
        raise DataError(f"{name}: rows of numbers are needed, each as long as the others") from None
    if found.ndim != 2 or len(found) < 2 or found.shape[1] < least_columns:
        raise DataError(
            f"{name}: at least 2 rows of at least {least_columns} numbers each are needed, not an array of shape "
            f"{found.shape}"
        )
    wrong = ~np.isfinite(found).all(1)
    if wrong.any():
        raise DataError(
            f"{name}: {int(wrong.sum())} of {len(found)} rows hold NaN or infinity, the first is row "
            f"{int(wrong.argmax())}; drop or mend them"
        )
    return found


def codes(label: np.ndarray, rows: int, name: str, n: int | None = None, least_classes: int = 2) -> np.ndarray:
    """Return class codes as int64: one a row, from 0, of two classes or more.

    Args:
        label: N whole numbers.
        rows: how many there must be.
        name: what they are, for the sentence of an error.
        n: the number of classes; every code must be below it.  None: any number.
        least_classes: how many different classes must occur.

    Returns:
        The same, int64, N.

    Raises:
        DataError: they are not equally many as the rows, no whole numbers from 0, outside the classes, or of too few
            different classes.

    Example:
        >>> codes([0.0, 1.0, 1.0], 3, "labels")
        array([0, 1, 1])
    """
    given = np.asarray(label)
    if given.ndim != 1 or len(given) != rows:
        raise DataError(f"{name}: one label a row is needed, {rows} in all, not an array of shape {given.shape}")
    if given.dtype.kind not in "iufb" or not np.isfinite(given).all() or (given != np.round(given)).any():
        raise DataError(f"{name}: class codes are whole numbers from 0; number the classes first")
    found = given.astype(np.int64)
    if (found < 0).any() or (n is not None and (found >= n).any()):
        allowed = "from 0" if n is None else f"from 0 to {n - 1}, as there are {n} classes"
        raise DataError(f"{name}: codes must be {allowed}, and there are codes from {found.min()} to {found.max()}")
    if len(np.unique(found)) < least_classes:
        raise DataError(f"{name}: all rows are of class {int(found[0])}; at least {least_classes} classes are needed")
    return found


def same_columns(first: np.ndarray, second: np.ndarray, name: str) -> None:
    """Refuse two sides that do not have the same columns.

    Raises:
        DataError: the numbers of columns differ.
    """
    if first.shape[1] != second.shape[1]:
        raise DataError(
            f"{name}: the source has {first.shape[1]} columns and the target {second.shape[1]}; they must be the same"
        )


def check_delta(delta: float) -> None:
    """Refuse a probability of failure that is none.

    Raises:
        SettingError: `delta` is not strictly between 0 and 1.
    """
    if not 0 < delta < 1:
        raise SettingError(f"delta: {delta} is not between 0 and 1; 0.01 is usual")


def labelled_features(features: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return features and their labels as `matrix` and `codes` do; features that are all alike are refused.

    Raises:
        DataError: as these two, or every row is the same.
    """
    x = matrix(features, "features")
    y = codes(label, len(x), "labels")
    if (x == x[0]).all():
        raise DataError("features: every row is the same, so nothing can be told from them")
    return x, y
