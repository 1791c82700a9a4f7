"""FedRep: the head learns first, then the body that is shared."""

from __future__ import annotations

from torch import Tensor

from juyi.personalize.base import Shared
from juyi.personalize.client import Client
from juyi.personalize.fedper import FedPer
from juyi.training import hyperparameter


class FedRep(FedPer):
    """Each client fits its head to the shared body, then moves the body under the head, which stays.

        h_i ← SGD(h_i; φ),   φ_i ← SGD(φ; h_i),   φ ← Σ n_i φ_i / Σ n_i

    While the head learns, the body is frozen, with its running statistics.

    Source: L. Collins, H. Hassani, A. Mokhtari, S. Shakkottai, "Exploiting Shared Representations for Personalized
    Federated Learning", ICML 2021, algorithm 1.

    Example:
        >>> import juyi
        >>> digits = juyi.load("digits@train[:200]")
        >>> method = FedRep(net="lenet5", rounds=2, head_epochs=1).fit(digits, groups=["ann", "bob"] * 100)
        >>> method.predict(digits, client="ann").shape
        (200,)
    """

    head_epochs: int = hyperparameter(default=5, help="passes in which the head learns", low=1, high=10_000)

    def local_update(self, client: Client, shared: Shared) -> dict[str, Tensor]:
        """h_i ← SGD(h_i; φ), then φ_i ← SGD(φ; h_i)."""
        self.personalize(client, shared)
        client.learn(client.net.head, epochs=self.head_epochs)
        client.learn(client.net.body)
        client.own["head"] = client.model.copy("head")
        return {"body": client.model.copy("body")}
