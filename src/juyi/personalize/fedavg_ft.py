"""FedAvg-FT: the general model, then each client goes on with it on its own rows."""

from __future__ import annotations

from typing import ClassVar

from juyi.personalize.base import Shared
from juyi.personalize.client import Client
from juyi.personalize.fedavg import FedAvg
from juyi.training import hyperparameter


class FedAvgFT(FedAvg):
    """The rounds are those of FedAvg; in the end each client fine-tunes the general model, if that is better.

        v_i ← SGD(w) for some passes, and v_i ← w if its held-out rows are told worse by it

    Fine-tuning raises the mean and hurts some clients; the last line is the gate against that.

    Source: S. Wu, T. Li, Z. Charles, Y. Xiao, K. Liu, Z. Xu, V. Smith, "Motley: Benchmarking Heterogeneity and
    Personalization in Federated Learning", 2022, section 3.

    Example:
        >>> import juyi
        >>> digits = juyi.load("digits@train[:200]")
        >>> method = FedAvgFT(net="lenet5", rounds=2, tuning_epochs=1).fit(digits, groups=["ann", "bob"] * 100)
        >>> method.predict(digits, client="ann").shape
        (200,)
    """

    learns_like: ClassVar[str | None] = "fedavg"
    looks: ClassVar[int] = 3

    quick: ClassVar = {"tuning_epochs": 1}

    tuning_epochs: int = hyperparameter(default=5, help="passes of fine-tuning", low=1, high=10_000)

    def personalize(self, client: Client, shared: Shared) -> None:
        """v_i ← SGD(w), or w."""
        client.load(shared["model"])
        before = client.right(client.held_out)
        client.tune(epochs=self.tuning_epochs)
        if client.right(client.held_out) < before:
            client.load(shared["model"])
