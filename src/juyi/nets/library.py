"""The named networks: each takes the shape of one input and the number of outputs, and gives a body and a head."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from juyi.nets.normalisation import normalisation
from juyi.nets.patches import Patches


class Parts(NamedTuple):
    """A body (floats to features), its number of features, and a head (features to scores)."""

    body: nn.Module
    width: int
    head: nn.Module


def mlp(*widths: int) -> nn.Sequential:
    """Return linear layers of these widths with ReLU between them.

    >>> [tuple(p.shape) for p in mlp(4, 3, 1).parameters()]
    [(3, 4), (3,), (1, 3), (1,)]
    """
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def _width(body: nn.Module, shape: tuple[int, ...]) -> int:
    """The number of features of a body, found by running it once on zeros (statistics left alone)."""
    body.eval()
    with torch.no_grad():
        width = body(torch.zeros(1, *shape)).shape[1]
    body.train()
    return int(width)


def _scaled(widths: Sequence[int], factor: float) -> list[int]:
    """These numbers of maps or units times a factor, at least 1 each."""
    return [max(1, round(width * factor)) for width in widths]


def lenet(shape: tuple[int, ...], outputs: int, norm: str = "none") -> Parts:
    """ADDA's LeNet: convolutions of 20 and 50 maps, 500 features (Tzeng et al. 2017, section 5.1)."""
    trunk = nn.Sequential(
        nn.Conv2d(shape[0], 20, 5), normalisation(norm, 20), nn.MaxPool2d(2), nn.ReLU(),
        nn.Conv2d(20, 50, 5), normalisation(norm, 50), nn.MaxPool2d(2), nn.ReLU(), nn.Flatten(),
    )  # fmt: skip
    body = nn.Sequential(*trunk, nn.Linear(_width(trunk, shape), 500), nn.ReLU())
    return Parts(body, 500, nn.Linear(500, outputs))


def _lenet5(shape: tuple[int, ...], outputs: int, norm: str, factor: float) -> Parts:
    a, b, c, d = _scaled((6, 16, 120, 84), factor)
    trunk = nn.Sequential(
        nn.Conv2d(shape[0], a, 5, padding=2), normalisation(norm, a), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(a, b, 5), normalisation(norm, b), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
    )  # fmt: skip
    body = nn.Sequential(*trunk, *mlp(_width(trunk, shape), c, d), nn.ReLU())
    return Parts(body, d, nn.Linear(d, outputs))


def lenet5(shape: tuple[int, ...], outputs: int, norm: str = "none") -> Parts:
    """LeNet-5: 6 and 16 maps, 120 and 84 units (LeCun et al. 1998), with ReLU and max pooling."""
    return _lenet5(shape, outputs, norm, 1.0)


def lenet5_half(shape: tuple[int, ...], outputs: int, norm: str = "none") -> Parts:
    """LeNet-5 of half the width: 3 and 8 maps, 60 and 42 units."""
    return _lenet5(shape, outputs, norm, 0.5)


def dann_mnist(shape: tuple[int, ...], outputs: int, norm: str = "none") -> Parts:
    """The network of DANN for digits: 32 and 48 maps, a label head of 100 and 100 units.

    Ganin and Lempitsky, "Unsupervised Domain Adaptation by Backpropagation", 2015, figure 4 (a), which has no
    batch norm.
    """
    body = nn.Sequential(
        nn.Conv2d(shape[0], 32, 5), normalisation(norm, 32), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 48, 5), normalisation(norm, 48), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
    )  # fmt: skip
    width = _width(body, shape)
    return Parts(body, width, mlp(width, 100, 100, outputs))


def _cnn_small(shape: tuple[int, ...], outputs: int, norm: str, factor: float) -> Parts:
    a, b, c, d = _scaled((32, 64, 128, 100), factor)
    body = nn.Sequential(
        nn.Conv2d(shape[0], a, 3, padding=1), normalisation(norm, a), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(a, b, 3, padding=1), normalisation(norm, b), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(b, c, 3, padding=1), normalisation(norm, c), nn.ReLU(), nn.AdaptiveAvgPool2d(3), nn.Flatten(),
    )  # fmt: skip
    return Parts(body, 9 * c, mlp(9 * c, d, outputs))


def cnn_small(shape: tuple[int, ...], outputs: int, norm: str = "shared") -> Parts:
    """Three convolutions of 3×3 with 32, 64 and 128 maps, pooled to 3×3: small pictures of any size."""
    return _cnn_small(shape, outputs, norm, 1.0)


def cnn_small_half(shape: tuple[int, ...], outputs: int, norm: str = "shared") -> Parts:
    """`cnn_small` of half the width: 16, 32 and 64 maps, a quarter of the parameters."""
    return _cnn_small(shape, outputs, norm, 0.5)


class _Residual(nn.Module):
    """Two 3×3 convolutions and a short cut (He et al. 2016, figure 2)."""

    def __init__(self, inputs: int, outputs: int, stride: int, norm: str) -> None:
        super().__init__()
        self.path = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), normalisation(norm, outputs), nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), normalisation(norm, outputs),
        )  # fmt: skip
        self.short_cut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.short_cut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), normalisation(norm, outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.relu(self.path(x) + self.short_cut(x))


def _resnet18(shape: tuple[int, ...], outputs: int, norm: str, factor: float) -> Parts:
    a, b, c, d = _scaled((64, 128, 256, 512), factor)
    if max(shape[1:]) <= 64:
        stem: list[nn.Module] = [nn.Conv2d(shape[0], a, 3, 1, 1, bias=False), normalisation(norm, a), nn.ReLU()]
    else:
        stem = [nn.Conv2d(shape[0], a, 7, 2, 3, bias=False), normalisation(norm, a), nn.ReLU()]
        stem.append(nn.MaxPool2d(3, 2, 1))
    blocks = [
        _Residual(inputs, maps, stride, norm)
        for inputs, maps, stride in (
            (a, a, 1), (a, a, 1), (a, b, 2), (b, b, 1), (b, c, 2), (c, c, 1), (c, d, 2), (d, d, 1)
        )
    ]  # fmt: skip
    body = nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return Parts(body, d, nn.Linear(d, outputs))


def resnet18(shape: tuple[int, ...], outputs: int, norm: str = "shared") -> Parts:
    """ResNet-18 (He et al. 2016), untrained; the stem is 3×3 up to 64 pixels, else 7×7 with stride and pooling."""
    return _resnet18(shape, outputs, norm, 1.0)


def _airbench(shape: tuple[int, ...], outputs: int, norm: str, factor: float) -> Parts:
    stem, a, b, c = _scaled((24, 64, 256, 256), factor)
    layers: list[nn.Module] = [nn.Conv2d(shape[0], stem, 2), normalisation(norm, stem), nn.ReLU()]
    for inputs, maps in pairwise((stem, a, b, c)):
        layers += [nn.Conv2d(inputs, maps, 3, 1, 1, bias=False), nn.MaxPool2d(2), normalisation(norm, maps), nn.ReLU()]
        layers += [nn.Conv2d(maps, maps, 3, 1, 1, bias=False), normalisation(norm, maps), nn.ReLU()]
    body = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return Parts(body, c, nn.Linear(c, outputs))


def airbench(shape: tuple[int, ...], outputs: int, norm: str = "shared") -> Parts:
    """Few, wide convolutions behind early pooling: for pictures of 32 pixels, several times as fast as a ResNet-18.

    The network of K. Jordan, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU", 2024, section 3.1, with ReLU and
    average pooling, and without its whitening.
    """
    return _airbench(shape, outputs, norm, 1.0)


def mlp_features(shape: tuple[int, ...], outputs: int, norm: str = "none") -> Parts:
    """Two hidden layers of 128 and 64 units, for tables and embeddings."""
    body = nn.Sequential(
        nn.Flatten(), nn.Linear(math.prod(shape), 128), normalisation(norm, 128, flat=True), nn.ReLU(),
        nn.Linear(128, 64), normalisation(norm, 64, flat=True), nn.ReLU(),
    )  # fmt: skip
    return Parts(body, 64, nn.Linear(64, outputs))


def mlp_of(widths: Sequence[int]) -> Callable[[tuple[int, ...], int, str], Parts]:
    """Return a maker of networks with hidden layers of these widths, each with a place for dropout.

    `mlp-1200-1200` and `mlp-800-800` are teacher and student of Hinton, Vinyals and Dean, "Distilling the Knowledge
    in a Neural Network", 2014, section 3.
    """

    def make(shape: tuple[int, ...], outputs: int, norm: str = "none") -> Parts:
        layers: list[nn.Module] = [nn.Flatten()]
        for inputs, width in pairwise((math.prod(shape), *widths)):
            layers += [nn.Linear(inputs, width), normalisation(norm, width, flat=True), nn.ReLU(), nn.Dropout(0.0)]
        return Parts(nn.Sequential(*layers), widths[-1], nn.Linear(widths[-1], outputs))

    return make


def linear(shape: tuple[int, ...], outputs: int, norm: str = "none") -> Parts:
    """No body: the features are the inputs themselves, and the head is linear; for tables of few columns."""
    width = math.prod(shape)
    return Parts(nn.Flatten(), width, nn.Linear(width, outputs))


def patches_of(maps: int) -> Callable[[tuple[int, ...], int, str], Parts]:
    """Return a maker of networks of one layer of `maps` patches, which nothing trains by gradients: see `Patches`."""

    def make(shape: tuple[int, ...], outputs: int, norm: str = "none") -> Parts:
        body = Patches(shape[0], maps)
        if min(shape[1:]) < body.side + 1:
            raise RuntimeError(f"patches of {body.side}×{body.side} need larger images")
        return Parts(body, 4 * maps, nn.Linear(4 * maps, outputs))

    return make


class _Networks(dict[str, Callable[[tuple[int, ...], int, str], Parts]]):
    """The named networks; `mlp-WIDTH-WIDTH`, `patches-NUMBER` and `NAME-FACTOR`, of `WIDENED`, name one more each."""

    _OF_WIDTHS = re.compile(r"mlp((?:-[1-9][0-9]{0,4}){1,8})")
    _OF_PATCHES = re.compile(r"patches-([1-9][0-9]{0,4})")
    _WIDENED = re.compile(r"(airbench|lenet5|cnn_small|resnet18)-((?:0|[1-9])\.[0-9]{0,3}[1-9]|[1-9])")

    def __contains__(self, name: object) -> bool:
        if super().__contains__(name):
            return True
        kinds = (self._OF_WIDTHS, self._OF_PATCHES, self._WIDENED)
        return isinstance(name, str) and any(kind.fullmatch(name) for kind in kinds)

    def __missing__(self, name: str) -> Callable[[tuple[int, ...], int, str], Parts]:
        if found := self._OF_WIDTHS.fullmatch(name):
            return mlp_of([int(width) for width in found[1][1:].split("-")])
        if found := self._OF_PATCHES.fullmatch(name):
            return patches_of(int(found[1]))
        if found := self._WIDENED.fullmatch(name):
            return partial(WIDENED[found[1]], factor=float(found[2]))
        raise KeyError(name)


WIDENED = {"airbench": _airbench, "lenet5": _lenet5, "cnn_small": _cnn_small, "resnet18": _resnet18}
"""Networks whose maps and units can be multiplied: `lenet5-0.25` has a quarter of them."""


NETWORKS = _Networks(
    lenet=lenet,
    lenet5=lenet5,
    lenet5_half=lenet5_half,
    dann_mnist=dann_mnist,
    airbench=airbench,
    cnn_small=cnn_small,
    cnn_small_half=cnn_small_half,
    resnet18=resnet18,
    mlp=mlp_features,
    linear=linear,
)
