"""Frozen parts: which they are, what is said of them, and that no bit of them moves."""

import copy

import pytest
import torch
from torch import nn

from juyi.errors import SettingError
from juyi.nets import build_network, freeze, frozen_parts, trainable


def images(rows=8, seed=0):
    return torch.randint(0, 256, (rows, 1, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def test_parts_and_all_below_them_are_frozen_and_counted():
    net = build_network("lenet5", images(), 3, batch_norm="domain", freeze=" body.0, body.1 ")
    frozen = (5 * 5 * 6 + 6) + (6 + 6)
    assert net.notes == (
        f"frozen: body.0, body.1, {frozen} of {sum(p.numel() for p in net.parameters()):,} parameters",
    )
    assert {id(part) for part in frozen_parts(net)} == {id(net.body[0]), id(net.body[1])}
    assert sum(p.numel() for p in trainable(net)) == sum(p.numel() for p in net.parameters()) - frozen
    assert len(frozen_parts(copy.deepcopy(net))) == 2
    assert frozen_parts(build_network(net, images(), 3)) == []  # to begin anew is to begin unfrozen


def test_names_are_whole_names():
    net = build_network("lenet5", images(), 3, freeze="body.1")
    assert len(frozen_parts(net)) == 1  # and not body.10, body.11


@pytest.mark.parametrize(
    "names, words",
    [
        ("boddy", "did you mean body?"),
        ("body.99", "--freeze body.99: the network has no such part; "),
        ("body.0,had", "did you mean head?"),
        ("features", "parts are body, head"),
        ("norm.weight", "parts are body, head"),
        ("body,head", "would leave nothing to train"),
        ("", "names no part; parts are body, head"),
    ],
)
def test_what_cannot_be_frozen(names, words):
    with pytest.raises(SettingError) as caught:
        build_network("lenet5", images(), 3, freeze=names)
    assert words in str(caught.value)


def test_a_wrong_name_deep_in_a_network_is_answered_by_what_is_there():
    class Deep(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = nn.ModuleDict({"embeddings": nn.Linear(4, 4), "layer": nn.Linear(4, 4)})
            self.top = nn.Linear(4, 3)

        def forward(self, x):
            return self.top(self.encoder["layer"](self.encoder["embeddings"](x)))

    net = build_network(Deep(), torch.randn(5, 4), 3)
    with pytest.raises(SettingError, match=r"did you mean body.encoder.embeddings\?"):
        freeze(net, "body.encoder.embedings")
    with pytest.raises(SettingError, match=r"parts are body.encoder.embeddings, body.encoder.layer"):
        freeze(net, "body.encoder.xyz.0")


def test_a_parameter_that_a_frozen_part_shares_is_frozen():
    net = build_network(nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 3)), torch.randn(5, 4), 3)
    net.body[1].weight = net.body[0].weight
    freeze(net, "body.0")
    assert not any(p is net.body[0].weight for p in trainable(net))
