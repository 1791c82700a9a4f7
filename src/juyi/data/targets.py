"""The target at the door: its file may lack the column of labels, and labels that are not given are erased."""

from __future__ import annotations

from typing import Any

from juyi.data.classes import adopt_classes, for_regression
from juyi.data.domain import Domain
from juyi.data.loading import load
from juyi.data.splits import withhold_labels
from juyi.data.tables import LabelColumnMissingError
from juyi.errors import DataError, SettingError


def load_target(name: str, options: dict[str, Any]) -> Domain:
    """Load the target; a table of it may lack the column of labels, since none of them need be there."""
    try:
        return load(name, **options)
    except LabelColumnMissingError:
        return load(name, **{**options, "label": None})


def give_labels(target: Domain, wanted: str, source: Domain, seed: int) -> Domain:
    """Erase the target's labels, except those that the person gives with `--target-labels`."""
    if source.classes is None and source.labelled.any():
        if wanted.lstrip("+-0"):
            target = for_regression(target, source)
    elif not target.labelled.all():  # rows without a label may be of any class of the source
        target = adopt_classes(target, source)
    return withhold(target, wanted, seed)


def withhold(target: Domain, wanted: str, seed: int) -> Domain:
    """Erase the target's labels, except those that `--target-labels` gives."""
    try:
        given = withhold_labels(target, wanted, seed)
    except SettingError as error:
        raise SettingError(f"--target-labels: {error}") from error
    if wanted.lstrip("+-0") and not given.labelled.any():
        raise DataError(f"--target-labels {wanted}: {target.name} holds no label that could be given; drop the option")
    return given
