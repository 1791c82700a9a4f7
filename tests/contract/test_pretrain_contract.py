"""The contract, over every method of pretraining that discovery finds; and that the contract itself can fail."""

import pytest
import torch

from juyi.check import PRETRAINER_CHECKS, check_method
from juyi.pretrain import METHODS, SimCLR


def test_discovery_finds_every_method():
    assert set(METHODS) == {"byol", "isif", "patches", "simclr", "vicreg"}
    assert len({method.__name__ for method in METHODS.values()}) == len(METHODS)


@pytest.mark.parametrize("check", PRETRAINER_CHECKS)
@pytest.mark.parametrize("name", METHODS)
def test_method_keeps_the_contract(name, check):
    PRETRAINER_CHECKS[check](METHODS[name])


class Collapses(SimCLR):
    """Tells all images alike. >>> 1"""

    def stages(self, net, data):
        def losses(batch, progress):
            return {"nothing": net.features(self.see(batch.x)).square().mean()}

        yield self.stage("shrink", data, losses, trains=[net])
        with torch.no_grad():
            for parameter in net.parameters():
                parameter.zero_()
        return net


@pytest.mark.parametrize(("method", "words"), [(Collapses, "neighbours foretell")])
def test_what_breaks_a_promise_is_caught(method, words):
    with pytest.raises(AssertionError, match=words):
        check_method(method)
