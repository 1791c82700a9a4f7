"""Arrays as scikit-learn people hand them over: checked, their labels read, the target laid beside the source."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import column_or_1d, validate_data

from juyi.adapt.samples import Samples, scale_of
from juyi.data import align, as_domain
from juyi.data.arrays import plain
from juyi.data.domain import Domain
from juyi.errors import DataError


def are_images(X: Any) -> bool:
    """Whether these are images, and no rows of numbers.

    >>> are_images(np.zeros((2, 8, 8))), are_images(np.zeros((2, 8)))
    (True, False)
    """
    if isinstance(X, Domain):
        return X.is_images
    return len(getattr(X, "shape", ())) > 2


def read_rows(estimator: BaseEstimator, X: Any, first: bool = False, name: str = "X") -> np.ndarray:
    """Return rows of numbers, float64, N×d, as scikit-learn checks them: their columns are the estimator's.

    Args:
        estimator: remembers the columns, or has done so.
        X: a `Domain`, an array, or a data frame.
        first: these are the rows that decide what the columns are.
        name: what an error calls them.

    Raises:
        DataError: these are no finite numbers, or the columns are others.
    """
    if isinstance(X, Domain):
        if X.is_images:
            raise DataError(f"{X.name}: holds images, but rows of numbers are needed")
        if first:
            X, name = X.x, X.name
        elif X.columns and (known := getattr(estimator, "columns_", None)) and tuple(known) != X.columns:
            raise DataError(f"{X.name}: its columns are not those of the source, in their order; bring them to it")
        else:
            X, name = X.x, X.name
    try:
        rows: np.ndarray = validate_data(estimator, plain(X), reset=first, dtype=np.float64, copy=False)
    except DataError:
        raise
    except ValueError as error:
        raise DataError(str(error) if name == "X" else f"{name}: {error}") from error
    return rows


def read_source(estimator: BaseEstimator, X: Any, y: Any) -> tuple[np.ndarray, Domain]:
    """Return the source's rows, float64, and the same with their labels as a `Domain`."""
    if isinstance(X, Domain):
        return read_rows(estimator, X, first=True), as_domain(X, y)
    rows = read_rows(estimator, X, first=True)
    if y is None:
        raise DataError(
            f"{type(estimator).__name__} requires y to be passed, but the target y is None: give labels of the source"
        )
    if hasattr(y := plain(y), "__array__") and not isinstance(y, np.ma.MaskedArray):
        y = np.asarray(y)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
    domain = as_domain(rows, y, name="source")
    if domain.size < 2:
        raise DataError("source: has 1 sample, n_samples = 1, and nothing can be learnt from one; give more")
    return rows, domain


def read_target(estimator: BaseEstimator, target: Any, source: Domain) -> tuple[np.ndarray, Domain]:
    """Return the target's rows, float64, and the same as a `Domain` in the source's classes."""
    rows = read_rows(estimator, target, name="target")
    domain = as_domain(target if isinstance(target, Domain) else rows, name="target")
    return rows, align(source, domain)[1]


def samples(
    source: tuple[np.ndarray, Domain], target: tuple[np.ndarray, Domain] | None, seed: int
) -> tuple[Samples, np.ndarray, np.ndarray]:
    """Lay two domains side by side, standardised by the source; return mean and spread as well.

    Labels that are numbers are left as they are.  No target is a target of no rows.
    """
    rows, domain = source
    known = rows[domain.labelled]
    mean, spread = scale_of(known)
    given = Samples(
        (known - mean) / spread,
        domain.y[domain.labelled] if domain.classes is not None else domain.y[domain.labelled].astype(np.float64),
        np.empty((0, rows.shape[1])) if target is None else (target[0] - mean) / spread,
        np.empty(0, domain.y.dtype) if target is None else target[1].y,
        np.zeros(0, bool) if target is None else target[1].labelled,
        0 if domain.classes is None else len(domain.classes),
        seed,
    )
    tell_of_columns(given, spread, rows)
    return given, mean, spread


def tell_of_columns(given: Samples, spread: np.ndarray, rows: np.ndarray) -> None:
    """Remark on columns that are constant in the source but not in the target, and on more columns than rows."""
    constant = np.flatnonzero(np.ptp(given.source, axis=0) == 0)
    if len(constant):
        given.remark(f"{len(constant):,} of {given.columns:,} columns are constant in the source, and so tell nothing")
    if given.columns >= len(given.source):
        given.remark(f"there are {given.columns:,} columns, but {len(given.source):,} labelled source rows")


def classes_of(source: Domain, y: Any) -> np.ndarray:
    """The classes as the labels were written, in the order of the codes, where all are written alike; none for numbers.

    Example:
        >>> classes_of(as_domain(np.eye(3), [10, 9, 9]), [10, 9, 9]).tolist()
        [9, 10]
    """
    names = np.asarray(source.classes or ())
    if y is None or source.classes is None or not source.labelled.all():
        return names
    written = np.unique(np.asarray(plain(y)))
    return written if len(written) == len(names) else names
