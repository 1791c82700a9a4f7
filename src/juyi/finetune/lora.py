"""LoRA: each layer gets a change of low rank, and nothing else changes."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from juyi.errors import SettingError
from juyi.finetune.full import Tuned
from juyi.nets import Network
from juyi.training import Rows, StageGenerator, hyperparameter, redeclare


class LowRank(nn.Module):
    """W ↦ W + α / r B A, for the weight of a linear layer or a convolution, whose filters are its rows.

    B is zero at the start, so nothing changes at first.

    Args:
        weight: W, out×in or out×in×h×w.
        rank: r.
        scale: α / r.

    Source: Hu et al. 2022, section 4.1.
    """

    def __init__(self, weight: Tensor, rank: int, scale: float) -> None:
        super().__init__()
        rows, columns = len(weight), weight[0].numel()
        self.scale = scale
        self.down = nn.Parameter(torch.randn(rank, columns, device=weight.device) / columns**0.5)
        self.up = nn.Parameter(torch.zeros(rows, rank, device=weight.device))

    def forward(self, weight: Tensor) -> Tensor:
        """The weight with its change."""
        return weight + self.scale * (self.up @ self.down).view_as(weight)


class LoRA(Tuned):
    """Low-rank adaptation of linear layers and convolutions; norms keep their statistics.

    At the end the changes are added to the weights, so the model is as large and as fast as before.

    Source: E. J. Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", ICLR 2022, equation 3; for a
    convolution, W is the matrix whose rows are its filters.

    Example:
        >>> import juyi
        >>> digits = juyi.load("digits@train[:256]")
        >>> backbone = juyi.pretrain.ISIF(net="lenet5", epochs=1).fit(digits)
        >>> LoRA(backbone=backbone, epochs=1).fit(digits).predict(digits).shape
        (256,)
    """

    rank: int = hyperparameter(default=4, help="r, the rank of each change", low=1, high=4_096)
    alpha: float = hyperparameter(default=8.0, help="α; changes are multiplied by α / r", low=0.0, high=1e4)
    body_rate: float = redeclare(Tuned, "body_rate", 1.0)

    def stages(self, net: Network, few: Rows, unlabelled: Rows | None) -> StageGenerator:
        """One stage, between adding the changes and merging them."""
        layers = [
            layer
            for layer in net.body.modules()
            if isinstance(layer, nn.Linear | nn.Conv2d) and not getattr(layer, "juyi_frozen", False)
        ]
        if not layers:
            raise SettingError(f"network {net.name} has no linear layer or convolution to adapt; use --method linear")
        changes = [LowRank(layer.weight, self.rank, self.alpha / self.rank) for layer in layers]
        for layer, change in zip(layers, changes, strict=True):
            parametrize.register_parametrization(layer, "weight", change)

        rates = [*((change, self.careful_rate) for change in changes), (net.head, self.learning_rate)]
        yield self.tune(net, few, "adapt", rates=rates)
        for layer in layers:
            parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)
        return net
