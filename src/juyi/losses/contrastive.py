"""Each image a class of its own: two views of it find each other among all others."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import log_softmax

from juyi.losses.precision import full_precision


def log_instance_probabilities(queries: Tensor, keys: Tensor, temperature: float, *, others_only: bool) -> Tensor:
    """Return log P(k | q) = q·k / τ − log Σ_k' exp(q·k' / τ), N×M.

    Args:
        queries: N×d, of length 1.
        keys: M×d, of length 1.
        temperature: τ, above 0.
        others_only: queries and keys are the same rows, and none is compared with itself: its entry is −∞.

    Source: Ye et al., "Unsupervised Embedding Learning via Invariant and Spreading Instance Feature", CVPR 2019,
    equations 2 and 4.
    """
    with full_precision(queries):
        scores = queries.float() @ keys.float().T / temperature
    if others_only:
        scores = scores.fill_diagonal_(-torch.inf)
    return log_softmax(scores, 1)


def spread_loss(log_p: Tensor, negative: Tensor) -> Tensor:
    """Return −Σ log(1 − P(k | q)) / N over the pairs that are `negative`: no row is taken for another.

    Args:
        log_p: log P(k | q), N×M.
        negative: which of the pairs are of different images, bool, N×M.

    Source: Ye et al. 2019, equation 6, its second sum.

    Example:
        >>> log_p = torch.tensor([[0.5, 0.5], [0.25, 0.75]]).log()
        >>> round(spread_loss(log_p, ~torch.eye(2, dtype=torch.bool)).item(), 4)  # −(log ½ + log ¾) / 2
        0.4904
    """
    p = log_p.exp().clamp(max=1.0 - 1e-6)  # a row that is sure of another would make it infinite
    return -torch.log1p(-torch.where(negative, p, 0.0)).sum() / len(log_p)


def simclr_loss(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """Return NT-Xent: of both views of a batch, each has to find the other view of its image among all the rest.

        − mean_i log P(i' | i),  i' the other view, P over the 2N − 1 other rows

    Args:
        first: one view, N×d, of length 1.
        second: the other, N×d, of length 1.
        temperature: τ, above 0.

    Source: Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations", ICML 2020, equation 1.
    """
    both = torch.cat([first, second])
    log_p = log_instance_probabilities(both, both, temperature, others_only=True)
    return -log_p.gather(1, _other_view(len(first), both.device)[:, None]).mean()


def isif_loss(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """Return invariance and spreading: a changed image is known by the unchanged, and no image is taken for another.

        − 1/N Σ_i log P(i | x̂_i) − 1/N Σ_i Σ_{j≠i} log(1 − P(i | x_j))

    with P(i | x) = exp(f_i·f(x) / τ) / Σ_k exp(f_k·f(x) / τ) over the images of the batch, itself among them.

    Args:
        first: f, the images, N×d, of length 1.
        second: f̂, the same images changed, N×d, of length 1.
        temperature: τ, above 0.

    Source: Ye et al. 2019, equations 2, 4 and 6.
    """
    n = len(first)
    invariance = log_instance_probabilities(second, first, temperature, others_only=False).diagonal()
    among = log_instance_probabilities(first, first, temperature, others_only=False)
    return -invariance.mean() + spread_loss(among, ~torch.eye(n, dtype=torch.bool, device=first.device))


def isif_released_loss(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """Return what the authors' released code computes instead of the paper's equation 6.

    It is `simclr_loss`, through which no gradient reaches the rows that are compared with, and the spreading of all
    2N rows from all that are not views of the same image; none is compared with itself.
    """
    both = torch.cat([first, second])
    log_p = log_instance_probabilities(both, both.detach(), temperature, others_only=True)
    other = _other_view(len(first), both.device)
    negative = ~torch.eye(len(both), dtype=torch.bool, device=both.device)
    negative = negative.scatter(1, other[:, None], False)
    return -log_p.gather(1, other[:, None]).mean() + spread_loss(log_p, negative)


def _other_view(n: int, device: torch.device) -> Tensor:
    """For each of 2n rows, where the other view of its image is."""
    return torch.arange(2 * n, device=device).roll(n)
