"""Work on a stream: images come in order, each is answered once, and the model follows what changes.

Every file of this folder that defines an `OnlineAdapter` of its own is a method of `juyi adapt RUN --online STREAM`:
it is found by itself, importable from here under its class name, and held to the contract of `tests/adapt`.
"""

from typing import Any

from juyi.adapt.online.base import Answer, OnlineAdapter
from juyi.adapt.online.request import Request
from juyi.adapt.online.run import resume, run
from juyi.training.hyperparameters import find_methods

METHODS: dict[str, type[OnlineAdapter]] = find_methods(__name__, __path__, OnlineAdapter)  # type: ignore[type-abstract]
"""Every online method by its name on the command line."""

__all__ = ["METHODS", "Answer", "OnlineAdapter", "Request", "resume", "run", *(m.__name__ for m in METHODS.values())]


def __getattr__(name: str) -> Any:
    for method in METHODS.values():
        if method.__name__ == name:
            return method
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
