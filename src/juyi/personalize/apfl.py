"""APFL: a mixture of a personal and the general model, whose weight learns too."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from juyi.personalize.base import Shared
from juyi.personalize.client import Client
from juyi.personalize.fedavg import FedAvg
from juyi.training import hyperparameter


class APFL(FedAvg):
    """Each client takes part in FedAvg, and serves a mixture of the general model and one of its own.

        v̄_i = α_i v_i + (1 − α_i) w_i
        w_i ← SGD(w),   v_i ← v_i − η ∇_v F_i(v̄_i),   α_i ← clip(α_i − η ⟨v_i − w_i, ∇F_i(v̄_i)⟩, 0, 1)

    ∇_v F_i(v̄_i) = α_i ∇F_i(v̄_i), so a step of v_i is one of v̄_i with the rate α_i² η, and is made as that; w_i is the
    one at the end of the round, where the paper alternates by steps.  α_i moves once a round, by the gradient over all
    rows of the client.

    Source: Y. Deng, M. M. Kamani, M. Mahdavi, "Adaptive Personalized Federated Learning", 2020, algorithm 1 and
    equation 10.

    Example:
        >>> import juyi
        >>> digits = juyi.load("digits@train[:200]")
        >>> method = APFL(net="lenet5", rounds=2).fit(digits, groups=["ann", "bob"] * 100)
        >>> 0.0 <= float(method.federation_.own[0]["alpha"]) <= 1.0
        True
    """

    mixture: float = hyperparameter(default=0.5, help="α_i at the beginning", low=0.01, high=1.0)
    adaptive: bool = hyperparameter(default=True, help="whether α_i learns")

    def local_update(self, client: Client, shared: Shared) -> dict[str, Tensor]:
        """w_i, v_i and α_i."""
        sent = super().local_update(client, shared)
        w = sent["model"]
        v = client.own.get("personal", client.beginning)
        alpha = float(client.own.get("alpha", torch.tensor(self.mixture)))
        client.load(alpha * v + (1.0 - alpha) * w)
        if self.adaptive:
            slope = float(torch.dot(v - w, client.gradient()))
            alpha = min(1.0, max(0.0, alpha - self.learning_rate * slope))
            client.load(alpha * v + (1.0 - alpha) * w)
        if alpha > 0.0:
            client.learn(optimiser=replace(self.recipe(), learning_rate=alpha**2 * self.learning_rate), stays=True)
            v = (client.model.copy("all") - (1.0 - alpha) * w) / alpha
        client.own |= {"personal": v, "alpha": torch.tensor(alpha)}
        return sent

    def personalize(self, client: Client, shared: Shared) -> None:
        """α_i v_i + (1 − α_i) w."""
        if "alpha" not in client.own:
            client.load(shared["model"])
            return
        alpha = float(client.own["alpha"])
        client.load(alpha * client.own["personal"] + (1.0 - alpha) * shared["model"])
