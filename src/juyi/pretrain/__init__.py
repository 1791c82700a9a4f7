"""Make a backbone of images without labels.

Every file of this folder that defines a `Pretrainer` of its own is a method: it is found by itself, importable from
here under its class name (`juyi.pretrain.ISIF`), an option of the command under its file's (`isif`), and held to the
contract.
"""

from typing import Any

from juyi.pretrain.base import Pretrainer
from juyi.pretrain.request import Request
from juyi.pretrain.run import resume, run
from juyi.training.hyperparameters import find_methods

METHODS: dict[str, type[Pretrainer]] = find_methods(__name__, __path__, Pretrainer)  # type: ignore[type-abstract]
"""Every method by its name on the command line."""

__all__ = ["METHODS", "Pretrainer", "Request", "resume", "run", *(m.__name__ for m in METHODS.values())]


def __getattr__(name: str) -> Any:
    for method in METHODS.values():
        if method.__name__ == name:
            return method
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
