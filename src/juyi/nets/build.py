"""Make the network that a person names, fitted to the data's shape and classes."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from juyi.errors import SettingError, nearest
from juyi.nets.freezing import freeze as freeze_parts
from juyi.nets.freezing import thaw
from juyi.nets.heads import make_head
from juyi.nets.hub import hub_network
from juyi.nets.hub_files import is_hub
from juyi.nets.library import NETWORKS
from juyi.nets.network import Network, standardiser
from juyi.nets.normalisation import ORDINARY_BATCH_NORMS, LabelScale
from juyi.nets.own import own_network
from juyi.nets.weights import fill

FEW_COLUMNS = 16
"""Numbers are told by a linear network from so few columns, unless another is named."""


def build_network(
    net: str | nn.Module,
    x: Tensor,
    outputs: int,
    *,
    batch_norm: str = "none",
    standardise: str = "source",
    head: str = "own",
    weights: str | None = None,
    freeze: str | None = None,
    labels: LabelScale | None = None,
) -> Network:
    """Return a new network for rows like `x` (N×C×H×W uint8 images or N×d float32 features).

    Args:
        net: a name (`juyi.nets.NETWORKS`), `hub/NAME` or a folder that `transformers` wrote, `module:factory`, or a
            module of one's own, which is copied and never changed. See `juyi.nets.own` and `juyi.nets.hub`.
        x: rows of the source, of which mean and spread are taken.
        outputs: the number of classes, or 1 for regression.
        batch_norm: `none`, `shared` or `domain`: which layers named networks get. In any other network `domain`
            lets the batch norm that is there keep statistics of the domains apart, and the others leave it.
        standardise: `source` (mean and spread of the source a channel) or `image` (each image by its own); networks
            of the hub have their own.
        head: `own`, the network's, or another in its place (`juyi.nets.heads`); `none` for a backbone.
        weights: a safetensors file to fill it with (`juyi.nets.weights`), or None.
        freeze: names of parts that stay as they are, separated by commas (`juyi.nets.freezing`), or None.
        labels: the scale of the labels where these are numbers; None for classes.

    Raises:
        SettingError: no such network, weights or part, or it does not fit the data's shape.

    Example:
        >>> import torch
        >>> net = build_network("lenet", torch.zeros(2, 1, 28, 28, dtype=torch.uint8), 10)
        >>> net.width, net(torch.zeros(2, 1, 28, 28, dtype=torch.uint8)).shape
        (500, torch.Size([2, 10]))
    """
    if isinstance(net, str) and net in NETWORKS:
        network = _tried(_named(net, x, outputs, batch_norm, standardise), x, outputs)
    else:
        if isinstance(net, Network):
            network = copy.deepcopy(net)
            network.notes = ()
            thaw(network)
        elif isinstance(net, str) and is_hub(net):
            network = hub_network(net, x, outputs)
        elif isinstance(net, str) and ":" not in net:
            others = "or module:factory, hub/NAME, or a folder with config.json"
            raise SettingError(f"--net {net}: there is no such network; {nearest(net, NETWORKS)}; {others}")
        else:
            network = own_network(net, x, outputs, standardise)
        network = _tried(network, x, outputs)  # layers that are lazy have their shapes only after it
        _fit_batch_norm(network, batch_norm)
    fit_head(network, head)
    network.label_scale = labels
    if weights is not None:
        fill(network, _text("weights", weights))
    if freeze is not None:
        freeze_parts(network, _text("freeze", freeze))
    return network


def fit_head(network: Network, head: str) -> None:
    """Put the head that `head` names (`juyi.nets.heads`) into the place of the network's own."""
    if (made := make_head(head, network.width, network.outputs)) is not None:
        network.head = made
        network.find_domain_layers()
    if head == "none":
        network.outputs = network.width


def fit_dropout(network: Network, share: float) -> None:
    """Let the dropout layers of a network leave out this share of units while it learns.

    Raises:
        SettingError: it has none.
    """
    layers = [layer for layer in network.modules() if isinstance(layer, nn.Dropout)]
    if not layers:
        raise SettingError(f"--dropout {share:g}: network {network.name} has no dropout layer; use mlp-WIDTH-WIDTH")
    for layer in layers:
        layer.p = share


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise SettingError(f"{name}: must be text, not {value!r}")
    return value


def _named(net: str, x: Tensor, outputs: int, batch_norm: str, standardise: str) -> Network:
    shape = tuple(x.shape[1:])
    if len(shape) == 1 and not net.startswith(("mlp", "linear")):
        raise SettingError(f"--net {net}: is a network for images, but the data are features; use mlp or linear")
    try:
        parts = NETWORKS[net](shape, outputs, batch_norm)
    except RuntimeError as error:
        raise SettingError(
            f"--net {net}: does not fit inputs of shape {shape}; use cnn_small or larger images"
        ) from error
    return Network(standardiser(x, standardise == "image"), parts.body, parts.head, parts.width, outputs, net)


def _fit_batch_norm(network: Network, batch_norm: str) -> None:
    """Let the batch norm of a network that is not a named one keep domains apart if asked to; note what was done."""
    if batch_norm == "domain" and (changed := network.split_batch_norm()):
        network.notes += (f"batch norm: statistics of source and target apart in {changed} layers",)
    elif batch_norm == "none" and any(isinstance(layer, ORDINARY_BATCH_NORMS) for layer in network.body.modules()):
        network.notes += ("batch norm: stays, since it is part of the network; none is for named networks",)


def _tried(network: Network, x: Tensor, outputs: int) -> Network:
    """Run the network on one row, which tells whether it fits and gives layers that are lazy their shapes."""
    modes = [(layer, layer.training) for layer in network.modules()]
    network.eval()
    try:
        with torch.no_grad():
            features = network.features(x[:1].cpu() if x.device.type == "cuda" else x[:1])
            scores = network.head(features)
    except Exception as error:  # a network of one's own may raise anything
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


def default_network(x: Tensor, numbers: bool = False) -> str:
    """Name the network that serves rows like `x` when the person names none: one that a CPU trains in minutes.

    Args:
        x: rows, N×C×H×W or N×d.
        numbers: whether the labels are numbers; of few columns, these are told by a linear network.
    """
    if x.dim() == 2:
        return "linear" if numbers and x.shape[1] <= FEW_COLUMNS else "mlp"
    return "dann_mnist" if max(x.shape[2:]) <= 32 else "cnn_small"
