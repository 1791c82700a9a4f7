"""Tent: scale and shift of normalisation follow the stream by entropy minimisation, with the guards of EATA and SAR."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor

from juyi.adapt.online.base import Learnt, OnlineAdapter
from juyi.adapt.online.guard import effective_classes
from juyi.adapt.online.layers import mixed_layers, scales_and_shifts
from juyi.training import hyperparameter

_MEMORY = 0.9
"""How much of a moving mean stays at each batch (EATA and SAR)."""


def entropies(scores: Tensor) -> Tensor:
    """Return H(p_i) = −Σ_c p_ic log p_ic of each row of scores (logits), N×C, in nats, 0 to log C."""
    return -(scores.softmax(1) * scores.log_softmax(1)).sum(1)


def reliable_rows(
    scores: Tensor, mean: Tensor | None, entropy_limit: float, redundancy: float
) -> tuple[Tensor, Tensor]:
    """Choose the rows that Tent may learn from, and weigh them: EATA's two filters.

    Kept are rows that are sure enough, H(p_i) < E₀ with E₀ = entropy_limit · log C, and that say something new,
    cos(p_i, m) < redundancy/√C, with m the moving mean of the answers learnt from (a sure answer has cosine 1/√C with
    a balanced m).  The weight of a row is exp(E₀ − H(p_i)).

    Args:
        scores: logits, N×C.
        mean: m, C; None where nothing was learnt from yet, and then nothing is redundant.
        entropy_limit: share of log C, 0 to 1.
        redundancy: in units of 1/√C; at √C nothing is redundant.

    Returns:
        Which rows are kept (bool, N), and the weights of all rows (N).

    Example:
        >>> keep, weight = reliable_rows(torch.tensor([[9.0, 0.0], [0.1, 0.0]]), None, 0.4, 1.3)
        >>> keep.tolist(), round(float(weight[0]), 2)
        ([True, False], 1.32)

    Source:
        S. Niu et al., "Efficient Test-Time Model Adaptation without Forgetting", ICML 2022, equations 3 to 6; its
        margins .4 (10 classes) and .05 (1,000 classes) are 1.3/√C and 1.6/√C.
    """
    scores = scores.detach()
    limit, entropy = entropy_limit * math.log(scores.shape[1]), entropies(scores)
    keep = entropy < limit
    if mean is not None:
        alike = torch.nn.functional.cosine_similarity(mean[None], scores.softmax(1), dim=1)
        keep &= alike < redundancy / math.sqrt(scores.shape[1])
    return keep, torch.exp(limit - entropy)


class Tent(OnlineAdapter):
    """Move scale and shift of the normalisation layers so that the answers on each batch become surer.

    In formula, with one step of Adam a batch:

        min over γ, β of   mean over kept rows of w_i H(p_i)  +  anchor · ‖(γ, β) − (γ₀, β₀)‖²

    Batch norm is mixed with the batch's statistics as in `BatchNormAdaptation`.  Rows are kept and weighed as in EATA
    (`reliable_rows`).  As in SAR, the weights go back to the start when they have collapsed: when the answers name far
    fewer classes than the start's weights name on the same batch, or when the moving mean of the entropy has fallen to
    a small share of what the start's weights have.  `sharpness` above 0 takes SAR's step: the gradient is that at the
    worst place within this distance.  Each batch is answered before its update.

    Source: D. Wang et al., "Tent: Fully Test-Time Adaptation by Entropy Minimization", ICLR 2021, section 3; S. Niu et
    al., "Efficient Test-Time Model Adaptation without Forgetting" (EATA), ICML 2022, and "Towards Stable Test-Time
    Adaptation in Dynamic Wild World" (SAR), ICLR 2023, equations 2 to 4.  EATA weighs its anchor by Fisher information.

    Example:
        >>> import juyi
        >>> source, stream = juyi.load("digits@train[:256]"), juyi.load("digits_m@train[:128]")
        >>> start = juyi.adapt.SourceOnly(epochs=1, net="lenet", precision="float32").fit(source)
        >>> online = Tent().start(start)
        >>> [len(online.update(stream.select(range(i, i + 64)))) for i in (0, 64)]
        [64, 64]
    """

    needs: ClassVar[str] = "normalisation"

    learning_rate: float = hyperparameter(
        default=1e-3, help="learning rate of Adam", low=0.0, high=10.0, source="Tent, section 4"
    )
    entropy_limit: float = hyperparameter(
        default=0.4, help="learn from rows whose entropy is below this share of log C", low=0.0, high=1.0, source="EATA"
    )
    redundancy: float = hyperparameter(
        default=1.3,
        help="leave out rows whose answer has a cosine above this/√C with the mean answer",
        low=0.0,
        high=1_000.0,
        source="EATA",
    )
    anchor: float = hyperparameter(default=0.0, help="weight of the pull towards the start", low=0.0, high=1e6)
    sharpness: float = hyperparameter(
        default=0.0, help="radius of SAR's step (.05 there); 0 for none", low=0.0, high=10
    )
    reset_below: float = hyperparameter(
        default=0.2, help="go back to the start when entropy falls below this share of the start's", low=0.0, high=1.0
    )

    def prepare(self) -> None:
        """Take scale and shift, and remember the start."""
        self._moved = [p.requires_grad_(True) for p in scales_and_shifts(self.net_)]
        self._start = [p.detach().clone() for p in self._moved]
        self._begin()

    def _begin(self) -> None:
        self._optimiser = torch.optim.Adam(self._moved, self.learning_rate)
        self._mean: Tensor | None = None
        self._entropy: Tensor | None = None

    def learn_from(self, x: Tensor, fresh: Tensor) -> Learnt:
        """Answer; go back if the weights have collapsed, else take a step on the rows that are reliable."""
        scores = self.net_(x)
        probabilities = scores.detach().softmax(1)
        if self._collapsed(scores, fresh):
            with torch.no_grad():
                for parameter, start in zip(self._moved, self._start, strict=True):
                    parameter.copy_(start)
            self._begin()
            return Learnt(fresh, used=0.0, reset=True)
        for layer in mixed_layers(self.net_):
            layer.keep()
        keep, weight = reliable_rows(scores, self._mean, self.entropy_limit, self.redundancy)
        if keep.any():
            self._step(x, scores, keep, weight)
            mean = probabilities[keep].mean(0)
            self._mean = mean if self._mean is None else self._mean.lerp(mean, 1 - _MEMORY)
        return Learnt(probabilities, used=float(keep.float().mean()))

    def _collapsed(self, scores: Tensor, fresh: Tensor) -> bool:
        """Judge by the classes named, and by the moving means of the entropies of both sets of weights."""
        both = torch.stack([entropies(scores.detach()).mean(), torch.special.entr(fresh).sum(1).mean()])
        self._entropy = both if self._entropy is None else self._entropy.lerp(both, 1 - _MEMORY)
        fewer = effective_classes(scores.softmax(1)) < self.concentration * effective_classes(fresh)
        return fewer or bool(self._entropy[0] < self.reset_below * self._entropy[1])

    def _loss(self, scores: Tensor, keep: Tensor, weight: Tensor) -> Tensor:
        loss = (weight[keep] * entropies(scores[keep])).mean()
        if self.anchor:
            pairs = zip(self._moved, self._start, strict=True)
            loss = loss + self.anchor * torch.stack([(p - start).square().sum() for p, start in pairs]).sum()
        return loss

    def _step(self, x: Tensor, scores: Tensor, keep: Tensor, weight: Tensor) -> None:
        gradients = torch.autograd.grad(self._loss(scores, keep, weight), self._moved)
        if self.sharpness:
            size = torch.stack([g.square().sum() for g in gradients]).sum().sqrt()
            here = [p.detach().clone() for p in self._moved]
            with torch.no_grad():
                for parameter, g in zip(self._moved, gradients, strict=True):
                    parameter.add_(g, alpha=float(self.sharpness / (size + 1e-12)))
            gradients = torch.autograd.grad(self._loss(self.net_(x), keep, weight), self._moved)
            with torch.no_grad():
                for parameter, before in zip(self._moved, here, strict=True):
                    parameter.copy_(before)
        for parameter, g in zip(self._moved, gradients, strict=True):
            parameter.grad = g
        self._optimiser.step()
