"""From a method and clients to rounds: what `fit` and the command share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from juyi.data.domain import Domain
from juyi.data.tables import grouped
from juyi.errors import DataError
from juyi.nets import Network
from juyi.nets.build import default_network
from juyi.personalize.base import Personaliser
from juyi.personalize.client import ClientRows
from juyi.personalize.federation import Federation
from juyi.personalize.protection import check_protection
from juyi.personalize.vector import Vector
from juyi.training import (
    Checkpoint,
    Processes,
    Rows,
    Settings,
    StageGenerator,
    Watcher,
    choose_precision,
    declared,
    derive_seed,
    learn,
)
from juyi.training.processes import take_from_first

HELD_OUT = 0.2
"""The share of a client's rows by which choices are made."""

Methods = Mapping[str, type[Personaliser]]


@dataclass(frozen=True)
class Dealt:
    """The row numbers of one client, each in rising order.

    Args:
        train: what it learns from.
        held_out: what choices are made by.
        test: what it is scored on.
    """

    train: np.ndarray
    held_out: np.ndarray
    test: np.ndarray


def part_rows(name: str, rows: np.ndarray, number: int, seed: int, tested: float = 0.0) -> Dealt:
    """Part the labelled rows of a client, at random: a share that tests it, then a fifth that is held out.

    Args:
        name: what a person calls the client.
        rows: its row numbers.
        number: its own, from which with the seed the draw comes.
        seed: what the draw comes from.
        tested: the share that is kept for its test.

    Raises:
        DataError: it has too few.

    Example:
        >>> dealt = part_rows("ann", np.arange(20), 0, 0, tested=0.25)
        >>> len(dealt.train), len(dealt.held_out), len(dealt.test)
        (12, 3, 5)
    """
    if len(rows) < 2:
        what = "a single row with a label" if len(rows) else "no row with a label"
        raise DataError(f"client {name}: has {what}, and two are needed at least; leave it out")
    order = np.random.default_rng(derive_seed(seed, 3, number)).permutation(rows)
    n = max(1, round(tested * len(order))) if tested else 0
    if len(order) - n < 2:
        raise DataError(f"client {name}: has {len(order)} labelled rows, too few to test it on some; name a --test")
    held = n + max(1, round(HELD_OUT * (len(order) - n)))
    return Dealt(*(np.sort(part) for part in (order[held:], order[n:held], order[:n])))


@dataclass(frozen=True, eq=False)
class InMemory:
    """The rows of a client.

    Args:
        name: what a person calls it.
        train: what it learns from.
        held_out: what choices are made by.
    """

    name: str
    train: Domain
    held_out: Domain

    def on(self, device: torch.device) -> ClientRows:
        """The rows on a device."""
        return ClientRows(self.name, Rows(self.train, device), Rows(self.held_out, device))


def with_groups(domain: Domain, groups: Any) -> Domain:
    """Give rows the names of whose they are, one a row.

    Raises:
        DataError: there are not as many names as rows, or a row has none.
    """
    names = np.asarray(groups, object)
    if names.shape != (domain.size,):
        raise DataError(f"groups: has shape {names.shape}, but there are {domain.size:,} rows, and each is a client's")
    return grouped(domain, names.tolist())


def clients_of(domain: Domain, seed: int) -> tuple[list[InMemory], Domain]:
    """Make a client of each group, and hold a fifth of its rows out; return the clients, and the rows of all.

    Raises:
        DataError: there are no groups, no classes, or too few rows of a client.
    """
    if domain.classes is None or not domain.labelled.any():
        raise DataError(f"{domain.name}: has no labels of classes, and clients learn from labels; give y")
    if domain.group is None:
        raise DataError(f"{domain.name}: does not say whose its rows are; give groups, a client's name for each row")
    names = domain.groups or ()
    if len(names) < 2:
        raise DataError(f"{domain.name}: all rows are of one client, and personal models are for two or more")
    clients = []
    for code, name in enumerate(names):
        dealt = part_rows(name, np.flatnonzero((domain.group == code) & domain.labelled), code, seed)
        clients.append(InMemory(name, domain.select(dealt.train), domain.select(dealt.held_out)))
    return clients, domain.select(domain.labelled)


def build(method: Personaliser, every: Domain) -> Network:
    """The network with which everything begins, the same for the same seed, on the CPU; scaled by these rows."""
    rows = Rows(every, torch.device("cpu"))
    net = default_network(rows.x) if method.net == "auto" else method.net
    layers = {"batch_norm": method.batch_norm, "standardise": method.standardise, "head": method.head}
    return method._build(net, rows, len(every.classes or ()), layers)


def federation_of(
    method: Personaliser,
    clients: Sequence[ClientRows],
    every: Domain,
    device: torch.device,
    processes: Processes | None = None,
    dtype: torch.dtype | None = None,
) -> Federation:
    """A server and clients that have not yet gone through a round; without `dtype`, as the method's precision says."""
    net = build(method, every).to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    together = processes or Processes()
    if dtype is None:
        first = clients[0].rows.take(np.arange(min(method.batch, clients[0].rows.size)))
        dtype = take_from_first(choose_precision(method.precision, net, first, device), together)
    model = Vector(net)
    check_protection(method, model, len(clients))
    return Federation(method, model, clients, Settings(method.random_state, device, dtype, together))


class Simulator:
    """Makes federations of which all clients are on this machine.

    Args:
        clients: their rows.
        every: the rows of all, by which inputs are scaled.
        device: where to compute.
        processes: those that share the clients of a round.
    """

    here = True

    def __init__(
        self, clients: Sequence[InMemory], every: Domain, device: torch.device, processes: Processes | None = None
    ) -> None:
        self.every, self.device, self.processes = every, device, processes or Processes()
        self.clients = [one.on(device) for one in clients]
        self._dtype: torch.dtype | None = None

    def federation(self, name: str, method: Personaliser) -> Federation:
        """A server and clients that have not yet gone through a round; all compute in the first one's number type."""
        found = federation_of(method, self.clients, self.every, self.device, self.processes, self._dtype)
        self._dtype = found.settings.dtype
        return found


def go_through(
    federation: Federation, watcher: Watcher | None = None, checkpoint: Checkpoint | None = None, back: bool = True
) -> Federation:
    """Go through all rounds, watched and stored, and `back` to the one at which held-out rows were told best."""

    def rounds(net: Network) -> StageGenerator:
        federation.begin()  # from the weights of the first process, or with which a run that was killed began
        yield federation.stage()
        return net

    learn(rounds, federation.model.net, federation.settings, watcher, checkpoint)
    if back:
        federation.take_best()
    return federation


def with_shared(kind: type[Personaliser], settings: Mapping[str, Any]) -> Personaliser:
    """A method under the settings that all have, but for those for which it has a default of its own."""
    every = declared(Personaliser)
    own = {name for name, field in declared(kind).items() if name in every and field.default != every[name].default}
    return kind(**{name: value for name, value in settings.items() if name not in own})


def shared_settings(method: Personaliser) -> dict[str, Any]:
    """The settings that all methods have, as this one has them."""
    return {name: getattr(method, name) for name in declared(Personaliser)}
