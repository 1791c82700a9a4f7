"""FedProto: clients share the means of their classes' features, and no weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from juyi.personalize.base import Personaliser, Shared, Update
from juyi.personalize.client import Client
from juyi.personalize.vector import Vector
from juyi.training import Batch, Rows, hyperparameter
from juyi.training.labels import loss_of


class FedProto(Personaliser):
    """Each client trains a model of its own, whose features are pulled to where all clients have their class.

        v_i ← SGD on CE(v_i(x), y) + λ / d ‖φ_i(x) − p_y‖²,   p_c ← mean over clients of their mean φ_i(x) of class c

    each client counting as many times as it has rows of the class.  A client answers with the class whose p_c is
    nearest.  What is sent are C × d numbers, whatever the network.

    Source: Y. Tan, G. Long, L. Liu, T. Zhou, Q. Lu, J. Jiang, C. Zhang, "FedProto: Federated Prototype Learning across
    Heterogeneous Clients", AAAI 2022, algorithm 1 and equations 5 to 8.

    Example:
        >>> import juyi
        >>> digits = juyi.load("digits@train[:200]")
        >>> method = FedProto(net="lenet5", rounds=2).fit(digits, groups=["ann", "bob"] * 100)
        >>> method.federation_.shared["prototypes"].shape
        torch.Size([10, 84])
    """

    sends: ClassVar[str] = "sums"

    pull: float = hyperparameter(default=1.0, help="λ, how strongly features are pulled", low=0.0, high=1e4)

    def init_shared(self, model: Vector) -> Shared:
        """No p_c yet."""
        net = model.net
        return {"prototypes": torch.zeros(net.outputs, net.width), "counts": torch.zeros(net.outputs)}

    def local_update(self, client: Client, shared: Shared) -> dict[str, Tensor]:
        """v_i; sends for each class the sum of its features, and how many rows these are."""
        net, device = client.net, client.model.values.device
        prototypes, known = shared["prototypes"].to(device), (shared["counts"] > 0).to(device)
        self.personalize(client, shared)

        def losses(batch: Batch) -> dict[str, Tensor]:
            features = net.features(batch.x)
            apart = (features.float() - prototypes[batch.y]).square().mean(1) * known[batch.y]
            return {"label": loss_of(net, net.head(features), batch.y), "prototypes": self.pull * apart.mean()}

        client.learn(losses=losses)
        client.own["model"] = client.model.copy("all")
        classes = one_hot(client.rows.y.cpu(), net.outputs).float()
        return {"prototypes": classes.T @ client.features(), "counts": classes.sum(0)}

    def aggregate(self, shared: Shared, updates: Sequence[Update], clients: int) -> Shared:
        """p_c of the classes that anybody who took part has; the others stay."""
        counts = torch.stack([update.values["counts"] for update in updates]).sum(0)
        sums = torch.stack([update.values["prototypes"] for update in updates]).sum(0)
        new = counts > 0
        return {
            "prototypes": torch.where(new[:, None], sums / counts.clamp(min=1.0)[:, None], shared["prototypes"]),
            "counts": torch.where(new, counts, shared["counts"]),
        }

    def personalize(self, client: Client, shared: Shared) -> None:
        """v_i."""
        client.load(client.own.get("model", client.beginning))

    def predict_for(self, client: Client, shared: Shared, rows: Rows) -> Tensor:
        """−‖φ_i(x) − p_c‖²; a class that nobody has shown is never told."""
        known = shared["counts"] > 0
        if not known.any():
            return client.scores(rows)
        apart = torch.cdist(client.features(rows), shared["prototypes"]).square()
        return torch.where(known, -apart, torch.full_like(apart, -torch.inf))
