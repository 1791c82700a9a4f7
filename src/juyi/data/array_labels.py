"""Labels from arrays and lists: which are known, and what they mean."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from juyi.data.labels import Labels
from juyi.errors import DataError, nearest


def read_labels(y: Any, rows: int, name: str, classes: tuple[str, ...] | None) -> Labels:
    """Read labels; an unknown one is None, NaN, or masked.

    Args:
        y: an array or a list of integers, texts, truth values or floats.
        rows: how many there must be.
        name: the name of the data, for errors.
        classes: the names of the classes, or None for the sorted labels.

    Raises:
        DataError: the number of labels differs, kinds are mixed, or a label is no class.

    Example:
        >>> read_labels([3, None, -1], 3, "a", None).classes
        ('-1', '3')
        >>> read_labels([0.5, float("nan")], 2, "a", None).labelled.tolist()
        [True, False]
    """
    if (
        isinstance(y, np.ndarray)
        and not np.ma.isMaskedArray(y)
        and y.dtype.kind in "biuU"
        and y.shape in ((rows,), (rows, 1))
    ):
        different, place = np.unique(y.ravel(), return_inverse=True)
        if len(different) < rows:  # what a label means is looked up once, however many rows have it
            read = read_labels(different, len(different), name, classes)
            return Labels(read.y[place], np.ones(rows, bool), read.classes)
    values, labelled = _values(y, rows, name)
    given = [value for value, known in zip(values, labelled, strict=True) if known]
    kind = _kind(values, labelled, name)
    if kind == "value":
        if classes is not None:
            raise DataError(
                f"{name}: y holds numbers that are not whole, but classes are given; give labels or no classes"
            )
        numbers = np.array([float(v) if known else 0.0 for v, known in zip(values, labelled, strict=True)])
        return Labels(numbers.astype(np.float32), labelled, None)
    if kind == "whole":
        given = [int(value) for value in given]
    if classes is None:
        classes = tuple(str(value) for value in sorted(set(given)))
    codes = _codes(given, kind, classes, name)
    filled = np.zeros(rows, np.int64)
    filled[labelled] = codes
    return Labels(filled, labelled, classes if classes or given else None)


def _values(y: Any, rows: int, name: str) -> tuple[list[Any], np.ndarray]:
    """Flatten labels to plain Python objects, and tell which are known."""
    hidden = np.zeros(rows, bool)
    if isinstance(y, np.ma.MaskedArray):
        hidden, y = np.ma.getmaskarray(y), y.data
    array = y if isinstance(y, np.ndarray) else np.array(_listed(y, name), dtype=object)
    if array.ndim == 2 and array.shape[1] == 1:
        array, hidden = array[:, 0], hidden.reshape(-1)
    if array.shape != (rows,):
        raise DataError(
            f"{name}: y has shape {array.shape}, but X has {rows} rows; give one label a row (no one-hot codes)"
        )
    values = array.tolist()
    known = [not (value is None or (isinstance(value, float) and value != value)) for value in values]
    return values, np.array(known, bool) & ~hidden


def _listed(y: Any, name: str) -> list[Any]:
    try:
        return [value.item() if isinstance(value, np.generic) else value for value in y]
    except TypeError as error:
        raise DataError(f"{name}: y is {type(y).__name__}; give one label a row") from error


def _kind(values: list[Any], labelled: np.ndarray, name: str) -> str:
    """Tell what the known labels are: `word`, `truth`, `whole` or `value`; refuse a mixture."""
    kinds: dict[str, int] = {}
    whole = True
    for row in np.flatnonzero(labelled):
        value = values[row]
        if isinstance(value, bool):
            kinds.setdefault("truth", int(row))
        elif isinstance(value, int | float):
            if value in (float("inf"), -float("inf")):
                raise DataError(f"{name}: y is {value} in row {row}; mark an unknown label by None or NaN")
            whole &= float(value).is_integer() if isinstance(value, float) else True
            kinds.setdefault("whole", int(row))
        elif isinstance(value, str):
            kinds.setdefault("word", int(row))
        else:
            raise DataError(f"{name}: y holds a {type(value).__name__} in row {row}; labels are numbers or texts")
    if len(kinds) > 1:
        first, second = sorted(kinds.values())[:2]
        raise DataError(
            f"{name}: y mixes {values[first]!r} (row {first}) and {values[second]!r} (row {second}); "
            "use texts for all labels, or numbers for all"
        )
    kind = next(iter(kinds), "word")
    return "value" if kind == "whole" and not whole else kind


def _codes(given: list[Any], kind: str, classes: tuple[str, ...], name: str) -> list[int]:
    if len(set(classes)) < len(classes):
        raise DataError(f"{name}: classes names a class twice; give each class one name")
    numbered = any(re.fullmatch(r"[+-]?[0-9]+", c) for c in classes)
    if kind == "whole" and not numbered:
        wrong = [code for code in given if not 0 <= code < len(classes)]
        if wrong:
            raise DataError(
                f"{name}: y holds the code {wrong[0]}, but there are {len(classes)} classes; codes start at 0"
            )
        return given
    codes = {c: code for code, c in enumerate(classes)}
    for value in given:
        if str(value) not in codes:
            raise DataError(f"{name}: y holds {value!r}, which is no class; {nearest(str(value), classes)}")
    return [codes[str(value)] for value in given]
