"""What a network is sure of, as a label for what it sees less clearly."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import cross_entropy


def consistency_loss(pseudo: Tensor, strong: Tensor, threshold: Tensor | float) -> Tensor:
    """Return mean 1[max q ≥ c] · CE(argmax q, strong), over all rows.

    Args:
        pseudo: q, N×C, probabilities; no gradient goes through them.
        strong: the scores (logits) of the strong views, N×C.
        threshold: c, 0 to 1.

    Source: Sohn et al., "FixMatch: Simplifying Semi-Supervised Learning with Consistency and Confidence", NeurIPS 2020,
    equation 4; Berthelot et al., "AdaMatch", ICLR 2022, equation 5.
    """
    sure, label = pseudo.max(1)
    return ((sure >= threshold) * cross_entropy(strong.float(), label, reduction="none")).mean()
