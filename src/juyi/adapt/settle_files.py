"""The CSV files of `juyi settle`: rows that are asked to be labelled, and labels that come back."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from juyi.adapt.draw import NONE_OF_THEM, Draw
from juyi.errors import DataError, nearest
from juyi.runs.files import write_text

HEADER = ["id", "name", "label"]


def write_asked(path: Path, draw: Draw, rows: int, labels: Mapping[int, str]) -> None:
    """Write the first rows of a draw: id, name and label, empty where there is none yet."""
    cells = [(draw.identity(place), draw.names[place], labels.get(place, "")) for place in range(rows)]
    write_table(path, HEADER, cells)


def write_table(path: Path, header: Sequence[str], cells: Iterable[Sequence[str]]) -> None:
    """Write a CSV file, in one piece."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(header)
    table.writerows(cells)
    write_text(path, text.getvalue())


def read_asked(path: Path, draw: Draw) -> tuple[dict[int, str], int]:
    """Read what was filled in.

    Args:
        path: the file.
        draw: the rows of the run that it must be about.

    Returns:
        The labels by the rows' places in the drawn order (a class, or `-` for none of them), and how many rows the file
        has from the first one without a gap.

    Raises:
        DataError: the file cannot be read, is about another run, or says what cannot be; the line is named.
    """
    found: dict[int, str] = {}
    line_of: dict[int, int] = {}
    known = {name.strip(): name for name in draw.classes} | {NONE_OF_THEM: NONE_OF_THEM}
    lines = _lines(path)
    _check_run(path, draw, lines)
    for line, (identity, name, label) in lines:
        place = _place(path, draw, line, identity, name)
        if place in line_of:
            before = found.get(place, "")
            both = f", there {before or 'empty'} and here {label or 'empty'}" if label != before else ""
            raise DataError(
                f"{path}, line {line}: {name} stands on line {line_of[place]} already{both}; keep one line a row"
            )
        line_of[place] = line
        if not label:
            continue
        if label not in known:
            raise DataError(
                f"{path}, line {line}: {label} is no class of {draw.run.path}; {nearest(label, known)} "
                f"({NONE_OF_THEM} means none of them)"
            )
        found[place] = known[label]
    rows = next((place for place in range(draw.size) if place not in line_of), draw.size)
    return found, rows


def _lines(path: Path) -> list[tuple[int, tuple[str, str, str]]]:
    """Read id, name and label of each line, with its number."""
    mend = f"its header must be {','.join(HEADER)}, as juyi settle writes it"
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, strict=True)
            header = next(reader, [])
            if [cell.strip().lower() for cell in header] != HEADER:
                raise DataError(f"{path}, line 1: is {','.join(header) or 'empty'}; {mend}, with commas")
            lines = []
            for cells in reader:
                if cells and len(cells) != len(HEADER):
                    raise DataError(f"{path}, line {reader.line_num}: has {len(cells)} cells; write id,name,label")
                if any(cell.strip() for cell in cells):
                    lines.append((reader.line_num, (cells[0].strip(), cells[1].strip(), cells[2].strip())))
    except FileNotFoundError as error:
        raise DataError(f"{path}: there is no such file; name the one that was filled in") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as CSV ({error}); save it as UTF-8 text with commas") from error
    if not lines:
        raise DataError(f"{path}: has no row; {mend}")
    return lines


def _check_run(path: Path, draw: Draw, lines: list[tuple[int, tuple[str, str, str]]]) -> None:
    """Refuse a file that is about another run from its first line to its last."""
    if not any(identity.startswith(f"{draw.tag}-") for _, (identity, _, _) in lines):
        raise DataError(
            f"{path}: is a settle file of another run (or of this one before it was changed): its ids are like "
            f"{lines[0][1][0] or 'empty'}, those of {draw.run.path} begin with {draw.tag}; "
            "name that of this run, or move the old one away"
        )


def _place(path: Path, draw: Draw, line: int, identity: str, name: str) -> int:
    """Find the place of a row in the drawn order."""
    tag, _, number = identity.rpartition("-")
    place = int(number) - 1 if number.isdecimal() and len(number) < 10 else -1
    if tag != draw.tag or not 0 <= place < draw.size:
        raise DataError(
            f"{path}, line {line}: {identity or 'an empty id'} is no row of {draw.run.path}; restore its id"
        )
    if name != draw.names[place].strip():
        raise DataError(f"{path}, line {line}: {identity} is named {draw.names[place]}, not {name}; restore the line")
    return place
