"""kNN-Per: the general model, and the neighbours among one's own rows."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from juyi.personalize.base import Shared
from juyi.personalize.client import Client
from juyi.personalize.fedavg import FedAvg
from juyi.training import Rows, hyperparameter

SHARES = tuple(k / 10 for k in range(11))


class KNNPer(FedAvg):
    """A client answers by the general model and by the votes of its own rows that are nearest in the features.

        p(y | x) = λ_i p_kNN(y | x) + (1 − λ_i) p_w(y | x),   p_kNN ∝ Σ_{k nearest} exp(−‖φ(x) − φ(x_j)‖² / σ) [y_j = y]

    The rounds are those of FedAvg.  λ_i is the one of 0, 0.1, …, 1 by which the client's held-out rows are told best;
    σ is the mean squared distance of its rows to the nearest other.

    Source: O. Marfoq, G. Neglia, L. Kameni, R. Vidal, "Personalized Federated Learning through Local Memorization",
    ICML 2022, equations 6 and 7.

    Example:
        >>> import juyi
        >>> digits = juyi.load("digits@train[:200]")
        >>> method = KNNPer(net="lenet5", rounds=2).fit(digits, groups=["ann", "bob"] * 100)
        >>> method.predict_proba(digits, client="ann").shape
        (200, 10)
    """

    learns_like: ClassVar[str | None] = "fedavg"

    neighbours: int = hyperparameter(default=10, help="k", low=1, high=10_000)

    def predict_for(self, client: Client, shared: Shared, rows: Rows) -> Tensor:
        """The logarithm of λ_i p_kNN + (1 − λ_i) p_w."""
        known, y = client.features(), client.rows.y.cpu()
        nearest = torch.cdist(known, known).fill_diagonal_(torch.inf).min(1).values if len(known) > 1 else known[:, 0]
        scale = float(nearest.square().mean().clamp(min=1e-12)) if len(known) > 1 else 1.0

        def both(some: Rows) -> tuple[Tensor, Tensor]:
            general = client.scores(some).softmax(1)
            distances = torch.cdist(client.features(some), known).square() / scale
            near = distances.topk(min(self.neighbours, len(known)), 1, largest=False)
            votes = (-(near.values - near.values[:, :1])).exp()[:, :, None] * one_hot(y[near.indices], general.shape[1])
            local = votes.sum(1)
            return local / local.sum(1, keepdim=True), general

        local, general = both(client.held_out)
        truth = client.held_out.y.cpu()
        right = [float((s * local + (1 - s) * general).argmax(1).eq(truth).float().mean()) for s in SHARES]
        share = SHARES[max(range(len(SHARES)), key=lambda k: right[k])]
        local, general = both(rows)
        return (share * local + (1 - share) * general).clamp(min=1e-30).log()
