"""The contract, over every method of distillation that discovery finds; and that the contract itself can fail."""

from typing import ClassVar

import pytest
import torch

from juyi.check import DISTILLER_CHECKS, check_method
from juyi.distill import METHODS, Hinton
from juyi.training import Single, Stage, Turn


def test_discovery_finds_every_method():
    assert set(METHODS) == {"aaa", "class_impressions", "dafl", "dfad", "dfq", "hinton", "specialists", "zskd"}
    assert len({method.__name__ for method in METHODS.values()}) == len(METHODS)


@pytest.mark.parametrize("check", DISTILLER_CHECKS)
@pytest.mark.parametrize("name", METHODS)
def test_method_keeps_the_contract(name, check):
    method = METHODS[name]
    if check in method.exempt:
        pytest.skip(f"{name} is exempt: {method.exempt[check]}")
    DISTILLER_CHECKS[check](method)


class ChangesItsTeacher(Hinton):
    """Moves a weight of its teacher: a method that the contract has to catch. >>> 1"""

    def stages(self, teacher, student, data):
        with torch.no_grad():
            teacher.last.bias.add_(0.5)
        return (yield from super().stages(teacher, student, data))


class IgnoresItsTeacher(Hinton):
    """Learns nothing of its teacher. >>> 1"""

    def stages(self, teacher, student, data):
        def losses(batch, progress):
            return {"nothing": student(batch.x).square().mean()}

        yield Stage("learn", over=Single(data, self.batch), turns=[Turn(losses, [student])], epochs=1)
        return student


class Exempt(IgnoresItsTeacher):
    """Names a check that does not exist. >>> 1"""

    exempt: ClassVar = {"no_such_check": "never"}


@pytest.mark.parametrize(
    ("method", "words"),
    [
        (ChangesItsTeacher, "weights have changed"),
        (IgnoresItsTeacher, "agrees with its teacher"),
        (Exempt, "do not exist"),
    ],
)
def test_the_contract_can_fail(method, words):
    with pytest.raises(AssertionError, match=words):
        check_method(method)
