"""FedPer: the body is shared, the head is one's own."""

from __future__ import annotations

from torch import Tensor

from juyi.personalize.base import Personaliser, Shared, check_body
from juyi.personalize.client import Client
from juyi.personalize.vector import Vector


class FedPer(Personaliser):
    """Body and head learn together; the server averages the bodies, and each client keeps its head.

        (φ_i, h_i) ← SGD(φ, h_i),   φ ← Σ n_i φ_i / Σ n_i

    Source: M. G. Arivazhagan, V. Aggarwal, A. K. Singh, S. Choudhary, "Federated Learning with Personalization Layers",
    2019, algorithms 1 and 2.

    Example:
        >>> import juyi
        >>> digits = juyi.load("digits@train[:200]")
        >>> method = FedPer(net="lenet5", rounds=2).fit(digits, groups=["ann", "bob"] * 100)
        >>> method.predict(digits, client="ann").shape
        (200,)
    """

    def check_net(self, model: Vector) -> None:
        """Raise an error if there is no body that could be shared."""
        check_body(model, self)

    def init_shared(self, model: Vector) -> Shared:
        """φ."""
        return {"body": model.copy("body")}

    def local_update(self, client: Client, shared: Shared) -> dict[str, Tensor]:
        """(φ_i, h_i) ← SGD(φ, h_i)."""
        self.personalize(client, shared)
        client.learn()
        client.own["head"] = client.model.copy("head")
        return {"body": client.model.copy("body")}

    def personalize(self, client: Client, shared: Shared) -> None:
        """(φ, h_i)."""
        client.load(client.beginning)
        client.load(shared["body"], "body")
        if "head" in client.own:
            client.load(client.own["head"], "head")
