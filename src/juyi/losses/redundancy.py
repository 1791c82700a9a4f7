"""What keeps embeddings apart without comparing images: variance, invariance, covariance."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import mse_loss, relu

from juyi.losses.precision import full_precision


def variance_loss(z: Tensor, least: float = 1.0) -> Tensor:
    """Return mean_j max(0, γ − √(var z_j + 10⁻⁴)): each number of the embedding is to vary over the batch.

    Args:
        z: N×d, N ≥ 2.
        least: γ, the standard deviation that is enough.

    Source: Bardes, Ponce and LeCun, "VICReg", ICLR 2022, equation 1.

    Example:
        >>> import torch
        >>> round(variance_loss(torch.zeros(4, 2)).item(), 2), variance_loss(torch.tensor([[-2.0], [2.0]])).item()
        (0.99, 0.0)
    """
    return relu(least - (z.float().var(0) + 1e-4).sqrt()).mean()


def covariance_loss(z: Tensor) -> Tensor:
    """Return 1/d Σ_{i≠j} C_ij², C the covariance of the embedding: no two of its numbers are to say the same.

    Args:
        z: N×d, N ≥ 2.

    Source: Bardes, Ponce and LeCun 2022, equations 3 and 4.

    Example:
        >>> import torch
        >>> covariance_loss(torch.tensor([[1.0, 1.0], [-1.0, -1.0]])).item()  # C = 2 everywhere
        4.0
    """
    with full_precision(z):
        centred = z.float() - z.float().mean(0)
        covariance = centred.T @ centred / (len(z) - 1)
        return (covariance.square().sum() - covariance.diagonal().square().sum()) / z.shape[1]


def invariance_loss(first: Tensor, second: Tensor) -> Tensor:
    """Return mean ‖z − z'‖² / d: both views are to be told alike.

    Args:
        first: N×d.
        second: N×d.

    Source: Bardes, Ponce and LeCun 2022, equation 5, divided by d as their released code has it.
    """
    return mse_loss(first.float(), second.float())
