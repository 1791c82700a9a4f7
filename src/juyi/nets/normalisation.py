"""Layers that bring inputs or activations to a common scale."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from juyi.errors import SettingError

SOURCE, TARGET = "source", "target"


class Standardise(nn.Module):
    """Turn uint8 images, or features, into floats of about zero mean and unit spread; it is part of every network.

    Because it travels with the network, `predict` takes raw images and cannot be fed the wrong scale.

    Args:
        mean: what is subtracted, a channel or feature each, in the input's own unit.
        spread: what is divided by, likewise.
        by_image: subtract each image's own mean and divide by its own standard deviation instead (over all its
            pixels and channels): brightness and contrast of a picture then say nothing.

    Example:
        >>> import torch
        >>> layer = Standardise(torch.tensor([127.5]), torch.tensor([127.5]))
        >>> layer(torch.tensor([[[[0, 255]]]], dtype=torch.uint8)).tolist()
        [[[[-1.0, 1.0]]]]
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, mean: Tensor, spread: Tensor, by_image: bool = False) -> None:
        super().__init__()
        self.register_buffer("mean", mean.float())
        self.register_buffer("spread", spread.float())
        self.by_image = by_image

    def forward(self, x: Tensor) -> Tensor:
        """Standardise N×C×H×W images (any number type) or N×d features; float32 out, memory order kept."""
        x = x.float()
        if x.dim() == 2:
            return (x - self.mean) / self.spread
        if not self.by_image:
            return (x - self.mean.view(1, -1, 1, 1)) / self.spread.view(1, -1, 1, 1)
        variance, mean = torch.var_mean(x, dim=(1, 2, 3), correction=0, keepdim=True)
        # One grey level of spread is added: a blank image gives zeros, not amplified noise.
        return (x - mean) / (variance.sqrt() + 1.0)


class LabelScale(nn.Module):
    """Bring what a head says of a number, standardised, to the number's own unit: y = mean + spread s.

    With it a network learns numbers of any size under the same settings; it travels with the network, so that whoever
    predicts gets the labels' own unit.

    Args:
        mean: of the labels.
        spread: their standard deviation, above 0.

    Example:
        >>> scale = LabelScale(12.0, 10.0)
        >>> scale(torch.tensor([[-1.0], [0.5]])).tolist(), scale.standardised(torch.tensor([2.0])).tolist()
        ([[2.0], [17.0]], [-1.0])
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, mean: float = 0.0, spread: float = 1.0) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32))
        self.register_buffer("spread", torch.tensor(spread, dtype=torch.float32))

    def forward(self, scores: Tensor) -> Tensor:
        """Give standardised numbers in the labels' own unit, float32."""
        return self.mean + self.spread * scores.float()

    def standardised(self, y: Tensor) -> Tensor:
        """Give labels as the head should say them."""
        return (y.float() - self.mean) / self.spread


class DomainBatchNorm(nn.Module):
    """Batch normalisation whose statistics are kept for source and target apart; scale and shift are shared.

    A batch is normalised by the statistics of its own domain, so that what differs between the domains only in
    mean and spread of an activation is gone before a critic looks.  When serving, the running statistics of the
    domain named last (`Network.features` names it) are used.

    Source: the separate statistics of Li et al., "Revisiting Batch Normalization for Practical Domain
    Adaptation", 2016 (AdaBN), and Chang et al., "Domain-Specific Batch Normalization", CVPR 2019, here with one
    common scale and shift.

    Args:
        channels: the number of channels or features.
        eps: what is added to the variance, above 0.
        momentum: the share of a batch in the running values, 0 to 1.
        affine: whether there are scale and shift.
    """

    def __init__(self, channels: int, eps: float = 1e-5, momentum: float = 0.1, affine: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels)) if affine else None
        self.bias = nn.Parameter(torch.zeros(channels)) if affine else None
        self.eps, self.momentum = eps, momentum
        self.domain = SOURCE
        for domain in (SOURCE, TARGET):
            self.register_buffer(f"{domain}_mean", torch.zeros(channels))
            self.register_buffer(f"{domain}_variance", torch.ones(channels))
            self.register_buffer(f"{domain}_seen", torch.tensor(False))

    def reset_parameters(self) -> None:
        """Go back to the beginning: scale 1, shift 0, and no statistics seen."""
        with torch.no_grad():
            for parameter, value in ((self.weight, 1.0), (self.bias, 0.0)):
                if parameter is not None:
                    parameter.fill_(value)
            for domain in (SOURCE, TARGET):
                self.get_buffer(f"{domain}_mean").zero_()
                self.get_buffer(f"{domain}_variance").fill_(1.0)
                self.get_buffer(f"{domain}_seen").fill_(False)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise N×C×H×W or N×C; in training by the batch, which also updates the domain's running values."""
        # A domain that was never seen in training (source only) is served by the other's statistics.
        domain = self.domain
        if not self.training and not x.is_meta and not self.get_buffer(f"{domain}_seen"):
            domain = TARGET if domain == SOURCE else SOURCE
        if self.training:
            self.get_buffer(f"{domain}_seen").fill_(True)
        return nn.functional.batch_norm(
            x,
            self.get_buffer(f"{domain}_mean"),
            self.get_buffer(f"{domain}_variance"),
            self.weight,
            self.bias,
            self.training,
            self.momentum,
            self.eps,
        )


ORDINARY_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
"""Batch norm as torch has it."""
BATCH_NORMS = (DomainBatchNorm, *ORDINARY_BATCH_NORMS)
"""Every layer that keeps a running mean and variance."""


def serving_statistics(layer: Any) -> tuple[Tensor, Tensor]:
    """Return the running mean and variance by which a layer of batch norm serves: of the target, if it was seen.

    >>> serving_statistics(nn.BatchNorm1d(2))[1].tolist()
    [1.0, 1.0]
    """
    if not isinstance(layer, DomainBatchNorm):
        return layer.running_mean, layer.running_var
    domain = TARGET if layer.get_buffer(f"{TARGET}_seen") else SOURCE
    return layer.get_buffer(f"{domain}_mean"), layer.get_buffer(f"{domain}_variance")


def domain_batch_norm(module: nn.Module) -> nn.Module:
    """Turn the batch norm layers of any module into `DomainBatchNorm`, in place, and return it.

    Scale and shift stay the same parameters; both domains begin with the running values that are there, and those
    of the source count as seen, so that until the target is seen it is served as it was before.  A layer that
    keeps no running values, or their plain mean (`momentum=None`), or is of a subclass, stays as it is.

    Args:
        module: what is changed; where it is itself a batch norm layer, only what is returned is the new one.

    Example:
        >>> domain_batch_norm(nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)))[1].source_mean.shape
        torch.Size([8])
    """
    made: dict[int, nn.Module] = {}

    def of(layer: nn.Module) -> nn.Module:
        if not _is_batch_norm(layer):
            return layer
        if id(layer) not in made:  # a layer that stands in two places stays one
            made[id(layer)] = _by_domain(layer)
        return made[id(layer)]

    for parent in list(module.modules()):
        for name, child in list(parent._modules.items()):
            if child is not None and of(child) is not child:
                setattr(parent, name, of(child))
    return of(module)


def _is_batch_norm(layer: Any) -> bool:
    """Whether it is batch norm and nothing else: a subclass may do more, such as an activation."""
    return type(layer) in ORDINARY_BATCH_NORMS and layer.track_running_stats and layer.momentum is not None


def _by_domain(layer: Any) -> DomainBatchNorm:
    new = DomainBatchNorm(layer.num_features, layer.eps, layer.momentum, layer.affine)
    new.weight, new.bias, new.training = layer.weight, layer.bias, layer.training
    with torch.no_grad():
        for domain in (SOURCE, TARGET):
            new.get_buffer(f"{domain}_mean").copy_(layer.running_mean)
            new.get_buffer(f"{domain}_variance").copy_(layer.running_var)
        new.get_buffer(f"{SOURCE}_seen").fill_(True)
    return new.to(layer.running_mean.device)


def normalisation(kind: str, channels: int, *, flat: bool = False) -> nn.Module:
    """Return the layer that `batch_norm` names: `none`, `shared` (ordinary) or `domain`; `flat` for N×C input.

    >>> normalisation("none", 3)
    Identity()
    """
    if kind == "none":
        return nn.Identity()
    if kind == "shared":
        return nn.BatchNorm1d(channels) if flat else nn.BatchNorm2d(channels)
    if kind == "domain":
        return DomainBatchNorm(channels)
    raise SettingError(f"batch_norm: {kind} is not one of none, shared, domain")
