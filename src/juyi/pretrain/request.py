"""What a person asks to be pretrained: images by name, and labelled ones to watch it by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from juyi.data import conform, hold_out, load, withhold_labels
from juyi.data.classes import adopt_classes
from juyi.data.domain import Domain, data_entries
from juyi.data.doors import check_test
from juyi.errors import DataError, SettingError
from juyi.pretrain.base import Pretrainer


@dataclass(frozen=True)
class Request:
    """What a person asks for, in words that fit into run.json, so that the run can be resumed and repeated.

    Args:
        images: the name of the images to learn from; labels that they have are not read.
        watch: the name of labelled images by which the features are watched while they are learnt; no gradient and no
            choice ever comes from them.
        test: the name of labelled images, scored once, at the end, by the votes of all of `watch`.
        label: the label's column, in tables.
        size: bring all images to this many pixels square first.
        skip_bad: leave out images that cannot be read.
        command: the command line, to be printed in the report.
    """

    images: str
    watch: str | None = None
    test: str | None = None
    label: str | None = None
    size: int | None = None
    skip_bad: bool = False
    command: str = ""


@dataclass(frozen=True, eq=False)
class Given:
    """What a request names, loaded and checked.

    Attributes:
        images: what is learnt from, its labels erased.
        known: labelled rows that vote; None if there is nothing to watch by.
        asked: labelled rows whose class they foretell.
        test: labelled rows to be scored at the end, or None.
        fingerprints: what run.json holds under `data`.
    """

    images: Domain
    known: Domain | None
    asked: Domain | None
    test: Domain | None
    fingerprints: dict[str, dict[str, Any]]


def prepare(request: Request, method: Pretrainer) -> Given:
    """Load the data and bring them to one shape.

    Raises:
        DataError: data cannot be read, learnt from or scored on.
        SettingError: an option says nothing that can be done.
    """
    options: dict[str, Any] = {
        "label": request.label, "skip_bad": request.skip_bad, "seed": method.random_state, "size": request.size
    }  # fmt: skip
    if request.test is not None and request.watch is None:
        raise SettingError(
            f"--test {request.test}: features are scored by the votes of labelled images; name some with --watch"
        )
    images = withhold_labels(load(request.images, **{**options, "label": None}))
    method.check_data(images)
    watch = None if request.watch is None else _labelled(request.watch, images, options)
    known, asked = (None, None) if watch is None else hold_out(watch, 0.2, 5_000, method.random_state)
    test = None
    if request.test is not None and watch is not None:
        loaded = conform(load(request.test, **options), images.x.shape[1:])
        test = check_test(adopt_classes(loaded, watch), watch, images)
        known = watch
    return Given(images, known, asked, test, data_entries({"images": images, "watch": watch, "test": test}))


def _labelled(name: str, images: Domain, options: dict[str, Any]) -> Domain:
    watch = conform(load(name, **options), images.x.shape[1:])
    if watch.classes is None or (watch.class_counts() > 0).sum() < 2:
        raise DataError(f"--watch {name}: labelled images of two classes or more are needed; it is to watch by, alone")
    return watch.select(watch.labelled)
