"""How data are named, the same everywhere: PLACE, PLACE@SPLIT, PLACE@SPLIT+SPLIT, each with [:N] behind it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from juyi.errors import DataError

_FORMS = (
    "write NAME@SPLIT, NAME@SPLIT+SPLIT, hub/NAME:CONFIG@SPLIT or a path, each with [:N] behind it if N rows suffice"
)


@dataclass(frozen=True)
class DataName:
    """A name of data, taken apart.

    Args:
        place: a path, a name in `$JUYI_DATA`, a built-in name, or `hub/NAME:CONFIG`.
        splits: the splits asked for, in the order given; empty if none was.
        limit: how many rows to draw at random, at least 1; None for all.
    """

    place: str
    splits: tuple[str, ...] = ()
    limit: int | None = None

    def __str__(self) -> str:
        splits = "@" + "+".join(self.splits) if self.splits else ""
        return self.place + splits + ("" if self.limit is None else f"[:{self.limit}]")


def split_limit(name: str) -> tuple[str, int | None]:
    """Take `[:N]` off the end of a name; N is at least 1.

    Raises:
        DataError: there is something else between the brackets.

    Example:
        >>> split_limit("mnist@train[:2000]")
        ('mnist@train', 2000)
        >>> split_limit("folder")
        ('folder', None)
    """
    if not name.endswith("]") or "[" not in name:
        return name, None
    rest, _, inside = name[:-1].rpartition("[")
    if not re.fullmatch(r":[0-9]{1,18}", inside) or int(inside[1:]) == 0:
        raise DataError(
            f"{name}: [{inside}] is no number of rows; write [:N] with N at least 1, as in mnist@train[:2000]"
        )
    return rest, int(inside[1:])


def parse_name(name: str) -> DataName:
    """Take a name of data apart.

    Raises:
        DataError: the name is empty, or a split is empty or given twice, or the brackets hold no number of rows.

    Example:
        >>> parse_name("pacs128@photo+cartoon[:100]")
        DataName(place='pacs128', splits=('photo', 'cartoon'), limit=100)
        >>> str(parse_name("hub/someone/set:plain@train"))
        'hub/someone/set:plain@train'
    """
    rest, limit = split_limit(name)
    place, at, behind = rest.rpartition("@")
    place = place if at else rest
    splits = tuple(behind.split("+")) if at else ()
    if not place.strip() or (at and not all(splits)):
        raise DataError(f"{name!r}: is no name of data; {_FORMS}")
    if len(set(splits)) < len(splits):
        raise DataError(f"{name}: names a split twice; give each split once")
    return DataName(place, splits, limit)


def natural_key(text: str) -> tuple[tuple[tuple[int, int, str], ...], str]:
    """Give a key that sorts as people count: `img2` before `img10`.  Ties are broken by the text itself.

    Example:
        >>> sorted(["img10", "img2", "b", "B"], key=natural_key)
        ['B', 'b', 'img2', 'img10']
    """
    parts = re.split(r"([0-9]+)", text)
    return tuple((0, int(p), "") if p.isdecimal() else (1, 0, p.casefold()) for p in parts if p), text
