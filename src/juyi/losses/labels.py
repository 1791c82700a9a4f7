"""Losses that compare scores, or numbers, with the labels that a person gave."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import cross_entropy, mse_loss


def label_loss(scores: Tensor, labels: Tensor, smoothing: float = 0.0) -> Tensor:
    """Return the mean cross-entropy of scores with known labels: mean −log softmax(s)_y.

    Args:
        scores: the scores (logits), N×C.
        labels: the codes, int64, N, 0 to C − 1.
        smoothing: the share of each label that is spread evenly over all classes, 0 to 1.

    Example:
        >>> import torch
        >>> round(label_loss(torch.zeros(2, 10), torch.tensor([3, 4])).item(), 4)
        2.3026
    """
    return cross_entropy(scores.float(), labels, label_smoothing=smoothing)


def number_loss(scores: Tensor, labels: Tensor) -> Tensor:
    """Return the mean squared error of told numbers: mean (s − y)².

    Args:
        scores: what the network says, N×1.
        labels: the numbers, N, in the same unit (standardised ones, say).

    Example:
        >>> import torch
        >>> number_loss(torch.tensor([[1.0], [2.0]]), torch.tensor([1.0, 4.0])).item()
        2.0
    """
    return mse_loss(scores.float().squeeze(1), labels.float())
