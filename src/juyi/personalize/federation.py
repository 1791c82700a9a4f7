"""The simulator: rounds of clients on one machine, with one model object for all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.distributed
from torch import Tensor

from juyi.errors import SettingError, TrainingDivergedError
from juyi.nets import TARGET
from juyi.personalize.base import Personaliser, Shared, Update
from juyi.personalize.client import Client, ClientRows, LocalTraining
from juyi.personalize.vector import Vector
from juyi.training import Processes, Rows, Settings, Stage, Steps, derive_seed, estimate_statistics

Own = dict[int, dict[str, Tensor]]
"""What each client that has taken part keeps, by its number."""


class Federation:
    """A method, a server and clients; `next_round` goes through one round.

    Who takes part, who is lost and who is late, and every batch come from (seed, round, client); updates are added in
    the order of the clients' numbers.  So rounds that are resumed, or shared among processes, end with the same bits.

    Args:
        method: what server and clients do.
        model: the network, with the weights with which everything begins.
        clients: their rows.
        settings: seed, device, precision, processes.
    """

    def __init__(self, method: Personaliser, model: Vector, clients: Sequence[ClientRows], settings: Settings) -> None:
        self.method, self.model, self.clients, self.settings = method, model, clients, settings
        self.beginning = model.copy("all")
        self.training = LocalTraining(
            method.recipe(),
            method.epochs,
            method.batch,
            lambda stage: _through(method, stage, model),
            method.statistics,
        )
        method.check_net(model)
        self.shared: Shared = method.init_shared(model)
        self.own: Own = {}
        self.round = 0
        self.best: tuple[float, int, Shared, Own] = (-1.0, 0, self.shared, {})
        self.rejected = self.lost = 0
        self.sent = self.received = self.visits = 0
        self.looks: list[list[float]] = []

    def client(self, number: int, round_number: int | None = None, share: float = 1.0) -> Client:
        """A client at work in a round, by default after the last."""
        at = self.round if round_number is None else round_number
        return self.client_of(self.clients[number], number, self.own.get(number, {}), at, share)

    def client_of(
        self, data: ClientRows, number: int, own: Mapping[str, Tensor], round_number: int, share: float = 1.0
    ) -> Client:
        """A client with these rows and with what is its own."""
        return Client(data, number, round_number, own, self.model, self.beginning, self.training, self.settings, share)

    def participants(self, round_number: int) -> list[tuple[int, float, bool]]:
        """Who takes part in a round: number, share of its steps that it makes, whether it is lost before it answers."""
        random = np.random.default_rng(derive_seed(self.settings.seed, 1, round_number))
        every = len(self.clients)
        count = selected(self.method.participation, every)
        chosen = np.sort(random.choice(every, count, replace=False))
        lost = random.random(count) < self.method.dropouts
        late = random.random(count) < self.method.stragglers
        return [(int(k), 0.5 if slow else 1.0, bool(gone)) for k, slow, gone in zip(chosen, late, lost, strict=True)]

    def next_round(self) -> dict[str, float]:
        """Go through a round; return the mean loss of those who took part, and from time to time what is validated."""
        processes = self.settings.processes
        mine: list[tuple[int, dict[str, Tensor], Update | None, float]] = []
        for place, (number, share, gone) in enumerate(self.participants(self.round)):
            if place % processes.count != processes.rank:
                continue
            client = self.client(number, share=share)
            update, own, loss = self._update(client)
            if gone:
                self.lost += 1
            elif update is None:
                self.rejected += 1
            else:
                mine.append((number, own, update, loss))
        answered = sorted(_gather(mine, processes), key=lambda one: one[0])
        for number, own, _, _ in answered:
            self.own[number] = own
        updates = [update for _, _, update, _ in answered if update is not None and update.values]
        size = sum(value.numel() * value.element_size() for value in self.shared.values())
        self.visits += len(self.participants(self.round))
        self.sent += size * len(self.participants(self.round))
        self.received += sum(v.numel() * v.element_size() for update in updates for v in update.values.values())
        if updates:
            self.shared = self.method.aggregate(self.shared, updates, len(self.clients))
        self.round += 1
        figures = {"label": float(np.mean([loss for *_, loss in answered]))} if answered else {}
        if self.round % -(-self.method.rounds // self.method.looks) == 0 or self.round == self.method.rounds:
            figures["held_out"] = self._look()
        return figures

    def _update(self, client: Client) -> tuple[Update | None, dict[str, Tensor], float]:
        """What a client sends, and keeps; an update that is no number anywhere is no update."""
        try:
            values = self.method.local_update(client, self.shared)
        except TrainingDivergedError:
            return None, {}, 0.0
        if self.training.statistics == "local":
            client.own["statistics"] = client.model.copy("statistics")
        if not all(bool(torch.isfinite(value).all()) for value in (*values.values(), *client.own.values())):
            return None, {}, 0.0
        return Update(client.number, client.size, values), client.own, float(np.mean(client.losses or [0.0]))

    def _look(self) -> float:
        """Ask the clients' held-out rows how good their models are; keep what is best so far."""
        value = self.mean_held_out()
        self.looks.append([self.round, round(value, 4)])
        if value > self.best[0]:
            own = {number: dict(entries) for number, entries in self.own.items()}
            self.best = (value, self.round, dict(self.shared), own)
        return value

    def mean_held_out(self) -> float:
        """The share of its held-out rows of which a client's model tells the class, mean over clients."""
        return float(np.mean([self.right(number, data.held_out) for number, data in enumerate(self.clients)]))

    def take_best(self) -> None:
        """Go back to the round at which the held-out rows were told best."""
        _, self.round, self.shared, self.own = self.best

    def right(self, number: int, rows: Rows) -> float:
        """The share of rows of which a client's model tells the class."""
        return float((self.scores(number, rows).argmax(1) == rows.y.cpu()).float().mean())

    def scores(self, number: int, *rows: Rows) -> Any:
        """The scores of rows under the model that a client has in the end, N×C; of several, one for each."""
        client = self.client(number)
        self.place(client)
        found = [self.method.predict_for(client, self.shared, some) for some in rows]
        return found[0] if len(found) == 1 else found

    def place(self, client: Client) -> None:
        """Put the model of a client in place."""
        self.method.personalize(client, self.shared)
        if self.training.statistics == "recompute" and self.model["statistics"].numel() and client.size > 1:
            estimate_statistics(self.model.net, client.rows, TARGET)

    def stage(self) -> Stage:
        """The rounds as a stage: each is a step, so that they are watched and stored like any other learning."""
        return Stage(
            "clients learn", over=Steps(1), turns=[], epochs=self.method.rounds, unit="round", keeps=[self],
            after_step=[self.next_round],
        )  # fmt: skip

    def state_dict(self) -> dict[str, Any]:
        """Everything that a resumed run needs."""
        value, at, shared, own = self.best
        found: dict[str, Any] = {
            "round": self.round, "looks": self.looks, "rejected": self.rejected, "lost": self.lost, "sent": self.sent,
            "received": self.received, "visits": self.visits, "best_value": value, "best_round": at,
        }  # fmt: skip
        for prefix, some in (("", (self.shared, self.own)), ("best_", (shared, own))):
            found |= {f"{prefix}shared.{name}": value for name, value in some[0].items()}
            found |= {f"{prefix}own.{k}.{name}": v for k, entries in some[1].items() for name, v in entries.items()}
        return found

    def load_state_dict(self, stored: Mapping[str, Any]) -> None:
        """Go to a stored round."""
        self.round, self.rejected, self.lost = int(stored["round"]), int(stored["rejected"]), int(stored["lost"])
        self.sent, self.received, self.visits = (int(stored[name]) for name in ("sent", "received", "visits"))
        self.looks = [list(look) for look in stored["looks"]]
        device = self.settings.device
        sides: list[tuple[Shared, Own]] = []
        for prefix in ("", "best_"):
            shared: Shared = {}
            own: Own = {}
            for name, value in stored.items():
                if name.startswith(f"{prefix}shared."):
                    shared[name.removeprefix(f"{prefix}shared.")] = value.to(device)
                elif name.startswith(f"{prefix}own."):
                    number, _, entry = name.removeprefix(f"{prefix}own.").partition(".")
                    own.setdefault(int(number), {})[entry] = value.to(device)
            sides.append((shared, own))
        self.shared, self.own = sides[0]
        self.best = (float(stored["best_value"]), int(stored["best_round"]), *sides[1])


def selected(participation: float, clients: int) -> int:
    """How many clients take part in a round.

    Raises:
        SettingError: nobody would.

    Example:
        >>> selected(0.25, 10)
        2
    """
    count = round(participation * clients)
    if count < 1:
        raise SettingError(
            f"participation: {participation:g} of {clients} clients selects nobody; give {1 / clients:g} or more"
        )
    return count


def _through(method: Personaliser, stage: Stage, model: Vector) -> list[Stage]:
    """A client's stage, seen through the shared options (augmentation, limits of weights)."""
    parts: Callable[..., Any] = method._through_options
    return [part for part in _drained(parts(iter_of(stage), model.net)) if isinstance(part, Stage)]


def iter_of(stage: Stage) -> Any:
    """A generator of one stage."""
    yield stage


def _drained(parts: Any) -> list[Any]:
    return list(parts)


def _gather(mine: list[Any], processes: Processes) -> list[Any]:
    """What all processes have, on each of them."""
    if processes.count == 1:
        return mine
    found: list[Any] = [None] * processes.count
    torch.distributed.all_gather_object(found, mine)
    return [one for some in found for one in some]
