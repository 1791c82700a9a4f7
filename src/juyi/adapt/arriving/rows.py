"""Rows and labels as they are handed over, one batch after another."""

from __future__ import annotations

from typing import Any

import numpy as np

from juyi.adapt.arrays import classes_of
from juyi.data import align, as_domain
from juyi.data.domain import Domain
from juyi.errors import DataError


def source_of(X: Any, y: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray, Domain]:
    """Return the source's labelled rows, their codes, the classes as they were written, and all as a `Domain`.

    Raises:
        DataError: these are images, or labels are not of two classes at least.
    """
    domain = as_domain(X, y, name="source")
    if domain.is_images:
        raise DataError(f"{domain.name}: holds images, but rows of numbers are needed; give features of them")
    known = domain.labelled
    if domain.classes is None or len(np.unique(domain.y[known])) < 2:
        raise DataError(f"{domain.name}: needs labels of two classes at least")
    return domain.x[known].astype(np.float64), domain.y[known], classes_of(domain, y), domain


def labels_of(target: Any, source: Domain) -> tuple[np.ndarray, np.ndarray]:
    """Return the labelled rows of a target, in their order, and their codes in the source's classes."""
    domain = align(source, as_domain(target, name="target"))[1]
    if not domain.labelled.any():
        raise DataError(f"{domain.name}: no row has a label to learn from; give some, or call partial_fit as they come")
    return domain.x[domain.labelled].astype(np.float64), domain.y[domain.labelled]


def rows_of(X: Any, name: str) -> np.ndarray:
    """Return a batch of rows, float64.

    Raises:
        DataError: these are no finite rows of numbers.
    """
    domain = as_domain(X, name=name)
    if domain.is_images:
        raise DataError(f"{domain.name}: holds images, but rows of numbers are needed")
    return domain.x.astype(np.float64)
