"""The contract, over every method that discovery finds; and that the contract itself can fail."""

import re
from pathlib import Path
from typing import ClassVar

import pytest
import torch

import juyi
from juyi.adapt import DANN, METHODS, SourceOnly
from juyi.check import CHECKS, check_method
from juyi.training import Pairs, Stage, Turn, label_losses


def test_discovery_finds_every_method():
    folder = Path(juyi.adapt.__file__).parent
    parents, shared = "Adapter|Shallow|JointAlignment|LabelShift", ("shallow", "joint_alignment", "label_shift")
    written = {
        path.stem
        for path in folder.glob("*.py")
        if path.stem not in shared and re.search(rf"^class \w+\(({parents})\):", path.read_text(), re.M)
    }
    assert len(written) >= 14
    assert set(METHODS) == written
    assert len({method.__name__ for method in METHODS.values()}) == len(written)


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("name", METHODS)
def test_method_keeps_the_contract(name, check):
    method = METHODS[name]
    if check in method.exempt:
        pytest.skip(f"{name} is exempt: {method.exempt[check]}")
    CHECKS[check](method)


def test_exemptions_are_few_and_have_reasons():
    exempt = {(name, check) for name, method in METHODS.items() for check in method.exempt}
    weighers = ("bbse", "density_ratio", "kliep", "kmm", "mlls", "rulsif")
    assert exempt == {(name, "learns_a_shift") for name in ("source_only", *weighers)}


class Peeks(SourceOnly):
    """Reads what it must not: a method that the contract has to catch. >>> 1"""

    exempt: ClassVar = {}

    def stages(self, net, source, target):
        torch.manual_seed(int(target.y.sum()) + 1)
        weight = torch.rand(1)

        def losses(batch, progress):
            return {"label": label_losses(net, batch)["label"] * weight}

        yield Stage("learn", over=Pairs(source, None, self.batch), turns=[Turn(losses, [net])], epochs=self.epochs)
        return net


class ForgetsState(SourceOnly):
    """Keeps a running value that it does not declare: resuming must be caught. >>> 1"""

    def stages(self, net, source, target):
        memory = torch.zeros(1)

        def losses(batch, progress):
            memory.add_(1)
            return {"label": label_losses(net, batch)["label"] / memory}

        yield Stage("learn", over=Pairs(source, None, self.batch), turns=[Turn(losses, [net])], epochs=self.epochs)
        return net


class Prints(SourceOnly):
    """Talks while it learns. >>> 1"""

    def stages(self, net, source, target):
        print("look at me")
        return (yield from super().stages(net, source, target))


class Writes(SourceOnly):
    """Opens a file while it learns. >>> 1"""

    def stages(self, net, source, target):
        Path(__file__).read_text()
        return (yield from super().stages(net, source, target))


@pytest.mark.parametrize(
    ("method", "check", "words"),
    [
        (ForgetsState, "resumes_to_the_same_bits", "other bits come out"),
        (Prints, "quiet", "something was printed"),
        (Writes, "quiet", "files were opened"),
        (SourceOnly, "learns_a_shift", "accuracy on the target"),
    ],
)
def test_contract_catches_a_method_that_breaks_it(method, check, words):
    with pytest.raises(AssertionError, match=words):
        CHECKS[check](method)


def test_withheld_labels_are_gone_so_peeking_sees_nothing():
    CHECKS["hidden_labels_are_not_read"](Peeks)


def test_unknown_exemption_is_an_error():
    class Wrong(DANN):
        """Wrong. >>> 1"""

        exempt: ClassVar = {"no_such_check": "because"}

    with pytest.raises(AssertionError, match="do not exist"):
        check_method(Wrong)
