"""Statistics of batch norm from other rows, against mean and variance by hand; and modes that come back."""

import numpy as np
import pytest
import torch
from torch import nn
from toys import CPU, bits, domain, network

from juyi.data import Domain
from juyi.nets import SOURCE, TARGET, DomainBatchNorm, build_network, freeze
from juyi.training import Rows, estimate_statistics
from juyi.training.serving import compute

TOLERANCE = {"atol": 1e-5, "rtol": 1e-4}


class Deep(nn.Module):
    """Two layers of batch norm, the second of which sees what the first makes; one more in the head; dropout."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(4, 5), nn.BatchNorm1d(5, momentum=0.3), nn.ReLU(), nn.Dropout(0.5), nn.Linear(5, 3),
            nn.BatchNorm1d(3), nn.Tanh(),
        )  # fmt: skip
        self.head, self.width = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 2)), 3


def features(n, seed=0, shift=0.0):
    random = np.random.default_rng(seed)
    return Domain((3 * random.normal(size=(n, 4)) + shift).astype(np.float32), np.arange(n) % 2, classes=("a", "b"))


def rows(n, seed=1, shift=5.0):
    return Rows(features(n, seed, shift), CPU)


def deep(batch_norm="shared", seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build_network(Deep(), torch.from_numpy(features(40).x), 2, batch_norm=batch_norm)


def normalised(layer, z):
    """Batch norm by the batch's own mean and variance."""
    z = (z - z.mean(0)) / (z.var(0, unbiased=False) + layer.eps).sqrt()
    return z * layer.weight + layer.bias


@torch.no_grad()
def by_hand(net, x):
    """Mean and variance (with N − 1) of what comes into each of the three layers, one batch."""
    body, (head_norm, _) = net.body, net.head
    found, z = [], body[0](net.standardise(x))
    found.append((z.mean(0), z.var(0)))
    z = body[4](normalised(body[1], z).relu())  # dropout is off
    found.append((z.mean(0), z.var(0)))
    z = normalised(body[5], z).tanh()
    found.append((z.mean(0), z.var(0)))
    assert isinstance(head_norm, nn.BatchNorm1d)
    return found


def kept(net, domain=TARGET):
    layers = (net.body[1], net.body[5], net.head[0])
    return [
        (layer.get_buffer(f"{domain}_mean"), layer.get_buffer(f"{domain}_variance"))
        if isinstance(layer, DomainBatchNorm)
        else (layer.running_mean, layer.running_var)
        for layer in layers
    ]


def assert_near(found, expected):
    for one, other in zip(found, expected, strict=True):
        for value, wanted in zip(one, other, strict=True):
            torch.testing.assert_close(value, wanted, **TOLERANCE)


@pytest.mark.parametrize("batch_norm", ["shared", "domain"])
def test_one_batch_is_mean_and_variance_by_hand(batch_norm):
    """In every layer, also one in the head, which used to be left out."""
    net, target = deep(batch_norm), rows(30)
    expected = by_hand(net, target.x)
    estimate_statistics(net, target, TARGET)
    assert_near(kept(net), expected)


@pytest.mark.parametrize(("n", "batch", "parts"), [(30, 10, [10, 10, 10]), (31, 12, [11, 10, 10]), (21, 20, [11, 10])])
def test_many_batches_are_their_mean(n, batch, parts):
    net, target = deep("domain"), rows(n)
    each = [by_hand(net, part) for part in target.x.split(parts)]
    expected = [
        tuple(torch.stack(values).mean(0) for values in zip(*layer, strict=True)) for layer in zip(*each, strict=True)
    ]
    estimate_statistics(net, target, TARGET, batch=batch)
    assert_near(kept(net), expected)


def test_what_was_there_before_does_not_matter():
    one, other, target = deep(), deep(), rows(25)
    other.train()(rows(40, seed=7, shift=-9).x)
    for net in (one, other):
        estimate_statistics(net, target, TARGET)
    assert_near(kept(one), kept(other))
    estimate_statistics(one, target, TARGET)  # nor how often
    assert_near(kept(one), kept(other))


@pytest.mark.parametrize(("domain", "other"), [(SOURCE, TARGET), (TARGET, SOURCE)])
def test_only_the_statistics_of_that_domain_change(domain, other):
    data = features(40)
    net = build_network("mlp", torch.from_numpy(data.x), 2, batch_norm="domain")
    net.train()
    net(torch.from_numpy(data.x), SOURCE), net(2 * torch.from_numpy(data.x), TARGET)
    before = bits(net)
    estimate_statistics(net, rows(30), domain)
    after = bits(net)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {name for name in before if f"{domain}_mean" in name or f"{domain}_variance" in name}
    assert len(changed) == 4 and not any(other in name for name in changed)


def test_a_target_that_was_never_seen_counts_as_seen_after_it():
    net = build_network("mlp", torch.from_numpy(features(40).x), 2, batch_norm="domain")
    net.train()(torch.from_numpy(features(40).x), SOURCE)
    net.eval()
    target = rows(30)
    assert torch.equal(net(target.x, TARGET), net(target.x, SOURCE))
    estimate_statistics(net, target, TARGET)
    assert not torch.allclose(net(target.x, TARGET), net(target.x, SOURCE))
    net.features(target.x, TARGET)  # names the domain
    z = net.body[2](net.body[1](net.standardise(target.x))).detach()
    torch.testing.assert_close(z.mean(0), torch.zeros(128), atol=1e-4, rtol=0)
    torch.testing.assert_close(z.var(0), torch.ones(128), atol=1e-2, rtol=0)


def mixed_modes(net):
    """Every other layer in training mode."""
    for number, layer in enumerate(net.modules()):
        layer.training = number % 2 == 0
    return [layer.training for layer in net.modules()]


def test_modes_momenta_weights_and_gradients_stay():
    net = deep()
    net.body[5].momentum = None
    modes = mixed_modes(net)
    weights = {name: p.clone() for name, p in net.named_parameters()}
    estimate_statistics(net, rows(30), TARGET, batch=7)
    assert [layer.training for layer in net.modules()] == modes
    assert (net.body[1].momentum, net.body[5].momentum, net.head[0].momentum) == (0.3, None, 0.1)
    assert all(torch.equal(p, weights[name]) and p.grad is None for name, p in net.named_parameters())


def test_frozen_layers_stay():
    net = deep()
    freeze(net, "body.1")
    before = bits(net)
    estimate_statistics(net, rows(30), TARGET)
    after = bits(net)
    assert torch.equal(after["body.1.running_mean"], before["body.1.running_mean"])
    assert not torch.equal(after["body.5.running_mean"], before["body.5.running_mean"])


def test_a_network_without_batch_norm_does_not_change():
    data = domain()
    net = network(data, norm=False)
    before = bits(net)
    estimate_statistics(net, Rows(data, CPU), TARGET)
    assert all(torch.equal(value, before[name]) for name, value in bits(net).items())


def test_images_and_the_seed_of_nobody():
    data = domain(rows=30)
    net = network(data)
    state = torch.get_rng_state()
    estimate_statistics(net, Rows(data, CPU), TARGET)
    assert torch.equal(state, torch.get_rng_state())
    with torch.no_grad():
        z = net.body[0](net.standardise(torch.from_numpy(data.x)))
    torch.testing.assert_close(net.body[1].running_mean, z.mean((0, 2, 3)), **TOLERANCE)
    torch.testing.assert_close(net.body[1].running_var, z.transpose(0, 1).flatten(1).var(1), **TOLERANCE)


def test_compute_serves_in_eval_mode_and_brings_the_modes_back():
    net, target = deep(), rows(23)
    modes = mixed_modes(net)
    before = bits(net)
    index = np.array([4, 0, 22, 7, 4])
    found = compute(net, target, index, net, batch=2)
    assert [layer.training for layer in net.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in bits(net).items())
    assert found.dtype == torch.float32 and not found.requires_grad
    torch.testing.assert_close(found, net.eval()(target.x)[index].detach(), **TOLERANCE)
