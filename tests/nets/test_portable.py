"""A portable copy answers as its network, whatever that is made of."""

import pytest
import torch
from torch import nn

from juyi.nets import DomainBatchNorm, Inputs, Network, Standardise, build_network, portable
from juyi.nets.portable import ByMatrix


def images(*shape, rows=6, seed=0):
    return torch.randint(0, 256, (rows, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("given, size", [((8, 8), 3), ((9, 6), 3), ((7, 5), (4, None)), ((10, 4), (1, 3))], ids=str)
def test_uneven_pooling_is_two_products(given, size):
    pool, x = nn.AdaptiveAvgPool2d(size), torch.randn(2, 3, *given)
    torch.testing.assert_close(ByMatrix(pool, *given)(x), pool(x), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("given, wanted", [((28, 28), (32, 32)), ((40, 31), (16, 24)), ((8, 30), (20, 9))], ids=str)
def test_resizing_is_two_products(given, wanted):
    layer = Inputs(Standardise(torch.full((3,), 99.0), torch.full((3,), 51.0)), channels=3, size=wanted)
    x = images(3, *given).float()
    torch.testing.assert_close(ByMatrix(layer.resized, *given)(x), layer.resized(x), atol=1e-2, rtol=1e-4)


@pytest.mark.parametrize("seen", ["source", "target", "both"])
@pytest.mark.parametrize("name, shape", [("cnn_small", (3, 32, 32)), ("lenet5", (1, 28, 28)), ("mlp", (12,))])
def test_batch_norm_by_domain_becomes_the_one_that_serves(name, shape, seen):
    x = images(*shape, rows=40) if len(shape) == 3 else torch.randn(40, *shape)
    net = build_network(name, x, 5, batch_norm="domain")
    for domain in ("source", "target") if seen == "both" else (seen,):
        net(x[:20] if domain == "source" else x[20:], domain)
    net.eval()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    made = portable(net, x[:1])
    torch.testing.assert_close(made(x), net(x), atol=1e-4, rtol=1e-4)
    assert not any(isinstance(layer, DomainBatchNorm) for layer in made.modules())
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())  # the network stays


def test_a_network_that_resizes_resizes_inside(tmp_path):
    body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    inputs = Inputs(Standardise(torch.full((3,), 99.0), torch.full((3,), 51.0)), channels=3, size=(16, 16))
    net = Network(inputs, body, nn.Linear(4, 3), 4, 3, "own").eval()
    x = images(1, 28, 28)
    torch.testing.assert_close(portable(net, x[:1])(x), net(x), atol=1e-4, rtol=1e-4)


def test_even_pooling_and_sizes_that_fit_stay_layers():
    net = build_network("cnn_small", images(3, 24, 24), 5)  # 24 → 12 → 6, pooled to 3
    assert any(isinstance(layer, nn.AdaptiveAvgPool2d) for layer in portable(net, images(3, 24, 24)[:1]).modules())
