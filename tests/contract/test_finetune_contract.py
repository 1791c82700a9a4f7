"""The contract, over every method of fine-tuning that discovery finds; and that the contract itself can fail."""

from typing import ClassVar

import pytest
import torch

from juyi.check import FINETUNER_CHECKS, check_method
from juyi.finetune import METHODS, Linear

NAMES = {
    "auto", "fixmatch", "full", "gradual", "knn", "l2sp", "linear", "lora", "lp_ft", "mlp", "nearest_centroid",
    "ridge",
}  # fmt: skip


def test_discovery_finds_every_method():
    assert set(METHODS) == NAMES
    assert len({method.__name__ for method in METHODS.values()}) == len(METHODS)


@pytest.mark.parametrize("check", FINETUNER_CHECKS)
@pytest.mark.parametrize("name", METHODS)
def test_method_keeps_the_contract(name, check):
    FINETUNER_CHECKS[check](METHODS[name])


class Moves(Linear):
    """Says that it is frozen, and moves a weight of the body. >>> 1"""

    def stages(self, net, few, unlabelled):
        with torch.no_grad():
            next(net.body.parameters()).add_(1e-3)
        return (yield from super().stages(net, few, unlabelled))


class Learns(Linear):
    """Says that the seed makes a difference. >>> 1"""

    draws: ClassVar[bool] = True


@pytest.mark.parametrize(("method", "words"), [(Moves, "says it is frozen"), (Learns, "draws is True")])
def test_what_breaks_a_promise_is_caught(method, words):
    with pytest.raises(AssertionError, match=words):
        check_method(method)
