"""The rows of a run on which its two models disagree, in the random order in which they are to be labelled."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from juyi.adapt.base import Adapter
from juyi.adapt.request import Request, prepare
from juyi.data import Domain
from juyi.errors import RunFolderError
from juyi.measure.betting import margin_rows
from juyi.measure.verdict import NO_MATERIAL_CHANGE
from juyi.runs import RunFolder, fingerprints_in
from juyi.runs.predictions import models_in, read_predictions
from juyi.training import given_again

FLOOR = "source_only"
NONE_OF_THEM = "-"
"""The label of a row that shows none of the classes: neither model is right."""


@dataclass(frozen=True, eq=False)
class Draw:
    """The disagreeing rows of a run, in random order.

    The order is a function of the run alone, so nobody can draw again until the result pleases, and what is lost can be
    asked for again.

    Args:
        run: the folder.
        model: the model that is held against the one without transfer.
        floor: the model without transfer.
        classes: C names.
        tag: eight letters that tell this run and this order from any other; with its number it identifies a row.
        rows: int, N_D: the rows' numbers in the target, in the drawn order.
        names: their names.
        says: str, N_D: what the model answers.
        says_floor: str, N_D: what the model without transfer answers.
        total: N: the rows of the target whose label was not given to the training.
        given: how many rows were left out since their label was given to it.
        target: the target as the run saw it, if it had to be loaded.
    """

    run: RunFolder
    model: str
    floor: str
    classes: tuple[str, ...]
    tag: str
    rows: np.ndarray
    names: tuple[str, ...]
    says: np.ndarray
    says_floor: np.ndarray
    total: int
    given: int
    target: Domain | None

    @property
    def size(self) -> int:
        """N_D."""
        return len(self.rows)

    def identity(self, place: int) -> str:
        """What a row is called in files: the tag and its number in the drawn order, from 1."""
        return f"{self.tag}-{place + 1}"

    def outcome(self, place: int, label: str) -> int:
        """Return z of a labelled row: 1 if the model is right, −1 if that without transfer is, else 0."""
        return int(self.says[place] == label) - int(self.says_floor[place] == label)


def draw(
    folder: RunFolder,
    *,
    methods: Mapping[str, type[Adapter]],
    net: nn.Module | str | None = None,
    pictures: bool = True,
) -> Draw:
    """Draw the rows of a finished run that are to be labelled.

    Args:
        folder: the run.
        methods: those that there are, by name.
        net: the network, if it is one of your own and the data have to be loaded for it.
        pictures: load the target if it holds images; without, it is loaded only to know which labels were given.

    Raises:
        RunFolderError: the run is not finished, or there is nothing that labels could settle.
        ForeignFileError: what the run says of its target is damaged.
        DataError, DataChangedError: the data are no longer there, or no longer the same.
    """
    record = folder.read_finished()
    try:
        entry, classes = check_can_be_settled(folder, record), tuple(map(str, record["classes"]))
        rows, images = int(entry["rows"]), len(entry["shape"]) == 3
        labels_given = int(record["target_labels"]["given"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise RunFolderError(f"{folder.path / 'run.json'}: is damaged ({error!r}); restore it, or run again") from error
    model, floor = _judged(folder, record), _floor(folder, record)
    first, second = (read_predictions(folder, name, classes, rows) for name in (model, floor))
    target = _load(folder, record, methods, net) if labels_given or (images and pictures) else None
    trained_on = target.labelled if target is not None else np.zeros(rows, bool)
    differ = np.flatnonzero((first.classes != second.classes) & ~trained_on)
    total = rows - int(trained_on.sum())
    check_enough(folder, (model, floor), len(differ), total, labels_given)
    told = [str(entry.get("fingerprint")), model, first.names, first.classes.tolist(), second.classes.tolist()]
    digest = hashlib.sha256(json.dumps([*told, np.flatnonzero(trained_on).tolist()]).encode()).hexdigest()
    order = differ[np.random.default_rng(int(digest[8:], 16)).permutation(len(differ))]
    return Draw(
        run=folder,
        model=model,
        floor=floor,
        classes=classes,
        tag="".join("bcdfghjklmnpqrst"[int(digit, 16)] for digit in digest[:8]),  # no sheet takes it for a number
        rows=order,
        names=tuple(first.names[row] for row in order),
        says=first.classes[order],
        says_floor=second.classes[order],
        total=total,
        given=rows - total,
        target=target,
    )


def _judged(folder: RunFolder, record: dict[str, Any]) -> str:
    """The model that is held against the floor: of several, the one of which the verdict spoke."""
    others = [name for name in models_in(folder) if name != FLOOR]
    judged = (record.get("choice") or {}).get("judged")
    return judged if judged in others else others[-1]


def _floor(folder: RunFolder, record: dict[str, Any]) -> str:
    """The model without transfer: source only, or what the same target labels gave alone, where the run has it."""
    named = record.get("floor")
    return str(named) if named in models_in(folder) and named != _judged(folder, record) else FLOOR


def check_can_be_settled(folder: RunFolder, record: dict[str, Any]) -> dict[str, Any]:
    """Refuse a run of which labels could settle nothing; return what it says of its target."""
    target: dict[str, Any] | None = record["data"].get("target")
    if "online" in record:
        raise RunFolderError(
            f"{folder.path}: follows a stream and learns from row to row, so there are no two models to compare; "
            "name a run of juyi adapt SOURCE TARGET"
        )
    if target is None:
        raise RunFolderError(f"{folder.path}: has no target; name a run of juyi adapt SOURCE TARGET")
    if record.get("classes") is None:
        raise RunFolderError(
            f"{folder.path}: predicts numbers, of which none is simply right or wrong; score it with --test"
        )
    if set(models_in(folder)) <= {FLOOR} or FLOOR not in models_in(folder):
        raise RunFolderError(f"{folder.path}: has one model, so there is nothing to compare; name a run of a method")
    if record["target_labels"].get("given_to_start"):
        raise RunFolderError(
            f"{folder.path}: its models began with one that had seen target labels, and which is not known; "
            "a verdict on labels that were learnt from is void, so begin with a run without them"
        )
    return target


def check_enough(folder: RunFolder, models: tuple[str, str], differing: int, total: int, given: int) -> None:
    """Refuse where the models hardly differ: the answer is known without a label."""
    both = " and ".join(models)
    rows = f"{total:,} target rows" + (" whose labels were not given" if given else "")
    if differing == 0:
        raise RunFolderError(f"{folder.path}: {both} answer alike on all {rows}, so there is nothing to settle")
    if differing <= margin_rows(NO_MATERIAL_CHANGE, total):
        raise RunFolderError(
            f"{folder.path}: {both} answer differently on {differing:,} of {rows}, so their "
            f"accuracies differ by at most {differing / total * 100:.1f} points whatever the labels are; "
            "there is nothing to settle"
        )


def _load(
    folder: RunFolder, record: dict[str, Any], methods: Mapping[str, type[Adapter]], net: nn.Module | str | None
) -> Domain:
    """Load the target of a run again, as the run saw it: aligned, with the labels that were given, and no other."""
    with folder.resuming_from_record():
        method = methods[record["method"]](**record["hyperparameters"])
        request = replace(Request(**record["request"]), test=None)  # the test is not opened
        began_with = fingerprints_in(record)
    if (Path(request.source) / "run.json").is_file():  # only then is a network built
        method.net = given_again(folder, method.net, net)
    given = prepare(request, method)
    folder.check_unchanged(began_with, given.fingerprints)
    assert given.target is not None
    return given.target
