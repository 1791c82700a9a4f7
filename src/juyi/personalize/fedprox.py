"""FedProx: FedAvg with clients that do not go far."""

from __future__ import annotations

from torch import Tensor

from juyi.personalize.base import Shared
from juyi.personalize.client import Client
from juyi.personalize.fedavg import FedAvg
from juyi.training import hyperparameter


class FedProx(FedAvg):
    """Each client is pulled back to the model that it was sent.

        w_i ← SGD on F_i(w_i) + μ / 2 ‖w_i − w‖²,   w ← Σ n_i w_i / Σ n_i

    With μ = 0 it is FedAvg.  Clients that make a part of their steps only (`stragglers`) are averaged as they are.

    Source: T. Li, A. K. Sahu, M. Zaheer, M. Sanjabi, A. Talwalkar, V. Smith, "Federated Optimization in Heterogeneous
    Networks", MLSys 2020, algorithm 2.

    Example:
        >>> import juyi
        >>> digits = juyi.load("digits@train[:200]")
        >>> method = FedProx(net="lenet5", rounds=2).fit(digits, groups=["ann", "bob"] * 100)
        >>> method.predict(digits, client="ann").shape
        (200,)
    """

    proximity: float = hyperparameter(default=0.01, help="μ, how strongly clients are pulled back", low=0.0, high=1e4)

    def local_update(self, client: Client, shared: Shared) -> dict[str, Tensor]:
        """w_i ← SGD(F_i + μ / 2 ‖· − w‖²)."""
        client.load(shared["model"])
        client.learn(toward=shared["model"], pull=self.proximity)
        return {"model": client.model.copy("all")}
