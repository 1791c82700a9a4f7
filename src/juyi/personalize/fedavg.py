"""FedAvg: one model for all, the mean of what the clients make of it."""

from __future__ import annotations

from torch import Tensor

from juyi.personalize.base import Personaliser, Shared
from juyi.personalize.client import Client


class FedAvg(Personaliser):
    """The server's model goes to the clients, each passes over its rows, and the mean of what they send is the next.

        w_i ← SGD(w),   w ← Σ n_i w_i / Σ n_i

    n_i is the number of rows of client i; the sums are over the clients that took part.  Every client has the same
    model in the end: it is the general model beside which personal ones are judged.

    Source: H. B. McMahan, E. Moore, D. Ramage, S. Hampson, B. Agüera y Arcas, "Communication-Efficient Learning of Deep
    Networks from Decentralized Data", AISTATS 2017, algorithm 1.

    Example:
        >>> import juyi
        >>> digits = juyi.load("digits@train[:200]")
        >>> method = FedAvg(net="lenet5", rounds=2).fit(digits, groups=["ann", "bob"] * 100)
        >>> bool((method.predict(digits) == method.predict(digits, client="ann")).all())
        True
    """

    def local_update(self, client: Client, shared: Shared) -> dict[str, Tensor]:
        """w_i ← SGD(w)."""
        client.load(shared["model"])
        client.learn()
        return {"model": client.model.copy("all")}

    def personalize(self, client: Client, shared: Shared) -> None:
        """The general model, w."""
        client.load(shared["model"])
