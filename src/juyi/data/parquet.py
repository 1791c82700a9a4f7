"""Parquet as the Hugging Face hub writes it: encoded images with labels, or numeric columns."""

from __future__ import annotations

import json
import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from juyi.data.domain import Domain
from juyi.data.images import Pictures, decode
from juyi.data.labels import Labels, labels_from_arrow
from juyi.data.tables import domain_from_arrow, label_column
from juyi.errors import DataError

Choose = Callable[[int], np.ndarray]

DAMAGED = (pa.ArrowException, OSError, UnicodeDecodeError)
"""What reading a damaged parquet file raises."""


def load_parquet(
    files: Sequence[Path],
    choose: Choose,
    *,
    name: str,
    label: str | None = None,
    size: int | None = None,
    skip_bad: bool = False,
    group: str | None = None,
) -> Domain:
    """Read parquet files of one schema as one domain.

    A column of encoded images makes it images; else all columns but the label are features.

    Args:
        files: the files, in order, at least one.
        choose: given the number of rows, gives the row numbers to keep.
        name: how the person refers to the files.
        label: the column of labels; None for `label` if there is one, or the only ClassLabel.
        size: see `decode`.
        skip_bad: see `decode`.
        group: the column that says to which group a row belongs, or None.

    Raises:
        DataError: a file is damaged, a column is missing or of no use, or an image cannot be read.
    """
    try:
        opened = [pq.ParquetFile(file) for file in files]
        schema = opened[0].schema_arrow
        for file, other in zip(files, opened, strict=True):
            if other.schema_arrow.names != schema.names:
                raise DataError(f"{file}: its columns differ from those of {files[0]}; load one of them")
        class_names, image = features_of(schema)
        rows = choose(sum(file.metadata.num_rows for file in opened))
        if image is None:
            table = pa.concat_tables([pq.read_table(file) for file in files]).take(rows)
            return domain_from_arrow(table, rows, label=label, class_names=class_names, name=name, group=group)
        if group is not None:
            raise DataError(f"{name}: holds images, and groups are told by a column in tables of numbers only")
        column = label_column(schema.names, label, class_names, name)
        labels = None
        if column is not None:
            values = pa.chunked_array([c for file in opened for c in file.read([column]).column(0).chunks])
            labels = labels_from_arrow(
                values.take(rows), column, lambda i: f"{name}, row {rows[i]}", class_names.get(column)
            )
        stamp = repr([(str(f.resolve()), f.stat().st_size, f.stat().st_mtime_ns) for f in files])
        return images_with_labels(
            _RowGroups(opened, image), rows, labels, name=name, stamp=stamp, size=size, skip_bad=skip_bad
        )
    except DAMAGED as error:
        raise DataError(f"{name}: cannot be read as parquet ({_line(error)}); fetch or write the file anew") from error


def images_with_labels(
    read: Callable[[int], tuple[bytes | None, str | None]],
    rows: np.ndarray,
    labels: Labels | None,
    *,
    name: str,
    stamp: str,
    size: int | None,
    skip_bad: bool,
) -> Domain:
    """Decode the images of the given rows and put labels beside them.

    Args:
        read: gives the bytes of a row's image, and its name or None.
        rows: int64, n: row numbers.
        labels: of these n rows, or None.
        name: how the person refers to the data.
        stamp: see `Pictures`.
        size: see `decode`.
        skip_bad: see `decode`.
    """

    def data(i: int) -> bytes:
        content = read(int(rows[i]))[0]
        if content is None:
            raise ValueError("the row holds no bytes")
        return content

    decoded = decode(Pictures(name, [f"row {row}" for row in rows], data, stamp), size=size, skip_bad=skip_bad)
    names = [str(rows[i]) for i in decoded.good]
    if labels is None:
        return Domain(decoded.x, name=name, row_names=names, notes=decoded.notes)
    return Domain(
        decoded.x,
        labels.y[decoded.good],
        labels.labelled[decoded.good],
        labels.classes,
        name=name,
        row_names=names,
        notes=labels.notes + decoded.notes,
    )


def encoded_images(files: Sequence[Path]) -> list[bytes]:
    """Read the encoded images of parquet files, all at once; rows without bytes are left out.

    Raises:
        DataError: a file is damaged or has no column of images.
    """
    found: list[bytes] = []
    for file in files:
        try:
            opened = pq.ParquetFile(file)
            column = features_of(opened.schema_arrow)[1]
            if column is None:
                raise DataError(f"{file}: has no column of images; name a file of images")
            read = _RowGroups([opened], column)
            found += [data for row in range(opened.metadata.num_rows) if (data := read(row)[0]) is not None]
        except DAMAGED as error:
            raise DataError(f"{file}: cannot be read as parquet ({_line(error)}); fetch the file anew") from error
    return found


def features_of(schema: pa.Schema) -> tuple[dict[str, list[str]], str | None]:
    """Find the class names of ClassLabel columns, and the column of encoded images, in a schema.

    What the file says in its metadata is only believed as far as it has the right form.
    """
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
    except (KeyError, ValueError, TypeError):
        features = {}
    class_names: dict[str, list[str]] = {}
    for column, feature in features.items() if isinstance(features, Mapping) else ():
        if isinstance(feature, Mapping) and feature.get("_type") == "ClassLabel":
            names = feature.get("names")
            if isinstance(names, list) and all(isinstance(n, str) for n in names) and len(set(names)) == len(names):
                class_names[column] = names
    images = [field.name for field in schema if _holds_images(field.type)]
    named = [column for column in images if column in ("image", "img")]
    return class_names, (named or images or [None])[0]


def _holds_images(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return {field.name for field in kind} >= {"bytes"} and pa.types.is_binary(kind.field("bytes").type)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


class _RowGroups:
    """Gives the image of a row, holding only a few row groups in memory at a time."""

    def __init__(self, files: Sequence[pq.ParquetFile], column: str, held: int = 4) -> None:
        self.files, self.column, self.held = files, column, held
        self.groups = [(f, g) for f, file in enumerate(files) for g in range(file.num_row_groups)]
        sizes = [files[f].metadata.row_group(g).num_rows for f, g in self.groups]
        self.starts = np.concatenate([[0], np.cumsum(sizes)]).tolist()
        self.cached: OrderedDict[int, pa.Array] = OrderedDict()
        self.lock = threading.Lock()

    def __call__(self, row: int) -> tuple[bytes | None, str | None]:
        group = bisect_right(self.starts, row) - 1
        with self.lock:
            array = self.cached.get(group)
            if array is None:
                f, g = self.groups[group]
                array = self.files[f].read_row_group(g, [self.column]).column(0).combine_chunks()
                array = array.chunk(0) if isinstance(array, pa.ChunkedArray) else array
                array = array.field("bytes") if pa.types.is_struct(array.type) else array
                self.cached[group] = array
                while len(self.cached) > self.held:
                    self.cached.popitem(last=False)
        return array[row - self.starts[group]].as_py(), None


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
