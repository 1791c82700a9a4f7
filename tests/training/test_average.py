"""The moving average of the weights: its closed form, its beginning, and what a killed run goes on with."""

import copy

import numpy as np
import pytest
import torch
from toys import Clock, Killed, bits, domain, network, same

from juyi.adapt import ADDA, DANN, SHOT, AdaMatch
from juyi.check.adapter import given, small
from juyi.check.common import shifted_domains, weights
from juyi.training import Checkpoint, WeightAverage


def follow(decay, steps):
    """An average after some steps of random weights, and all the weights that it has seen, first to last."""
    net = network(domain())
    average, seen = WeightAverage(net, decay), [bits(net)]
    generator = torch.Generator().manual_seed(0)
    for _ in range(steps):
        with torch.no_grad():
            for p in net.parameters():
                p.copy_(torch.randn(p.shape, generator=generator))
        average.update()
        seen.append(bits(net))
    return average, seen


@pytest.mark.parametrize("decay", [0.0, 0.3, 0.9, 0.999])
@pytest.mark.parametrize("steps", [1, 2, 5, 40])
def test_closed_form(decay, steps):
    """The weights of step s count (1 − d_s) d_{s+1} ... d_T, and those at the start d_1 ... d_T."""
    average, seen = follow(decay, steps)
    d = [min(decay, t / (t + 9)) for t in range(1, steps + 1)]
    counts = [float(np.prod(d))] + [(1 - d[s]) * float(np.prod(d[s + 1 :])) for s in range(steps)]
    assert sum(counts) == pytest.approx(1)
    for name, value in average.net.named_parameters():
        expected = sum(count * weight[name].double() for count, weight in zip(counts, seen, strict=True))
        torch.testing.assert_close(value.double(), expected, atol=1e-5, rtol=1e-4)


def test_the_start_does_not_linger():
    """After one step a tenth of it is left, whatever the decay; with a fixed decay of .999 it would be 999 parts."""
    average, (first, last) = follow(0.999, 1)
    value = average.net.head.weight
    torch.testing.assert_close(value, 0.1 * first["head.weight"] + 0.9 * last["head.weight"])
    assert average.steps == 1


def test_no_decay_is_the_network_itself_and_a_network_at_rest_is_its_own_average():
    average, seen = follow(0.0, 3)
    assert same(bits(average.net), seen[-1])
    net = network(domain())
    average = WeightAverage(net, 0.99)
    for _ in range(20):
        average.update()
    for mine, other in zip(average.net.parameters(), net.parameters(), strict=True):
        torch.testing.assert_close(mine, other, atol=1e-7, rtol=1e-6)


def test_running_statistics_are_copied():
    net = network(domain())
    average = WeightAverage(net, 0.9)
    net.train()
    for _ in range(3):
        net(torch.from_numpy(domain().x))
    before = bits(average.net)
    average.update()
    found, live = bits(average.net), bits(net)
    names = [name for name, _ in net.named_buffers()]
    assert any("running_mean" in name for name in names) and any("num_batches" in name for name in names)
    assert all(torch.equal(found[name], live[name]) for name in names)
    assert not all(torch.equal(found[name], before[name]) for name in names)


def test_the_average_is_a_copy_until_it_is_taken():
    average, seen = follow(0.9, 4)
    live = average.live
    assert same(bits(live), seen[-1])
    shared = {p.data_ptr() for p in live.parameters()} & {p.data_ptr() for p in average.net.parameters()}
    assert not shared
    mean = bits(average.net)
    average.take()
    assert same(bits(live), mean)
    assert all(p.grad is None and p.requires_grad for p in live.parameters())


def test_state_goes_on_where_it_was():
    one, _ = follow(0.999, 7)
    other = WeightAverage(one.live, 0.999)
    other.net = copy.deepcopy(one.net)
    other.load_state_dict(one.state_dict())
    with torch.no_grad():
        one.live.head.weight.add_(1)
    one.update(), other.update()
    assert same(bits(one.net), bits(other.net))


SOURCE, LABELLED = shifted_domains(rows=120)


def learnt(method, average, **more):
    target = given(method, LABELLED)
    return small(method, average=average).learn(SOURCE, target, **more)


def test_the_average_serves_and_the_training_is_the_same():
    """Of one stage: other weights, but the running statistics of the network that was trained all the same."""
    with_average, without = (weights(learnt(DANN, decay)) for decay in (0.9, 0.0))
    names = dict(learnt(DANN, 0.0).net_.named_buffers())
    assert names and all(torch.equal(with_average[name], without[name]) for name in names)
    assert not any(torch.equal(with_average[name], without[name]) for name in without if name not in names)


@pytest.mark.parametrize("method", [DANN, ADDA, SHOT, AdaMatch])
def test_killed_and_resumed_the_average_has_the_same_bits(method, tmp_path):
    clock = Clock()
    whole = weights(learnt(method, 0.9, watcher=clock))
    for number, at in enumerate((2, clock.count // 2, clock.count - 1)):
        folder = tmp_path / str(number)
        with pytest.raises(Killed):
            learnt(method, 0.9, watcher=Clock(at), checkpoint=Checkpoint(folder, every=0.0))
        resumed = learnt(method, 0.9, checkpoint=Checkpoint(folder, every=0.0))
        assert same(whole, weights(resumed)), f"killed at {at} of {clock.count}"
    assert not same(whole, weights(learnt(method, 0.0)))
