"""SCAFFOLD: FedAvg whose clients correct the drift of their own data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from juyi.errors import SettingError
from juyi.personalize.base import Shared, Update
from juyi.personalize.client import Client
from juyi.personalize.fedavg import FedAvg
from juyi.personalize.vector import Vector
from juyi.training import hyperparameter, redeclare


class Scaffold(FedAvg):
    """Each step is corrected by what distinguishes the client's gradients from all clients'.

        y_i ← y_i − η (g_i(y_i) − c_i + c), K steps from w
        c_i⁺ ← c_i − c + (w − y_i) / (K η)
        w ← w + η_g mean_i (y_i − w),   c ← c + (|S| / N) mean_i (c_i⁺ − c_i)

    over the |S| of N clients that took part; K is the number of steps that were made.  The correction holds for plain
    SGD only.  Running statistics of batch norm are averaged, and corrected by nothing.

    Source: S. P. Karimireddy, S. Kale, M. Mohri, S. Reddi, S. Stich, A. T. Suresh, "SCAFFOLD: Stochastic Controlled
    Averaging for Federated Learning", ICML 2020, algorithm 1, option II.

    Example:
        >>> import juyi
        >>> digits = juyi.load("digits@train[:200]")
        >>> method = Scaffold(net="lenet5", rounds=2).fit(digits, groups=["ann", "bob"] * 100)
        >>> method.predict(digits, client="ann").shape
        (200,)
    """

    sends: ClassVar[str] = "changes"

    momentum: float = redeclare(FedAvg, "momentum", 0.0)
    server_rate: float = hyperparameter(default=1.0, help="η_g, the server's step", low=1e-6, high=10.0)

    def check_hyperparameters(self) -> None:
        """Raise `SettingError` for the first hyperparameter whose type or value is not allowed."""
        super().check_hyperparameters()
        if self.optimiser != "sgd" or self.momentum or self.weight_decay or self.schedule != "constant":
            raise SettingError(
                "scaffold: its correction holds for plain SGD: optimiser sgd, momentum 0, weight decay 0, schedule "
                "constant"
            )

    def init_shared(self, model: Vector) -> Shared:
        """The model w, and c = 0."""
        return {"model": model.copy("all"), "control": torch.zeros_like(model.values)}

    def local_update(self, client: Client, shared: Shared) -> dict[str, Tensor]:
        """y_i − w, and c_i⁺ − c_i."""
        w, c = shared["model"], shared["control"]
        own = client.own.get("control", torch.zeros_like(c))
        client.load(w)
        client.learn(shift=c - own)
        y = client.model.copy("all")
        change = (w - y) / (client.steps * self.learning_rate) - c
        change[: client.model["statistics"].numel()] = 0.0
        client.own["control"] = own + change
        return {"model": y - w, "control": change}

    def aggregate(self, shared: Shared, updates: Sequence[Update], clients: int) -> Shared:
        """Move both: w ← w + η_g mean (y_i − w), c ← c + |S| / N mean (c_i⁺ − c_i)."""
        moved, turned = (torch.zeros_like(shared[name]) for name in ("model", "control"))
        for update in updates:
            moved.add_(update.values["model"], alpha=self.server_rate / len(updates))
            turned.add_(update.values["control"], alpha=1.0 / clients)
        return {"model": shared["model"] + moved, "control": shared["control"] + turned}
