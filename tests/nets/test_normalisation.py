"""Layers that bring values to a common scale, against closed forms and slow references."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from juyi.errors import SettingError
from juyi.nets import (
    DomainBatchNorm,
    Network,
    Standardise,
    build_network,
    domain_batch_norm,
    normalisation,
    standardiser,
)


def images(rows=8, channels=3, side=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (rows, channels, side, side), dtype=torch.uint8, generator=generator)


def test_standardising_by_source_is_the_closed_form():
    x = images()
    out = standardiser(x)(x)
    plain = x.numpy().astype(np.float64)
    for channel in range(3):
        values = plain[:, channel]
        expected = (values - values.mean()) / values.std()
        np.testing.assert_allclose(out[:, channel].numpy(), expected, atol=1e-5)
    assert out.dtype == torch.float32


def test_standardising_features_is_a_column_each_and_a_constant_column_is_only_moved():
    x = torch.randn(50, 3, generator=torch.Generator().manual_seed(0)) * torch.tensor([1.0, 100.0, 0.0]) + 5.0
    out = standardiser(x)(x)
    torch.testing.assert_close(out.mean(0), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(out[:, :2].std(0, correction=0), torch.ones(2), atol=1e-5, rtol=0)
    assert (out[:, 2] == 0).all()


def test_the_scale_does_not_hang_on_a_large_offset():
    x = torch.randn(1000, 2, generator=torch.Generator().manual_seed(0)) + 1e4
    found = standardiser(x)
    torch.testing.assert_close(found.spread, x.double().std(0, correction=0).float())


def test_at_most_ten_thousand_rows_are_looked_at_and_all_parts_of_the_data():
    """25,000 rows used to give 12,500."""
    x = torch.arange(25_000, dtype=torch.float32)[:, None]
    looked_at = x[::3]
    assert len(looked_at) <= 10_000
    assert standardiser(x).mean.item() == pytest.approx(looked_at.mean().item(), rel=1e-6)


def test_an_image_by_its_own_scale_forgets_brightness_and_contrast():
    layer = Standardise(torch.zeros(3), torch.ones(3), by_image=True)
    x = torch.rand(4, 3, 9, 9, generator=torch.Generator().manual_seed(0)) * 100
    torch.testing.assert_close(layer(x + 60), layer(x), atol=1e-4, rtol=0)
    stretched = layer(x * 2.0)
    assert (stretched - layer(x)).abs().max() < 0.05  # but for the one grey level that keeps blank images quiet
    one = x[0]
    expected = (one - one.mean()) / (one.std(correction=0) + 1)
    torch.testing.assert_close(layer(x)[0], expected)
    torch.testing.assert_close(layer(x[:1]), layer(x)[:1])


def test_a_blank_image_gives_zeros():
    layer = Standardise(torch.zeros(1), torch.ones(1), by_image=True)
    assert (layer(torch.full((2, 1, 5, 5), 200, dtype=torch.uint8)) == 0).all()
    assert torch.isfinite(standardiser(torch.full((2, 1, 5, 5), 7, dtype=torch.uint8))(images(channels=1))).all()


def test_standardising_keeps_the_layout_in_memory():
    x = images().to(memory_format=torch.channels_last)
    for by_image in (False, True):
        out = standardiser(x, by_image)(x)
        assert out.is_contiguous(memory_format=torch.channels_last)


class Reference:
    """Batch normalisation written out, in numpy: one set of running values a domain."""

    def __init__(self, channels):
        self.running = {d: (np.zeros(channels), np.ones(channels)) for d in ("source", "target")}

    def train(self, x, domain):
        axes = tuple(a for a in range(x.ndim) if a != 1)
        n = x.size // x.shape[1]
        mean, variance = x.mean(axes), x.var(axes)
        old_mean, old_variance = self.running[domain]
        self.running[domain] = (0.9 * old_mean + 0.1 * mean, 0.9 * old_variance + 0.1 * variance * n / (n - 1))
        return self._apply(x, mean, variance)

    def serve(self, x, domain):
        return self._apply(x, *self.running[domain])

    @staticmethod
    def _apply(x, mean, variance):
        shape = (1, -1) + (1,) * (x.ndim - 2)
        return (x - mean.reshape(shape)) / np.sqrt(variance.reshape(shape) + 1e-5)


@pytest.mark.parametrize("shape", [(12, 4), (6, 4, 3, 3)])
def test_domain_batch_norm_is_the_written_out_one(shape):
    random = np.random.default_rng(0)
    layer, reference = DomainBatchNorm(4), Reference(4)
    for step in range(6):
        domain = ("source", "target", "target")[step % 3]
        x = random.normal(size=shape) * (1 + step) + (5 if domain == "target" else -2)
        layer.domain = domain
        found = layer(torch.tensor(x, dtype=torch.float32))
        np.testing.assert_allclose(found.detach().numpy(), reference.train(x, domain), atol=1e-4)
    layer.eval()
    for domain in ("source", "target"):
        x = random.normal(size=shape)
        layer.domain = domain
        np.testing.assert_allclose(
            layer(torch.tensor(x, dtype=torch.float32)).detach().numpy(), reference.serve(x, domain), atol=1e-4
        )


def test_statistics_of_the_domains_are_kept_apart():
    layer = DomainBatchNorm(2)
    layer.domain = "source"
    layer(torch.randn(50, 2))
    before = {k: v.clone() for k, v in layer.state_dict().items()}
    layer.domain = "target"
    layer(torch.randn(50, 2) + 100)
    for name, value in layer.state_dict().items():
        assert torch.equal(value, before[name]) != name.startswith("target_"), name
    assert layer.target_mean.mean() > 5 > layer.source_mean.abs().mean()


def test_serving_changes_no_statistics():
    layer = DomainBatchNorm(2)
    layer(torch.randn(9, 2))
    before = copy.deepcopy(layer.state_dict())
    layer.eval()(torch.randn(9, 2))
    assert all(torch.equal(before[k], v) for k, v in layer.state_dict().items())


@pytest.mark.parametrize("seen, unseen", [("source", "target"), ("target", "source")])
def test_a_domain_never_seen_is_served_by_the_other(seen, unseen):
    layer = DomainBatchNorm(3)
    layer.domain = seen
    layer(torch.randn(40, 3) * 3 + 2)
    layer.eval()
    x = torch.randn(5, 3)
    known = layer(x)
    layer.domain = unseen
    assert torch.equal(layer(x), known)
    layer.train()
    layer(torch.randn(40, 3) - 9)
    layer.eval()
    assert not torch.allclose(layer(x), known)


@pytest.mark.parametrize("shape", [(16, 5), (8, 5, 4, 4)])
def test_with_one_domain_it_is_ordinary_batch_norm(shape):
    ordinary = nn.BatchNorm1d(5) if len(shape) == 2 else nn.BatchNorm2d(5)
    apart = DomainBatchNorm(5)
    generator = torch.Generator().manual_seed(0)
    optimisers = [torch.optim.SGD(layer.parameters(), 0.1) for layer in (ordinary, apart)]
    for _ in range(4):
        x = torch.randn(shape, generator=generator) * 2 + 1
        outs = []
        for layer, optimiser in zip((ordinary, apart), optimisers, strict=True):
            out = layer(x)
            optimiser.zero_grad()
            (out**3).mean().backward()
            optimiser.step()
            outs.append(out)
        assert torch.equal(*outs)
    x = torch.randn(shape, generator=generator)
    assert torch.equal(ordinary.eval()(x), apart.eval()(x))


def test_a_network_tells_its_layers_from_which_domain_rows_come():
    x = images()
    net = build_network("cnn_small", x, 2, batch_norm="domain")
    net(x, "source"), net(255 - x // 3, "target")
    net.eval()
    assert not torch.allclose(net(x, "source"), net(x, "target"))
    shared = build_network("cnn_small", x, 2, batch_norm="shared").eval()
    assert torch.equal(shared(x, "source"), shared(x, "target"))


def test_the_scale_travels_with_the_weights():
    x = images()
    one, other = build_network("lenet5", images(side=28), 2), build_network("lenet5", images(side=28, seed=9) // 2, 2)
    other.load_state_dict(one.state_dict())
    bright = images(side=28, seed=3)
    assert torch.equal(one.eval()(bright), other.eval()(bright))
    assert isinstance(one, Network) and x.dtype == torch.uint8


def test_kinds_of_normalisation():
    assert isinstance(normalisation("shared", 3), nn.BatchNorm2d)
    assert isinstance(normalisation("shared", 3, flat=True), nn.BatchNorm1d)
    assert isinstance(normalisation("domain", 3, flat=True), DomainBatchNorm)
    with pytest.raises(SettingError, match="batch_norm: layer is not one of none, shared, domain"):
        normalisation("layer", 3)


def test_batch_norm_turned_into_one_by_domain_serves_as_before_and_then_learns_apart():
    torch.manual_seed(0)
    shared = nn.BatchNorm2d(3, eps=0.01, momentum=0.3)
    net = nn.Sequential(nn.Conv2d(1, 3, 3), shared, nn.ModuleDict({"again": shared}), nn.BatchNorm1d(3, affine=False))
    net[:2](torch.randn(20, 1, 6, 6))
    ordinary = copy.deepcopy(net)
    weight = shared.weight
    assert domain_batch_norm(net) is net
    layer = net[1]
    assert isinstance(layer, DomainBatchNorm) and net[2]["again"] is layer and layer.weight is weight
    assert isinstance(net[3], DomainBatchNorm) and net[3].weight is None
    x = torch.randn(9, 1, 6, 6) * 2 + 1
    for domain in ("source", "target"):
        layer.domain = domain
        torch.testing.assert_close(net[:2].eval()(x), ordinary[:2].eval()(x))
    layer.domain = "target"
    torch.testing.assert_close(net[:2].train()(x), ordinary[:2].train()(x))
    torch.testing.assert_close(layer.target_mean, ordinary[1].running_mean)  # by the same momentum
    torch.testing.assert_close(layer.target_variance, ordinary[1].running_var)
    assert not torch.equal(layer.source_mean, layer.target_mean)
    alone = domain_batch_norm(ordinary[1])
    assert torch.equal(alone.target_mean, ordinary[1].running_mean)


@pytest.mark.parametrize("layer", [nn.BatchNorm2d(3, track_running_stats=False), nn.BatchNorm2d(3, momentum=None)])
def test_batch_norm_whose_statistics_are_of_another_kind_stays(layer):
    assert domain_batch_norm(layer) is layer


def test_a_subclass_of_batch_norm_that_does_more_stays():
    class WithActivation(nn.BatchNorm2d):
        def forward(self, x):
            return super().forward(x).relu()

    net = domain_batch_norm(nn.Sequential(WithActivation(3)))
    assert type(net[0]) is WithActivation
