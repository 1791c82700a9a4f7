"""Learn from labelled examples there and unlabelled ones here: methods of domain adaptation.

Every file of this folder that defines an `Adapter` of its own is a method: it is found by itself, importable from
here under its class name (`juyi.adapt.DANN`), an option of the command under its file's (`dann`), and held to the
contract.
"""

from typing import Any

from juyi.adapt.base import Adapter
from juyi.adapt.request import Request
from juyi.adapt.run import resume, run
from juyi.adapt.unknown import predict_unknown
from juyi.training.hyperparameters import find_methods

METHODS: dict[str, type[Adapter]] = find_methods(__name__, __path__, Adapter)  # type: ignore[type-abstract]
"""Every method by its name on the command line."""

__all__ = ["METHODS", "Adapter", "Request", "predict_unknown", "resume", "run", *(m.__name__ for m in METHODS.values())]


def __getattr__(name: str) -> Any:
    for method in METHODS.values():
        if method.__name__ == name:
            return method
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
