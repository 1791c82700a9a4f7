"""FedALA: what is new in the general model is let in weight by weight."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call

from juyi.personalize.base import Shared
from juyi.personalize.client import Client
from juyi.personalize.fedavg import FedAvg
from juyi.training import Batch, Optimiser, hyperparameter
from juyi.training.labels import loss_of


class FedALA(FedAvg):
    """Before a client learns, its head becomes a mixture of its own and the general one, weight by weight.

        θ = v_i + (w − v_i) ⊙ W_i,   W_i ← clip(W_i − η ∂L/∂θ ⊙ (w − v_i), 0, 1) on a part of its rows

    The body is the general one.  W_i begins at 1; the first time it learns until the loss no longer changes, later in
    one pass.  Then the client learns from θ, and sends all.

    Source: J. Zhang, Y. Hua, H. Wang, T. Song, Z. Xue, R. Ma, H. Guan, "FedALA: Adaptive Local Aggregation for
    Personalized Federated Learning", AAAI 2023, algorithm 1 and equations 4 to 6, with p = 1 (the head).

    Example:
        >>> import juyi
        >>> digits = juyi.load("digits@train[:200]")
        >>> method = FedALA(net="lenet5", rounds=2).fit(digits, groups=["ann", "bob"] * 100)
        >>> method.predict(digits, client="ann").shape
        (200,)
    """

    unprivate: ClassVar[str | None] = "what is sent begins with a mixture that rows chose without noise"

    mixing_rate: float = hyperparameter(default=1.0, help="η of W_i", low=0.0, high=100.0)
    mixing_share: float = hyperparameter(
        default=0.8, help="s, share of the rows by which W_i learns", low=0.01, high=1.0
    )
    first_passes: int = hyperparameter(default=10, help="passes at most, the first time", low=1, high=1_000)

    def local_update(self, client: Client, shared: Shared) -> dict[str, Tensor]:
        """θ from v_i, w and W_i, then SGD(θ)."""
        w, v = shared["model"], client.own.get("model")
        client.load(w)
        if v is not None:
            self._mix(client, v)
        client.learn()
        client.own["model"] = client.model.copy("all")
        return {"model": client.model.copy("all")}

    def _mix(self, client: Client, v: Tensor) -> None:
        """Learn W_i, and put θ into the head."""
        model, head = client.model, client.net.head
        first = "mixture" not in client.own
        general = model.copy("head")
        own = v[-general.numel() :]
        mixture = torch.ones_like(general) if first else client.own["mixture"].clone()
        offset = model.values.numel() - general.numel()

        def mixed() -> Tensor:
            return own + (general - own) * mixture

        def losses(batch: Batch) -> dict[str, Tensor]:
            with torch.no_grad():
                mixture.clamp_(0.0, 1.0)  # after the step before
            theta = torch.cat([theta_of_body, mixed()])
            pieces: dict[str, Any] = {name: model.piece(theta, p) for name, p in head.named_parameters()}
            scores = functional_call(head, pieces, (client.net.features(batch.x),))
            return {"mixture": loss_of(client.net, scores, batch.y)}

        theta_of_body = torch.zeros(offset, device=general.device)
        count = max(1, int(self.mixing_share * client.size))
        index = np.sort(client.random(5).permutation(client.size)[:count])
        rows = client.rows.part(index)
        before = np.inf
        for _ in range(self.first_passes if first else 1):
            client.learn(mixture, losses=losses, epochs=1, over=rows, optimiser=Optimiser("sgd", self.mixing_rate, 0.0))
            if abs(before - client.losses[-1]) < 0.01:
                break
            before = client.losses[-1]
        with torch.no_grad():
            mixture.clamp_(0.0, 1.0)
            client.own["mixture"] = mixture
            client.load(mixed(), "head")

    def personalize(self, client: Client, shared: Shared) -> None:
        """v_i."""
        client.load(client.own.get("model", shared["model"]))
