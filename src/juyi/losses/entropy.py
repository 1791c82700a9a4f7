"""How uncertain predictions are."""

from __future__ import annotations

from torch import Tensor


def entropy(probabilities: Tensor) -> Tensor:
    """Return the entropy of each row, −Σ_k p_k log p_k, in nats: 0 for certainty, log C for none.

    Args:
        probabilities: N×C (or C, for one number), each row summing to 1.

    Example:
        >>> import torch
        >>> entropy(torch.tensor([[0.9, 0.1], [0.5, 0.5]]))
        tensor([0.3251, 0.6931])
    """
    # Not xlogy: its gradient at 0 is not finite, and 0 comes up where scores lie 104 apart.
    return -(probabilities * probabilities.clamp(min=1e-30).log()).sum(-1)
