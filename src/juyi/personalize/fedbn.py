"""FedBN: everything is shared but batch norm, for clients whose inputs look different."""

from __future__ import annotations

from torch import Tensor

from juyi.errors import SettingError
from juyi.personalize.base import Personaliser, Shared
from juyi.personalize.client import Client
from juyi.personalize.vector import Vector


class FedBN(Personaliser):
    """FedAvg in which each client keeps its own batch norm: scale, shift and running statistics.

        w_i ← SGD(w without batch norm, b_i),   w ← Σ n_i w_i / Σ n_i,   b_i stays with client i

    Layers of batch norm are told by their type, wherever they stand.

    Source: X. Li, M. Jiang, X. Zhang, M. Kamp, Q. Dou, "FedBN: Federated Learning on Non-IID Features via Local Batch
    Normalization", ICLR 2021, algorithm 1.

    Example:
        >>> import juyi
        >>> digits = juyi.load("digits@train[:200]")
        >>> method = FedBN(net="lenet5", rounds=2).fit(digits, groups=["ann", "bob"] * 100)
        >>> method.predict(digits, client="ann").shape
        (200,)
    """

    def check_net(self, model: Vector) -> None:
        """Raise an error if the network has no batch norm."""
        if not model["norm"].numel():
            raise SettingError(
                f"fedbn: {model.net.name} has no batch norm, so there would be nothing of a client's own; use "
                "--batch-norm shared, or another method"
            )

    def init_shared(self, model: Vector) -> Shared:
        """All but batch norm."""
        return {"rest": model.copy("rest")}

    def local_update(self, client: Client, shared: Shared) -> dict[str, Tensor]:
        """w_i ← SGD(w, b_i)."""
        self.personalize(client, shared)
        client.learn()
        client.own["norm"] = client.model.copy("norm")
        return {"rest": client.model.copy("rest")}

    def personalize(self, client: Client, shared: Shared) -> None:
        """(w, b_i)."""
        client.load(client.own.get("norm", client.beginning[: client.model["norm"].numel()]), "norm")
        client.load(shared["rest"], "rest")
