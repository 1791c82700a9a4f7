"""A domain: the examples of one place, with whatever labels the person gave."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from juyi.data import cache
from juyi.errors import DataError


@dataclass(frozen=True, eq=False)
class Domain:
    """Examples of one place: what they look like, and the labels that may be read.

    A label that is not `labelled` does not exist: it is erased on construction, so nothing that receives the
    domain can read it.  That makes "target labels are withheld" a property of the data and not of a method.

    A `Domain` is no array: it has neither `__len__` nor `shape` nor `__array__`, so that nothing cuts it
    silently into pieces.  Use `size`, `select` and the functions of `juyi.data.splits`.

    Args:
        x: the examples, either images, uint8, N×C×H×W with C = 1 or 3 and values 0-255, or features,
            float32, N×d, finite.
        y: the labels, int64 codes into `classes`, or float32 where `classes` is None (regression).
            None means that no row has a label.
        labelled: bool, N: which labels may be read.  None means all of them (none if `y` is None).
        classes: the names of the classes, in the order of the codes; None for regression or if unknown.
        group: int64, N: codes into `groups` (several sources, clients), or None.
        groups: the names of the groups.
        name: how a person refers to these data; an honest label, never opened as a path.
        row_names: a name a row (a file's path, say), or None: the row numbers serve.
        columns: the names of the features, or None; compared when two domains are brought together.
        notes: sentences on what was done to the data when they were read (resized, skipped, ...).
        unit: what labels that are numbers are counted in, such as "°C"; empty if unknown.

    Raises:
        DataError: if a shape, a type or a value does not fit the description above.

    Example:
        >>> import numpy as np
        >>> d = Domain(np.zeros((3, 2), np.float32), np.array([0, 1, 1]), classes=("cat", "dog"), name="pets")
        >>> d.size, d.class_counts().tolist()
        (3, [1, 2])
        >>> d.select([2]).y.tolist()
        [1]
    """

    x: np.ndarray
    y: np.ndarray = None  # type: ignore[assignment]  # may be left out, but is an array once constructed
    labelled: np.ndarray = None  # type: ignore[assignment]  # likewise
    classes: tuple[str, ...] | None = None
    group: np.ndarray | None = None
    groups: tuple[str, ...] | None = None
    name: str = "array"
    row_names: Sequence[str] | None = None
    columns: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()
    unit: str = ""

    def __post_init__(self) -> None:
        x = self.x
        if not isinstance(x, np.ndarray) or not (
            (x.ndim == 4 and x.dtype == np.uint8 and x.shape[1] in (1, 3)) or (x.ndim == 2 and x.dtype == np.float32)
        ):
            found = f"{x.dtype} of shape {x.shape}" if isinstance(x, np.ndarray) else type(x).__name__
            raise DataError(
                f"{self.name}: a domain holds uint8 images N×C×H×W (C 1 or 3) or float32 features N×d, not {found}"
            )
        n = len(x)
        if n == 0:
            raise DataError(f"{self.name}: there is not a single example")
        if x.ndim == 2 and not np.isfinite(x).all():
            row, column = (int(i[0]) for i in np.nonzero(~np.isfinite(x)))
            raise DataError(
                f"{self.name}: row {row}, column {column} is {x[row, column]}; fill or drop such rows first"
            )
        labelled = np.full(n, self.y is not None) if self.labelled is None else np.asarray(self.labelled, bool)
        label_type = np.int64 if self.classes is not None else np.float32
        if self.y is None and self.classes is None:
            label_type = np.int64
        y = np.zeros(n, label_type) if self.y is None else np.array(self.y)
        for what, array in (("y", y), ("labelled", labelled), ("group", self.group)):
            if array is not None and np.shape(array) != (n,):
                raise DataError(f"{self.name}: {what} has shape {np.shape(array)}, but there are {n} rows")
        if self.y is None and labelled.any():
            raise DataError(f"{self.name}: rows are marked as labelled, but there are no labels")
        y[~labelled] = 0
        if self.classes is not None:
            if not np.issubdtype(y.dtype, np.integer):
                raise DataError(f"{self.name}: labels are codes into classes, so integers, not {y.dtype}")
            if ((y < 0) | (y >= max(len(self.classes), 1))).any():
                raise DataError(f"{self.name}: a label code is outside 0 to {len(self.classes) - 1}")
        y = y.astype(label_type)
        if not np.isfinite(y).all():
            raise DataError(f"{self.name}: a label is not finite; mark such rows as not labelled")
        y.flags.writeable = False
        for field, value in (("y", y), ("labelled", labelled)):
            object.__setattr__(self, field, value)
        if self.row_names is not None and len(self.row_names) != n:
            raise DataError(f"{self.name}: there are {len(self.row_names)} row names, but {n} rows")
        if self.group is not None:
            object.__setattr__(self, "group", np.asarray(self.group, np.int64))

    @property
    def size(self) -> int:
        """The number of rows."""
        return len(self.x)

    @property
    def is_images(self) -> bool:
        """True for images, False for features."""
        return self.x.ndim == 4

    def select(self, rows: Sequence[int] | np.ndarray, *, name: str | None = None) -> Domain:
        """Return the domain that holds these rows (numbers or a mask), in this order."""
        index = np.asarray(rows)
        if index.dtype == bool:
            index = np.flatnonzero(index)
        return replace(
            self,
            x=take_rows(self.x, index),
            y=self.y[index],
            labelled=self.labelled[index],
            group=None if self.group is None else self.group[index],
            row_names=[self.row_name(int(i)) for i in index],
            name=name or self.name,
        )

    def row_name(self, row: int) -> str:
        """The name of a row: its own, or its number."""
        return str(row) if self.row_names is None else self.row_names[row]

    def class_counts(self) -> np.ndarray:
        """Count the labelled rows of each class, int64, C."""
        if self.classes is None:
            raise DataError(f"{self.name}: there are no classes to count")
        return np.bincount(self.y[self.labelled], minlength=len(self.classes))

    def fingerprint(self) -> str:
        """Return 16 hexadecimal digits that change with any pixel, label, mask, class name or row order."""
        digest = hashlib.sha256(repr((self.x.shape, str(self.x.dtype), self.classes)).encode())
        for start in range(0, self.size, 4096):
            digest.update(np.ascontiguousarray(self.x[start : start + 4096]).data)
        for array in (self.y, self.labelled):
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()[:16]


def data_entries(named: Mapping[str, Domain | None]) -> dict[str, dict[str, Any]]:
    """Return what run.json holds under `data`: what each role was; a role without data is left out.

    Example:
        >>> entries = data_entries({"target": Domain(np.zeros((3, 2), np.float32), name="here"), "test": None})
        >>> list(entries), entries["target"]["rows"], entries["target"]["shape"]
        (['target'], 3, [2])
    """
    return {
        role: {
            "name": domain.name,
            "fingerprint": domain.fingerprint(),
            "rows": domain.size,
            "labelled": int(domain.labelled.sum()),
            "shape": list(domain.x.shape[1:]),
            "notes": list(domain.notes),
        }
        for role, domain in named.items()
        if domain is not None
    }


def notes_of(data: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What was done to the data of a run, as `data_entries` holds it, each note with the name of what it is about."""
    return [
        note if note.startswith(entry["name"]) else f"{entry['name']}: {note}"
        for entry in data.values()
        for note in entry["notes"]
    ]


def take_rows(x: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Copy rows of `x`; images whose memory runs N×H×W×C keep that order (it is the fast one in training).

    A copy too large for memory goes to a nameless file, see `juyi.data.cache.scratch`.
    """
    if x.ndim == 4 and x.transpose(0, 2, 3, 1).flags.c_contiguous:
        return _take(x.transpose(0, 2, 3, 1), index).transpose(0, 3, 1, 2)
    return _take(x, index)


def _take(x: np.ndarray, index: np.ndarray) -> np.ndarray:
    if len(index) * x[:1].nbytes <= cache.MEMORY_LIMIT:
        return np.asarray(x[index])
    copy = cache.scratch((len(index), *x.shape[1:]), x.dtype)
    for start in range(0, len(index), 4096):
        copy[start : start + 4096] = x[index[start : start + 4096]]
    return copy
