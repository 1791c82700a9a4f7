"""What changes is stored once and put back in place."""

import pytest
import torch
from torch import nn
from toys import Memory

from juyi.errors import ForeignFileError
from juyi.runs.files import read_tensors, write_tensors
from juyi.training.state import State


def state(*owners):
    found = State()
    found.see(owners)
    return found


def through_a_file(tmp_path, one):
    write_tensors(tmp_path / "s", one.tensors(), {"plain": one.plain()})
    tensors, note = read_tensors(tmp_path / "s")
    return tensors, note["plain"]


def test_a_tensor_that_modules_share_stands_once():
    net = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    bare = torch.ones(3)
    found = state(net, nn.Sequential(net[0], nn.Linear(2, 1)), bare, net[0], bare)
    assert list(found.tensors()) == ["0.0.weight", "0.0.bias", "1.1.weight", "1.1.bias", "2.tensor"]
    assert len(found.owners) == 4  # the same object is one owner


def test_empty_tensors_are_not_taken_for_each_other():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("a", torch.zeros(0))
            self.register_buffer("b", torch.zeros(0))

    assert list(state(Two()).tensors()) == ["0.a", "0.b"]


def test_values_are_put_back_in_place_for_whoever_holds_them(tmp_path):
    net, bare = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)), torch.arange(3.0)
    net.to(memory_format=torch.channels_last)
    holder, view = net[0].weight, net[0].bias.detach()[:2]
    one = state(net, bare)
    before = {k: v.clone() for k, v in one.tensors().items()}
    stored = through_a_file(tmp_path, one)
    net(torch.randn(5, 3, 6, 6))
    with torch.no_grad():
        for value in one.tensors().values():
            value.copy_(torch.full_like(value, 9))
    one.load(*stored)
    assert all(torch.equal(before[k], v) for k, v in one.tensors().items())
    assert net[0].weight is holder and holder.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(view, net[0].bias[:2])
    assert net[1].num_batches_tracked == 0 and holder.requires_grad


def test_things_with_a_state_dict_keep_tensors_and_plain_values(tmp_path):
    memory = Memory()
    memory.bank, memory.seen = torch.rand(2, 3), 7
    memory.extra = {"names": ["a", "b"], "share": 0.1, "nothing": None}
    stored = through_a_file(tmp_path, state(nn.Linear(1, 1), memory))
    empty = Memory()
    state(nn.Linear(1, 1), empty).load(*stored)
    assert torch.equal(empty.bank, memory.bank) and empty.seen == 7 and empty.extra == memory.extra


def test_a_memory_that_has_grown_comes_back_as_large(tmp_path):
    """Pseudo-labels, centres: empty when made, so their shape differs at a resume; this used to be an error."""
    memory = Memory()
    memory.bank = torch.rand(5, 2)
    memory.extra["late"] = torch.ones(4)
    stored = through_a_file(tmp_path, state(memory))
    fresh = Memory()
    state(fresh).load(*stored)
    assert torch.equal(fresh.bank, memory.bank) and torch.equal(fresh.extra["late"], torch.ones(4))


def test_a_memory_that_holds_a_weight_of_the_network(tmp_path):
    """Its entry used to be stored under the network's name only, so that loading failed with a KeyError."""
    net, memory = nn.Linear(2, 2), Memory()
    memory.bank = net.weight.data
    stored = through_a_file(tmp_path, state(net, memory))
    fresh = Memory()
    state(nn.Linear(2, 2), fresh).load(*stored)
    assert torch.equal(fresh.bank, net.weight)


def test_more_than_ten_owners_are_not_mixed_up(tmp_path):
    memories = [Memory() for _ in range(12)]
    for number, memory in enumerate(memories):
        memory.seen = number
        memory.extra[f"{number}.x"] = number
    stored = through_a_file(tmp_path, state(*memories))
    fresh = [Memory() for _ in range(12)]
    state(*fresh).load(*stored)
    assert [m.seen for m in fresh] == list(range(12))
    assert [m.extra for m in fresh] == [{f"{n}.x": n} for n in range(12)]


def test_another_method_or_network_is_told():
    net = nn.Linear(2, 2)
    stored = state(net).tensors()
    with pytest.raises(ForeignFileError, match=r"tensor 0.weight has shape \(2, 2\), not \(2, 3\)"):
        state(nn.Linear(3, 2)).load(stored, {})
    with pytest.raises(ForeignFileError, match=r"tensor 0.0.weight is missing; it belongs to another method"):
        state(nn.Sequential(nn.Linear(2, 2))).load(stored, {})
    with pytest.raises(ForeignFileError, match=r"has shape"):
        state(torch.zeros(2)).load({"0.tensor": torch.zeros(1, 2)}, {})
