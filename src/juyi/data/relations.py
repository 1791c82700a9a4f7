"""Relations among items: who stands how to whom.  Lists of them, matrices, and what is refused at the door."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse

from juyi.data.array_labels import read_labels
from juyi.data.labels import is_number
from juyi.data.names import natural_key
from juyi.errors import DataError, nearest

MOST_ITEMS = 5_000
"""More are refused: matching takes memory with the square of the items, and time with their cube."""


@dataclass(frozen=True, eq=False)
class Relations:
    """Items, and how strongly each stands to each; some items may have a role.

    Args:
        weights: float64, n×n: `weights[i, j]` is how strongly item i stands to item j, 0 if it does not.
        items: n different names.
        roles: n texts, None where the role is not known.
        name: how the person refers to it.
        notes: what was done to the data, in sentences.

    Example:
        >>> Relations(np.array([[0.0, 2.0], [0.0, 0.0]]), ("Ann", "Bob"), ("boss", None)).known.tolist()
        [True, False]
    """

    weights: np.ndarray
    items: tuple[str, ...]
    roles: tuple[str | None, ...]
    name: str = "relations"
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """How many items there are."""
        return len(self.items)

    @property
    def known(self) -> np.ndarray:
        """Bool, n: whose role is known."""
        return np.array([role is not None for role in self.roles], bool)

    def with_roles(self, roles: Mapping[str, str]) -> Relations:
        """The same items with these roles, by name, and no others; items without a relation are added.

        Example:
            >>> pair = Relations(np.array([[0.0, 2.0], [0.0, 0.0]]), ("Ann", "Bob"), (None, None))
            >>> pair.with_roles({"Bob": "staff", "Eve": "staff"}).items
            ('Ann', 'Bob', 'Eve')
        """
        alone = tuple(item for item in roles if item not in set(self.items))
        items = self.items + alone
        weights = np.zeros((len(items), len(items)))
        weights[: self.size, : self.size] = self.weights
        notes = self.notes + ((f"{len(alone)} items have a role and no relation",) if alone else ())
        return replace(self, weights=weights, items=items, roles=tuple(roles.get(item) for item in items), notes=notes)


def as_relations(weights: Any, roles: Any = None, *, name: str) -> Relations:
    """Return relations from a matrix, dense or sparse, or a table whose columns are named like its rows.

    Args:
        weights: n×n finite numbers; `Relations` are returned as they are.
        roles: n roles, unknown ones None, NaN or masked; None if none is known.
        name: how the person refers to it.

    Raises:
        DataError: it is no square matrix of finite numbers, has fewer than two items or too many, no relation, or
            another number of roles.

    Example:
        >>> as_relations([[0, 1], [0, 0]], name="here").items
        ('0', '1')
    """
    if isinstance(weights, Relations):
        if roles is not None:
            raise DataError(f"{name}: relations bring their own roles, but y is given as well; leave out one")
        return _checked(weights)
    named = getattr(weights, "columns", None)
    dense = weights.toarray() if scipy.sparse.issparse(weights) else weights
    try:
        matrix = np.array(dense, np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{name}: relations are a square matrix of numbers; give how strongly i stands to j") from error
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise DataError(
            f"{name}: relations are a square matrix, not one of shape {matrix.shape}; give a row and a column an item"
        )
    items = tuple(map(str, range(len(matrix)) if named is None else named))
    if len(set(items)) < len(items):
        raise DataError(f"{name}: two items have the same name; rename one")
    given: tuple[str | None, ...] = (None,) * len(items)
    if roles is not None:
        labels = read_labels(roles, len(items), name, None)
        if labels.classes is None and labels.labelled.any():
            raise DataError(f"{name}: roles are classes, not numbers with a fraction; name them")
        names = labels.classes or ()
        given = tuple(names[code] if known else None for code, known in zip(labels.y, labels.labelled, strict=True))
    return _checked(Relations(matrix, items, given, name))


def _checked(relations: Relations) -> Relations:
    name, weights = relations.name, relations.weights
    if relations.size < 2:
        raise DataError(f"{name}: has {relations.size} item; relations are between two at least")
    if relations.size > MOST_ITEMS:
        raise DataError(f"{name}: has {relations.size:,} items, more than the {MOST_ITEMS:,} that can be matched; take "
                        "a part of them")  # fmt: skip
    if not np.isfinite(weights).all():
        i, j = np.argwhere(~np.isfinite(weights))[0]
        raise DataError(f"{name}: {relations.items[i]} stands to {relations.items[j]} by {weights[i, j]}, which is no "
                        "finite number; mend it, or put 0 for no relation")  # fmt: skip
    if not weights.any():
        raise DataError(f"{name}: no item stands to any other, so there is nothing to match by; add relations")
    return relations


def load_relations(path: str | Path, roles: str | Path | None = None) -> Relations:
    """Read a list of relations: CSV, a header, then `from,to` or `from,to,weight` a line, the weight 1 if left out.

    The same pair on several lines has the sum of their weights; a weight of 0 is no relation, but names the items.

    Args:
        path: the file.
        roles: a CSV file `name,label` with the roles that are known, or None.

    Raises:
        DataError: a file cannot be read, a line holds something else, or see `as_relations`; the line is named.
    """
    name = str(path)
    rows = list(_table(Path(path), ("from", "to", "weight"), 2))
    order: dict[str, None] = {}
    sums: dict[tuple[str, str], float] = {}
    double = 0
    for line, (origin, goal, weight) in rows:
        for item in (origin, goal):
            if not item:
                raise DataError(f"{name}, line {line}: names one item only; a relation is from one to another")
            order.setdefault(item)
        if weight and not is_number(weight):
            raise DataError(
                f"{name}, line {line}: weight {weight!r} is no number; mend it, or leave the cell empty for 1"
            )
        value = float(weight) if weight else 1.0
        if not np.isfinite(value):
            raise DataError(f"{name}, line {line}: weight {weight} is no finite number; mend it")
        double += (origin, goal) in sums
        sums[origin, goal] = sums.get((origin, goal), 0.0) + value
    items = tuple(sorted(order, key=natural_key))
    if len(items) > MOST_ITEMS:
        raise DataError(f"{name}: has {len(items):,} items, more than the {MOST_ITEMS:,} that can be matched")
    place = {item: number for number, item in enumerate(items)}
    weights = np.zeros((len(items), len(items)))
    for (origin, goal), value in sums.items():
        weights[place[origin], place[goal]] = value
    loops = int((weights.diagonal() != 0).sum())
    notes = []
    if double:
        notes.append(f"{double:,} lines name a pair once more; their weights were added")
    if loops:
        notes.append(f"{loops:,} items stand to themselves; that counts like any other relation")
    found = Relations(weights, items, (None,) * len(items), name, tuple(notes))
    return _checked(found if roles is None else found.with_roles(load_roles(roles)))


def load_roles(path: str | Path) -> dict[str, str]:
    """Read roles by the items' names: CSV, a header, then `name,label` a line; an empty label is an unknown role.

    Raises:
        DataError: the file cannot be read, or gives an item two roles.
    """
    found: dict[str, str] = {}
    for line, (item, role) in _table(Path(path), ("name", "label"), 2):
        if not item:
            raise DataError(f"{path}, line {line}: names no item; fill it in, or drop the line")
        if role and found.get(item, role) != role:
            raise DataError(f"{path}, line {line}: {item} is {found[item]} on a line above and {role} here; keep one")
        if role:
            found[item] = role
    if not found:
        raise DataError(f"{path}: gives no item a role; fill in the column label")
    return found


def _table(path: Path, wanted: Sequence[str], least: int) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Read the columns that are wanted, of which the first `least` must be there, with the number of each line."""
    header_like = f"its header must be {','.join(wanted[:least])}" + "".join(f"[,{c}]" for c in wanted[least:])
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, strict=True)
            header = [cell.strip().lower() for cell in next(reader, [])]
            lacking = [column for column in wanted[:least] if header.count(column) != 1]
            if lacking:
                near = f" ({nearest(lacking[0], header)})" if any(header) else ""
                raise DataError(f"{path}, line 1: has no column {lacking[0]}{near}; {header_like}, with commas")
            if len(set(header)) < len(header):
                raise DataError(f"{path}, line 1: two columns have the same name; rename one")
            where = [header.index(column) if column in header else None for column in wanted]
            for cells in reader:
                if not any(cell.strip() for cell in cells):
                    continue
                if len(cells) != len(header):
                    raise DataError(f"{path}, line {reader.line_num}: has {len(cells)} cells, its header "
                                    f"{len(header)}; write as many")  # fmt: skip
                yield reader.line_num, tuple("" if at is None else cells[at].strip() for at in where)
    except FileNotFoundError as error:
        raise DataError(f"{path}: there is no such file; name one whose header is {header_like[19:]}") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as CSV ({error}); save it as UTF-8 text with commas") from error
