"""The contract, over every method of personalisation that discovery finds; and that the contract itself can fail."""

import numpy as np
import pytest
import torch

from juyi.check import PERSONALISER_CHECKS, check_method
from juyi.personalize import METHODS, FedAvg, Local

NAMES = (
    "apfl", "auto", "ditto", "fedala", "fedavg", "fedavg_ft", "fedbabu", "fedbn", "feddbe", "fedper", "fedproto",
    "fedprox", "fedrep", "knn_per", "local", "scaffold",
)  # fmt: skip


def test_discovery_finds_every_method():
    assert tuple(METHODS) == NAMES
    assert len({method.__name__ for method in METHODS.values()}) == len(METHODS)


@pytest.mark.parametrize("check", PERSONALISER_CHECKS)
@pytest.mark.parametrize("name", METHODS)
def test_method_keeps_the_contract(name, check):
    if check not in METHODS[name].exempt:
        PERSONALISER_CHECKS[check](METHODS[name])


def test_what_is_exempt_has_a_reason_and_exists():
    exempt = {(name, check) for name, method in METHODS.items() for check in method.exempt}
    assert exempt == {("auto", "held_out_rows_are_not_learnt_from"), ("auto", "resumes_to_the_same_bits")}


class Peeks(FedAvg):
    """Learns from the rows that are held out. >>> 1"""

    def local_update(self, client, shared):
        client.load(shared["model"])
        client.learn(over=client.held_out)
        return {"model": client.model.copy("all")}


class Forgets(Local):
    """Keeps what is its own where no checkpoint sees it. >>> 1"""

    def local_update(self, client, shared):
        self.kept = getattr(self, "kept", {})
        client.load(self.kept.get(client.number, client.beginning))
        client.learn()
        self.kept[client.number] = client.own["model"] = client.model.copy("all")
        return {}


class Draws(FedAvg):
    """Takes randomness that has no key. >>> 1"""

    def local_update(self, client, shared):
        return {"model": super().local_update(client, shared)["model"] + float(np.random.rand()) * 1e-3}


class Stirs(FedAvg):
    """Leaves torch's global state stirred. >>> 1"""

    def personalize(self, client, shared):
        torch.rand(1)
        super().personalize(client, shared)


@pytest.mark.parametrize(
    ("method", "words"),
    [
        (Peeks, "rows that were held out have been learnt from"),
        (Forgets, "other bits come out"),
        (Draws, "two fits with one seed differ"),
        (Stirs, "torch's global state has changed"),
    ],
)
def test_what_breaks_a_promise_is_caught(method, words):
    with pytest.raises(AssertionError, match=words):
        check_method(method)
