"""How rows are dealt out to clients, so that what differs between them is known: by classes, by size, by domain."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from juyi.data.domain import Domain
from juyi.errors import DataError, SettingError, nearest

FEWEST = 8
"""So many rows a client must have: some to learn from, some to choose by."""
TRIES = 200


def partition(domain: Domain, clients: int, how: str, seed: int) -> list[np.ndarray]:
    """Deal the labelled rows of a domain out to clients; no row is given twice.

    Args:
        domain: labelled rows.
        clients: how many; not looked at for `domains`, where each group of the rows is a client.
        how: `even`, `pathological:K` (K classes a client), `dirichlet:ALPHA`, `quantity:ALPHA`, or `domains`.
        seed: what the draws come from.

    Returns:
        For each client its row numbers, in rising order.

    Raises:
        SettingError: there is no such partition, or a number in it is not allowed.
        DataError: these rows cannot be dealt out like that; the message has the numbers.

    Example:
        >>> rows = Domain(np.zeros((40, 2), np.float32), np.arange(40) % 4, classes=tuple("abcd"), name="here")
        >>> [sorted(set((part % 4).tolist())) for part in partition(rows, 2, "pathological:2", 0)]
        [[0, 2], [1, 3]]
    """
    kind, given = read_partition(how)
    if kind == "domains":
        return _domains(domain)
    rows = np.flatnonzero(domain.labelled)
    if clients < 2:
        raise SettingError(f"--clients {clients}: personal models are for two clients or more")
    if len(rows) < FEWEST * clients:
        raise DataError(
            f"{domain.name}: {len(rows):,} labelled rows are too few for {clients:,} clients with {FEWEST} each or more"
        )
    random = np.random.default_rng(seed)
    makers: dict[str, Callable[[], list[np.ndarray]]] = {
        "even": lambda: _by_size(rows, np.ones(clients), random),
        "quantity": lambda: _by_size(rows, random.dirichlet(np.full(clients, given)), random),
        "pathological": lambda: _pathological(domain, rows, clients, int(given), random),
        "dirichlet": lambda: _dirichlet(domain, rows, clients, given, random),
    }
    if kind in ("pathological", "dirichlet") and domain.classes is None:
        raise DataError(f"{domain.name}: its labels are numbers, and {kind} deals out classes; use even or quantity:1")
    return [np.sort(part) for part in makers[kind]()]


def read_partition(text: str) -> tuple[str, float]:
    """Read the name of a partition and its number.

    >>> read_partition("dirichlet:0.1")
    ('dirichlet', 0.1)
    """
    kinds = {"even": False, "domains": False, "pathological": True, "dirichlet": True, "quantity": True}
    kind, colon, number = text.partition(":")
    if kind not in kinds:
        raise SettingError(f"--partition {text}: there is no such partition; {nearest(kind, kinds)}")
    if not kinds[kind]:
        if colon:
            raise SettingError(f"--partition {text}: {kind} takes no number; leave :{number} out")
        return kind, 0.0
    try:
        value = float(number)
    except ValueError:
        value = -1.0
    whole = kind == "pathological"
    if not 1e-3 <= value <= 1e6 or (whole and value != int(value)):
        wanted = "a whole number of classes, such as 2" if whole else "a number above 0, such as 0.1"
        raise SettingError(f"--partition {text}: after {kind}: comes {wanted}")
    return kind, value


def _domains(domain: Domain) -> list[np.ndarray]:
    if domain.group is None:
        raise DataError(
            f"{domain.name}: has no groups to make clients of; name several splits (a@train+b@train), a folder with a "
            "folder for each client, or a table with --client-column"
        )
    return [np.flatnonzero((domain.group == code) & domain.labelled) for code in range(len(domain.groups or ()))]


def _by_size(rows: np.ndarray, shares: np.ndarray, random: np.random.Generator) -> list[np.ndarray]:
    """Rows at random, in these shares; each client has the fewest that are allowed at least."""
    free = len(rows) - FEWEST * len(shares)
    ends = np.floor(np.cumsum(shares / shares.sum()) * free + 1e-9).astype(int) + FEWEST * np.arange(1, len(shares) + 1)
    return np.split(random.permutation(rows), ends[:-1])


def _pathological(
    domain: Domain, rows: np.ndarray, clients: int, classes: int, random: np.random.Generator
) -> list[np.ndarray]:
    """Each client has so many classes; a class is dealt evenly to the clients that have it."""
    counts = domain.class_counts()
    present = np.flatnonzero(counts > 0)
    if not 1 <= classes <= len(present):
        raise DataError(
            f"--partition pathological:{classes}: {domain.name} has {len(present)} classes, so a client can have 1 to "
            f"{len(present)}"
        )
    order = random.permutation(present)
    # Turns through the classes, so that each is had by as many clients as any other, give or take one.
    wanted = [{int(order[(client * classes + k) % len(order)]) for k in range(classes)} for client in range(clients)]
    found: list[list[np.ndarray]] = [[] for _ in range(clients)]
    for code in present:
        owners = [client for client in range(clients) if code in wanted[client]]
        if owners:
            mine = random.permutation(rows[domain.y[rows] == code])
            if len(mine) < len(owners):
                raise DataError(
                    f"--partition pathological:{classes}: {len(owners)} of the {clients} clients are to have class "
                    f"{(domain.classes or ())[code]}, of which {domain.name} has {len(mine)} rows; take fewer clients, "
                    "or more rows"
                )
            for owner, part in zip(random.permutation(owners), np.array_split(mine, len(owners)), strict=True):
                found[owner].append(part)
    parts = [np.concatenate(pieces) for pieces in found]
    _check(parts, domain, f"pathological:{classes}", clients)
    return parts


def _dirichlet(
    domain: Domain, rows: np.ndarray, clients: int, alpha: float, random: np.random.Generator
) -> list[np.ndarray]:
    """The shares of the clients in each class are drawn from Dir(α, …, α); drawn anew while a client has too few."""
    label = domain.y[rows]
    for _ in range(TRIES):
        found: list[list[np.ndarray]] = [[] for _ in range(clients)]
        for code in np.unique(label):
            mine = random.permutation(rows[label == code])
            ends = np.floor(np.cumsum(random.dirichlet(np.full(clients, alpha))) * len(mine) + 0.5).astype(int)
            for pieces, part in zip(found, np.split(mine, ends[:-1]), strict=True):
                pieces.append(part)
        parts = [np.concatenate(pieces) for pieces in found]
        if min(map(len, parts)) >= FEWEST:
            return parts
    _check(parts, domain, f"dirichlet:{alpha:g}", clients)
    return parts


def _check(parts: list[np.ndarray], domain: Domain, how: str, clients: int) -> None:
    least = min(map(len, parts))
    if least < FEWEST:
        raise DataError(
            f"--partition {how}: of {domain.name}'s {domain.size:,} rows a client among {clients} has {least}, and "
            f"{FEWEST} are needed; take fewer clients, more rows, or a milder partition"
        )


def like(test: Domain, proportions: np.ndarray, most: int, seed: int) -> np.ndarray:
    """Draw rows of a test in a client's own proportions of classes, as many as the scarcest class allows.

    Args:
        test: labelled rows.
        proportions: of the classes, C, summing to 1.
        most: rows at most.
        seed: what the draw comes from.
    """
    random = np.random.default_rng(seed)
    counts = test.class_counts()
    has = proportions > 0
    if (counts[has] == 0).all():
        raise DataError(f"{test.name}: has no row of a class that the client has")
    has &= counts > 0
    shares = np.where(has, proportions, 0.0) / proportions[has].sum()
    total = min(float(most), float((counts[has] / shares[has]).min()))
    # Sums are rounded, and not each class: so there are no more rows than were asked for, and never none.
    wanted = np.diff(np.floor(np.cumsum(shares) * total + 1e-9).astype(int), prepend=0)
    pieces = [
        random.permutation(np.flatnonzero((test.y == code) & test.labelled))[:n] for code, n in enumerate(wanted) if n
    ]
    return np.sort(np.concatenate(pieces))
