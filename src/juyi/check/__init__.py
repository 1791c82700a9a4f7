"""The contract: what every method is held to, and what a stranger can hold a method of his own to.

    from juyi.check import check_method
    check_method(MyMethod)

Each check is a function `check_...` of the room's own file; a method that cannot keep one says so, with a reason, in
its class attribute `exempt`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from juyi.check.adapter import CHECKS
from juyi.check.distiller import DISTILLER_CHECKS
from juyi.check.finetuner import FINETUNER_CHECKS
from juyi.check.personaliser import PERSONALISER_CHECKS
from juyi.check.pretrainer import PRETRAINER_CHECKS
from juyi.distill import Distiller
from juyi.finetune import Finetuner
from juyi.personalize import Personaliser
from juyi.pretrain import Pretrainer
from juyi.training import Learner

__all__ = [
    "CHECKS", "DISTILLER_CHECKS", "FINETUNER_CHECKS", "PERSONALISER_CHECKS", "PRETRAINER_CHECKS", "check_method"
]  # fmt: skip


def check_method(method: type[Learner]) -> list[str]:
    """Hold a method to the contract, and return the names of the checks that it passed.

    Checks that the class attribute `exempt` names (with a reason) are left out.

    Args:
        method: the class of the method.

    Raises:
        AssertionError: a promise is not kept; the message says which and how.

    Example:
        >>> from juyi.adapt import SourceOnly
        >>> "seed" in check_method(SourceOnly)
        True
    """
    rooms: dict[type[Learner], Mapping[str, Callable[[Any], None]]] = {
        Distiller: DISTILLER_CHECKS, Finetuner: FINETUNER_CHECKS, Personaliser: PERSONALISER_CHECKS,
        Pretrainer: PRETRAINER_CHECKS,
    }  # fmt: skip
    checks = next((checks for room, checks in rooms.items() if issubclass(method, room)), CHECKS)
    unknown = set(method.exempt) - set(checks)
    assert not unknown, f"{method.__name__}.exempt names checks that do not exist: {sorted(unknown)}"
    passed = []
    for name, check in checks.items():
        if name in method.exempt:
            continue
        try:
            check(method)
        except AssertionError as error:
            raise AssertionError(f"{method.__name__}, {name}: {error}") from error
        passed.append(name)
    return passed
