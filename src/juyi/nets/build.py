"""Make the network that a person names, fitted to the data's shape and classes."""

from __future__ import annotations

import copy
import importlib
from typing import Any

import torch
from torch import Tensor, nn

from juyi.errors import SettingError, nearest
from juyi.nets.library import NETWORKS
from juyi.nets.network import Network, standardiser


def build_network(
    net: str | nn.Module, x: Tensor, outputs: int, *, batch_norm: str = "none", standardise: str = "source"
) -> Network:
    """Return a new network for rows like `x` (N×C×H×W uint8 images or N×d float32 features).

    Args:
        net: a name (`juyi.nets.NETWORKS`), `module:factory`, or a module of one's own, which is copied and never
            changed. A module of one's own, and what `factory(shape, outputs)` returns, has `body`, `head` and
            `width` (or is a `Network`).
        x: rows of the source, of which mean and spread are taken.
        outputs: the number of classes, or 1 for regression.
        batch_norm: `none`, `shared` or `domain`: which layers named networks get.
        standardise: `source` (mean and spread of the source a channel) or `image` (each image by its own).

    Raises:
        SettingError: no such network, or it does not fit the data's shape.

    Example:
        >>> import torch
        >>> net = build_network("lenet", torch.zeros(2, 1, 28, 28, dtype=torch.uint8), 10)
        >>> net.width, net(torch.zeros(2, 1, 28, 28, dtype=torch.uint8)).shape
        (500, torch.Size([2, 10]))
    """
    if isinstance(net, Network):
        return _tried(copy.deepcopy(net), x, outputs)
    shape = tuple(x.shape[1:])
    name = net if isinstance(net, str) else type(net).__name__
    if isinstance(net, str) and net in NETWORKS:
        if len(shape) == 1 and net != "mlp":
            raise SettingError(f"--net {net}: is a network for images, but the data are features; use mlp")
        try:
            parts: Any = NETWORKS[net](shape, outputs, batch_norm)
        except RuntimeError as error:
            raise SettingError(
                f"--net {net}: does not fit inputs of shape {shape}; use cnn_small or larger images"
            ) from error
    elif isinstance(net, str) and ":" in net:
        parts = _factory(net)(shape, outputs)
    elif isinstance(net, str):
        raise SettingError(f"--net {net}: there is no such network; {nearest(net, NETWORKS)}; or module:factory")
    else:
        parts = copy.deepcopy(net)
    if isinstance(parts, Network):
        return _tried(parts, x, outputs)
    if not all(hasattr(parts, part) for part in ("body", "head", "width")):
        raise SettingError(f"--net {name}: a network of one's own needs the attributes body, head and width")
    network = Network(standardiser(x, standardise == "image"), parts.body, parts.head, int(parts.width), outputs, name)
    return _tried(network, x, outputs)


def _tried(network: Network, x: Tensor, outputs: int) -> Network:
    """Run the network on one row, which tells whether it fits and gives layers that are lazy their shapes."""
    modes = [(layer, layer.training) for layer in network.modules()]
    network.eval()
    try:
        with torch.no_grad():
            features = network.features(x[:1].cpu() if x.device.type == "cuda" else x[:1])
            scores = network.head(features)
    except (RuntimeError, ValueError, TypeError) as error:
        what = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SettingError(f"--net {network.name}: fails on an input of shape {tuple(x.shape[1:])}: {what}") from error
    for layer, mode in modes:
        layer.training = mode
    for part, found, expected in (("features", features, network.width), ("scores", scores, outputs)):
        if tuple(found.shape) != (1, expected):
            raise SettingError(
                f"--net {network.name}: gives {part} of shape {tuple(found.shape)} for one row, but (1, {expected}) "
                f"is needed ({'its width' if part == 'features' else 'one score a class'})"
            )
    return network


def default_network(x: Tensor) -> str:
    """Name the network that serves rows like `x` when the person names none: one that a CPU trains in minutes."""
    if x.dim() == 2:
        return "mlp"
    return "dann_mnist" if max(x.shape[2:]) <= 32 else "cnn_small"


def _factory(path: str) -> Any:
    module_name, _, attribute = path.partition(":")
    try:
        return getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise SettingError(f"--net {path}: cannot be imported ({error}); it is read from the Python path") from error
