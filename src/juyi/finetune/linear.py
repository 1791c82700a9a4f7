"""Linear: logistic regression on the frozen features."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from juyi.finetune.base import Finetuner, features_of
from juyi.measure.linear import cross_validated_strength, fit_linear
from juyi.nets import Network
from juyi.training import Rows, StageGenerator, Step, hyperparameter


class Linear(Finetuner):
    """A linear head by regularised logistic regression on standardised features; the backbone stays as it is.

        min_W  Σ CE(y, W f) + λ / 2 ‖W‖²

    λ is chosen by cross-validation on the few labels, if every class has two or more; else it is 1.

    Source: G. Alain, Y. Bengio, "Understanding intermediate layers using linear classifier probes", 2016, section 3.

    Example:
        >>> import juyi
        >>> digits = juyi.load("digits@train[:256]")
        >>> backbone = juyi.pretrain.ISIF(net="lenet5", epochs=1).fit(digits)
        >>> Linear(backbone=backbone).fit(digits).predict(digits).shape
        (256,)
    """

    draws: ClassVar[bool] = False
    costs: ClassVar[str] = "seconds, once the features are computed"

    strength: float | None = hyperparameter(
        default=None, help="λ, the strength of the regularisation; by default by cross-validation", low=1e-9, high=1e9
    )

    def stages(self, net: Network, few: Rows, unlabelled: Rows | None) -> StageGenerator:
        """One step."""
        yield Step("fit the head", lambda: fit_linear_head(net, few, self.strength), keeps=[net])
        return net


def fit_linear_head(net: Network, few: Rows, strength: float | None) -> None:
    """Fit the linear head of a network by logistic regression on its features of these rows."""
    assert isinstance(net.head, nn.Linear)
    x, y = features_of(net, few).cpu().double().numpy(), few.y.cpu().numpy()
    chosen = cross_validated_strength(x, y) if strength is None else strength
    w = fit_linear(x, y, net.outputs, strength=chosen)
    put(net.head, torch.from_numpy(np.ascontiguousarray(w[:-1].T)), torch.from_numpy(w[-1]))


def put(head: nn.Linear, weight: Tensor, bias: Tensor) -> None:
    """Put weights into a head."""
    with torch.no_grad():
        head.weight.copy_(weight)
        head.bias.copy_(bias)
