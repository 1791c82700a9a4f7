"""Where teachers come from: a run, weights with their factory, an exported program, ONNX, the hub, a module."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from juyi.data.classes import adopt_classes
from juyi.data.domain import Domain
from juyi.distill.teacher import Teacher
from juyi.errors import ClassesDifferError, DataError, SettingError
from juyi.nets import Inputs, Network, Standardise
from juyi.training import Served, read_run


def as_teacher(teacher: Any) -> Teacher:
    """Return what a person names as a teacher: a `Teacher`, a trained model, or the folder of a run.

    Raises:
        SettingError: there is none, or it cannot be a teacher.
    """
    if isinstance(teacher, Teacher):
        return teacher
    if isinstance(teacher, Served):
        return of_served(teacher, "the teacher")
    if hasattr(teacher, "_served"):  # a fitted method of Juyi
        return of_served(teacher._served(), type(teacher).__name__)
    if isinstance(teacher, str | Path):
        return of_served(read_run(str(teacher)), str(teacher))
    raise SettingError(f"teacher: is {teacher!r}; give a run's folder, a fitted method, or a juyi.distill.Teacher")


def of_served(served: Served, name: str) -> Teacher:
    """Return the model of a run as a teacher."""
    if served.tells_numbers:
        raise SettingError(f"{name}: tells numbers, and distillation is for classes; name another run")
    return Teacher(
        served.net, served.shape, served.classes.tolist(), name=name, scale=scale_of(served.net), columns=served.columns
    )


def scale_of(net: nn.Module) -> Standardise | None:
    """How a network standardises its rows; None where it does not say."""
    layer = net.standardise if isinstance(net, Network) else None
    layer = layer.scale if isinstance(layer, Inputs) else layer
    return layer if isinstance(layer, Standardise) else None


def fit_classes(domain: Domain, teacher: Teacher) -> Domain:
    """Give data the teacher's classes, matched by name.

    Raises:
        DataError: their labels are numbers.
        ClassesDifferError: they have classes that the teacher does not know.
    """
    if domain.classes is None and domain.labelled.any():
        raise DataError(f"{domain.name}: its labels are numbers, and distillation is for classes")
    known = Domain(domain.x[:1], classes=teacher.classes, name="the teacher")
    adopted = adopt_classes(domain, known)
    if adopted.classes == teacher.classes:
        return adopted
    if domain.labelled.any():
        raise ClassesDifferError(
            f"{domain.name}: its classes ({', '.join((domain.classes or ())[:10])}) are not the teacher's "
            f"({', '.join(teacher.classes[:10])}); name them alike, or leave the labels out"
        )
    return replace(domain, classes=teacher.classes)
