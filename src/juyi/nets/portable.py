"""Turn a network into one of ordinary layers that answers the same, for programs other than torch."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from juyi.nets.inputs import Inputs
from juyi.nets.network import Network
from juyi.nets.normalisation import DomainBatchNorm, serving_statistics


class ByMatrix(nn.Module):
    """Resizing or pooling as two matrix products, D x Aᵀ: any map of images that is linear and separable.

    Uneven pooling, and resizing with antialiasing, become a hundred small operations in ONNX, or none at all.

    Args:
        resize: the map, N×1×H×W in, N×1×h×w out, whose weights sum to 1 for each value of its result.
        height: H.
        width: W.

    Example:
        >>> layer = ByMatrix(nn.AdaptiveAvgPool2d(3), 8, 8)
        >>> x = torch.randn(2, 4, 8, 8)
        >>> torch.allclose(layer(x), nn.AdaptiveAvgPool2d(3)(x), atol=1e-6)
        True
    """

    down: Tensor
    across: Tensor

    def __init__(self, resize: Callable[[Tensor], Tensor], height: int, width: int) -> None:
        super().__init__()
        rows = torch.eye(height)[:, None, :, None].expand(-1, -1, -1, width)  # image i is 1 in row i alone
        columns = torch.eye(width)[:, None, None, :].expand(-1, -1, height, -1)
        self.register_buffer("down", resize(rows.contiguous())[:, 0, :, 0].T.contiguous())
        self.register_buffer("across", resize(columns.contiguous())[:, 0, 0, :].contiguous())

    def forward(self, x: Tensor) -> Tensor:
        """Give N×C×h×w of N×C×H×W."""
        return self.down @ (x @ self.across)


@torch.no_grad()
def portable(network: Network, row: Tensor) -> Network:
    """Return a copy, on the CPU, that answers the same with layers that every exporter knows.

    Batch norm by domain becomes ordinary, with the statistics by which it serves; uneven average pooling and resizing
    become matrix products.

    Args:
        network: any network.
        row: one raw input, 1×C×H×W or 1×d, whose size those matrices are for.

    Example:
        >>> from juyi.nets import build_network
        >>> x = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
        >>> net = build_network("cnn_small", x, 10, batch_norm="domain").eval()
        >>> torch.allclose(net(x), portable(net, x[:1])(x), atol=1e-4)
        True
    """
    made = copy.deepcopy(network).cpu().eval()
    seen: dict[nn.Module, Tensor] = {}

    def remember(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        seen[layer] = inputs[0]

    kinds = (DomainBatchNorm, nn.AdaptiveAvgPool2d, Inputs)
    hooks = [m.register_forward_hook(remember) for m in made.modules() if isinstance(m, kinds)]
    made(row.cpu())
    for hook in hooks:
        hook.remove()
    for parent in list(made.modules()):
        for name, child in list(parent.named_children()):
            if child in seen:
                setattr(parent, name, _ordinary(child, seen[child]))
    made.find_domain_layers()
    return made


def _ordinary(layer: nn.Module, x: Tensor) -> nn.Module:
    """The layer in whose place another stands for inputs like `x`, or itself."""
    if isinstance(layer, DomainBatchNorm):
        kind = nn.BatchNorm2d if x.dim() == 4 else nn.BatchNorm1d
        new: Any = kind(x.shape[1], layer.eps, affine=layer.weight is not None)
        new.weight, new.bias = layer.weight, layer.bias
        new.running_mean, new.running_var = (value.clone() for value in serving_statistics(layer))
        ordinary: nn.Module = new.eval()
        return ordinary
    height, width = x.shape[2:]
    if isinstance(layer, Inputs):
        if layer.size is None or layer.size == (height, width):
            return layer
        whole, bare = layer, copy.copy(layer)
        bare.size = None
        return nn.Sequential(bare, ByMatrix(whole.resized, height, width))
    given = layer.output_size if isinstance(layer.output_size, tuple) else (layer.output_size, layer.output_size)
    uneven = any(size and length % size for length, size in zip((height, width), given, strict=True))
    return ByMatrix(layer, height, width) if uneven else layer
