"""Make a model for each of many people out of what all can teach; their rows stay with them.

Every file of this folder that defines a `Personaliser` of its own is a method: it is found by itself, importable from
here under its class name (`juyi.personalize.Ditto`), an option of the command under its file's (`ditto`), and held to
the contract.
"""

from typing import Any

from juyi.personalize.base import Personaliser
from juyi.personalize.request import Request
from juyi.personalize.run import resume, run
from juyi.training.hyperparameters import find_methods

METHODS: dict[str, type[Personaliser]] = find_methods(__name__, __path__, Personaliser)  # type: ignore[type-abstract]
"""Every method by its name on the command line."""

__all__ = ["METHODS", "Personaliser", "Request", "resume", "run", *(m.__name__ for m in METHODS.values())]


def __getattr__(name: str) -> Any:
    for method in METHODS.values():
        if method.__name__ == name:
            return method
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
