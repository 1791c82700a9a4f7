"""The clients of a run as its figure tells them: read, and checked, before anything is drawn of them."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from juyi.report.markup import finite
from juyi.report.summary import SERVED

GENERAL, LOCAL = "fedavg", "local"
"""What personal models are held against: one model for all, and one that a client trains alone."""


@dataclass(frozen=True)
class ClientLine:
    """What a run keeps of one client.

    Args:
        name: what a person calls it.
        model: the file of the model that it serves, as `juyi predict --model` names it; empty for a newcomer.
        rows: how many it learnt from.
        tested: how many it was scored on.
        classes: how many of the rows are of each class.
        serves: which of its models it serves; empty for a newcomer.
        accuracy: of each of its models, 0 to 1.
    """

    name: str
    model: str
    rows: int
    tested: int
    classes: tuple[int, ...]
    serves: str
    accuracy: dict[str, float]

    @property
    def served(self) -> float:
        """The accuracy of what it serves; −1 where that is not known."""
        return self.accuracy.get(SERVED, self.accuracy.get(self.serves, -1.0))


def read_clients(figure: dict[str, Any], which: str = "clients") -> list[ClientLine]:
    """Read the clients, or the newcomers, of figures/clients.json; what is no client is left out.

    Example:
        >>> entry = {"name": "b", "rows": 9, "serves": "ditto", "accuracy": {"ditto": 0.5, "local": None}}
        >>> [(one.name, one.model, one.accuracy) for one in read_clients({"clients": [3, entry]})]
        [('b', 'client-0002', {'ditto': 0.5})]
    """
    entries = figure.get(which)
    found = []
    for place, entry in enumerate(entries if isinstance(entries, list) else []):
        if not isinstance(entry, dict):
            continue
        told = {str(name): share(value) for name, value in table_of(entry.get("accuracy")).items()}
        counts = entry.get("classes")
        serves = entry.get("serves")
        line = ClientLine(
            str(entry.get("name")),
            f"client-{place + 1:04d}" if which == "clients" else "",
            count(entry.get("rows")),
            count(entry.get("tested")),
            tuple(map(count, counts)) if isinstance(counts, list) else (),
            serves if isinstance(serves, str) else "",
            {name: value for name, value in told.items() if value is not None},
        )
        found.append(line)
    return found


def personal_of(figure: dict[str, Any], record: dict[str, Any]) -> str:
    """Name the method whose personal models were offered to the clients."""
    named = figure.get("personal")
    return named if isinstance(named, str) else str(record.get("method"))


def in_words(model: str, personal: str) -> str:
    """Say what a model is; empty where its name says all.

    Example:
        >>> in_words("fedavg", "ditto"), in_words("ditto", "ditto"), in_words("fedrep", "ditto")
        ('general model', 'personal model', '')
    """
    known = {GENERAL: "general model", LOCAL: "local model", SERVED: "what each client serves"}
    return known.get(model, "personal model" if model == personal else "")


def in_order(names: list[str], personal: str) -> list[str]:
    """Put models in the order in which they are shown: general, local, others, personal, what is served.

    Example:
        >>> in_order(["local", "ditto", "fedavg", "fedavg_ft", "served"], "ditto")
        ['fedavg', 'local', 'fedavg_ft', 'ditto', 'served']
    """
    places = {personal: 3, GENERAL: 0, LOCAL: 1, SERVED: 4}
    return sorted(dict.fromkeys(names), key=lambda name: places.get(name, 2))


def table_of(value: object) -> dict[str, Any]:
    """Return a part of a record or a figure if it is a table, else an empty one."""
    return value if isinstance(value, dict) else {}


def share(value: object) -> float | None:
    """Return a number from 0 to 1, or None for anything else.

    >>> share(0.5), share(1.5), share("0.5")
    (0.5, None, None)
    """
    known = finite(value)
    return known if known is not None and 0.0 <= known <= 1.0 else None


def count(value: object) -> int:
    """Return a number of rows, 0 for anything that is none.

    >>> count(12), count(-1), count(None)
    (12, 0, 0)
    """
    known = finite(value)
    return int(known) if known is not None and known > 0 else 0


def file_of(clients: Sequence[ClientLine], asked: str | None) -> str | None:
    """Find the file of a client that is asked for by its own name; anything else is left as it is.

    Example:
        >>> clients = read_clients({"clients": [{"name": "anna"}, {"name": "client-0001"}]})
        >>> file_of(clients, "anna"), file_of(clients, "client-0001"), file_of(clients, "fedavg")
        ('client-0001', 'client-0001', 'fedavg')
    """
    named = [client.model for client in clients if client.name == asked]
    return named[0] if len(named) == 1 and asked not in {client.model for client in clients} else asked


def whose(clients: Sequence[ClientLine], model: str) -> str:
    """Say whose a model on disk is: a client's own, or everybody's.

    Example:
        >>> clients = read_clients({"clients": [{"name": "anna", "serves": "ditto"}]})
        >>> print(whose(clients, "client-0001"), whose(clients, "fedavg"), sep="\\n")
        client-0001 is the model that anna serves (ditto)
        fedavg is one model for all clients; --model anna asks the one that anna serves
    """
    for client in clients:
        if client.model == model:
            return f"{model} is the model that {client.name} serves" + (f" ({client.serves})" if client.serves else "")
    name = clients[0].name
    return f"{model} is one model for all clients; --model {shlex.quote(name)} asks the one that {name} serves"
