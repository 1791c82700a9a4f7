"""A network as every method sees it: inputs are standardised, features found, classes told."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from juyi.nets.heads import DomainLinear, NoHead
from juyi.nets.inputs import Inputs
from juyi.nets.normalisation import TARGET, DomainBatchNorm, LabelScale, Standardise, domain_batch_norm


class Network(nn.Module):
    """Raw images or features in, class scores out, in three parts that a method may treat each in its own way.

    Args:
        standardise: raw uint8 images or features to floats.
        body: floats to features, N×width.
        head: features to scores, N×outputs.
        width: the number of features.
        outputs: the number of classes (1 for regression).
        name: what a person calls it.

    Attributes:
        label_scale: where it tells a number, brings what the head says to the number's unit; None for classes.
        notes: what was fitted, filled or frozen, in words, a sentence each.
        hub: what a network of the Hugging Face hub is built again from (`juyi.nets.hub`); None for any other.
        head_name: what the head was called in the module that it was taken from, for files of weights.
    """

    def __init__(
        self, standardise: nn.Module, body: nn.Module, head: nn.Module, width: int, outputs: int, name: str
    ) -> None:
        super().__init__()
        self.label_scale: LabelScale | None = None
        self.notes: tuple[str, ...] = ()
        self.hub: dict[str, Any] | None = None
        self.head_name: str | None = None
        self.standardise = standardise
        self.body = body
        self.head = head
        self.width = width
        self.outputs = outputs
        self.name = name
        self.find_domain_layers()

    def find_domain_layers(self) -> None:
        """Look which layers work otherwise for each domain; to be called where a part was put in another's place."""
        kinds = (DomainBatchNorm, DomainLinear)
        self._by_domain = [
            layer for part in (self.body, self.head) for layer in part.modules() if isinstance(layer, kinds)
        ]

    def split_batch_norm(self) -> int:
        """Let the body's batch norm keep statistics of the domains apart; return how many layers that changed."""
        before = len(self._by_domain)
        self.body = domain_batch_norm(self.body)
        self.find_domain_layers()
        return len(self._by_domain) - before

    @property
    def is_backbone(self) -> bool:
        """Whether it has no head, so that its scores are its features."""
        return isinstance(self.head, NoHead)

    @property
    def rows_at_once(self) -> int:
        """How many rows are computed at once where there is no batch size: fewer where images are made large."""
        if (most := getattr(self.body, "rows_at_once", None)) is not None:
            return int(most)
        size = self.standardise.size if isinstance(self.standardise, Inputs) else None
        return 500 if size is None else max(8, min(500, 500 * 64**2 // (size[0] * size[1])))

    def features(self, x: Tensor, domain: str = TARGET) -> Tensor:
        """Return the features, N×width, of raw rows that come from `domain` (`source` or `target`)."""
        for layer in self._by_domain:
            layer.domain = domain
        features: Tensor = self.body(self.standardise(x))
        return features

    def forward(self, x: Tensor, domain: str = TARGET) -> Tensor:
        """Return the scores (logits), N×outputs, of raw rows that come from `domain`; or the number, N×1."""
        scores: Tensor = self.head(self.features(x, domain))
        return scores if self.label_scale is None else self.label_scale(scores)


def scale_stride(rows: int) -> int:
    """Of so many rows, each how-manieth is looked at for mean and spread: 10,000 at most."""
    return -(-rows // 10_000)


def standardiser(x: Tensor, by_image: bool = False) -> Standardise:
    """Return the `Standardise` layer for rows like `x` (N×C×H×W uint8 or N×d float32), from up to 10,000 of them.

    The rows are taken at equal distances, so that the result does not hang on how they are sorted; they are
    turned into floats a few at a time, since large images take eight times their memory.
    """
    rows = x[:: scale_stride(len(x))]
    dims = (0, 2, 3) if x.dim() == 4 else (0,)
    values = rows.numel() // rows.shape[1]
    parts = torch.split(rows, 256)
    mean = torch.stack([part.double().sum(dims) for part in parts]).sum(0) / values
    around = mean.view(1, -1, 1, 1) if x.dim() == 4 else mean
    spread = (torch.stack([(part - around).square().sum(dims) for part in parts]).sum(0) / values).sqrt()
    spread = torch.where(spread > 1e-6, spread, 1.0)
    if x.is_cuda:  # a network is built on the CPU, and moved as a whole
        mean, spread = mean.cpu(), spread.cpu()
    return Standardise(mean, spread, by_image and x.dim() == 4)
