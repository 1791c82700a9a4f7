"""Rounds with clients that are elsewhere: the server's side of a federation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from juyi.data import Domain
from juyi.errors import WriteError
from juyi.nets import Network
from juyi.personalize.attendance import Answer
from juyi.personalize.base import Personaliser, Update
from juyi.personalize.client import ClientRows
from juyi.personalize.federation import Federation
from juyi.personalize.flower.node import ANSWER, LOOK, TAKE, VISIT
from juyi.personalize.flower.parcel import Parcel
from juyi.personalize.flower.post import Post, Refused
from juyi.personalize.flower.setup import setup_note, setup_tensors
from juyi.personalize.flower.told import Told
from juyi.personalize.vector import Vector
from juyi.training import Processes, Rows, Settings, command_name

NO_ROWS: Any = None
"""In the place of rows that are elsewhere."""


class RemoteFederation(Federation):
    """A federation whose clients are on other machines.

    What a client keeps stays there; in its place `own` holds in which round it was kept.  An update is taken only if it
    has the names, the shapes and the number types of what is shared, and is finite.

    Args:
        method: what server and clients do.
        model: the network, with the weights with which everything begins.
        told: the clients.
        post: what talks with them.
        name: of the method whose rounds these are, under which they keep what is theirs.
        settings: seed and precision.
        secret: who comes, and which noise is added, are functions of it where that hides clients.
    """

    elsewhere: ClassVar[bool] = True

    def __init__(
        self, method: Personaliser, model: Vector, told: Told, post: Post, name: str, settings: Settings, secret: int
    ) -> None:
        self.told, self.post, self.name = told, post, name
        clients = [ClientRows(one.name, NO_ROWS, NO_ROWS) for one in told.clients]
        super().__init__(method, model, clients, settings, secret)

    def check_clients(self) -> None:
        """Each node looks at its own rows."""

    def rows_of(self, number: int) -> ClientRows:
        """Rows that look like a client's, with nothing in them."""
        nothing = Rows(self.told.form.empty(), self.settings.device)
        return ClientRows(self.clients[number].name, nothing, nothing)

    def under(self, method: Personaliser) -> Federation:
        """The same rounds under another method, whose rounds are these to the bit."""
        found = RemoteFederation(method, self.model, self.told, self.post, self.name, self.settings, self.secret)
        found.follow(self)
        return found

    def visit_all(self, taken: Sequence[tuple[int, float]]) -> list[Answer]:
        """Let clients do their part of a round, wherever they are; who does not answer in time is lost."""
        most = sum(value.numel() * value.element_size() for value in self.shared.values())
        asked = {number: self._asked(number, VISIT, {"share": share}) for number, share in taken}
        answers, refused = self._exchange(asked, most=most, check=self._check)
        found = [Answer(number, None, {}, 0.0) for number in refused]
        for number, reply in answers.items():
            values = {name: value.to(self.shared[name].device) for name, value in reply.tensors.items()}
            update = Update(number, int(reply.figures["size"]), values)
            kept = {"round": torch.tensor([self.round])}
            found.append(Answer(number, update, kept, reply.figures["loss"]))
        return sorted(found, key=lambda one: one.client)

    def mean_held_out(self) -> float:
        """The share of its held-out rows of which a client's model tells the class, mean over those who answer."""
        answers, _ = self._exchange(self._of_all(LOOK), check=lambda reply: _needs(reply, ("right",)))
        self.looked = tuple(answers)
        return float(np.mean([reply.figures["right"] for reply in answers.values()])) if answers else -1.0

    def hits(self, tests: Sequence[Domain]) -> list[tuple[np.ndarray, np.ndarray]]:
        """Of each client, which of its held-out rows and which of its test rows its model tells (bool).

        Raises:
            WriteError: a client does not answer; the run can go on when it does.
        """
        answers, _ = self._exchange(self._of_all(ANSWER), check=lambda reply: _needs_bits(reply, ("held_out", "test")))
        lacking = [client.name for number, client in enumerate(self.clients) if number not in answers]
        if lacking:
            raise WriteError(f"clients {', '.join(lacking)}: do not answer; start their nodes again, then juyi resume")
        return [
            (answers[number].tensors["held_out"].bool().numpy(), answers[number].tensors["test"].bool().numpy())
            for number in range(len(self.clients))
        ]

    def hand_over(self, serving: Sequence[int], write: Callable[[int, Network], None]) -> None:
        """Let these clients write down the models that they serve from now on, where they are."""
        asked = {number: self._asked(number, TAKE) for number in serving}
        answers, _ = self._exchange(asked)
        for number in serving:
            if number not in answers:
                self.post.say(f"client {self.clients[number].name}: has not written down its model")

    def _exchange(self, asked: Mapping[int, Parcel], **options: Any) -> tuple[dict[int, Parcel], set[int]]:
        precision = str(self.settings.dtype).removeprefix("torch.")
        setup = Parcel(setup_note(self.method, self.told.form, precision), self._setup_tensors())
        name = command_name(type(self.method))
        answers, refused = self.post.exchange(asked, name, setup, listener=self.listener, **options)
        if asked and not answers and not refused:
            raise WriteError("clients: none of them answers; start their nodes again, then juyi resume")
        return answers, refused

    def _setup_tensors(self) -> dict[str, Tensor]:
        return {**setup_tensors(self.model), "beginning": self.beginning}

    def _of_all(self, what: str) -> dict[int, Parcel]:
        return {number: self._asked(number, what) for number in range(len(self.clients))}

    def _asked(self, number: int, what: str, figures: Mapping[str, float] | None = None) -> Parcel:
        """What a client is asked, and where the server stands."""
        own, best = (some.get(number, {}).get("round") for some in (self.own, self.best[3]))
        note = {
            "do": what, "name": command_name(type(self.method)), "rounds_of": self.name, "client": number,
            "round": self.round, "own": None if own is None else int(own),
            "best": None if best is None else int(best),
        }  # fmt: skip
        return Parcel(note, {f"shared.{name}": value for name, value in self.shared.items()}, figures or {})

    def _check(self, reply: Parcel) -> None:
        """Refuse an update that does not look like what is shared."""
        _needs(reply, ("size", "loss"))
        for name, value in reply.tensors.items():
            like = self.shared.get(name)
            if like is None or like.shape != value.shape or like.dtype != value.dtype:
                shape = None if like is None else tuple(like.shape)
                raise Refused(f"its {name[:40]} has shape {tuple(value.shape)} of {value.dtype}, and {shape} is shared")
            if not bool(torch.isfinite(value).all()):
                raise Refused(f"its {name} holds what is no number")
        if not 1 <= reply.figures["size"] <= 1e9:
            raise Refused(f"it learnt from {reply.figures['size']} rows")


def _needs(reply: Parcel, figures: Sequence[str]) -> None:
    lacking = [name for name in figures if name not in reply.figures]
    if lacking:
        raise Refused(f"its answer lacks {', '.join(lacking)}")


def _needs_bits(reply: Parcel, names: Sequence[str]) -> None:
    for name in names:
        value = reply.tensors.get(name)
        if value is None or value.dim() != 1 or value.dtype != torch.uint8 or not value.numel():
            raise Refused(f"its answer lacks {name}")


class Elsewhere:
    """Makes federations of which all clients are elsewhere.

    Args:
        told: the clients.
        post: what talks with them.
        dtype: the number type in which all compute.
        secret: who comes, and which noise is added, are functions of it where that hides clients.
    """

    here = False
    processes = Processes()

    def __init__(self, told: Told, post: Post, dtype: torch.dtype, secret: int) -> None:
        self.told, self.post, self.dtype, self.secret = told, post, dtype, secret

    def federation(self, name: str, method: Personaliser) -> Federation:
        """A server that has not yet gone through a round."""
        net = self.told.network(method).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        settings = Settings(method.random_state, torch.device("cpu"), self.dtype)
        return RemoteFederation(method, Vector(net), self.told, self.post, name, settings, self.secret)
