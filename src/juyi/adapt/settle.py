"""Settle: ask for a few labels where two models disagree, and decide by them which is better."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from juyi.adapt.base import Adapter
from juyi.adapt.draw import FLOOR, NONE_OF_THEM, Draw, draw
from juyi.adapt.settle_files import read_asked, write_asked, write_table
from juyi.errors import DataError, SettingError
from juyi.measure import labels_left, labels_to_settle, settle, verdict_from_labels
from juyi.measure.figures import picture
from juyi.runs import RunFolder
from juyi.training.machine import now

SHEET = "sheet.html"


@dataclass(frozen=True, eq=False)
class Asked:
    """The rows that are asked to be labelled.

    Args:
        draw: all disagreeing rows of the run, in random order.
        path: the CSV file to be filled in; the pictures' page belongs beside it.
        labels: what is known already, by the rows' places in the drawn order.
        rows: how many rows are asked for: the first of the drawn order.
        likely: how many labels settle it if the difference is clear.
        worst: how many do if it is close.
    """

    draw: Draw
    path: Path
    labels: Mapping[int, str]
    rows: int
    likely: int
    worst: int

    @property
    def sheet(self) -> Path | None:
        """Where the page with the pictures belongs; None where there are none."""
        target = self.draw.target
        return self.path.with_name(SHEET) if target is not None and target.is_images else None

    def cards(self) -> list[dict[str, str]]:
        """What the page shows of each row: id, name, png (base64), label; never what a model answers."""
        target = self.draw.target
        assert target is not None
        return [
            {
                "id": self.draw.identity(place),
                "name": self.draw.names[place],
                "png": picture(target.x[int(self.draw.rows[place])]),
                "label": self.labels.get(place, ""),
            }
            for place in range(self.rows)
        ]


@dataclass(frozen=True, eq=False)
class Answered:
    """What labels have settled.

    Args:
        draw: the rows.
        verdict: as run.json holds it.
        given: how many labels the file holds.
        first_open: the name of the first row without a label, where labels behind it were not used; else None.
        kept: whether a verdict from test labels was kept, so that this one stands beside it.
    """

    draw: Draw
    verdict: dict[str, Any]
    given: int
    first_open: str | None
    kept: bool


def ask(
    folder: RunFolder,
    *,
    methods: Mapping[str, type[Adapter]],
    rows: int | None = None,
    more: bool = False,
    net: nn.Module | str | None = None,
) -> Asked:
    """Write RUN/settle/ask.csv: rows to be labelled, drawn at random from those on which the two models disagree.

    Labels that are there are never lost: without `more` such a file is left alone, with `more` they are kept and rows
    are added, in the order that was drawn in the beginning.

    Args:
        folder: a finished run.
        methods: those that there are, by name.
        rows: how many rows to ask for, at least 1, or with `more`, how many to add; None for as many as will likely do.
        more: go on where an earlier file ends.
        net: the network, if it is one of your own.

    Raises:
        SettingError: `rows` is less than 1; there is nothing to go on from; or labels would be overwritten.
        RunFolderError: labels cannot settle anything of this run.
        DataError, DataChangedError: the target cannot be loaded, or is no longer the same.
    """
    if rows is not None and rows < 1:
        raise SettingError(f"--rows {rows}: is no number of rows to label; give 1 or more")
    drawn = draw(folder, methods=methods, net=net)
    path = folder.settle / "ask.csv"
    known, asked = _known(drawn, path)
    likely, worst = labels_to_settle(drawn.size, drawn.total)
    if more:
        if not asked:
            raise SettingError(f"--more: {path} is not there, so nothing can be added to it; first: juyi settle RUN")
        if asked >= drawn.size:
            raise SettingError(f"--more: all {drawn.size:,} rows on which the models disagree are asked for already")
        wanted = asked + (rows or max(1, labels_left(outcomes(drawn, known), drawn.size, drawn.total)))
    elif known:
        raise SettingError(
            f"{path}: {len(known):,} labels are known already; give them with --labels, or ask for more with --more"
        )
    else:
        wanted = rows or likely
    wanted = min(wanted, drawn.size)
    write_asked(path, drawn, wanted, known)
    return Asked(drawn, path, known, wanted, likely, worst)


def answer(
    folder: RunFolder, path: Path, *, methods: Mapping[str, type[Adapter]], net: nn.Module | str | None = None
) -> Answered:
    """Decide by labels that were filled in, and write what they settle into the run.

    Labels count in the drawn order up to the first row without one: were rows passed over, those that are left would be
    no random ones.  They may be given in several rounds, each time the whole file; the answer is valid at any moment.

    A verdict from test labels is not replaced: it rests on other rows, which nobody chose by what the models say.  What
    was settled then stands beside it in run.json, under `settled`.  Any other verdict is replaced, and kept in the new
    one as `without_labels`.

    Args:
        folder: a finished run.
        path: the file.
        methods: those that there are, by name.
        net: the network, if it is one of your own.

    Raises:
        DataError: the file cannot be read, is about another run, holds no label that counts, or says what cannot be.
        RunFolderError: labels cannot settle anything of this run.
    """
    drawn = draw(folder, methods=methods, net=net, pictures=False)
    labels, _ = read_asked(path, drawn)
    z = outcomes(drawn, labels)
    if not len(z):
        told = f"though {len(labels):,} later ones have: labels count in the order of the file" if labels else ""
        raise DataError(f"{path}: {drawn.names[0]}, the first row, has no label{told and ', ' + told}; fill it in")
    folder.settle.mkdir(exist_ok=True)
    given = folder.settle / "given.csv"
    earlier = read_asked(given, drawn)[0] if given.is_file() else {}
    changed = sum(labels.get(place, label) != label for place, label in earlier.items())
    verdict = _verdict(drawn, z, folder.read(), changed)
    write_table(
        given, ["id", "name", "label"], [(drawn.identity(i), drawn.names[i], labels[i]) for i in sorted(labels)]
    )
    classified = [(drawn.names[i], label) for i, label in sorted(labels.items()) if label != NONE_OF_THEM]
    write_table(folder.settle / "labels.csv", ["name", "label"], classified)
    kept = _record(folder, verdict)
    first_open = drawn.names[len(z)] if len(labels) > len(z) else None
    return Answered(drawn, verdict, len(labels), first_open, kept)


def outcomes(drawn: Draw, labels: Mapping[int, str]) -> np.ndarray:
    """Return z of the labelled rows, in the drawn order, up to the first one without a label."""
    first_open = next((place for place in range(drawn.size) if place not in labels), drawn.size)
    return np.array([drawn.outcome(place, labels[place]) for place in range(first_open)], np.int64)


def _known(drawn: Draw, path: Path) -> tuple[dict[int, str], int]:
    """Return the labels that are known, of the file to be filled in and of those given, and how many rows are asked."""
    given = path.with_name("given.csv")
    known = read_asked(given, drawn)[0] if given.is_file() else {}
    if not path.is_file():
        return known, max(known, default=-1) + 1
    filled, asked = read_asked(path, drawn)
    return known | filled, max([asked - 1, *known, *filled]) + 1


def _verdict(drawn: Draw, z: np.ndarray, record: dict[str, Any], changed: int) -> dict[str, Any]:
    """Put what the labels say into the form of a verdict."""
    settled = settle(z, drawn.size, drawn.total)
    left = labels_left(z, drawn.size, drawn.total) if settled.answer == "undecided" else 0
    warnings = [str(warning) for warning in record.get("warnings") or []]
    if changed:
        warnings.append(
            f"{changed:,} of the labels are not those that were given before; where labels are changed after an answer "
            "has been seen, it is not as sure as it says."
        )
    images = len(record["data"]["target"]["shape"]) == 3
    return verdict_from_labels(settled, drawn.model, drawn.floor, rows="images" if images else "rows", left=left,
                               warnings=warnings)  # fmt: skip


def _record(folder: RunFolder, verdict: dict[str, Any]) -> bool:
    """Write the verdict into run.json; return whether one from test labels was kept."""
    record = folder.read()
    before = record.get("verdict") or {}
    kept = before.get("evidence") == "test_labels"
    if kept:
        record["settled"] = verdict
    else:
        without = before.get("without_labels") if before.get("evidence") == "settled" else before
        record["verdict"] = verdict | ({"without_labels": without} if without else {})
        if record.get("choice") and verdict["answer"] != "cannot_tell":
            record["serves"] = record["choice"]["judged"] if verdict["answer"] == "helped" else FLOOR
    opened = {"data": "settle labels", "labels": verdict["labels_used"], "when": now()}
    record.setdefault("openings", []).append(opened)
    folder.write(record)
    return kept
