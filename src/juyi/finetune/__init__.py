"""Make a classifier of a backbone and a few labels.

Every file of this folder that defines a `Finetuner` of its own is a method: it is found by itself, importable from
here under its class name (`juyi.finetune.Linear`), an option of the command under its file's (`linear`), and held to
the contract.
"""

from typing import Any

from juyi.finetune.base import Finetuner
from juyi.finetune.request import Request
from juyi.finetune.run import resume, run
from juyi.finetune.suggest import suggest
from juyi.training.hyperparameters import find_methods

METHODS: dict[str, type[Finetuner]] = find_methods(__name__, __path__, Finetuner)  # type: ignore[type-abstract]
"""Every method by its name on the command line."""

__all__ = ["METHODS", "Finetuner", "Request", "resume", "run", "suggest", *(m.__name__ for m in METHODS.values())]


def __getattr__(name: str) -> Any:
    for method in METHODS.values():
        if method.__name__ == name:
            return method
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
