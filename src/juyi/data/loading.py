"""Find data by name and read them."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from juyi.data import builtin, recipes
from juyi.data.archives import load_npz
from juyi.data.domain import Domain
from juyi.data.doors import join
from juyi.data.folders import load_folder
from juyi.data.hub import load_hub
from juyi.data.names import DataName, parse_name, split_limit
from juyi.data.parquet import load_parquet
from juyi.data.places import data_folder, sets_in, splits_in
from juyi.data.shapes import resize
from juyi.data.splits import subset, subset_rows
from juyi.data.tables import load_csv
from juyi.data.weather import WEATHER_ROWS, weather
from juyi.errors import DataError, nearest

BUILT_IN: dict[str, tuple[Sequence[str], Callable[[str, str | None], Domain]]] = {
    "digits": (("train", "test"), lambda split, label: builtin.digits(split)),
    "digits_m": (("train", "test"), lambda split, label: builtin.digits_m(split)),
    "weather": (tuple(WEATHER_ROWS), weather),
}
"""Data that need neither files nor a network: their splits, and what reads one, given the column of the labels."""


def load(
    name: str | Path,
    *,
    label: str | None = None,
    seed: int = 0,
    skip_bad: bool = False,
    size: int | None = None,
    group: str | None = None,
) -> Domain:
    """Read data by name.

    An existing path comes first: a folder of images (class subfolders are labels, a flat folder is unlabelled),
    or a `.parquet`, `.csv` or `.npz` file.  Then the built-in `digits`, `digits_m` and `weather`, then NAME@SPLIT in
    the folder that `$JUYI_DATA` names, then the recipe `mnist_m`.  `hub/NAME:CONFIG@SPLIT` is fetched from the
    Hugging Face hub.  FOLDER@SPLIT means a subfolder, or FOLDER/SPLIT-*.parquet.  NAME@SPLIT+SPLIT joins splits,
    and A.csv+B.csv files or folders, and keeps them apart as groups; `[:N]` behind any name draws N rows.

    Args:
        name: the name or path, such as `mnist@train`, `photos/`, `pets.csv[:100]`.
        label: the column of labels in a table; None for the column `label` if there is one.
        seed: the same seed draws the same rows for `[:N]`.
        skip_bad: leave out images that cannot be read, and say so in the notes, instead of refusing the whole.
        size: height and width to resize images to, in pixels, at least 1; None for the commonest size among them.
        group: the column of a table that says to which group (which client, say) a row belongs.

    Returns:
        The domain; its `notes` say what was converted, resized, skipped or ignored.

    Raises:
        DataError: there are no such data, or they cannot be used as they are.

    Example:
        >>> digits = load("digits@train[:100]")
        >>> digits.x.shape, len(digits.classes)
        ((100, 1, 28, 28), 10)
    """
    reader = _Reader(str(name), label, seed, skip_bad, size, group)
    domain = reader.read()
    if group is not None and domain.group is None:
        raise DataError(f"{name}: is no table, so it has no column {group} to tell groups by")
    if size is not None and not domain.is_images:
        raise DataError(
            f"{name}: holds {domain.x.shape[1]} features a row and no images, so a size means nothing; drop it"
        )
    if size is not None and domain.x.shape[2:] != (size, size):
        domain = resize(domain, (size, size))
    return replace(domain, name=str(name))


@dataclass(frozen=True)
class _Reader:
    name: str
    label: str | None
    seed: int
    skip_bad: bool
    size: int | None
    group: str | None

    def read(self) -> Domain:
        if _exists(self.name):
            return self._path([Path(self.name)], None)
        rest, limit = split_limit(self.name)
        if _exists(rest):
            return self._enough(self._path([Path(rest)], limit), limit)
        parts = rest.split("+")
        if len(parts) > 1 and all(map(_exists, parts)):
            domain = join([replace(self._path([Path(part)], None), name=part) for part in parts], name=self.name)
            return domain if limit is None else subset(self._enough(domain, limit), limit, self.seed)
        wanted = parse_name(self.name)
        if wanted.place in BUILT_IN:
            splits, read = BUILT_IN[wanted.place]
            return self._made(wanted, splits, lambda split: read(split, self.label))
        if wanted.place.startswith("hub/"):
            return self._each(
                wanted,
                lambda split, limit: load_hub(
                    wanted.place, split, self._choose(limit), label=self.label, size=self.size, skip_bad=self.skip_bad
                ),
            )
        folder = self._folder(wanted)
        if folder is not None:
            return self._splits(wanted, folder)
        if wanted.place in recipes.RECIPES:
            return self._made(wanted, ("train", "test"), recipes.RECIPES[wanted.place])
        raise self._unknown(wanted)

    def _folder(self, wanted: DataName) -> Path | None:
        """Find the folder whose splits are meant: a path before the @, else a name in `$JUYI_DATA`."""
        if wanted.splits and _exists(wanted.place) and Path(wanted.place).is_dir():
            return Path(wanted.place)
        folder = data_folder()
        return None if folder is None else sets_in(folder).get(wanted.place)

    def _splits(self, wanted: DataName, folder: Path) -> Domain:
        splits = splits_in(folder)
        self._check_splits(wanted, tuple(splits))
        return self._each(wanted, lambda split, limit: self._path(splits[split], limit))

    def _made(self, wanted: DataName, splits: Sequence[str], make: Callable[[str], Domain]) -> Domain:
        self._check_splits(wanted, splits)

        def one(split: str, limit: int | None) -> Domain:
            domain = make(split)
            return domain if limit is None else subset(domain, limit, self.seed)

        return self._each(wanted, one)

    def _each(self, wanted: DataName, read: Callable[[str, int | None], Domain]) -> Domain:
        """Read one split, or several and join them; a limit counts rows of all together."""
        if len(wanted.splits) < 2:
            return self._enough(read("".join(wanted.splits), wanted.limit), wanted.limit)
        domain = join([replace(read(split, None), name=split) for split in wanted.splits], name=self.name)
        return domain if wanted.limit is None else subset(self._enough(domain, wanted.limit), wanted.limit, self.seed)

    def _enough(self, domain: Domain, limit: int | None) -> Domain:
        if limit is None or domain.size >= limit:
            return domain
        return replace(domain, notes=(*domain.notes, f"{limit:,} rows wanted, {domain.size:,} found"))

    def _check_splits(self, wanted: DataName, splits: Sequence[str]) -> None:
        if not wanted.splits:
            raise DataError(
                f"{self.name}: say which split, such as {wanted.place}@{splits[0]} (there are {', '.join(splits)})"
            )
        for split in wanted.splits:
            if split not in splits:
                raise DataError(f"{self.name}: {wanted.place} has no split {split}; {nearest(split, splits)}")

    def _choose(self, limit: int | None) -> Callable[[int], np.ndarray]:
        return lambda size: np.arange(size) if limit is None else subset_rows(size, limit, self.seed)

    def _path(self, paths: Sequence[Path], limit: int | None) -> Domain:
        path, choose = paths[0], self._choose(limit)
        if path.is_dir():
            return load_folder(path, choose, name=self.name, size=self.size, skip_bad=self.skip_bad)
        kind = path.suffix.lower()
        if len({other.suffix for other in paths}) > 1 or (len(paths) > 1 and kind != ".parquet"):
            raise DataError(f"{self.name}: is ambiguous, {paths[0].name} or {paths[1].name}; name one by its path")
        if not path.is_file() or kind not in (".parquet", ".csv", ".npz"):
            raise DataError(
                f"{path}: is nothing that can be read; give a folder of images, a .parquet, .csv or .npz file"
            )
        if kind == ".parquet":
            return load_parquet(
                paths, choose, name=self.name, label=self.label, size=self.size, skip_bad=self.skip_bad,
                group=self.group,
            )  # fmt: skip
        if kind == ".csv":
            return load_csv(path, choose, name=self.name, label=self.label, group=self.group)
        return load_npz(path, choose, name=self.name)

    def _unknown(self, wanted: DataName) -> DataError:
        path = Path(wanted.place)
        if "/" in wanted.place or path.suffix.lower() in (".parquet", ".csv", ".npz"):
            beside = (
                [p.name for p in path.parent.iterdir()] if _exists(str(path.parent)) and path.parent.is_dir() else []
            )
            close = difflib.get_close_matches(path.name, beside, n=1)
            mend = f"did you mean {path.parent / close[0]}?" if close else "check the path"
            return DataError(f"{self.name}: there is no such file or folder; {mend}")
        folder = data_folder()
        known = [*BUILT_IN, *recipes.RECIPES, *(sets_in(folder) if folder else ())]
        where = "a path" if folder is None else f"a path, nor in JUYI_DATA ({folder})"
        mend = "" if folder else "; to use data sets of your own by name, set JUYI_DATA to the folder that holds them"
        return DataError(f"{self.name}: is neither {where}, nor a known name; {nearest(wanted.place, known)}{mend}")


def _exists(path: str) -> bool:
    try:
        return bool(path) and Path(path).exists()
    except (OSError, ValueError):
        return False
