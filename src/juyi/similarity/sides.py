"""The data of a question: found by name, labels withheld, leaks counted, brought to one form."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from juyi.data import align, as_domain, load
from juyi.data.classes import adopt_classes, class_keys, listed
from juyi.data.domain import Domain, data_entries
from juyi.data.doors import rows_in_common
from juyi.data.splits import subset_rows
from juyi.data.targets import give_labels, load_target
from juyi.errors import DataError, SettingError

FEW = 50
"""With fewer rows on a side, little can be said, and that is said."""
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Settings:
    """How data are read and drawn.

    Args:
        target_labels: `0`, a number a class, `all`, or the path of a CSV file: the target's labels that may be read.
            None: none of data given by name, and of a `Domain` those that it holds.
        label: the column of labels, in tables.
        size: bring all images to this many pixels square.
        skip_bad: leave out images that cannot be read.
        rows: at most so many rows of each side are measured, drawn at random; at least 2.
        seed: of every draw.
    """

    target_labels: str | None = None
    label: str | None = None
    size: int | None = None
    skip_bad: bool = False
    rows: int = 10_000
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Sides:
    """Sources and a target in one form: channels, size, columns.

    Attributes:
        sources: SOURCE first, then the candidates that are data.
        target: the target; only labels that were given are in it.
        drawn: bool, M: the target's rows that stand for it; the others are there for their labels alone.
        whole: SOURCE as it was read, with all its rows.
        kept: int: which of those rows are measured.
        known: whether all classes of the target are classes of SOURCE; both have the same codes then.
        entries: what was read, by role, as in run.json.
        warnings: what gives pause.
    """

    sources: tuple[Domain, ...]
    target: Domain
    drawn: np.ndarray
    whole: Domain
    kept: np.ndarray
    known: bool
    entries: dict[str, dict[str, Any]]
    warnings: tuple[str, ...] = ()

    @property
    def source(self) -> Domain:
        """The source that was asked about."""
        return self.sources[0]


def read_sides(source: Any, target: Any, others: Sequence[Any], settings: Settings, tell: Tell) -> Sides:
    """Load data, erase the target's labels that were not given, draw rows, and bring all to one form.

    Args:
        source: a name of data, a `Domain`, or an array.
        target: the same.
        others: further sources.
        settings: how to read and draw.
        tell: is told what is done.

    Raises:
        DataError: data cannot be read, have a single row, or nothing in common.
        SettingError: a setting says nothing that can be done.
    """
    if settings.rows < 2:
        raise SettingError(f"--rows {settings.rows}: nothing can be measured on so few rows; give 2 or more")
    options = {
        "label": settings.label, "skip_bad": settings.skip_bad, "seed": settings.seed, "size": settings.size
    }  # fmt: skip
    sources = [_read(one, options, tell, False) for one in (source, *others)]
    goal = _read(target, options, tell, True)
    for domain in (*sources, goal):
        if domain.size < 2:
            raise DataError(f"{domain.name}: has a single row, and nothing can be measured on one; give more")
    goal = _with_given_labels(goal, sources[0], settings, by_name=isinstance(target, str))
    roles = ["source", *(f"candidate {number}" for number in range(1, len(sources))), "target"]
    entries = data_entries(dict(zip(roles, (*sources, goal), strict=True)))
    leaks = [line for one in sources for line in leak(one, goal)]
    few = [line for one in (*sources, goal) for line in too_few(one)]
    kept, drawn = rows_to_keep(goal, settings)
    drawn_sources = [draw(one, settings) for one in sources]
    shown = goal if len(kept) == goal.size else _noted(goal.select(kept), int(drawn.sum()), goal.size)
    *aligned, own = align_without_classes(drawn_sources, shown, settings.size)
    for role, domain in zip(roles, (*aligned, own), strict=True):
        entries[role]["notes"] = list(domain.notes)
    adopted = _adopted(own, aligned[0])
    others_known = [] if adopted is not None else [other_classes(own, aligned[0])]
    warnings = (*leaks, *few, *(line for line in others_known if line))
    measured = subset_rows(sources[0].size, settings.rows, settings.seed)
    return Sides(tuple(aligned), adopted or own, drawn, sources[0], measured, adopted is not None, entries, warnings)


def _read(given: Any, options: dict[str, Any], tell: Tell, is_target: bool) -> Domain:
    if not isinstance(given, str):
        return as_domain(given, name="target" if is_target else "source")
    tell(f"reading {given}")
    return load_target(given, options) if is_target else load(given, **options)


def _with_given_labels(target: Domain, source: Domain, settings: Settings, *, by_name: bool) -> Domain:
    if settings.target_labels is None and not by_name:
        return target
    return give_labels(target, settings.target_labels or "0", source, settings.seed)


def leak(source: Domain, target: Domain) -> list[str]:
    """Warn of rows that stand on both sides; none of data whose rows differ in shape can.

    Example:
        >>> both = Domain(np.eye(3, dtype=np.float32), name="a")
        >>> leak(both, both)[0][:62]
        '3 of 3 rows of a stand in a as well, to the last bit: a leak, '
    """
    if source.x.shape[1:] != target.x.shape[1:]:
        return []
    shared = rows_in_common(target, source)
    if not shared:
        return []
    return [
        f"{shared:,} of {target.size:,} rows of {target.name} stand in {source.name} as well, to the last bit: a leak, "
        "or columns of few different values. Rows in common make the sides look nearer than they are."
    ]


def too_few(domain: Domain) -> list[str]:
    """Warn of a side with few rows."""
    if domain.size >= FEW:
        return []
    return [f"{domain.name} has {domain.size} rows only: intervals are wide, and small differences do not show."]


def other_classes(target: Domain, source: Domain) -> str:
    """Say that the classes differ, so that what speaks of common classes stays unknown; empty where one has none."""
    if source.classes is None or target.classes is None:
        return ""
    there = set(class_keys(source.classes))
    extra = [c for c, key in zip(target.classes, class_keys(target.classes), strict=True) if key not in there]
    return (
        f"{target.name} has classes that {source.name} lacks ({listed(extra)}): the distances do not need classes, but "
        "bounds and class shares are about the source's, and say nothing of such rows."
    )


def rows_to_keep(target: Domain, settings: Settings) -> tuple[np.ndarray, np.ndarray]:
    """Choose the target's rows: a random draw that stands for it, and up to `rows` labelled ones for their labels.

    Returns:
        Row numbers, ascending, and which of them are of the draw.
    """
    draw_ = subset_rows(target.size, settings.rows, settings.seed + 1)
    labelled = np.flatnonzero(target.labelled)
    if target.labelled.all():
        labelled = draw_  # there are labels enough
    labelled = labelled[subset_rows(len(labelled), settings.rows, settings.seed)]
    kept = np.union1d(draw_, labelled)
    return kept, np.isin(kept, draw_)


def draw(domain: Domain, settings: Settings) -> Domain:
    """Draw at most `rows` rows, and note it."""
    if domain.size <= settings.rows:
        return domain
    return _noted(domain.select(subset_rows(domain.size, settings.rows, settings.seed)), settings.rows, domain.size)


def _noted(domain: Domain, some: int, of: int) -> Domain:
    return replace(domain, notes=(*domain.notes, f"{some:,} of {of:,} rows are measured, drawn at random"))


def align_without_classes(sources: Sequence[Domain], target: Domain, size: int | None) -> list[Domain]:
    """Bring domains to the same channels, size and columns; classes stay as they are, for distances need none."""
    named = common_columns([*sources, target])
    bare = [
        Domain(one.x, name=one.name, row_names=one.row_names, columns=one.columns, notes=one.notes) for one in named
    ]
    aligned = align(*bare, size=size)
    return [
        replace(own, x=one.x, row_names=one.row_names, columns=one.columns, notes=one.notes)
        for one, own in zip(aligned, named, strict=True)
    ]


def common_columns(domains: Sequence[Domain]) -> list[Domain]:
    """Keep the columns that all tables have, by name, in the order of the first; arrays without names stay.

    Raises:
        DataError: not a single column is in all of them.

    Example:
        >>> x = np.zeros((2, 2), np.float32)
        >>> there, here = Domain(x, columns=("a", "b"), name="there"), Domain(x, columns=("c", "b"), name="here")
        >>> one, other = common_columns([there, here])
        >>> one.columns, one.x.shape, other.notes
        (('b',), (2, 1), ('left out, since not all sides have it: c',))
    """
    named = [domain.columns for domain in domains]
    if any(columns is None for columns in named) or len(set(named)) == 1:
        return list(domains)
    common = [c for c in named[0] or () if all(c in (columns or ()) for columns in named)]
    if not common:
        different = next(domain for domain in domains[1:] if domain.columns != domains[0].columns)
        raise DataError(
            f"{domains[0].name} and {different.name}: have not a single column in common "
            f"({listed(domains[0].columns or ())}; {listed(different.columns or ())}); name the columns alike"
        )
    found = []
    for domain in domains:
        columns = domain.columns or ()
        gone = [c for c in columns if c not in common]
        notes = (f"left out, since not all sides have it: {listed(gone)}",) if gone else ()
        x = np.ascontiguousarray(domain.x[:, [columns.index(c) for c in common]])
        found.append(replace(domain, x=x, columns=tuple(common), notes=(*domain.notes, *notes)))
    return found


def _adopted(target: Domain, source: Domain) -> Domain | None:
    """Give the target the source's classes; None where it has others, or numbers as labels."""
    if source.classes is None:
        return None
    adopted = adopt_classes(target, source)
    return adopted if adopted.classes == source.classes else None
