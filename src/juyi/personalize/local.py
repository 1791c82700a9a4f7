"""Local: each client learns alone; what personalisation must beat."""

from __future__ import annotations

from torch import Tensor

from juyi.personalize.base import Personaliser, Shared
from juyi.personalize.client import Client
from juyi.personalize.vector import Vector


class Local(Personaliser):
    """Each client learns from its own rows, from the same beginning and for as many rounds, and nothing is sent.

    Example:
        >>> import juyi
        >>> digits = juyi.load("digits@train[:200]")
        >>> method = Local(net="lenet5", rounds=2).fit(digits, groups=["ann", "bob"] * 100)
        >>> method.predict(digits, client="ann").shape
        (200,)
    """

    def init_shared(self, model: Vector) -> Shared:
        """Nothing is shared."""
        return {}

    def local_update(self, client: Client, shared: Shared) -> dict[str, Tensor]:
        """v_i ← SGD(v_i)."""
        self.personalize(client, shared)
        client.learn(stays=True)
        client.own["model"] = client.model.copy("all")
        return {}

    def personalize(self, client: Client, shared: Shared) -> None:
        """v_i."""
        client.load(client.own.get("model", client.beginning))
