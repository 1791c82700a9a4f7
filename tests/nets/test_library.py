"""The named networks, and networks of one's own: what they give, how large they are, what is refused."""

import copy
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from juyi.errors import SettingError
from juyi.nets import NETWORKS, DomainBatchNorm, Network, Parts, build_network, default_network, mlp

SHAPES = [(1, 28, 28), (3, 28, 28), (3, 32, 32), (3, 64, 64)]


def images(*shape, rows=6, seed=0):
    return torch.randint(0, 256, (rows, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def count(module):
    return sum(p.numel() for p in module.parameters())


@pytest.fixture
def own_modules(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    yield
    sys.modules.pop("my_nets", None)


@pytest.mark.parametrize("batch_norm", ["none", "shared", "domain"])
@pytest.mark.parametrize(
    "name, shape",
    [(name, shape) for name in sorted(NETWORKS) for shape in SHAPES if name != "resnet18" or shape == (3, 28, 28)],
    ids=str,
)
def test_every_network_tells_classes_from_every_shape(name, shape, batch_norm):
    net = build_network(name, images(*shape), 7, batch_norm=batch_norm)
    x = images(*shape, rows=3, seed=1)
    for domain in ("source", "target"):
        z = net.features(x, domain)
        assert z.shape == (3, net.width) and z.dtype == torch.float32
        assert net(x, domain).shape == (3, 7)
    kinds = {"none": (), "shared": (nn.BatchNorm1d, nn.BatchNorm2d), "domain": (DomainBatchNorm,)}[batch_norm]
    found = {type(m) for m in net.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d | DomainBatchNorm)}
    assert found <= set(kinds) and bool(found) == (bool(kinds) and name != "linear")  # which has no layer to normalise


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_every_weight_of_a_network_has_a_say(name):
    net = build_network(name, images(1, 28, 28), 3, batch_norm="none")
    net(images(1, 28, 28, seed=1)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_rows_do_not_hang_on_their_neighbours_when_serving(name):
    x = images(3, 28, 28, rows=4)
    net = build_network(name, x, 5, batch_norm="domain").eval()
    together = net(x)
    apart = torch.cat([net(x[i : i + 1]) for i in range(4)])
    torch.testing.assert_close(together, apart, rtol=1e-4, atol=1e-5)
    assert torch.allclose(net(x.to(memory_format=torch.channels_last)), together, atol=1e-5)


def test_features_go_through_the_mlp_alone():
    x = torch.randn(20, 12)
    net = build_network("mlp", x, 4, batch_norm="domain")
    assert net(x).shape == (20, 4)
    assert count(net) == 12 * 128 + 128 + 128 * 64 + 64 + 2 * (128 + 64) + 64 * 4 + 4


def test_the_default_network_goes_by_the_size_and_fits():
    assert default_network(torch.randn(20, 12)) == "mlp"
    assert [default_network(images(1, s, s, rows=1)) for s in (28, 32, 48, 64, 96)] == [
        "dann_mnist", "dann_mnist", "cnn_small", "cnn_small", "cnn_small"
    ]  # fmt: skip


def test_sizes_are_those_of_the_papers():
    """Counted by hand: k·k·inputs·maps + maps a convolution, inputs·units + units a layer."""
    mnist_m = build_network("dann_mnist", images(3, 28, 28), 10)  # figure 4 (a): 28 → 24 → 12 → 8 → 4
    convolutions = (5 * 5 * 3 * 32 + 32) + (5 * 5 * 32 * 48 + 48)
    assert mnist_m.width == 4 * 4 * 48 == 768
    assert count(mnist_m.body) == convolutions
    assert count(mnist_m.head) == (768 * 100 + 100) + (100 * 100 + 100) + (100 * 10 + 10)
    lenet = build_network("lenet", images(1, 28, 28), 10)  # Caffe's LeNet: 431,080 in all
    assert count(lenet) == (25 * 20 + 20) + (25 * 20 * 50 + 50) + (4 * 4 * 50 * 500 + 500) + (500 * 10 + 10) == 431_080
    lenet5 = build_network("lenet5", images(1, 28, 28), 10)  # 61,706: LeCun's, with every map connected
    assert count(lenet5) == (25 * 6 + 6) + (25 * 6 * 16 + 16) + (400 * 120 + 120) + (120 * 84 + 84) + 850 == 61_706
    half = build_network("lenet5_half", images(1, 28, 28), 10)
    assert count(half) == (25 * 3 + 3) + (25 * 3 * 8 + 8) + (200 * 60 + 60) + (60 * 42 + 42) + 430
    resnet = build_network("resnet18", images(3, 224, 224, rows=1), 1000, batch_norm="shared")
    assert count(resnet) == 11_689_512  # torchvision's and the paper's
    assert resnet.body[0].kernel_size == (7, 7)
    airbench = build_network("airbench", images(3, 32, 32), 10, batch_norm="shared")
    convolutions = 3 * 4 * 24 + 24 + 9 * (24 * 64 + 64 * 64 + 64 * 256 + 3 * 256 * 256)
    assert count(airbench.body) == convolutions + 2 * (24 + 2 * 64 + 4 * 256)  # the paper's, with a scale in its norms


def test_mlp_has_no_nonlinearity_at_its_end():
    assert [type(layer) for layer in mlp(4, 3, 2)] == [nn.Linear, nn.ReLU, nn.Linear]


def test_the_same_seed_gives_the_same_network():
    def weights(seed):
        torch.manual_seed(seed)
        return torch.cat([p.detach().reshape(-1) for p in build_network("lenet5", images(1, 28, 28), 10).parameters()])

    with torch.random.fork_rng():
        assert torch.equal(weights(0), weights(0)) and not torch.equal(weights(0), weights(1))


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(SettingError, match=r"resnet81: there is no such network; did you mean resnet18\?"):
        build_network("resnet81", images(1, 28, 28), 10)
    with pytest.raises(SettingError, match="known are airbench, cnn_small, cnn_small_half, dann_mnist, lenet"):
        build_network("qqq", images(1, 28, 28), 10)


@pytest.mark.parametrize("name", sorted(set(NETWORKS) - {"mlp", "linear"}))
def test_features_do_not_fit_an_image_network(name):
    with pytest.raises(SettingError, match="is a network for images, but the data are features; use mlp"):
        build_network(name, torch.randn(4, 8), 2)


@pytest.mark.parametrize("name", ["lenet", "lenet5", "dann_mnist", "cnn_small"])
def test_images_that_are_too_small_are_refused_in_words(name):
    side = 3 if name == "cnn_small" else 6
    words = rf"--net {name}: (does not fit inputs|fails on an input) of shape \(1, {side}, {side}\)"
    with pytest.raises(SettingError, match=words):
        build_network(name, images(1, side, side), 2)


@pytest.mark.parametrize("what", ["nothing.at.all:net", "json:no_such_thing", ":net", "json:"])
def test_a_factory_that_is_not_there(what):
    with pytest.raises(SettingError, match="cannot be imported"):
        build_network(what, images(1, 28, 28), 2)


class Own(nn.Module):
    def __init__(self, outputs=4, width=6):
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(28 * 28, width))
        self.head = nn.Linear(width, outputs)
        self.width = width


def test_a_module_of_ones_own_is_copied_and_never_changed():
    given = Own()
    before = copy.deepcopy(given.state_dict())
    net = build_network(given, images(1, 28, 28), 4)
    assert net.name == "Own" and net.width == 6
    assert torch.equal(net.head.weight, given.head.weight) and net.head.weight is not given.head.weight
    with torch.no_grad():
        for p in net.parameters():
            p.add_(1.0)
    assert all(torch.equal(before[k], v) for k, v in given.state_dict().items())
    again = build_network(net, images(1, 28, 28), 4)
    assert again is not net and torch.equal(again.head.weight, net.head.weight)
    assert given.training and net.training


def test_a_network_of_ones_own_that_does_not_fit_is_refused_at_the_door(own_modules):
    """It used to fail in the loss, with an index error of torch, or to train a class too many."""
    with pytest.raises(SettingError, match=r"scores of shape \(1, 4\) for one row, but \(1, 3\)"):
        build_network(Own(outputs=4), images(1, 28, 28), 3)
    with pytest.raises(SettingError, match=r"--net Own: fails on an input of shape \(1, 32, 32\)"):
        build_network(Own(), images(1, 32, 32), 4)
    with pytest.raises(SettingError, match="scores of shape"):
        build_network("my_nets:wrong_classes", images(1, 28, 28), 3)
    with pytest.raises(SettingError, match=r"features of shape \(1, 6\) for one row, but \(1, 7\)"):
        build_network("my_nets:wrong_width", images(1, 28, 28), 3)
    fitting = build_network(Own(), images(1, 28, 28), 4)
    with pytest.raises(SettingError, match="scores of shape"):
        build_network(fitting, images(1, 28, 28), 9)


def test_module_and_factory_are_found_and_called_with_shape_and_outputs(own_modules):
    net = build_network("my_nets:tiny", images(3, 8, 8), 5)
    assert isinstance(net, Network) and net.name == "my_nets:tiny"
    assert net(images(3, 8, 8)).shape == (6, 5)
    with pytest.raises(SettingError, match=r"my_nets:without_head: fails on an input of shape \(3, 8, 8\)"):
        build_network("my_nets:without_head", images(3, 8, 8), 5)


def test_lazy_layers_have_their_shapes_before_anything_is_stored(own_modules):
    net = build_network("my_nets:lazy", images(3, 8, 8), 5)
    assert net.body[1].weight.shape == (6, 192) and net.head.weight.shape == (5, 6)


def test_trying_a_network_leaves_its_statistics_alone():
    parts = Parts(nn.Sequential(nn.Flatten(), nn.BatchNorm1d(784), nn.Linear(784, 6)), 6, nn.Linear(6, 2))
    holder = Own(2)
    holder.body, holder.head = parts.body, parts.head
    net = build_network(holder, images(1, 28, 28), 2)
    assert net.training and net.body[1].num_batches_tracked == 0


def test_widths_in_a_name():
    net = build_network("mlp-1200-1200", images(1, 28, 28), 10)  # Hinton's teacher: 784-1200-1200-10
    shapes = [tuple(p.shape) for p in net.parameters() if p.dim() == 2]
    assert shapes == [(1200, 784), (1200, 1200), (10, 1200)] and net.width == 1200
    assert "mlp-5" in NETWORKS and "mlp-0" not in NETWORKS and "mlp-" not in NETWORKS and "mlp-a" not in NETWORKS
    assert "mlp-5-7" not in list(NETWORKS)
    with pytest.raises(KeyError):
        NETWORKS["mlp-x"]


def test_half_the_width_has_a_quarter_of_the_parameters():
    whole, half = (build_network(name, images(3, 32, 32), 10) for name in ("cnn_small", "cnn_small_half"))
    count = [sum(p.numel() for p in net.parameters()) for net in (whole, half)]
    assert 3.5 < count[0] / count[1] <= 4.1


@pytest.mark.parametrize("name", ["lenet5", "cnn_small"])
def test_a_factor_widens_every_layer(name):
    x = images(1, 28, 28)
    widths = [count(build_network(f"{name}-{factor}", x, 10)) for factor in ("0.05", "0.25", "0.5", "0.75", "1", "1.5")]
    assert widths == sorted(widths) and len(set(widths)) == len(widths)
    same = {"1": name, "0.5": f"{name}_half"}
    for factor, named in same.items():
        one, other = build_network(f"{name}-{factor}", x, 10), build_network(named, x, 10)
        assert [p.shape for p in one.parameters()] == [p.shape for p in other.parameters()]
    assert build_network(f"{name}-0.001", x, 10)(x).shape == (6, 10)  # one map each


@pytest.mark.parametrize(
    "name", ["lenet5-0", "lenet5-0.0", "lenet5-0.50", "lenet5-", "lenet5-10", "lenet-0.5", "mlp-0.5"]
)
def test_a_factor_is_written_in_one_way(name):
    assert name not in NETWORKS
    with pytest.raises(SettingError, match="there is no such network"):
        build_network(name, images(1, 28, 28), 10)
