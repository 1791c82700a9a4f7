"""What data there are, and what a domain holds: the lines of `juyi data list` and `juyi data check`."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from juyi.data.domain import Domain
from juyi.data.parquet import DAMAGED, features_of
from juyi.data.places import data_folder, sets_in, splits_in
from juyi.data.recipes import cache_path
from juyi.data.weather import WEATHER_ROWS

_MNIST_ROWS = {"train": 60_000, "test": 10_000}


@dataclass(frozen=True)
class KnownData:
    """A name of data that can be loaded, or could be.

    Args:
        name: what stands before the @.
        rows: the splits and how many rows each has; None where only reading would tell.
        kind: "images", "features", or "" if unknown.
        where: "built in", "JUYI_DATA", "recipe" or "hub".
        available: whether it can be loaded here and now.
        why_not: what is missing, and how to mend it; empty if available.
    """

    name: str
    rows: dict[str, int | None]
    kind: str
    where: str
    available: bool = True
    why_not: str = ""

    @property
    def splits(self) -> tuple[str, ...]:
        """The names of the splits."""
        return tuple(self.rows)


def known_data() -> list[KnownData]:
    """List the data that can be loaded by name: built in, in `$JUYI_DATA`, by recipe, from the hub.

    Only the ends of parquet files are read, so the list is quick.

    Raises:
        DataError: `$JUYI_DATA` is set to something that is no folder.

    Example:
        >>> [(data.name, data.where) for data in known_data()][:2]
        [('digits', 'built in'), ('digits_m', 'built in')]
    """
    rows: dict[str, int | None] = {"train": 1297, "test": 500}
    known = [KnownData(name, dict(rows), "images", "built in") for name in ("digits", "digits_m")]
    known.append(KnownData("weather", dict(WEATHER_ROWS), "features", "built in"))
    folder = data_folder()
    sets = sets_in(folder) if folder is not None else {}
    known += [_described(name, path) for name, path in sets.items()]
    if "mnist_m" not in sets:
        known.append(_mnist_m(sets))
    has_hub = importlib.util.find_spec("datasets") is not None
    why = "" if has_hub else "needs the datasets library: pip install 'juyi[hub]'"
    return [*known, KnownData("hub/NAME:CONFIG", {}, "", "hub", has_hub, why)]


def _mnist_m(sets: dict[str, Path]) -> KnownData:
    made = all(cache_path("mnist_m", split, "mnist", "bsds500@train").is_file() for split in _MNIST_ROWS)
    missing = [name for name in ("mnist", "bsds500") if name not in sets]
    available = made or not missing
    why = (
        ""
        if available
        else f"is made from mnist and bsds500; set JUYI_DATA to a folder that holds {' and '.join(missing)}"
    )
    return KnownData("mnist_m", dict(_MNIST_ROWS), "images", "recipe", available, why)


def _described(name: str, folder: Path) -> KnownData:
    rows: dict[str, int | None] = {}
    kinds, broken = set(), ""
    for split, paths in splits_in(folder).items():
        rows[split] = None
        if paths[0].suffix == ".parquet":
            try:
                files = [pq.ParquetFile(path) for path in paths]
                rows[split] = sum(file.metadata.num_rows for file in files)
                kinds.add("features" if features_of(files[0].schema_arrow)[1] is None else "images")
            except DAMAGED as error:
                broken = f"{paths[0]}: cannot be read ({' '.join(str(error).split())[:100]}); fetch it anew"
        elif paths[0].is_dir():
            kinds.add("images")
        elif paths[0].suffix == ".csv":
            kinds.add("features")
    kind = kinds.pop() if len(kinds) == 1 else ""
    return KnownData(name, rows, kind, "JUYI_DATA", not broken, broken)


def describe(domain: Domain) -> list[str]:
    """Say in lines what a domain holds: rows, form, range, labels, classes, groups, and what was done to it.

    Example:
        >>> import numpy as np
        >>> describe(Domain(np.zeros((3, 2), np.float32), np.array([0, 1, 1]), classes=("cat", "dog"), name="pets"))
        ['pets: 3 rows', 'features: 2 a row, from 0 to 0', 'labels: all 3 rows', 'classes: 2 (cat 1, dog 2)']
    """
    lines = [f"{domain.name}: {domain.size:,} rows", _form(domain), _labels(domain)]
    if domain.classes is not None:
        counts = domain.class_counts() if domain.labelled.any() else None
        named = [c if counts is None else f"{c} {counts[i]:,}" for i, c in enumerate(domain.classes)]
        more = f", and {len(named) - 50:,} more" if len(named) > 50 else ""
        lines.append(f"classes: {len(named)} ({', '.join(named[:50])}{more})")
    if domain.group is not None:
        counts = np.bincount(domain.group)
        names = domain.groups or tuple(str(i) for i in range(len(counts)))
        lines.append("groups: " + ", ".join(f"{name} {n:,}" for name, n in zip(names, counts, strict=False)))
    return lines + [f"note: {note}" for note in domain.notes]


def _form(domain: Domain) -> str:
    low, high = domain.x.min(), domain.x.max()
    if not domain.is_images:
        return f"features: {domain.x.shape[1]:,} a row, from {low:.4g} to {high:.4g}"
    _, channels, height, width = domain.x.shape
    kind = "grey" if channels == 1 else "RGB"
    return f"images: {height}×{width} {kind}, values {low} to {high}, mean {domain.x.mean():.0f}"


def _labels(domain: Domain) -> str:
    known = int(domain.labelled.sum())
    if not known:
        return "labels: none"
    rows = f"all {known:,} rows" if known == domain.size else f"{known:,} of {domain.size:,} rows"
    if domain.classes is None:
        given = domain.y[domain.labelled]
        values = f"{given.min():.4g} to {given.max():.4g} {domain.unit}".rstrip()
        return f"labels: {rows}, values from {values}"
    return f"labels: {rows}"
