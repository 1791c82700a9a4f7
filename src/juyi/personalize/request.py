"""What a person asks to be personalised: clients, how they are tested, and who comes later."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from juyi.data import load
from juyi.data.classes import adopt_classes, class_keys, recoded
from juyi.data.domain import Domain, data_entries
from juyi.data.doors import check_test, follow, join
from juyi.errors import DataError, SettingError
from juyi.nets import Network
from juyi.personalize.attendance import selected
from juyi.personalize.base import Personaliser
from juyi.personalize.partitions import like, partition, read_partition
from juyi.personalize.simulation import InMemory, build, part_rows
from juyi.training import derive_seed

TESTED = 0.25
"""The share of a client's rows that test it, where no test is named."""
SIMULATOR, FLOWER = "simulator", "flower"
"""What runs the rounds: one process for all clients, or processes that talk over the network."""
MOST_TESTED = 500
"""Test rows of a client, at most, where a common test is dealt out."""


@dataclass(frozen=True)
class Request:
    """What a person asks for, in words that fit into run.json, so that the run can be resumed and repeated.

    Args:
        clients: a folder with a folder for each client, a table with a column of clients, several splits or several
            data sets (separated by commas), each a client; or any labelled data that are dealt out.
        number: how many clients data are dealt out to; None where they are clients already.
        partition: how they are dealt out (`juyi.personalize.partitions`).
        client_column: the column of a table that says whose a row is.
        test: labelled data, of which rows in its own proportions of classes are drawn for each client; where they have
            as many groups as there are clients, each has its own. None keeps a quarter of each client's rows.
        newcomers: how many clients are not there in training, and come later.
        newcomer_rows: how many labelled rows a newcomer has.
        gate: let each client serve the one of the personal, the general and its local model that its own held-out rows
            prefer.
        label: the label's column, in tables.
        size: bring all images to this many pixels square first.
        skip_bad: leave out images that cannot be read.
        command: the command line, to be printed in the report.
        engine: `simulator`, or `flower`: every client in processes of its own, on Flower.
        patience: seconds that are waited for the answer of a client that is elsewhere.
    """

    clients: str
    number: int | None = None
    partition: str | None = None
    client_column: str | None = None
    test: str | None = None
    newcomers: int = 0
    newcomer_rows: int = 20
    gate: bool = True
    label: str | None = None
    size: int | None = None
    skip_bad: bool = False
    command: str = ""
    engine: str = SIMULATOR
    patience: float = 600.0


@dataclass(frozen=True, eq=False)
class ClientData(InMemory):
    """The rows of one client, and those that test it.

    Args:
        test: what it is scored on, once, at the end.
        from_own: whether its test is a part of its own rows.
    """

    test: Domain
    from_own: bool = True

    @property
    def learns_from(self) -> int:
        """How many rows it learns from."""
        return self.train.size

    @property
    def tested_on(self) -> int:
        """How many rows test it."""
        return self.test.size

    @property
    def counts(self) -> np.ndarray:
        """How many rows of each class it learns from."""
        return self.train.class_counts()


@dataclass(frozen=True, eq=False)
class Given:
    """What a request names, loaded, dealt out and checked.

    Attributes:
        clients: those that take part.
        newcomers: those that come later.
        every: the rows of all clients that take part, by which inputs are scaled.
        fingerprints: what run.json holds under `data`.
        how: what made clients of the rows, in words.
    """

    clients: tuple[ClientData, ...]
    newcomers: tuple[ClientData, ...]
    every: Domain
    fingerprints: dict[str, dict[str, Any]]
    how: str

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes."""
        return self.every.classes or ()

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of a row."""
        return self.every.x.shape[1:]

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns; of images none."""
        return self.every.columns or ()

    def network(self, method: Personaliser) -> Network:
        """The network with which everything begins under a method, on the CPU."""
        return build(method, self.every)


def prepare(request: Request, method: Personaliser) -> Given:
    """Load the data, deal them out, and hold rows out.

    Raises:
        DataError: data cannot be read, dealt out, learnt from or scored on.
        SettingError: an option says nothing that can be done.
    """
    seed = method.random_state
    options: dict[str, Any] = {
        "label": request.label, "skip_bad": request.skip_bad, "seed": seed, "size": request.size
    }  # fmt: skip
    domain = load_clients(request, options)
    if domain.classes is None or not domain.labelled.any():
        raise DataError(
            f"{domain.name}: has no labels of classes, and clients learn from labels; put images into class folders, "
            "or name the column of labels with --label"
        )
    how = request.partition or ("domains" if request.number is None else "even")
    kind, _ = read_partition(how)
    if kind == "domains" and domain.group is None:
        raise DataError(
            f"{domain.name}: is one set of data, so say how it is dealt out: --clients 20 --partition dirichlet:0.1; "
            "or name clients: a folder with a folder for each, a table with --client-column, or several splits"
        )
    number = len(domain.groups or ()) if kind == "domains" else request.number
    if number is None:
        raise SettingError(f"--partition {how}: say to how many clients with --clients, such as 20")
    if kind == "domains" and request.number not in (None, number):
        raise SettingError(
            f"--clients {request.number}: {domain.name} has {number} groups, each a client; leave it out"
        )
    if number < 2:
        raise DataError(f"{domain.name}: is one client, and personal models are for two or more")
    parts = partition(domain, number, how, derive_seed(seed, 2))
    names = list(domain.groups or ()) if kind == "domains" else [f"client {k + 1}" for k in range(number)]
    test = None
    if request.test is not None:
        loaded = _several(request.test, options) if _is_several(request.test) else load(request.test, **options)
        test = check_test(adopt_classes(follow(loaded, domain), domain), domain, None)
    dealt = [_client(domain, test, names[k], part, k, number, seed) for k, part in enumerate(parts)]
    if not 0 <= request.newcomers <= number - 2:
        raise SettingError(
            f"--newcomers {request.newcomers}: two of the {number} clients have to take part; give 0 to {number - 2}"
        )
    later = set(np.random.default_rng(derive_seed(seed, 4)).permutation(number)[: request.newcomers].tolist())
    clients = tuple(one for k, one in enumerate(dealt) if k not in later)
    newcomers = tuple(_with_few(one, request.newcomer_rows, seed) for k, one in enumerate(dealt) if k in later)
    selected(method.participation, len(clients))
    every = domain.select(np.sort(np.concatenate([part for k, part in enumerate(parts) if k not in later])))
    entries = data_entries({"clients": domain, "test": test})
    entries["clients"]["fingerprint"] = _fingerprint(domain)
    return Given(clients, newcomers, every, entries, how)


def _fingerprint(domain: Domain) -> str:
    """What changes with any row, and with whose it is."""
    if domain.group is None:
        return domain.fingerprint()
    whose = repr((domain.fingerprint(), domain.groups, domain.group.tolist()))
    return hashlib.sha256(whose.encode()).hexdigest()[:16]


def load_clients(request: Request, options: dict[str, Any]) -> Domain:
    """Load the rows of all clients; where they are clients already, each is a group."""
    name = request.clients
    if _is_several(name):
        return _several(name, options)
    folders = client_folders(Path(name)) if request.number is None else []
    if folders:
        return _together([replace(load(folder, **options), name=folder.name) for folder in folders], name)
    if request.client_column is not None:
        return load(name, group=request.client_column, **options)
    return load(name, **options)


def _is_several(name: str) -> bool:
    return "," in name and not Path(name).exists()


def _several(text: str, options: dict[str, Any]) -> Domain:
    names = [word.strip() for word in text.split(",") if word.strip()]
    return _together([load(name, **options) for name in names], text)


def _together(domains: list[Domain], name: str) -> Domain:
    """Put clients into one domain, with the classes that any of them has: few clients have a row of each."""
    known: dict[str, str] = {}
    for domain in domains:
        classes = domain.classes or ()
        known = dict(zip(class_keys(classes), classes, strict=True)) | known
    numbers = all(key.lstrip("-").isdecimal() for key in known)
    every = tuple(known[key] for key in sorted(known, key=int if numbers else str))
    return join([recoded(domain, every) if domain.classes else domain for domain in domains], name=name)


def client_folders(path: Path) -> list[Path]:
    """The folders of clients in a folder: those that hold folders of classes, or files of data, themselves."""
    if not path.is_dir():
        return []
    inside = sorted(child for child in path.iterdir() if child.is_dir() and not child.name.startswith("."))
    return inside if inside and all(any(c.is_dir() for c in child.iterdir()) for child in inside) else []


def _client(
    domain: Domain, test: Domain | None, name: str, rows: np.ndarray, number: int, clients: int, seed: int
) -> ClientData:
    """Hold rows of a client out, and draw its test."""
    dealt = part_rows(name, rows, number, seed, TESTED if test is None else 0.0)
    mine = domain.select(dealt.test) if test is None else _test_of(test, domain, rows, name, number, clients, seed)
    return ClientData(name, domain.select(dealt.train), domain.select(dealt.held_out), mine, test is None)


def _test_of(test: Domain, domain: Domain, rows: np.ndarray, name: str, number: int, clients: int, seed: int) -> Domain:
    """The test rows of a client: its own, where tests come by clients; else drawn in its proportions of classes."""
    if test.groups is not None and len(test.groups) == clients and test.group is not None and domain.groups is not None:
        by_name = list(test.groups).index(name) if name in test.groups else number
        mine = np.flatnonzero((test.group == by_name) & test.labelled)
        if not len(mine):
            raise DataError(f"{test.name}: has no labelled row for client {name}")
        return test.select(mine)
    proportions = np.bincount(domain.y[rows], minlength=len(domain.classes or ())) / len(rows)
    return test.select(like(test, proportions, MOST_TESTED, derive_seed(seed, 5, number)))


def _with_few(client: ClientData, most: int, seed: int) -> ClientData:
    """A newcomer, with few rows."""
    if most < 2:
        raise SettingError(f"--newcomer-rows {most}: a newcomer needs two labelled rows at least")
    rows = client.train
    kept = np.sort(np.random.default_rng(derive_seed(seed, 6)).permutation(rows.size)[:most])
    return replace(client, train=rows.select(kept))
