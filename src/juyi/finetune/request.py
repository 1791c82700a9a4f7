"""What a person asks to be fine-tuned: a backbone, a few labelled rows, and what is looked at besides."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from juyi.data import load, withhold_labels
from juyi.data.classes import adopt_classes
from juyi.data.domain import Domain, data_entries
from juyi.data.doors import check_test
from juyi.data.targets import load_target
from juyi.errors import DataError, SettingError
from juyi.finetune.base import Finetuner, bring
from juyi.training import Served


@dataclass(frozen=True)
class Request:
    """What a person asks for, in words that fit into run.json, so that the run can be resumed and repeated.

    Args:
        backbone: a run, RUN/models/NAME, a named network or module:factory (with weights), hub/NAME.
        few: the name of labelled data; rows without a label are taken as unlabelled.
        labels: a CSV file (name,label) with the labels of some rows of `few`, in the place of those that it has.
        labels_per_class: how many labels of each class are used, drawn by the seed; None for all.
        unlabelled: the name of more rows, for methods that make use of them; labels that they have are not read.
        test: the name of labelled data, scored once, at the end.
        beside: train the same network from scratch beside it, and the same method on the untrained network: what
            transferring must beat.
        curve: numbers of labels a class, separated by commas, for which all are trained as well, for the figure.
        label: the label's column, in tables.
        size: bring all images to this many pixels square first.
        skip_bad: leave out images that cannot be read.
        command: the command line, to be printed in the report.
    """

    backbone: str
    few: str
    labels: str | None = None
    labels_per_class: int | None = None
    unlabelled: str | None = None
    test: str | None = None
    beside: bool = True
    curve: str = ""
    label: str | None = None
    size: int | None = None
    skip_bad: bool = False
    command: str = ""


@dataclass(frozen=True, eq=False)
class Given:
    """What a request names, loaded, brought to one shape, and checked.

    Attributes:
        backbone: the network with which it begins.
        few: the labelled rows.
        every: all labelled rows of the data, of which `few` may be a part.
        unlabelled: rows without labels, or None.
        test: labelled rows to be scored, or None.
        curve: numbers of labels a class.
        fingerprints: what run.json holds under `data`.
    """

    backbone: Served
    few: Domain
    every: Domain
    unlabelled: Domain | None
    test: Domain | None
    curve: tuple[int, ...]
    fingerprints: dict[str, dict[str, Any]]

    def with_labels(self, per_class: int, seed: int) -> Domain:
        """So many labelled rows of each class, drawn by the seed."""
        return draw_labels(self.every, per_class, seed)


def prepare(request: Request, method: Finetuner) -> Given:
    """Find the backbone, load the data, and bring them to its shape.

    Raises:
        DataError: data cannot be read, learnt from or scored on, or are not like the backbone's.
        SettingError: the backbone cannot be used, or an option says nothing that can be done.
        RunFolderError, ForeignFileError: the backbone cannot be read.
    """
    options: dict[str, Any] = {
        "label": request.label, "skip_bad": request.skip_bad, "seed": method.random_state, "size": request.size
    }  # fmt: skip
    loaded = load_few(request, options)
    if loaded.classes is None or not loaded.labelled.any():
        raise DataError(
            f"{loaded.name}: has no labels of classes, but a few are needed; put images into class folders, or name "
            "the column of labels with --label"
        )
    method.set_params(backbone=request.backbone)
    backbone = method.find_backbone(loaded)
    loaded = bring(loaded, backbone)
    every = loaded.select(loaded.labelled)
    per_class = request.labels_per_class
    few = every if per_class is None else draw_labels(every, per_class, method.random_state)
    unlabelled = None
    if request.unlabelled is not None:
        unlabelled = withhold_labels(bring(load(request.unlabelled, **{**options, "label": None}), backbone))
    elif method.takes_unlabelled:
        unlabelled = withhold_labels(loaded) if few.size < loaded.size else None
    test = None
    if request.test is not None:
        test = check_test(adopt_classes(bring(load(request.test, **options), backbone), few), few, unlabelled)
    method.check_data(few, unlabelled)
    curve = read_curve(request.curve, every)
    if curve and test is None:
        raise SettingError(f"--curve {request.curve}: accuracies are those on a test; name labelled data with --test")
    named = {"few": few, "unlabelled": unlabelled, "test": test}
    return Given(backbone, few, every, unlabelled, test, curve, data_entries(named))


def draw_labels(every: Domain, per_class: int, seed: int) -> Domain:
    """So many labelled rows of each class, and no others."""
    drawn = withhold_labels(every, per_class, seed)
    return drawn.select(drawn.labelled)


def load_few(request: Request, options: dict[str, Any]) -> Domain:
    """Load the data with the few labels, from themselves or from a CSV file beside."""
    if request.labels is None:
        return load(request.few, **options)
    loaded = load_target(request.few, options)
    if not loaded.labelled.any():  # so the file alone says what the labels are: classes, for a classifier
        loaded = Domain(
            loaded.x, group=loaded.group, name=loaded.name, row_names=loaded.row_names, columns=loaded.columns,
            notes=loaded.notes,
        )  # fmt: skip
    return withhold_labels(loaded, Path(request.labels), options["seed"])


def read_curve(text: str, every: Domain) -> tuple[int, ...]:
    """Read numbers of labels a class, separated by commas, in rising order.

    Example:
        >>> import numpy as np
        >>> rows = Domain(np.zeros((8, 2), np.float32), np.arange(8) % 2, classes=("a", "b"), name="here")
        >>> read_curve("4, 1", rows)
        (1, 4)
    """
    found = set()
    counts = every.class_counts()
    most = int(counts[counts > 0].min())
    for word in (word.strip() for word in text.split(",")):
        if not word:
            continue
        if not word.isdecimal() or not 1 <= int(word) <= most:
            raise SettingError(
                f"--curve {text}: {word} is no number of labels a class from 1 to {most:,}, which the rarest class of "
                f"{every.name} has"
            )
        found.add(int(word))
    return tuple(sorted(found))
