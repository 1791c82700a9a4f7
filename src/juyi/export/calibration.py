"""Rows by which activations get their range: real ones, those that the run has made, or made now from the model."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from rich.console import Console

from juyi.data import load
from juyi.data.domain import Domain
from juyi.distill.class_impressions import ClassImpressions
from juyi.distill.teachers import as_teacher
from juyi.errors import SettingError
from juyi.runs import RunFolder
from juyi.training import Served
from juyi.training.watchers import Bar

IMPRESSIONS = "impressions"
MADE = 200
"""Impressions that are made where the run has none: the range of a value is found from few."""


def calibration_rows(folder: RunFolder, served: Served, name: str, options: dict[str, Any], console: Console) -> Domain:
    """Return the rows that `name` says, brought to the shape of the model; their labels count for nothing.

    Args:
        folder: the run; the impressions of a distillation without data are there.
        served: its model.
        name: of data, or `impressions`.
        options: how data are read.
        console: where progress is shown.

    Raises:
        DataError: there are no such data, or they are of another kind.
        SettingError: the model has no classes of which there could be impressions.
    """
    if name != IMPRESSIONS:
        return served.fit_shape(load(name, **options))
    place = folder.path / "impressions.npz"
    if place.is_file():
        return served.fit_shape(load(str(place)))
    if not served.classes.size:
        raise SettingError(
            "--calibrate impressions: are of classes, and the model knows none; name data, such as those it learnt from"
        )
    settings: dict[str, Any] = {"impressions": MADE, "at_once": MADE, "epochs": 1, "device": "cpu"}
    method = ClassImpressions(student="auto", **settings)
    console.print(f"no data to calibrate with: making {MADE} impressions from the model itself", highlight=False)
    bar = Bar(console, "impressions")
    try:
        method.learn(as_teacher(served), None, watcher=bar)
    finally:
        bar.close()
    return replace(method.impressions_, name="impressions of the model")
