"""Part of a domain: a seeded subset, a held-out part, and the labels that may be read."""

from __future__ import annotations

import csv
import difflib
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from juyi.data.domain import Domain
from juyi.data.names import natural_key
from juyi.errors import DataError, SettingError, nearest


def subset_rows(size: int, n: int, seed: int) -> np.ndarray:
    """Draw `n` of `size` row numbers without replacement, ascending; all of them if there are no more than `n`.

    Example:
        >>> subset_rows(3, 5, seed=0).tolist()
        [0, 1, 2]
    """
    if n >= size:
        return np.arange(size)
    return np.sort(np.random.default_rng(seed).choice(size, n, replace=False))


def subset(domain: Domain, n: int, seed: int = 0) -> Domain:
    """Return `n` rows drawn at random, in their old order; the whole domain if it has no more.

    Args:
        domain: what to draw from.
        n: how many rows, at least 1.
        seed: the same seed draws the same rows.

    Raises:
        SettingError: `n` is less than 1.

    Example:
        >>> import numpy as np
        >>> d = Domain(np.arange(10, dtype=np.float32)[:, None])
        >>> subset(d, 3).x.ravel().tolist() == subset(d, 3).x.ravel().tolist()
        True
    """
    if n < 1:
        raise SettingError(f"n is {n}; a subset needs at least 1 row")
    return domain if n >= domain.size else domain.select(subset_rows(domain.size, n, seed))


def withhold_labels(domain: Domain, keep: int | str | Path = 0, seed: int = 0) -> Domain:
    """Return the domain with only those labels that may be read; the others are erased, not hidden.

    Args:
        domain: the domain with whatever labels its files have.
        keep: 0 for none (the default); N for N labelled rows a class, drawn at random (N rows in all for
            regression); "all"; or the path of a CSV file with the columns `name,label`, whose labels are taken
            instead of the domain's own.
        seed: the same seed draws the same rows.

    Raises:
        SettingError: `keep` is negative or is neither a number, "all", nor an existing file.
        DataError: the CSV file names a row or a class that does not exist.

    Example:
        >>> import numpy as np
        >>> d = Domain(np.zeros((4, 2), np.float32), np.array([0, 0, 1, 1]), classes=("cat", "dog"))
        >>> withhold_labels(d).labelled.tolist()
        [False, False, False, False]
        >>> withhold_labels(d, 1).class_counts().tolist()
        [1, 1]
    """
    if isinstance(keep, str) and re.fullmatch(r"[+-]?[0-9]{1,18}", keep):
        keep = int(keep)
    if keep == "all":
        return domain
    if isinstance(keep, int):
        if keep < 0:
            raise SettingError(f"{keep} labels cannot be kept; give 0 or more, all, or a file")
        return _keep_some(domain, keep, seed)
    path = Path(keep)
    try:
        is_file = path.is_file()
    except OSError:  # a name too long to be one
        is_file = False
    if not is_file:
        raise SettingError(
            f"{str(keep)[:80]}: labels to keep are a number a class, all, or a CSV file; there is no such file"
        )
    return _labels_from_file(domain, path)


def _keep_some(domain: Domain, keep: int, seed: int) -> Domain:
    rng = np.random.default_rng(seed)
    labelled = np.zeros(domain.size, bool)
    short: list[str] = []
    for code, rows in _strata(domain):
        labelled[rng.permutation(rows)[:keep]] = True
        if len(rows) < keep:
            what = "the domain" if code is None or domain.classes is None else f"class {domain.classes[code]}"
            short.append(f"{what} has only {len(rows):,}")
    notes = (f"of {keep:,} labels wanted a class, " + ", ".join(short),) if short else ()
    return replace(domain, labelled=labelled, notes=domain.notes + notes)


def _strata(domain: Domain) -> list[tuple[int | None, np.ndarray]]:
    """List the labelled rows, class by class; all at once for regression."""
    if domain.classes is None:
        return [(None, np.flatnonzero(domain.labelled))]
    labelled = np.asarray(domain.labelled)
    return [(code, np.flatnonzero(labelled & (domain.y == code))) for code in range(len(domain.classes))]


def _labels_from_file(domain: Domain, path: Path) -> Domain:
    wanted = _read_labels(path)
    rows = {domain.row_name(i): i for i in range(domain.size)}
    if len(rows) < domain.size:
        raise DataError(
            f"{domain.name}: several rows have the same name, so {path} cannot say which it means; rename them"
        )
    classes = domain.classes
    numeric = classes is None and np.issubdtype(domain.y.dtype, np.floating)
    if classes is None and not numeric:
        classes = tuple(sorted({label for _, _, label in wanted}, key=natural_key))
    codes = {name: code for code, name in enumerate(classes or ())}
    y = np.zeros(domain.size, np.float32 if numeric else np.int64)
    labelled = np.zeros(domain.size, bool)
    for line, name, label in wanted:
        if name not in rows:
            raise DataError(f"{path}, line {line}: {domain.name} has no row named {name}; {_near_row(name, rows)}")
        row = rows[name]
        if labelled[row]:
            raise DataError(f"{path}, line {line}: {name} is given a second label; keep one line a row")
        if numeric:
            y[row] = _number(label, path, line)
        elif label not in codes:
            raise DataError(f"{path}, line {line}: {domain.name} has no class {label}; {nearest(label, codes)}")
        else:
            y[row] = codes[label]
        labelled[row] = True
    return replace(domain, y=y, labelled=labelled, classes=classes)


def _read_labels(path: Path) -> list[tuple[int, str, str]]:
    """Read the lines `name,label` of a CSV file as (line number, name, label); empty labels are left out."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, strict=True)
            header = [cell.strip() for cell in next(reader, [])]
            if header != ["name", "label"]:
                raise DataError(f"{path}, line 1: the header is {','.join(header) or 'empty'}; it must be name,label")
            lines = []
            for cells in reader:
                if cells and len(cells) != 2:
                    raise DataError(f"{path}, line {reader.line_num}: has {len(cells)} cells; write name,label")
                if cells and cells[1].strip():
                    lines.append((reader.line_num, cells[0], cells[1].strip()))
            return lines
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as CSV ({error}); save it as UTF-8 text with commas") from error


def _near_row(name: str, rows: dict[str, int]) -> str:
    """Name a row like the one asked for; only some are compared, since a million would take minutes."""
    some = list(rows)[:2000]
    close = difflib.get_close_matches(name, some, n=1)
    return f"did you mean {close[0]}?" if close else f"its rows are named like {some[0]}"


def _number(label: str, path: Path, line: int) -> float:
    try:
        value = float(label)
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        raise DataError(f"{path}, line {line}: {label} is no finite number, but the labels here are numbers")
    return value


def check_trainable(domain: Domain, batch: int, *, needs_labels: bool = True) -> None:
    """Refuse data from which nothing can be learnt.

    Args:
        domain: what is to be trained on.
        batch: rows a step, at least 1.
        needs_labels: False for a domain that is used without labels, such as a target.

    Raises:
        DataError: there are fewer rows than a batch, no label, or only one class.

    Example:
        >>> import numpy as np
        >>> check_trainable(Domain(np.zeros((8, 2), np.float32), name="here"), batch=8, needs_labels=False)
        >>> check_trainable(Domain(np.zeros((8, 2), np.float32), name="here"), batch=8)
        Traceback (most recent call last):
        juyi.errors.DataError: here: has no labels, but they are needed; put images into class folders, or name \
the column of labels with --label
    """
    if domain.size < batch:
        raise DataError(
            f"{domain.name}: has {domain.size:,} rows, fewer than a batch of {batch:,}; give more, or a smaller --batch"
        )
    if not needs_labels:
        return
    known = int(domain.labelled.sum())
    if not known:
        raise DataError(
            f"{domain.name}: has no labels, but they are needed; "
            "put images into class folders, or name the column of labels with --label"
        )
    if domain.classes is not None and (domain.class_counts() > 0).sum() < 2:
        only = domain.classes[int(domain.class_counts().argmax())]
        raise DataError(f"{domain.name}: all labelled rows are of one class, {only}; add examples of another class")


def hold_out(domain: Domain, fraction: float = 0.1, limit: int = 5000, seed: int = 0) -> tuple[Domain, Domain]:
    """Split off a validation part, drawn from the labelled rows, each class by its share.

    Unlabelled rows stay in the training part.  A class with one labelled row keeps it for training; every
    other class gives at least one row, so that each is looked at.

    Args:
        domain: a domain with labels.
        fraction: the share of the labelled rows to hold out, between 0 and 1, both excluded.
        limit: the most rows to hold out, at least 1 (more than 5,000 say little more and cost time).
        seed: the same seed draws the same rows.

    Returns:
        The training part and the validation part, rows in their old order.

    Raises:
        SettingError: `fraction` or `limit` is out of range.
        DataError: there are too few labelled rows to split.

    Example:
        >>> import numpy as np
        >>> d = Domain(np.zeros((20, 2), np.float32), np.arange(20) % 2, classes=("a", "b"))
        >>> training, validation = hold_out(d, 0.2)
        >>> training.class_counts().tolist(), validation.class_counts().tolist()
        ([8, 8], [2, 2])
    """
    if not 0 < fraction < 1:
        raise SettingError(f"fraction is {fraction}; give a share between 0 and 1")
    if limit < 1:
        raise SettingError(f"limit is {limit}; give at least 1 row")
    strata = [rows for _, rows in _strata(domain) if len(rows) > 1]
    if not strata:
        raise DataError(f"{domain.name}: has too few labelled rows to hold some out; label more (two a class at least)")
    rng = np.random.default_rng(seed)
    total = sum(map(len, strata))
    counts = shares([len(rows) for rows in strata], min(limit, max(1, round(total * fraction))))
    held = np.zeros(domain.size, bool)
    for rows, count in zip(strata, counts, strict=True):
        held[rng.permutation(rows)[:count]] = True
    return domain.select(~held), domain.select(held)


def shares(sizes: Sequence[int], total: int) -> list[int]:
    """Share out `total` among parts by their sizes (largest remainders first); each gets 1 to its size less 1.

    Example:
        >>> shares([60, 30, 10], 10), shares([100, 2], 10)
        ([6, 3, 1], [9, 1])
    """
    exact = np.asarray(sizes) * (total / sum(sizes))
    counts = np.clip(np.floor(exact).astype(int), 1, np.asarray(sizes) - 1)
    for i in np.argsort(np.floor(exact) - exact, kind="stable"):
        if counts.sum() < total and counts[i] < sizes[i] - 1 and counts[i] <= exact[i]:
            counts[i] += 1
    return [int(count) for count in counts]
