"""Teach a small network what a large one knows: methods of distillation, with data and without.

Every file of this folder that defines a `Distiller` of its own is a method: it is found by itself, importable from
here under its class name (`juyi.distill.Hinton`), an option of the command under its file's (`hinton`), and held to
the contract.
"""

from typing import Any

from juyi.distill.base import Distiller
from juyi.distill.bias import correct_bias
from juyi.distill.request import Request
from juyi.distill.run import resume, run
from juyi.distill.teacher import Teacher
from juyi.distill.teachers import Ensemble, TeacherOptions, doubt_teacher, read_teacher
from juyi.training.hyperparameters import find_methods

METHODS: dict[str, type[Distiller]] = find_methods(__name__, __path__, Distiller)  # type: ignore[type-abstract]
"""Every method by its name on the command line."""

__all__ = [
    "METHODS",
    "Distiller",
    "Ensemble",
    "Request",
    "Teacher",
    "TeacherOptions",
    "correct_bias",
    "doubt_teacher",
    "read_teacher",
    "resume",
    "run",
    *(m.__name__ for m in METHODS.values()),
]


def __getattr__(name: str) -> Any:
    for method in METHODS.values():
        if method.__name__ == name:
            return method
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
