"""A network as every method sees it: inputs are standardised, features found, classes told."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from juyi.nets.normalisation import TARGET, DomainBatchNorm, Standardise


class Network(nn.Module):
    """Raw images or features in, class scores out, in three parts that a method may treat each in its own way.

    Args:
        standardise: raw uint8 images or features to floats.
        body: floats to features, N×width.
        head: features to scores, N×outputs.
        width: the number of features.
        outputs: the number of classes (1 for regression).
        name: what a person calls it.
    """

    def __init__(
        self, standardise: nn.Module, body: nn.Module, head: nn.Module, width: int, outputs: int, name: str
    ) -> None:
        super().__init__()
        self.standardise = standardise
        self.body = body
        self.head = head
        self.width = width
        self.outputs = outputs
        self.name = name
        self._by_domain = [layer for layer in body.modules() if isinstance(layer, DomainBatchNorm)]

    def features(self, x: Tensor, domain: str = TARGET) -> Tensor:
        """Return the features, N×width, of raw rows that come from `domain` (`source` or `target`)."""
        for layer in self._by_domain:
            layer.domain = domain
        features: Tensor = self.body(self.standardise(x))
        return features

    def forward(self, x: Tensor, domain: str = TARGET) -> Tensor:
        """Return the scores (logits), N×outputs, of raw rows that come from `domain`."""
        scores: Tensor = self.head(self.features(x, domain))
        return scores


def standardiser(x: Tensor, by_image: bool = False) -> Standardise:
    """Return the `Standardise` layer for rows like `x` (N×C×H×W uint8 or N×d float32), from up to 10,000 of them.

    The rows are taken at equal distances, so that the result does not hang on how they are sorted; they are
    turned into floats a few at a time, since large images take eight times their memory.
    """
    rows = x[:: -(-len(x) // 10_000)]
    dims = (0, 2, 3) if x.dim() == 4 else (0,)
    values = rows.numel() // rows.shape[1]
    parts = torch.split(rows, 256)
    mean = torch.stack([part.double().sum(dims) for part in parts]).sum(0) / values
    around = mean.view(1, -1, 1, 1) if x.dim() == 4 else mean
    spread = (torch.stack([(part - around).square().sum(dims) for part in parts]).sum(0) / values).sqrt()
    return Standardise(mean, torch.where(spread > 1e-6, spread, 1.0), by_image and x.dim() == 4)
