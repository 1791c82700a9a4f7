"""Normalisation by the batch at hand: layers of batch norm whose statistics are mixed with the batch's own."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from juyi.nets import BATCH_NORMS, DomainBatchNorm, Network
from juyi.nets.normalisation import serving_statistics

MOMENTUM = 0.1
"""How fast the statistics that serve after the stream follow those of the batches: the usual value of batch norm."""
OTHER_NORMS = (nn.LayerNorm, nn.GroupNorm, nn.InstanceNorm1d, nn.InstanceNorm2d)


def mixed_statistics(source: Tensor, batch: Tensor, prior: float, rows: int) -> Tensor:
    """Return N/(N + n)·s + n/(N + n)·b: the source's statistics count as `prior` = N rows beside the batch's n.

    N = 0 is prediction-time batch norm (the batch alone); N → ∞ is no adaptation.

    Args:
        source: means or variances of the source, a channel each.
        batch: those of the batch, likewise.
        prior: N, 0 or more.
        rows: n, 1 or more.

    Example:
        >>> mixed_statistics(torch.tensor([0.0]), torch.tensor([1.0]), prior=16, rows=48)
        tensor([0.7500])

    Source:
        S. Schneider et al., "Improving robustness against common corruptions by covariate shift adaptation", NeurIPS
        2020, equation 2; N = 0: Z. Nado et al., "Evaluating prediction-time batch normalization for robustness under
        covariate shift", 2020.
    """
    share = rows / (prior + rows)
    return source.lerp(batch, share)


class MixedBatchNorm(nn.Module):
    """A layer of batch norm that normalises by the batch, mixed with the statistics that the layer had.

    Args:
        layer: the layer whose place it takes; its statistics of the target, if it has seen any, are the start.
        prior: how many rows the start's statistics count.
    """

    mean: Tensor
    variance: Tensor
    lasting_mean: Tensor
    lasting_variance: Tensor

    def __init__(self, layer: Any, prior: float) -> None:
        super().__init__()
        mean, variance = serving_statistics(layer)
        for name in ("", "lasting_"):
            self.register_buffer(f"{name}mean", mean.detach().clone())
            self.register_buffer(f"{name}variance", variance.detach().clone())
        self.weight, self.bias = (None if p is None else nn.Parameter(p.detach().clone()) for p in _affine(layer))
        self.eps, self.prior = layer.eps, prior
        self._last: tuple[Tensor, Tensor] | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Normalise N×C×H×W or N×C; gradients flow through the batch's statistics as well."""
        dims = [0, *range(2, x.dim())]
        variance, mean = torch.var_mean(x, dims, correction=0)
        mean = mixed_statistics(self.mean, mean, self.prior, len(x))
        variance = mixed_statistics(self.variance, variance, self.prior, len(x))
        self._last = (mean.detach(), variance.detach())
        shape = [1, -1] + [1] * (x.dim() - 2)
        scale = torch.rsqrt(variance + self.eps)
        shift = -mean * scale
        if self.weight is not None and self.bias is not None:
            scale, shift = scale * self.weight, shift * self.weight + self.bias
        return x * scale.view(shape) + shift.view(shape)

    def keep(self) -> None:
        """Let the statistics that serve after the stream follow those of the last batch."""
        if self._last is not None:
            self.lasting_mean.lerp_(self._last[0], MOMENTUM)
            self.lasting_variance.lerp_(self._last[1], MOMENTUM)


def _affine(layer: Any) -> tuple[Tensor | None, Tensor | None]:
    return layer.weight, layer.bias


def has_statistics(layer: nn.Module) -> bool:
    """Tell whether a layer is one of batch norm that keeps statistics."""
    return isinstance(layer, DomainBatchNorm) or (
        isinstance(layer, BATCH_NORMS) and getattr(layer, "running_mean", None) is not None
    )


def with_mixed_batch_norm(net: Network, prior: float) -> Network:
    """Return a copy of the network, in eval mode, whose layers of batch norm are `MixedBatchNorm`."""
    net = copy.deepcopy(net).eval()
    made: dict[int, MixedBatchNorm] = {}
    for parent in list(net.modules()):
        for name, child in list(parent._modules.items()):
            if child is not None and has_statistics(child):
                # A layer that stands in two places stays one.
                setattr(parent, name, made.setdefault(id(child), MixedBatchNorm(child, prior)))
    return net.requires_grad_(False)


def mixed_layers(net: nn.Module) -> list[MixedBatchNorm]:
    """List the layers that normalise by the batch."""
    return [layer for layer in net.modules() if isinstance(layer, MixedBatchNorm)]


def scales_and_shifts(net: nn.Module) -> list[nn.Parameter]:
    """List the learnable scales and shifts of the normalisation layers: what Tent moves."""
    layers = [layer for layer in net.modules() if isinstance(layer, (MixedBatchNorm, *OTHER_NORMS))]
    return [p for layer in layers for p in (layer.weight, layer.bias) if isinstance(p, nn.Parameter)]


@torch.no_grad()
def as_served(start: Network, adapted: Network) -> Network:
    """Return a copy of `start` with the scales, shifts and lasting statistics of `adapted`: a network as any other."""
    served = copy.deepcopy(start)
    for name, layer in served.named_modules():
        if not (has_statistics(layer) or isinstance(layer, OTHER_NORMS)):
            continue
        followed: Any = adapted.get_submodule(name)
        for own, other in zip(_affine(layer), _affine(followed), strict=True):
            if own is not None:
                own.copy_(other)  # type: ignore[arg-type]
        if isinstance(layer, DomainBatchNorm):
            layer.get_buffer("target_mean").copy_(followed.lasting_mean)
            layer.get_buffer("target_variance").copy_(followed.lasting_variance)
            layer.get_buffer("target_seen").fill_(True)
        elif has_statistics(layer):
            layer.running_mean.copy_(followed.lasting_mean)
            layer.running_var.copy_(followed.lasting_variance)
    return served.eval()
