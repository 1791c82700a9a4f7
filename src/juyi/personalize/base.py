"""What every method of personalisation shares: clients, a server's part and a client's part, `fit` and `predict`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from juyi.data import Domain, as_domain, conform
from juyi.data.doors import check_order
from juyi.errors import SettingError, nearest
from juyi.personalize.client import Client, ClientRows
from juyi.personalize.protection import Protected
from juyi.personalize.vector import Vector
from juyi.training import Augmented, Rows, Served, choose_device, command_name, compute, hyperparameter, redeclare
from juyi.training.learner import as_written
from juyi.training.serving import softmax

if TYPE_CHECKING:
    from juyi.personalize.federation import Federation

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


class Personaliser(Protected):
    """Make a model for each client out of what all can teach; their rows stay with them.

    A method is one file with a subclass that says what a client does in a round (`local_update`), what the server makes
    of it (`aggregate`), and which model a client has in the end (`personalize`).
    """

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

    def fit(self, X: Any, y: Any = None, *, groups: Any = None) -> Self:
        """Make a model for each of two clients or more; a fifth of each one's rows says after which round they serve.

        Args:
            X: a `Domain` with groups, each a client, or an array of rows; rows without a label are left out.
            y: the labels of an array `X`.
            groups: the names of the clients, one a row; of a `Domain` in the place of its own.

        Raises:
            DataError: the rows cannot be learnt from, or it is not said whose they are.
            SettingError: a hyperparameter is out of its range, or the network cannot be used.
        """
        from juyi.personalize.simulation import clients_of, with_groups  # which needs this class

        self.check_hyperparameters()
        domain = as_domain(X, y, name="clients")
        if groups is not None:
            domain = with_groups(domain, groups)
        device = choose_device(self.device)
        clients, every = clients_of(domain, self.random_state)
        rows = [one.on(device) for one in clients]
        self.federation_ = self.go_through(rows, [one.train for one in clients], every, device)
        self.clients_ = tuple(one.name for one in clients)
        self.shape_, self.columns_ = domain.x.shape[1:], domain.columns
        self.classes_ = np.asarray(domain.classes)
        self.n_features_in_ = int(np.prod(self.shape_))
        if not isinstance(X, Domain):
            self.classes_ = as_written(y, self.classes_)
        return self

    def go_through(
        self, clients: Sequence[ClientRows], trains: Sequence[Domain], every: Domain, device: torch.device
    ) -> Federation:
        """Go through the rounds in memory.

        Args:
            clients: their rows, on the device.
            trains: what each learns from.
            every: the rows of all, by which inputs are scaled.
            device: where to compute.
        """
        from juyi.personalize.simulation import federation_of, go_through

        return go_through(federation_of(self, clients, every, device))

    def scores(self, X: Any, *, client: str | None = None) -> np.ndarray:  # type: ignore[override]  # no domain
        """Return the scores (logits), N×C, float32, of rows of a client; of None, by the one model for all.

        Raises:
            SettingError: there is no such client; or none was named, and the method has no model for all.
        """
        number, federation = self._number(client), self.federation_
        given = as_domain(X)
        check_order(given, self.columns_ or (), "the model")
        rows = Rows(conform(given, self.shape_), federation.settings.device)
        if number is None:
            federation.place_general()
            found = compute(federation.model.net, rows, np.arange(rows.size), federation.model.net)
        else:
            found = federation.scores(number, rows)
        return found.numpy()

    def predict_proba(self, X: Any, *, client: str | None = None) -> np.ndarray:
        """Return the probabilities of the classes, N×C, each row summing to 1, by the model of a client or of all."""
        return softmax(self.scores(X, client=client))

    def predict(self, X: Any, *, client: str | None = None) -> np.ndarray:
        """Return the class of each row, N, by the model of a client or of all."""
        told: np.ndarray = self.classes_[self.scores(X, client=client).argmax(1)]
        return told

    def transform(self, X: Any, *, client: str | None = None) -> np.ndarray:
        """Return the features of rows, N×width, float32, by the model of a client or of all."""
        return self._served(client).features(X)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None, *, client: str | None = None) -> float:
        """Return the accuracy of the model of a client, or of all, on labelled rows."""
        return self._accuracy(X, y, sample_weight, lambda rows: self.predict(rows, client=client))

    def _number(self, client: str | None) -> int | None:
        """The number of a client; None for the model of all."""
        check_is_fitted(self, "federation_")
        if client is None or client in self.clients_:
            return None if client is None else self.clients_.index(client)
        raise SettingError(f"client: there is no client {client!r}; {nearest(str(client), self.clients_)}")

    def _served(self, client: str | None = None) -> Served:
        number, federation = self._number(client), self.federation_
        if number is None:
            federation.place_general()
        else:
            federation.place(federation.client(number))
        return Served(federation.model.net, self.shape_, self.classes_, self.columns_)

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


def check_body(model: Vector, method: Personaliser) -> None:
    """Raise a `SettingError` if the body of a network has nothing that learns, for methods that share the body."""
    if not any(p.requires_grad for p in model.net.body.parameters()):
        raise SettingError(
            f"{command_name(type(method))}: {model.net.name} has no weights to share before its last layer; "
            "use a network with hidden layers, such as mlp, or another method"
        )
