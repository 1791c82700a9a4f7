"""Tables: numeric columns are features, one column may hold labels."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from juyi.data.domain import Domain
from juyi.data.labels import Labels, is_number, labels_from_arrow, labels_from_text
from juyi.errors import DataError, nearest


class LabelColumnMissingError(DataError):
    """A table lacks the column that was named for the labels; a target may do so."""


def load_csv(
    path: Path,
    choose: Callable[[int], np.ndarray],
    *,
    name: str,
    label: str | None = None,
    group: str | None = None,
) -> Domain:
    """Read a CSV file: UTF-8, commas, one header line.

    Args:
        path: the file.
        choose: given the number of rows, gives the row numbers to keep.
        name: how the person refers to the file.
        label: the column of labels (an empty cell is an unlabelled row); None for `label` if there is one.
        group: the column that says to which group (which client, say) a row belongs, or None.

    Raises:
        DataError: the file has no header or no row, a column is missing, or a feature is no finite number.
    """
    table = _read_text(path, name)
    rows = choose(table.num_rows)
    table = table.take(rows)

    def place(i: int) -> str:
        return f"{name}, line {_line_of_row(path, int(rows[i]))}"

    column = label_column(table.column_names, label, {}, name)
    labels = None if column is None else labels_from_text(table[column].to_pylist(), column, place)
    check_group(table.column_names, group, column, name)
    features = [other for other in table.column_names if other not in (column, group)]
    x = _numbers_from_text(table, features, name, place, label)
    found = _domain(x, labels, features, rows, name)
    return found if group is None else grouped(found, table[group].to_pylist())


def domain_from_arrow(
    table: pa.Table,
    rows: np.ndarray,
    *,
    label: str | None,
    class_names: Mapping[str, Sequence[str]],
    name: str,
    group: str | None = None,
) -> Domain:
    """Turn a typed table of numeric columns, with or without labels, into a domain.

    Args:
        table: n rows.
        rows: int64, n: which rows of the file these are.
        label: the column of labels, or None to find it (see `label_column`).
        class_names: the names of the codes in columns that have such names.
        name: how the person refers to the table.
        group: the column that says to which group a row belongs, or None.

    Raises:
        DataError: a feature column holds something else than finite numbers.
    """

    def place(i: int) -> str:
        return f"{name}, row {rows[i]}"

    column = label_column(table.column_names, label, class_names, name)
    labels = None if column is None else labels_from_arrow(table[column], column, place, class_names.get(column))
    check_group(table.column_names, group, column, name)
    features = [other for other in table.column_names if other not in (column, group)]
    text = [c for c in features if not _is_numeric(table.schema.field(c).type)]
    if text:
        raise _text_refused(name, text, label)
    x = np.empty((table.num_rows, len(features)), np.float32)
    for j, feature in enumerate(features):
        values = pc.cast(table[feature], pa.float64(), safe=False).to_numpy()
        x[:, j] = _finite(values, feature, place)
    found = _domain(x, labels, features, rows, name)
    return found if group is None else grouped(found, table[group].to_pylist())


def check_group(columns: Sequence[str], group: str | None, label: str | None, name: str) -> None:
    """Raise an error if the column of the groups is not there, or is that of the labels."""
    if group is None:
        return
    if group not in columns:
        raise DataError(f"{name}: there is no column {group} to tell groups by; {nearest(group, columns)}")
    if group == label:
        raise DataError(f"{name}: column {group} holds the labels, so it cannot tell groups too; name another")


def grouped(domain: Domain, cells: Sequence[Any]) -> Domain:
    """Put the rows with the same cell into one group, in the order of the cells' text; an empty cell is a `DataError`.

    >>> rows = Domain(np.zeros((3, 1), np.float32), name="here")
    >>> found = grouped(rows, ["b", "a", "b"])
    >>> found.group.tolist(), found.groups
    ([1, 0, 1], ('a', 'b'))
    """
    words = ["" if cell is None or cell != cell else str(cell).strip() for cell in cells]
    if "" in words:
        raise DataError(f"{domain.name}: row {words.index('')} does not say to which group it belongs; fill or drop it")
    names = sorted(set(words))
    code = {word: number for number, word in enumerate(names)}
    return replace(domain, group=np.array([code[word] for word in words], np.int64), groups=tuple(names))


def label_column(
    columns: Sequence[str], label: str | None, class_names: Mapping[str, Sequence[str]], name: str
) -> str | None:
    """Find the column of labels: the one asked for, else `label`, else the only one with class names.

    Raises:
        LabelColumnMissingError: the column asked for does not exist.

    Example:
        >>> label_column(["a", "label"], None, {}, "t")
        'label'
    """
    if label is not None:
        if label not in columns:
            raise LabelColumnMissingError(
                f"{name}: there is no column {label} for the labels; {nearest(label, columns)}"
            )
        return label
    if "label" in columns:
        return "label"
    return next(iter(class_names)) if len(class_names) == 1 else None


def _read_text(path: Path, name: str) -> pa.Table:
    """Read all cells as text, since only text still knows what stood there."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            header = next(csv.reader(file), [])
        _check_header(header, name)
        return pa.csv.read_csv(
            path,
            parse_options=pa.csv.ParseOptions(newlines_in_values=True),
            convert_options=pa.csv.ConvertOptions(
                column_types={column: pa.string() for column in header}, strings_can_be_null=False
            ),
        )
    except (OSError, ValueError, csv.Error, pa.ArrowException) as error:
        if isinstance(error, UnicodeDecodeError) or "UTF8" in str(error):
            raise DataError(f"{name}: is not UTF-8 text; save it as UTF-8") from error
        why = " ".join(str(error).split())[:200]
        raise DataError(f"{name}: cannot be read as CSV ({why}); it needs commas and a header line") from error


def _check_header(header: Sequence[str], name: str) -> None:
    if not header:
        raise DataError(f"{name}: is empty; it needs a header line and a row at least")
    if len(header) == 1 and re.search(r"[;\t]|\d +\d", header[0]):
        raise DataError(f"{name}: its header has no comma; save it with commas between the cells")
    double = [column for i, column in enumerate(header) if column in header[:i]]
    if double:
        raise DataError(f"{name}: has two columns named {double[0]!r}; rename one")
    if all(is_number(cell) for cell in header):
        raise DataError(f"{name}, line 1: holds only numbers, but it must name the columns; put a header line above it")


def _numbers_from_text(
    table: pa.Table, features: Sequence[str], name: str, place: Callable[[int], str], label: str | None
) -> np.ndarray:
    x = np.empty((table.num_rows, len(features)), np.float32)
    text = []
    for j, feature in enumerate(features):
        cells = pc.utf8_trim_whitespace(table[feature])
        try:
            values = pc.cast(cells, pa.float64()).to_numpy()
        except pa.ArrowInvalid:
            plain = cells.to_pylist()
            bad = next((i for i, cell in enumerate(plain) if not is_number(cell)), None)
            if bad is not None and any(plain) and not any(is_number(cell) for cell in plain):
                text.append(feature)
                continue
            if bad is not None:
                what = repr(plain[bad]) if plain[bad] else "nothing"
                raise DataError(
                    f"{place(bad)}: column {feature} holds {what}, but features are numbers; {_MEND}"
                ) from None
            values = np.array([float(cell) for cell in plain])
        x[:, j] = _finite(values, feature, place)
    if text:
        raise _text_refused(name, text, label)
    return x


_MEND = "fill such cells, or remove the row or the column"


def _finite(values: np.ndarray, feature: str, place: Callable[[int], str]) -> np.ndarray:
    with np.errstate(over="ignore"):
        narrow = values.astype(np.float32)
    bad = np.flatnonzero(~np.isfinite(narrow))
    if len(bad):
        raise DataError(
            f"{place(int(bad[0]))}: column {feature} holds {values[bad[0]]}, but features are finite numbers; {_MEND}"
        )
    return narrow


def _text_refused(name: str, text: Sequence[str], label: str | None) -> DataError:
    more = f" and {len(text) - 10:,} more" if len(text) > 10 else ""
    which = f"column {text[0]} holds" if len(text) == 1 else f"columns {', '.join(text[:10])}{more} hold"
    mend = "remove such columns or turn them into numbers"
    if label is None:
        mend += f", or name the labels, as in --label {text[0]}"
    return DataError(f"{name}: {which} no numbers; {mend}")


def _is_numeric(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_decimal(kind)
    )


def _domain(x: np.ndarray, labels: Labels | None, features: Sequence[str], rows: np.ndarray, name: str) -> Domain:
    if not features:
        raise DataError(f"{name}: has no column besides the labels; it needs at least one feature")
    if not len(x):
        raise DataError(f"{name}: has a header but not a single row; add some")
    constant = (
        [c for c, low, high in zip(features, x.min(0), x.max(0), strict=True) if low == high] if len(x) > 1 else []
    )
    notes = (f"the same in every row, so of no use: {', '.join(constant[:10])}",) if constant else ()
    names = [str(row) for row in rows]
    if labels is None:
        return Domain(x, name=name, row_names=names, columns=tuple(features), notes=notes)
    return Domain(
        x, labels.y, labels.labelled, labels.classes,
        name=name, row_names=names, columns=tuple(features), notes=labels.notes + notes,
    )  # fmt: skip


def _line_of_row(path: Path, row: int) -> int:
    """Find the line (from 1) where a row starts; only errors need it, so the file is read a second time."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file)
        start, seen = reader.line_num, -2
        for cells in reader:
            seen += bool(cells)
            if seen == row:
                return start + 1
            start = reader.line_num
    return start
