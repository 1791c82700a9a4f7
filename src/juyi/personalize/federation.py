"""The rounds: who takes part, what a client's visit is, what is refused, what the server makes of the answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from typing import Any, ClassVar

import numpy as np
import torch
import torch.distributed
from torch import Tensor

from juyi.data import Domain
from juyi.errors import SettingError, TrainingDivergedError
from juyi.nets import TARGET, Network
from juyi.personalize.attendance import Answer, Attendance, attendance_of, selected
from juyi.personalize.base import Personaliser, Shared, Update
from juyi.personalize.client import Client, ClientRows, LocalTraining, check_rows
from juyi.personalize.defence import Defence, defence_of
from juyi.personalize.privacy import Budget, uniforms
from juyi.personalize.sharing import would_send
from juyi.personalize.vector import Vector
from juyi.training import (
    Processes,
    Rows,
    Settings,
    Stage,
    StageGenerator,
    Steps,
    command_name,
    derive_seed,
    estimate_statistics,
)

Own = dict[int, dict[str, Tensor]]
"""What each client that has taken part keeps, by its number."""

Listener = Callable[[Sequence[int], Sequence[int], Sequence[int]], None]
"""Is told within a round who has answered, for whom it waits, and who was refused."""


class Federation:
    """A method, a server and clients; `next_round` goes through one round, with all clients on this machine.

    Who takes part, who is lost and who is late, and every batch come from (seed, round, client); updates are added in
    the order of the clients' numbers.  So rounds that are resumed, or shared among processes, end with the same bits.

    Args:
        method: what server and clients do.
        model: the network, with the weights with which everything begins.
        clients: their rows.
        settings: seed, device, precision, processes.
        secret: who comes, and which noise is added, are functions of it where that hides clients; by default the seed.
    """

    elsewhere: ClassVar[bool] = False
    """Whether clients are on other machines: then they tell the server of their losses and rows, privacy or not."""

    def __init__(
        self,
        method: Personaliser,
        model: Vector,
        clients: Sequence[ClientRows],
        settings: Settings,
        secret: int | None = None,
    ) -> None:
        self.method, self.model, self.clients, self.settings = method, model, clients, settings
        self.secret = settings.seed if secret is None else secret
        self.rounds_of = method.learns_like or command_name(type(method))
        self.check_clients()
        self.training = LocalTraining(
            method.recipe(),
            method.epochs,
            method.batch,
            partial(_through, method, model),
            method.statistics,
            self.rounds_of,
        )
        method.check_net(model)
        self.budget = Budget(self)
        self.listener: Listener | None = None
        self.begin()

    @cached_property
    def defence(self) -> Defence:
        """What stands between updates and the method; at a client nobody asks for it, nor for its accountant."""
        return defence_of(self.method, len(self.clients), (self.secret, self.rounds_of))

    def begin(self) -> None:
        """Begin with the weights that the model holds now."""
        self.beginning = self.model.copy("all")
        self.shared: Shared = self.method.init_shared(self.model)
        self.own: Own = {}
        self.round = 0
        self.best: tuple[float, int, Shared, Own] = (-1.0, 0, self.shared, {})
        self.rejected = self.lost = 0
        self.sent = self.received = self.visits = 0
        self.looks: list[list[float]] = []
        self.attendance = Attendance()
        self.looked: Sequence[int] = ()

    def follow(self, other: Federation) -> None:
        """Stand where another stands that went through the same rounds."""
        self.beginning, self.shared, self.own, self.round = other.beginning, other.shared, other.own, other.round
        self.rejected, self.lost = other.rejected, other.lost
        self.sent, self.received, self.visits = other.sent, other.received, other.visits

    def check_clients(self) -> None:
        """Refuse a client from whose rows a step cannot be made."""
        check_rows(self.clients, self.model)

    def rows_of(self, number: int) -> ClientRows:
        """A client's rows; where they are elsewhere, rows that look like them."""
        return self.clients[number]

    def under(self, method: Personaliser) -> Federation:
        """The same rounds under another method, whose rounds are these to the bit."""
        found = Federation(method, self.model, self.clients, self.settings, self.secret)
        found.follow(self)
        return found

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
        """Who takes part in a round: number, share of its steps that it makes, whether it is lost before it answers.

        As many in each round; where the noise hides clients each comes by a chance of its own, as its ε supposes.
        """
        random = np.random.default_rng(derive_seed(self.settings.seed, 1, round_number))
        every = len(self.clients)
        if self.method.privacy == "client":
            chance = uniforms(every, self.secret, self.rounds_of, "who comes", round_number)
            chosen = np.flatnonzero(chance < self.method.participation)
        else:
            chosen = np.sort(random.choice(every, selected(self.method.participation, every), replace=False))
        count = len(chosen)
        lost = random.random(count) < self.method.dropouts
        late = random.random(count) < self.method.stragglers
        return [(int(k), 0.5 if slow else 1.0, bool(gone)) for k, slow, gone in zip(chosen, late, lost, strict=True)]

    def next_round(self) -> dict[str, float]:
        """Go through a round; return the mean loss of those who took part, and from time to time what is validated."""
        taken = self.participants(self.round)
        answers = self.visit_all([(number, share) for number, share, gone in taken if not gone])
        answered = [one for one in answers if one.update is not None]
        for one in answered:
            self.own[one.client] = one.own
        self.attendance = attendance_of(taken, answers)
        self.lost += len(self.attendance.lost)
        self.rejected += len(self.attendance.refused)
        updates = [one.update for one in answered if one.update is not None and one.update.values]
        size = sum(value.numel() * value.element_size() for value in self.shared.values())
        self.visits += len(taken)
        self.sent += size * len(taken)
        self.received += sum(v.numel() * v.element_size() for update in updates for v in update.values.values())
        defended = self.defence(self.shared, updates, self.round, lambda: would_send(self, 0, self.shared)[1])
        if defended:
            self.shared = self.method.aggregate(self.shared, defended, len(self.clients))
        self.round += 1
        if self.method.privacy != "none":  # what clients tell of their losses and of held-out rows has no noise
            return {}
        figures = {"label": float(np.mean([one.loss for one in answered]))} if answered else {}
        if self.round % -(-self.method.rounds // self.method.looks) == 0 or self.round == self.method.rounds:
            figures["held_out"] = self._look()
        return figures

    def visit_all(self, taken: Sequence[tuple[int, float]]) -> list[Answer]:
        """Let clients do their part of a round, each with its number and the share of its steps that it makes.

        Returns:
            The answers, in the order of the clients' numbers; who is lost gives none.
        """
        processes = self.settings.processes
        mine = []
        for place, (number, share) in enumerate(taken):
            if place % processes.count == processes.rank:
                update, own, loss = self.visit(self.client(number, share=share))
                mine.append(Answer(number, update, own, loss))
        return sorted(_gather(mine, processes), key=lambda one: one.client)

    def visit(self, client: Client) -> tuple[Update | None, dict[str, Tensor], float]:
        """What a client sends, what it then keeps, its loss; an update that is no number anywhere is None, and none."""
        client.private = self.budget.of_rows(client.number)
        try:
            values = self.method.local_update(client, self.shared)
        except TrainingDivergedError:
            return None, {}, 0.0
        if self.training.statistics == "local":
            client.own["statistics"] = client.model.copy("statistics")
        if client.private_steps:
            client.own["private_steps"] = client.own.get("private_steps", torch.zeros(1)) + client.private_steps
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
        self.looked = range(len(self.clients))
        return float(np.mean([self.right(number, self.clients[number].held_out) for number in self.looked]))

    def take_best(self) -> None:
        """Go back to the round at which the held-out rows were told best; if they were not asked, stay."""
        if not self.looks:
            return
        _, self.round, self.shared, self.own = self.best

    def right(self, number: int, rows: Rows) -> float:
        """The share of rows of which a client's model tells the class."""
        return self.right_of(self.client(number), rows)

    def right_of(self, client: Client, rows: Rows) -> float:
        """The share of rows of which this client's model tells the class."""
        return float((self.scores_of(client, rows).argmax(1) == rows.y.cpu()).float().mean())

    def scores(self, number: int, rows: Rows) -> Tensor:
        """The scores of rows under the model that a client has in the end, N×C."""
        return self.scores_of(self.client(number), rows)

    def scores_of(self, client: Client, rows: Rows) -> Tensor:
        """The scores of rows under the model that this client has in the end, N×C."""
        self.place(client)
        return self.method.predict_for(client, self.shared, rows)

    def hits(self, tests: Sequence[Domain]) -> list[tuple[np.ndarray, np.ndarray]]:
        """Of each client, which of its held-out rows and which of its test rows its model tells (bool)."""
        return [self.hits_of(self.client(number), test) for number, test in enumerate(tests)]

    def hits_of(self, client: Client, test: Domain) -> tuple[np.ndarray, np.ndarray]:
        """Which of its held-out rows and which of these test rows a client's model tells (bool)."""
        self.place(client)
        asked = (client.held_out, Rows(test, self.settings.device))
        found = [(self.method.predict_for(client, self.shared, rows).argmax(1) == rows.y.cpu()) for rows in asked]
        return found[0].numpy(), found[1].numpy()

    def hand_over(self, serving: Sequence[int], write: Callable[[int, Network], None]) -> None:
        """Give these clients the models that they serve from now on: write them down."""
        for number in serving:
            self.place(self.client(number))
            write(number, self.model.net)

    def place(self, client: Client) -> None:
        """Put the model of a client in place."""
        self.method.personalize(client, self.shared)
        if self.training.statistics == "recompute" and self.model["statistics"].numel() and client.size > 1:
            estimate_statistics(self.model.net, client.rows, TARGET)

    def place_general(self) -> None:
        """Put the model that is for all in place.

        Raises:
            SettingError: the method has none.
        """
        if "model" not in self.shared:
            raise SettingError(
                f"{command_name(type(self.method))}: has no model for all clients; name one of them, as in client="
                f"{self.clients[0].name!r}"
            )
        self.model["all"] = self.shared["model"]

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
        begun = {name: value.device for name, value in self.shared.items()}  # some are never but on the CPU
        sides: list[tuple[Shared, Own]] = []
        for prefix in ("", "best_"):
            shared: Shared = {}
            own: Own = {}
            for name, value in stored.items():
                if name.startswith(f"{prefix}shared."):
                    entry = name.removeprefix(f"{prefix}shared.")
                    shared[entry] = value.to(begun.get(entry, device))
                elif name.startswith(f"{prefix}own."):
                    number, _, entry = name.removeprefix(f"{prefix}own.").partition(".")
                    own.setdefault(int(number), {})[entry] = value.to(device)
            sides.append((shared, own))
        self.shared, self.own = sides[0]
        self.best = (float(stored["best_value"]), int(stored["best_round"]), *sides[1])


def _through(method: Personaliser, model: Vector, stage: Stage) -> list[Stage]:
    """A client's stage, seen through the shared options (augmentation, limits of weights)."""

    def alone() -> StageGenerator:
        yield stage
        return model.net

    return [part for part in method._through_options(alone(), model.net) if isinstance(part, Stage)]


def _gather(mine: list[Any], processes: Processes) -> list[Any]:
    """What all processes have, on each of them."""
    if processes.count == 1:
        return mine
    found: list[Any] = [None] * processes.count
    torch.distributed.all_gather_object(found, mine)
    return [one for some in found for one in some]
