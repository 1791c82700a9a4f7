"""What every method of personalisation shares: clients, a server's part and a client's part, `fit` and `predict`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from juyi.errors import SettingError
from juyi.personalize.client import Client
from juyi.personalize.vector import Vector
from juyi.training import Augmented, Rows, hyperparameter, redeclare

Shared = dict[str, Tensor]
"""What the server holds and every client is sent, by name."""


@dataclass(frozen=True)
class Update:
    """What a client sent back.

    Args:
        client: its number.
        size: the number of rows that it learnt from.
        values: by name.
    """

    client: int
    size: int
    values: Mapping[str, Tensor]


class Personaliser(Augmented):
    """Make a model for each client out of what all can teach; their rows stay with them.

    A method is one file with a subclass that says what a client does in a round (`local_update`), what the server makes
    of it (`aggregate`), and which model a client has in the end (`personalize`).
    """

    exempt: ClassVar[dict[str, str]] = {}
    quick: ClassVar[dict[str, Any]] = {}
    """Settings under which the contract can be checked in seconds."""

    learns_like: ClassVar[str | None] = None
    """Another method whose rounds these are to the bit, and which need not be gone through twice."""

    looks: ClassVar[int] = 10
    """How often, at most, held-out rows are asked which round was best; seldom where asking is training."""

    net: str | nn.Module = hyperparameter(
        default="auto", help="network: a name, module:factory, hub/NAME, its folder, or auto (by the data's shape)"
    )
    rounds: int = hyperparameter(
        default=20, help="rounds; held-out rows of the clients say after which it serves", low=1, high=100_000
    )
    participation: float = hyperparameter(
        default=1.0, help="share of the clients that take part in a round", low=0.0, high=1.0
    )
    dropouts: float = hyperparameter(
        default=0.0, help="chance that a client that takes part is lost before it answers", low=0.0, high=1.0
    )
    stragglers: float = hyperparameter(
        default=0.0, help="chance that a client makes only half of its steps", low=0.0, high=1.0
    )
    statistics: str = hyperparameter(
        default="average",
        help="running statistics of batch norm: average them, keep them local, or recompute them on each client's rows",
        choices=("average", "local", "recompute"),
    )
    standardise: str = hyperparameter(
        default="image",
        help="how images are scaled: image (each by its own mean and spread) or source (by all clients')",
        choices=("source", "image"),
    )
    epochs: int = hyperparameter(default=1, help="passes over a client's rows in a round", low=1, high=10_000)
    batch: int = redeclare(Augmented, "batch", 32)
    batch_norm: str = hyperparameter(
        default="shared", help="batch norm in named networks: none or shared", choices=("none", "shared")
    )
    optimiser: str = redeclare(Augmented, "optimiser", "sgd")
    learning_rate: float = redeclare(Augmented, "learning_rate", 0.03)
    schedule: str = redeclare(Augmented, "schedule", "constant")

    def init_shared(self, model: Vector) -> Shared:
        """Return what the server begins with; the model holds the weights with which everything begins."""
        return {"model": model.copy("all")}

    @abstractmethod
    def local_update(self, client: Client, shared: Shared) -> dict[str, Tensor]:
        """Do a client's part of a round: return what it sends, and leave in `client.own` what it keeps."""
        raise NotImplementedError

    def aggregate(self, shared: Shared, updates: Sequence[Update], clients: int) -> Shared:
        """Do the server's part: by default the mean of what was sent, Σ n_i u_i / Σ n_i.

        Args:
            shared: what was sent to the clients.
            updates: what came back, in the order of the clients' numbers; at least one.
            clients: how many clients there are, whether they took part or not.
        """
        return {**shared, **weighted_means(updates)}

    @abstractmethod
    def personalize(self, client: Client, shared: Shared) -> None:
        """Put the model that a client has in the end into `client.model`."""
        raise NotImplementedError

    def predict_for(self, client: Client, shared: Shared, rows: Rows) -> Tensor:
        """Return the scores of rows of a client whose model is in place, N×C."""
        return client.scores(rows)

    def check_hyperparameters(self) -> None:
        """Raise `SettingError` for the first hyperparameter whose type or value is not allowed."""
        super().check_hyperparameters()
        if self.average:
            raise SettingError("average: clients average over each other, and not over steps; leave it out")
        if self.participation <= 0.0:
            raise SettingError("participation: 0 selects nobody; give the share of clients that take part, such as 0.1")

    def check_net(self, model: Vector) -> None:
        """Raise an error if the network cannot be used by this method."""


def weighted_means(updates: Sequence[Update]) -> dict[str, Tensor]:
    """Return Σ n_i u_i / Σ n_i of each thing that was sent, n_i the rows of client i.

    Example:
        >>> sent = [Update(0, 1, {"w": torch.tensor([0.0])}), Update(1, 3, {"w": torch.tensor([4.0])})]
        >>> weighted_means(sent)
        {'w': tensor([3.])}
    """
    total = sum(update.size for update in updates)
    found: dict[str, Tensor] = {}
    for update in updates:
        for name, value in update.values.items():
            if name not in found:
                found[name] = torch.zeros_like(value)
            found[name].add_(value, alpha=update.size / total)
    return found
