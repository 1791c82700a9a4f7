"""Steps that hide any one row of a client: each row's gradient is shortened, and noise is added to their sum."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from juyi.nets import Network
from juyi.training import Batch, Rows, derive_seed


@dataclass(frozen=True)
class RowPrivacy:
    """How a client's steps are made private.

    Args:
        longest: C, the longest gradient of a row.
        noise: σ.
    """

    longest: float
    noise: float


class PoissonBatches:
    """Batches into which each row comes with the same chance, whatever the others do; some have few rows, or none.

    A pass is as many steps as there would be full batches, each row being in one of them on average.

    Args:
        rows: a client's.
        size: how many rows a batch should have.
        share: which part of the steps is made.
        privacy: how steps are made private.
    """

    def __init__(self, rows: Rows, size: int, share: float = 1.0, privacy: RowPrivacy = RowPrivacy(0.0, 0.0)) -> None:
        self.rows, self.share, self.privacy = rows, share, privacy
        self.rate = 1.0 / max(1, rows.size // size)
        self.expected = rows.size * self.rate

    def steps_per_epoch(self, processes: int) -> int:
        """As many as in a pass, or a share of them, at least one."""
        return max(1, math.floor(self.share / self.rate + 1e-9))

    def loss(self, net: Network, batch: Batch) -> Tensor:
        """The cross-entropy, summed over a batch, over the number of rows that it should have."""
        return cross_entropy(net(batch.x).float(), batch.y, reduction="sum") / self.expected

    def hide(self, parameters: Sequence[Tensor]) -> None:
        """Make of the gradients of a batch's rows, each over the number of rows, one that hides any of them."""
        noisy_gradients(parameters, self.privacy.longest / self.expected, self.privacy.noise)

    def batch(self, key: tuple[int, ...], step: int, process: int, processes: int) -> Batch:
        """The batch of this step."""
        chance = np.random.default_rng(derive_seed(*key, 8, step)).random(self.rows.size)
        return self.rows.take(np.flatnonzero(chance < self.rate))


def noisy_gradients(parameters: Sequence[Tensor], longest: float, noise: float) -> None:
    """Make of the gradients of rows that of a step: g ← Σ_i g_i min(1, C / ‖g_i‖) + N(0, σ² C² I).

    ‖g_i‖ is over all parameters together.  The noise is drawn from torch's generator.

    Args:
        parameters: each with `grad` and, row by row, `grad_sample`; those without get no gradient.
        longest: C.
        noise: σ.

    Source: M. Abadi, A. Chu, I. Goodfellow, H. B. McMahan, I. Mironov, K. Talwar, L. Zhang, "Deep Learning with
    Differential Privacy", CCS 2016, algorithm 1.
    """
    rows: list[tuple[Tensor, Any]] = [(p, getattr(p, "grad_sample", None)) for p in parameters]
    known = [(p, g) for p, g in rows if g is not None and p.grad is not None]
    lengths = torch.stack([g.flatten(1).norm(dim=1) for _, g in known]).norm(dim=0)
    factors = longest / lengths.clamp(min=longest)
    for p, g in known:
        assert p.grad is not None
        p.grad.copy_(torch.tensordot(factors, g, dims=1))
        p.grad.add_(torch.randn_like(p), alpha=noise * longest)
        p.grad_sample = None  # type: ignore[attr-defined]


@contextmanager
def gradients_of_rows(parts: Sequence[nn.Module]) -> Iterator[None]:
    """Let each backward pass of a sum over rows leave the gradient of each row in `grad_sample`, by Opacus."""
    from opacus.grad_sample import GradSampleHooks

    every = [GradSampleHooks(part, loss_reduction="sum") for part in parts]
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Full backward hook is firing")
            yield
    finally:
        for hooks in every:
            hooks.cleanup()
