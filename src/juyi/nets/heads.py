"""Heads: from features to scores; what stands after a backbone can be named, and is built again from its name."""

from __future__ import annotations

import re

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, normalize

from juyi.nets.normalisation import SOURCE, TARGET


class CosineHead(nn.Module):
    """Scores by direction alone: Wᵀ f / (‖f‖ T), with a column of W for each class and no bias.

    Args:
        width: the number of features.
        outputs: the number of classes.
        temperature: T.

    Example:
        >>> head = CosineHead(4, 3)
        >>> x = torch.randn(2, 4)
        >>> torch.allclose(head(x), head(7 * x), atol=1e-4)
        True

    Source: Chen et al., "A Closer Look at Few-shot Classification", ICLR 2019, without normalising W, as in Saito et
    al., "Semi-supervised Domain Adaptation via Minimax Entropy", ICCV 2019, section 3.1, with T = .05.
    """

    def __init__(self, width: int, outputs: int, temperature: float = 0.05) -> None:
        super().__init__()
        self.linear = nn.Linear(width, outputs, bias=False)
        self.temperature = temperature

    def forward(self, features: Tensor) -> Tensor:
        """Scores (logits), N×outputs, of features, N×width."""
        scores: Tensor = self.linear(normalize(features)) / self.temperature
        return scores


class NeighbourHead(nn.Module):
    """Scores by the votes of the k nearest rows that it remembers: log Σ exp(c / τ) over those of a class.

    c is the cosine.  A class without a vote has the score of a share of 10⁻⁶.

    Args:
        width: the number of features.
        outputs: the number of classes.
        rows: how many rows it remembers.
        k: how many of them vote.
        temperature: τ.

    Source: Wu et al., "Unsupervised Feature Learning via Non-Parametric Instance Discrimination", CVPR 2018, section
    3.4.

    Example:
        >>> head = NeighbourHead(2, 2, rows=2, k=1)
        >>> head.remember(torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.tensor([0, 1]))
        >>> head(torch.tensor([[5.0, 1.0]])).argmax(1)
        tensor([0])
    """

    features: Tensor
    votes: Tensor

    def __init__(self, width: int, outputs: int, rows: int, k: int, temperature: float = 0.1) -> None:
        super().__init__()
        self.k, self.temperature = k, temperature
        self.register_buffer("features", torch.zeros(rows, width))
        self.register_buffer("votes", torch.zeros(rows, outputs))

    def remember(self, features: Tensor, label: Tensor) -> None:
        """Keep these rows, N×width, and their classes, N."""
        with torch.no_grad():
            self.features.copy_(normalize(features))
            self.votes.zero_().scatter_(1, label.view(-1, 1), 1.0)

    def forward(self, features: Tensor) -> Tensor:
        """Scores, N×outputs, of features, N×width."""
        cosine, near = (normalize(features) @ self.features.T).topk(self.k, 1)
        weight = ((cosine - 1.0) / self.temperature).exp()
        shares = (weight.unsqueeze(2) * self.votes[near]).sum(1) / weight.sum(1, keepdim=True)
        return (shares + 1e-6).log()


class DomainLinear(nn.Linear):
    """A linear layer that has weights of its own for rows of the source: what serves the target is the layer itself.

    Where a map brings the domains together and a linear model stands behind it, both are one such layer.

    Args:
        width: the number of features.
        outputs: the number of scores.

    Example:
        >>> layer = DomainLinear(2, 1)
        >>> x = torch.ones(1, 2)
        >>> layer.domain = "source"
        >>> layer(x).detach().tolist()  # nothing was put in yet
        [[0.0]]
    """

    def __init__(self, width: int, outputs: int) -> None:
        super().__init__(width, outputs)
        self.domain = TARGET
        self.source_weight = nn.Parameter(torch.zeros(outputs, width))
        self.source_bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, features: Tensor) -> Tensor:
        """Scores, N×outputs, of features, N×width, of the domain that was named last."""
        if self.domain == SOURCE:
            found: Tensor = linear(features, self.source_weight, self.source_bias)
            return found
        served: Tensor = super().forward(features)
        return served


class Fourier(nn.Module):
    """Random Fourier features, √(2/D) cos(x Ω + b): their inner products are about a Gaussian kernel.

    Args:
        width: the number of features, rows of Ω.
        number: D.

    Source: A. Rahimi and B. Recht, "Random Features for Large-Scale Kernel Machines", NIPS 2007.
    """

    frequencies: Tensor
    phases: Tensor

    def __init__(self, width: int, number: int) -> None:
        super().__init__()
        self.register_buffer("frequencies", torch.zeros(width, number))
        self.register_buffer("phases", torch.zeros(number))

    def forward(self, features: Tensor) -> Tensor:
        """N×D of N×width."""
        waves: Tensor = (features @ self.frequencies + self.phases).cos()
        scaled: Tensor = (2.0 / len(self.phases)) ** 0.5 * waves
        return scaled


class NoHead(nn.Identity):
    """What stands in the head's place in a backbone: its scores are its features."""


_NAMES = re.compile(
    r"own|none|cosine|linear|mlp-([1-9][0-9]{0,4})|neighbours-([1-9][0-9]{0,6})-([1-9][0-9]{0,6})|by-domain|"
    r"fourier-([1-9][0-9]{0,4})"
)


def is_head(name: str) -> bool:
    """Whether there is a head of this name.

    >>> [is_head(name) for name in ("own", "linear", "mlp-256", "neighbours-40-5", "mlp-0", "neighbours-3-4", "x")]
    [True, True, True, True, False, False, False]
    """
    found = _NAMES.fullmatch(name)
    return found is not None and (found[2] is None or int(found[3]) <= int(found[2]))


def make_head(name: str, width: int, outputs: int) -> nn.Module | None:
    """Return the head that a name means, or None for the network's own.

    `none` is no head: the scores are the features.  `linear` is one layer, `mlp-UNITS` two with dropout of a half
    between them, `cosine` is `CosineHead`, `neighbours-ROWS-K` a `NeighbourHead`, `by-domain` a `DomainLinear`, and
    `fourier-D` the same on D random Fourier features.

    Args:
        name: see above; it has to be one (`is_head`).
        width: the number of features.
        outputs: the number of classes.
    """
    if name == "own":
        return None
    if name == "none":
        return NoHead()
    if name == "cosine":
        return CosineHead(width, outputs)
    if name == "linear":
        return nn.Linear(width, outputs)
    found = _NAMES.fullmatch(name)
    assert found
    if found[1]:
        units = int(found[1])
        return nn.Sequential(nn.Linear(width, units), nn.ReLU(), nn.Dropout(0.5), nn.Linear(units, outputs))
    if found[4]:
        return nn.Sequential(Fourier(width, int(found[4])), DomainLinear(int(found[4]), outputs))
    if name == "by-domain":
        return DomainLinear(width, outputs)
    return NeighbourHead(width, outputs, int(found[2]), int(found[3]))
