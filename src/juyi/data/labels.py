"""The label column of a table: words and integers are classes, other numbers are values to regress on."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from juyi.data.names import natural_key
from juyi.errors import DataError

_INTEGER = re.compile(r"[+-]?[0-9]+")


@dataclass(frozen=True)
class Labels:
    """Labels of rows: codes into `classes` (int64), or values (float32) where `classes` is None; and their mask."""

    y: np.ndarray
    labelled: np.ndarray
    classes: tuple[str, ...] | None
    notes: tuple[str, ...] = ()


def is_number(text: str) -> bool:
    """Tell whether a text is a number, NaN and infinity included, as Python reads it (without underscores)."""
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text


def labels_from_text(cells: Sequence[str], column: str, place: Callable[[int], str]) -> Labels:
    """Read labels from the cells of a text file; an empty cell is an unlabelled row.

    All integers or all words are classes, in natural order; all numbers with some that are no integer are values.

    Args:
        cells: one text a row.
        column: the name of the column, for errors.
        place: gives the words that say where a row stands, such as `cats.csv, line 7`.

    Raises:
        DataError: words and numbers are mixed, or a value is not finite.

    Example:
        >>> labels_from_text(["10", "", "9"], "label", str).classes
        ('9', '10')
        >>> labels_from_text(["0.5", "1"], "label", str).y.tolist()
        [0.5, 1.0]
    """
    cells = [cell.strip() for cell in cells]
    labelled = np.array([bool(cell) for cell in cells], bool)
    given = np.flatnonzero(labelled)
    numeric = np.array([is_number(cells[i]) for i in given], bool)
    if numeric.any() and not numeric.all():
        odd = given[np.flatnonzero(numeric != numeric[0])[0]]
        kinds = ("a number", "a word") if numeric[0] else ("a word", "a number")
        raise DataError(
            f"{place(int(odd))}: column {column} holds {cells[odd]!r}, {kinds[1]}, "
            f"while earlier rows hold {kinds[0]} ({cells[given[0]]!r}); use words for all rows, or numbers"
        )
    if not len(given) or not numeric.all() or all(_INTEGER.fullmatch(cells[i]) for i in given):
        return labels_from_names([cell or None for cell in cells])
    values = np.array([float(cell) if cell else 0.0 for cell in cells])
    return _values(values, labelled, column, place)


def labels_from_names(names: Sequence[str | None]) -> Labels:
    """Turn names of classes into codes, in natural order, integers by value; None is an unlabelled row.

    Example:
        >>> labels_from_names(["dog", None, "cat"]).y.tolist()
        [1, 0, 0]
        >>> labels_from_names(["10", "-1", "9"]).classes
        ('-1', '9', '10')
    """
    given = {name for name in names if name is not None}
    by_value = all(_INTEGER.fullmatch(name) for name in given)
    classes = tuple(sorted(given, key=(lambda name: (int(name), name)) if by_value else natural_key))
    codes = {name: code for code, name in enumerate(classes)}
    labelled = np.array([name is not None for name in names], bool)
    y = np.array([0 if name is None else codes[name] for name in names], np.int64)
    return Labels(y, labelled, classes)


def labels_from_arrow(
    column: pa.ChunkedArray, name: str, place: Callable[[int], str], class_names: Sequence[str] | None = None
) -> Labels:
    """Read labels from a typed column; null is an unlabelled row, as is −1 among the codes of a ClassLabel.

    Args:
        column: integers, texts or truth values (classes), or floats (values).
        name: the name of the column, for errors.
        place: see `labels_from_text`.
        class_names: the names that the file gives for the codes 0, 1, ...; None if it gives none.

    Raises:
        DataError: a code has no name, a value is infinite, or the column is of another type.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if class_names is not None and pa.types.is_integer(kind):
        return _named_codes(column, name, place, class_names)
    values = column.to_pylist()
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return labels_from_names([value.strip() or None if value is not None else None for value in values])
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        return labels_from_names([None if value is None else str(value) for value in values])
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        numbers = np.array([np.nan if value is None else float(value) for value in values])
        return _values(numbers, ~np.isnan(numbers), name, place)
    if pa.types.is_null(kind):
        return labels_from_names([None] * len(values))
    raise DataError(f"{place(0)}: label column {name} holds {kind}; labels are texts, integers or numbers")


def _named_codes(column: pa.ChunkedArray, name: str, place: Callable[[int], str], class_names: Sequence[str]) -> Labels:
    codes = column.fill_null(-1).to_numpy().astype(np.int64)
    labelled = codes != -1
    wrong = np.flatnonzero((codes < -1) | (codes >= len(class_names)))
    if len(wrong):
        raise DataError(
            f"{place(int(wrong[0]))}: column {name} holds the code {codes[wrong[0]]}, "
            f"but the file names {len(class_names)} classes; mend the file"
        )
    return Labels(np.where(labelled, codes, 0), labelled, tuple(class_names))


def _values(values: np.ndarray, labelled: np.ndarray, column: str, place: Callable[[int], str]) -> Labels:
    with np.errstate(over="ignore"):
        narrow = values.astype(np.float32)
    bad = np.flatnonzero(labelled & ~np.isfinite(narrow))
    if len(bad):
        raise DataError(
            f"{place(int(bad[0]))}: column {column} holds {values[bad[0]]}, which is no finite number; "
            "leave the cell empty if the label is unknown"
        )
    given = values[labelled]
    notes: tuple[str, ...] = ()
    if len(given) and (given == np.round(given)).all():
        notes = (f"the labels of column {column} are written with a point, so they are values and no classes",)
    return Labels(np.where(labelled, narrow, 0).astype(np.float32), labelled, None, notes)
