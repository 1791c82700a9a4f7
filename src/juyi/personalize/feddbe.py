"""FedDBE: what is peculiar to a client's features is one vector of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from juyi.errors import SettingError
from juyi.personalize.base import Personaliser, Shared, Update, weighted_means
from juyi.personalize.client import Client
from juyi.personalize.vector import Vector
from juyi.training import Batch, hyperparameter
from juyi.training.labels import loss_of


class FedDBE(Personaliser):
    """The domain bias eliminator: the head sees φ(x) + m_i, and the mean of φ(x) is held where all clients' is.

        (w_i, m_i) ← SGD on CE(h(φ(x) + m_i), y) + κ mse(z̄_i, z̄),   z̄_i ← (1 − μ) z̄_i + μ mean φ(x) over a batch

    w goes to the server, which averages it; m_i stays.  z̄ is the mean of the features of all clients' rows under the
    weights with which everything began; it is found in the first round, and sent with the model from then on.

    In the model of a client m_i is a part of the head's first bias, W (f + m_i) + b.

    Source: J. Zhang, Y. Hua, J. Cao, H. Wang, T. Song, Z. Xue, R. Ma, H. Guan, "Eliminating Domain Bias for Federated
    Learning in Representation Space", NeurIPS 2023, algorithm 1 and equations 5 to 7.

    Example:
        >>> import juyi
        >>> digits = juyi.load("digits@train[:200]")
        >>> method = FedDBE(net="lenet5", rounds=2).fit(digits, groups=["ann", "bob"] * 100)
        >>> method.federation_.own[0]["bias"].shape
        torch.Size([84])
    """

    unprivate: ClassVar[str | None] = "the mean of a client's features is sent, and has no noise"

    regularisation: float = hyperparameter(
        default=1.0, help="κ, how strongly means are held together", low=0.0, high=1e4
    )
    mean_share: float = hyperparameter(default=0.1, help="μ, weight of a batch in z̄_i", low=1e-6, high=1.0)

    def check_net(self, model: Vector) -> None:
        """Raise an error if the head does not begin with a linear layer with a bias."""
        layer = first_linear(model.net.head)
        if layer is None or layer.bias is None:
            raise SettingError("feddbe: the network's head must begin with a linear layer that has a bias")

    def init_shared(self, model: Vector) -> Shared:
        """The model w, and no z̄ yet."""
        width = model.net.width
        return {"model": model.copy("all"), "mean": torch.zeros(width), "found": torch.zeros(1)}

    def local_update(self, client: Client, shared: Shared) -> dict[str, Tensor]:
        """(w_i, m_i), and once the mean of its features under the weights of the beginning."""
        net, known = client.net, bool(shared["found"])
        sent = {}
        if not known:
            client.load(client.beginning)
            sent["mean"] = client.features().mean(0)
        client.load(shared["model"])
        device = client.model.values.device
        bias = client.own.get("bias", torch.zeros(net.width)).to(device).clone()
        goal = shared["mean"].to(device)
        running = goal.clone()

        def losses(batch: Batch) -> dict[str, Tensor]:
            nonlocal running
            features = net.features(batch.x)
            found = {"label": loss_of(net, net.head(features + bias), batch.y)}
            if known and self.regularisation:
                mean = (1.0 - self.mean_share) * running + self.mean_share * features.float().mean(0)
                running = mean.detach()
                found["mean"] = self.regularisation * mse_loss(mean, goal)
            return found

        client.learn(net.body, net.head, bias, losses=losses)
        client.own["bias"] = bias.detach()
        return {"model": client.model.copy("all"), **sent}

    def aggregate(self, shared: Shared, updates: Sequence[Update], clients: int) -> Shared:
        """Mean of the models, w ← Σ n_i w_i / Σ n_i; z̄ once."""
        found = weighted_means(updates)
        return {**shared, **found, "found": torch.ones(1)}

    def personalize(self, client: Client, shared: Shared) -> None:
        """The model w, with m_i in the head's first bias."""
        client.load(shared["model"])
        layer = first_linear(client.net.head)
        if layer is not None and "bias" in client.own:
            with torch.no_grad():
                layer.bias.add_(layer.weight @ client.own["bias"].to(layer.weight.device))


def first_linear(head: nn.Module) -> nn.Linear | None:
    """The linear layer with which a head begins, if it does."""
    first = next((part for part in head.modules() if not list(part.children())), None)
    return first if isinstance(first, nn.Linear) and not type(head).__name__.startswith("Cosine") else None
