"""Losses between a critic that tells domains apart and features that do not let it."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import softplus


class _Reverse(torch.autograd.Function):
    @staticmethod
    def forward(context: torch.autograd.function.FunctionCtx, x: Tensor, strength: float) -> Tensor:
        context.strength = strength  # type: ignore[attr-defined]
        return x.view_as(x)

    @staticmethod
    def backward(context: torch.autograd.function.FunctionCtx, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0] * -context.strength, None  # type: ignore[attr-defined]


def reverse_gradient(x: Tensor, strength: float = 1.0) -> Tensor:
    """Return `x` itself, while its gradient on the way back is multiplied by −`strength`.

    One descent step then improves what lies behind (a critic) and worsens what lies before it (features):
    R(x) = x, dR/dx = −λ I.

    Args:
        x: any tensor.
        strength: λ, 0 or more.

    Example:
        >>> import torch
        >>> x = torch.tensor([3.0], requires_grad=True)
        >>> reverse_gradient(x, 0.5).mul(2).backward()
        >>> x.grad
        tensor([-1.])

    Source: Ganin and Lempitsky, "Unsupervised Domain Adaptation by Backpropagation", 2015, equations 7-8.
    """
    reversed_: Tensor = _Reverse.apply(x, strength)  # type: ignore[no-untyped-call]
    return reversed_


def reversal_ramp(progress: float, steepness: float = 10.0) -> float:
    """Return the strength of the reversal, 2 / (1 + exp(−γp)) − 1: from 0, so that a young critic does no harm, to 1.

    Args:
        progress: p, the share of the steps done, 0 to 1.
        steepness: γ.

    Example:
        >>> [round(reversal_ramp(p), 3) for p in (0.0, 0.1, 0.5, 1.0)]
        [0.0, 0.462, 0.987, 1.0]

    Source: Ganin and Lempitsky, 2015, equation 14.
    """
    return 2.0 / (1.0 + math.exp(-steepness * progress)) - 1.0


def domain_loss(
    source_score: Tensor,
    target_score: Tensor,
    source_weight: Tensor | None = None,
    target_weight: Tensor | None = None,
) -> Tensor:
    """Return the critic's cross-entropy, both domains weighing the same.

        ½ mean log(1 + exp(−d(source))) + ½ mean log(1 + exp(d(target)))

    It is log 2 = .693 when the critic knows nothing, and 0 when it is right and certain.

    Args:
        source_score: the critic's scores (logits) of source rows, any shape; high means source.
        target_score: its scores of target rows.
        source_weight: how much each source row counts in its mean, N, positive; None for all alike.
        target_weight: likewise, of target rows.

    Example:
        >>> import torch
        >>> round(domain_loss(torch.zeros(4, 1), torch.zeros(2, 1)).item(), 4)
        0.6931

    Source: Ganin and Lempitsky, 2015, section 3 (the loss L_d); Tzeng et al., CVPR 2017, equation 7.
    """
    source, target = softplus(-source_score.float()), softplus(target_score.float())
    return (_weighted_mean(source, source_weight) + _weighted_mean(target, target_weight)) / 2


def _weighted_mean(values: Tensor, weight: Tensor | None) -> Tensor:
    if weight is None:
        return values.mean()
    return (values.flatten() * weight).sum() / weight.detach().sum()
