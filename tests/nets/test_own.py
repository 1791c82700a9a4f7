"""Classifiers of one piece: their head is found by running them, and the rest is the body; or it is said why not."""

import copy
import sys

import pytest
import torch
from torch import nn

from juyi.errors import SettingError
from juyi.nets import DomainBatchNorm, Inputs, build_network
from juyi.nets.own import find_head


def images(*shape, rows=6, seed=0):
    return torch.randint(0, 256, (rows, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


class Residual(nn.Module):
    """The shape of torchvision's ResNet: a stem of stride 4, stages of stride 2, global pooling, `fc`."""

    def __init__(self, classes=1000, channels=3):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(channels, 8, 7, 2, 3, bias=False), nn.BatchNorm2d(8)
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = nn.Sequential(nn.Conv2d(8, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU())
        self.layer2 = nn.Sequential(nn.Conv2d(8, 12, 3, 2, 1), nn.BatchNorm2d(12), nn.ReLU())
        self.layer3 = nn.Sequential(nn.Conv2d(12, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.ReLU())
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(16, classes)

    def features(self, x):
        x = self.pool(self.bn1(self.conv1(x)).relu())
        return self.avgpool(self.layer3(self.layer2(self.layer1(x)))).flatten(1)

    def forward(self, x):
        return self.fc(self.features(x))


def test_a_resnet_is_fitted_to_channels_size_and_classes_and_it_is_said():
    """At 28 pixels its last map would be one pixel; at 96 it is 3×3."""
    given = Residual().eval()
    net = build_network(given, images(1, 28, 28), 10, batch_norm="shared").eval()
    assert net.notes == (
        "network Residual: grey repeated to 3 channels, resized 28×28→96×96, head fc new (it had 1000 outputs), 16→10",
    )
    assert (net.width, net.outputs, net.head_name) == (16, 10, "fc")
    x = images(1, 28, 28, seed=1)
    pixels = nn.functional.interpolate(net.standardise.scale(x.expand(-1, 3, -1, -1)), (96, 96), mode="bilinear")
    torch.testing.assert_close(net.features(x), given.features(pixels))
    assert net(x).shape == (6, 10)
    assert given.training is False and isinstance(given.fc, nn.Linear) and given.fc.out_features == 1000


def test_a_head_that_fits_stays():
    given = Residual(classes=4)
    net = build_network(given, images(3, 96, 96), 4, batch_norm="shared")
    assert torch.equal(net.head.weight, given.fc.weight) and net.head.weight is not given.fc.weight
    assert net.notes == ("network Residual: head fc kept, 16→4",)
    assert not isinstance(net.standardise, Inputs)


def test_colours_are_made_grey_for_a_network_of_grey_images():
    net = build_network(Residual(channels=1), images(3, 96, 96), 4)
    assert net.notes[0].startswith("network Residual: colours made grey, head")
    assert net.standardise(images(3, 96, 96)).shape == (6, 1, 96, 96)


def test_a_sequential_that_takes_one_size_only_gets_it():
    given = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 30 * 30, 5))
    small, large = (build_network(given, images(3, side, side), 5) for side in (20, 48))
    assert "resized 20×20→32×32" in small.notes[0] and "resized 48×48→32×32" in large.notes[0]
    assert small(images(3, 20, 20)).shape == large(images(3, 48, 48)).shape == (6, 5)


def test_a_table_goes_through_a_classifier_as_well():
    x = torch.randn(6, 4)
    given = nn.Sequential(nn.Linear(4, 7), nn.ReLU(), nn.Linear(7, 3))
    net = build_network(given, x, 3)
    torch.testing.assert_close(net(x), given(net.standardise(x)))
    linear = build_network(nn.Linear(4, 2), x, 3)
    assert linear.width == 4 and linear(x).shape == (6, 3)


class Shared(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x):
        return self.layer(self.layer(x))


class Pair(nn.Linear):
    def forward(self, x):
        return super().forward(x), x


@pytest.mark.parametrize(
    "net, words",
    [
        (nn.Sequential(nn.Linear(4, 3), nn.Softmax(1)), "something comes after it (a softmax?)"),
        (nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)), "something comes after it"),
        (nn.Tanh(), "has no nn.Linear that could be its head"),
        (Shared(), "its last nn.Linear (layer) is used more than once"),
        (Pair(4, 3), "gives a tuple for one row, and no scores N×classes"),
        (nn.Sequential(nn.Linear(4, 3), nn.Unflatten(1, (3, 1))), "gives shape (1, 3, 1) for one row"),
        (nn.Linear(5, 3), "fails on one row of the data (RuntimeError: mat1 and mat2"),
    ],
)
def test_where_no_head_can_be_found_it_is_said(net, words):
    with pytest.raises(SettingError) as caught:
        build_network(net, torch.randn(6, 4), 3)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_the_head_is_found_by_what_runs_not_by_the_order_of_definition():
    class Backwards(nn.Module):
        def __init__(self):
            super().__init__()
            self.last, self.first = nn.Linear(5, 3), nn.Linear(4, 5)

        def forward(self, x):
            return self.last(self.first(x))

    net = Backwards()
    assert find_head(net, lambda: net(torch.randn(1, 4)), "x") == "last"
    assert not net.last._forward_hooks


@pytest.fixture
def factories(monkeypatch, tmp_path):
    (tmp_path / "some_nets.py").write_text(
        "from torch import nn\n"
        "import copy\n"
        "class Plain(nn.Sequential):\n"
        "    def __init__(self, classes=9):\n"
        "        super().__init__(nn.Flatten(), nn.LazyLinear(6), nn.ReLU(), nn.Linear(6, classes))\n"
        "def told(shape, outputs):\n"
        "    return Plain(outputs)\n"
        "def keywords(*, weights=None, **others):\n"
        "    return Plain()\n"
        "def nothing(): return None\n"
        "def breaks(shape, outputs): raise KeyError('oops')\n"
        "number = 3\n"
    )
    (tmp_path / "broken_nets.py").write_text("def f(:\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    for name in ("some_nets", "broken_nets"):
        sys.modules.pop(name, None)


def test_factories_are_called_with_shape_and_outputs_or_with_nothing(factories):
    x = images(3, 8, 8)
    assert "head 3 kept, 6→5" in build_network("some_nets:told", x, 5).notes[0]
    for factory in ("keywords", "Plain"):
        net = build_network(f"some_nets:{factory}", x, 5)
        assert "head 3 new (it had 9 outputs), 6→5" in net.notes[0]
        assert net(x).shape == (6, 5)


@pytest.mark.parametrize(
    "what, words",
    [
        ("nothing", "gives a NoneType, but a torch.nn.Module is needed"),
        ("breaks", "breaks((3, 8, 8), 5) failed (KeyError: 'oops')"),
        ("number", "is a int, and no function that makes a network"),
    ],
)
def test_a_factory_that_makes_no_network(factories, what, words):
    with pytest.raises(SettingError) as caught:
        build_network(f"some_nets:{what}", images(3, 8, 8), 5)
    assert words in str(caught.value)


def test_a_module_that_cannot_be_imported(factories):
    with pytest.raises(SettingError, match=r"cannot be imported \(SyntaxError"):
        build_network("broken_nets:f", images(3, 8, 8), 5)


def test_batch_norm_of_any_network_can_keep_the_domains_apart():
    given = Residual(classes=4)
    given(torch.randn(8, 3, 64, 64))  # running values of its own
    x = images(3, 96, 96, rows=8)
    shared, none, domain = (
        build_network(given, x, 4, batch_norm=batch_norm).eval() for batch_norm in ("shared", "none", "domain")
    )
    assert domain.notes[1] == "batch norm: statistics of source and target apart in 4 layers"
    assert none.notes[1].startswith("batch norm: stays") and len(shared.notes) == 1
    for name in ("source", "target"):  # until it learns, nothing is different
        torch.testing.assert_close(domain(x, name), shared(x, name))
    domain.train()
    before = copy.deepcopy(domain.state_dict())
    domain(x, "target")
    moved = {key for key, value in domain.state_dict().items() if not torch.equal(value, before[key])}
    assert moved and all(key.rpartition(".")[2] in ("target_mean", "target_variance", "target_seen") for key in moved)
    assert sum(isinstance(layer, DomainBatchNorm) for layer in domain.modules()) == 4
