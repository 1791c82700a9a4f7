"""Where data lie: the folder `$JUYI_DATA`, and the splits in a folder."""

from __future__ import annotations

import os
import re
from pathlib import Path

from juyi.data.names import natural_key
from juyi.errors import DataError

_FILE = re.compile(r"(?P<split>.+?)(-[0-9]+(-of-[0-9]+)?)?(\.parquet|\.csv|\.npz)")


def data_folder() -> Path | None:
    """Return the folder that `$JUYI_DATA` names, or None if it is not set.

    Raises:
        DataError: it is set to something that is no folder.
    """
    chosen = os.environ.get("JUYI_DATA")
    if not chosen:
        return None
    folder = Path(chosen)
    if not folder.is_dir():
        raise DataError(
            f"JUYI_DATA is set to {chosen}, which is no folder; set it to the folder that holds your data sets"
        )
    return folder


def splits_in(folder: Path) -> dict[str, list[Path]]:
    """List the splits of a folder: files SPLIT-00000-of-00002.parquet (or SPLIT.csv, SPLIT.npz), or subfolders.

    Only names that a listing yields are ever opened, so a name such as `../x` leads nowhere.
    """
    splits: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir(), key=lambda path: natural_key(path.name)):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            splits.setdefault(path.name, []).append(path)
        elif match := _FILE.fullmatch(path.name):
            splits.setdefault(match["split"], []).append(path)
    return splits


def sets_in(folder: Path) -> dict[str, Path]:
    """List the data sets of a folder such as `$JUYI_DATA`: its subfolders which hold at least one file of a split."""
    found = {}
    for path in sorted(folder.iterdir(), key=lambda path: natural_key(path.name)):
        if path.is_dir() and not path.name.startswith(".") and splits_in(path):
            found[path.name] = path
    return found
