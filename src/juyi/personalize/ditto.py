"""Ditto: a general model, and beside it a personal one that is pulled to it."""

from __future__ import annotations

from torch import Tensor

from juyi.personalize.base import Shared
from juyi.personalize.client import Client
from juyi.personalize.fedavg import FedAvg
from juyi.training import hyperparameter


class Ditto(FedAvg):
    """Each client takes part in FedAvg, and trains a model of its own near to the general one.

        w_i ← SGD(w),   v_i ← SGD on F_i(v_i) + λ / 2 ‖v_i − w‖²

    w is the model as it was sent.  With λ = 0 it is FedAvg and clients that learn alone; the larger λ, the nearer.

    Source: T. Li, S. Hu, A. Beirami, V. Smith, "Ditto: Fair and Robust Federated Learning Through Personalization",
    ICML 2021, algorithm 1.

    Example:
        >>> import juyi
        >>> digits = juyi.load("digits@train[:200]")
        >>> method = Ditto(net="lenet5", rounds=2).fit(digits, groups=["ann", "bob"] * 100)
        >>> method.predict(digits, client="ann").shape, method.predict(digits).shape
        ((200,), (200,))
    """

    proximity: float = hyperparameter(default=0.1, help="λ, how strongly v_i is pulled to w", low=0.0, high=1e4)

    def local_update(self, client: Client, shared: Shared) -> dict[str, Tensor]:
        """w_i ← SGD(w), v_i ← SGD(F_i + λ / 2 ‖· − w‖²)."""
        sent = super().local_update(client, shared)
        self.personalize(client, shared)
        client.learn(toward=shared["model"], pull=self.proximity, stays=True)
        client.own["model"] = client.model.copy("all")
        return sent

    def personalize(self, client: Client, shared: Shared) -> None:
        """v_i."""
        client.load(client.own.get("model", shared["model"]))
