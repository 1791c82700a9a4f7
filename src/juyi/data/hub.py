"""The Hugging Face hub, through the `datasets` library (the optional extra `hub`)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from juyi.data.domain import Domain
from juyi.data.labels import labels_from_arrow
from juyi.data.parquet import images_with_labels
from juyi.data.tables import domain_from_arrow, label_column
from juyi.errors import DataError


def load_hub(
    place: str,
    split: str,
    choose: Callable[[int], np.ndarray],
    *,
    label: str | None = None,
    size: int | None = None,
    skip_bad: bool = False,
) -> Domain:
    """Fetch one split of a set from the hub (from the library's own cache after the first time).

    Code of the set is never run: only sets that are plain files can be read.

    Args:
        place: `hub/NAME` or `hub/NAME:CONFIG`.
        split: the split; empty is an error.
        choose: given the number of rows, gives the row numbers to keep.
        label: the column of labels; None for `label`, or the only ClassLabel.
        size: see `juyi.data.images.decode`.
        skip_bad: see `juyi.data.images.decode`.

    Raises:
        DataError: the library is missing, the hub cannot be reached, or the set cannot be used.
    """
    name, _, config = place.removeprefix("hub/").partition(":")
    if not name or not split:
        raise DataError(f"{place}: say which set and which split, as in hub/NAME:CONFIG@SPLIT")
    found = _fetch(place, name, config or None, split)
    rows = choose(found.num_rows)
    class_names = {column: list(f.names) for column, f in found.features.items() if type(f).__name__ == "ClassLabel"}
    images = [column for column, feature in found.features.items() if type(feature).__name__ == "Image"]
    columns = list(found.features)
    if not images:
        table = found.with_format("arrow")[rows.tolist()]
        return domain_from_arrow(table, rows, label=label, class_names=class_names, name=f"{place}@{split}")
    column = label_column(columns, label, class_names, f"{place}@{split}")
    labels = None
    if column is not None:
        values = pa.chunked_array(found.select_columns([column]).with_format("arrow")[rows.tolist()].column(0).chunks)
        labels = labels_from_arrow(values, column, lambda i: f"{place}@{split}, row {rows[i]}", class_names.get(column))
    return images_with_labels(
        _reader(found, images[0]),
        rows,
        labels,
        name=f"{place}@{split}",
        stamp=f"{place}@{split}:{found._fingerprint}",
        size=size,
        skip_bad=skip_bad,
    )


def _fetch(place: str, name: str, config: str | None, split: str) -> Any:
    try:
        import datasets
    except ImportError as error:
        raise DataError(f"{place}: needs the datasets library; install it with: pip install 'juyi[hub]'") from error
    try:
        return datasets.load_dataset(name, config, split=split)
    except Exception as error:
        # The library raises errors of many others (HTTP, files, builders): all mean that nothing was fetched.
        why = " ".join(str(error).split())[:300] or type(error).__name__
        raise DataError(
            f"{place}@{split}: cannot be fetched ({why}); check the name, the split and the network"
        ) from error


def _reader(found: Any, column: str) -> Callable[[int], tuple[bytes | None, str | None]]:
    """Give the encoded bytes of a row's image; some sets keep a path in the library's cache instead of bytes."""
    from datasets import Image

    encoded = found.select_columns([column]).cast_column(column, Image(decode=False))

    def read(row: int) -> tuple[bytes | None, str | None]:
        cell = encoded[row][column] or {}
        content, path = cell.get("bytes"), cell.get("path")
        if content is None and path is not None:
            content = Path(path).read_bytes()
        return content, path

    return read
