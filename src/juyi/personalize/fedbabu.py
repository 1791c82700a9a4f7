"""FedBABU: the body alone learns, under a head that never does; fine-tuning comes at the end."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from juyi.personalize.base import Personaliser, Shared, check_body
from juyi.personalize.client import Client
from juyi.personalize.vector import Vector
from juyi.training import hyperparameter


class FedBABU(Personaliser):
    """All clients move the body under the same random head, which stays as it is; then each fine-tunes body and head.

        φ_i ← SGD(φ; h₀),   φ ← Σ n_i φ_i / Σ n_i;   in the end (φ_i, h_i) ← SGD(φ, h₀)

    Source: J. Oh, S. Kim, S.-Y. Yun, "FedBABU: Toward Enhanced Representation for Federated Image Classification",
    ICLR 2022, algorithm 1 and section 5.

    Example:
        >>> import juyi
        >>> digits = juyi.load("digits@train[:200]")
        >>> method = FedBABU(net="lenet5", rounds=2, tuning_epochs=1).fit(digits, groups=["ann", "bob"] * 100)
        >>> method.predict(digits, client="ann").shape
        (200,)
    """

    looks: ClassVar[int] = 3
    quick: ClassVar = {"tuning_epochs": 2}

    tuning_epochs: int = hyperparameter(default=5, help="passes of fine-tuning in the end", low=1, high=10_000)
    tunes: str = hyperparameter(default="all", help="what is fine-tuned", choices=("all", "head"))

    def check_net(self, model: Vector) -> None:
        """Raise an error if there is no body that could be shared."""
        check_body(model, self)

    def init_shared(self, model: Vector) -> Shared:
        """φ."""
        return {"body": model.copy("body")}

    def local_update(self, client: Client, shared: Shared) -> dict[str, Tensor]:
        """φ_i ← SGD(φ; h₀)."""
        client.load(client.beginning)
        client.load(shared["body"], "body")
        client.learn(client.net.body)
        return {"body": client.model.copy("body")}

    def personalize(self, client: Client, shared: Shared) -> None:
        """(φ_i, h_i) ← SGD(φ, h₀)."""
        client.load(client.beginning)
        client.load(shared["body"], "body")
        client.tune(*((client.net.head,) if self.tunes == "head" else ()), epochs=self.tuning_epochs)
