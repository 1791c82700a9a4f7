"""What a server knows of clients, whether their rows are on this machine or each client's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from juyi.nets import Network
from juyi.personalize.base import Personaliser


class KnownClient(Protocol):
    """A client, as others know it: its name, and how many rows it has of what."""

    @property
    def name(self) -> str:
        """What a person calls it."""
        ...

    @property
    def learns_from(self) -> int:
        """How many rows it learns from."""
        ...

    @property
    def tested_on(self) -> int:
        """How many rows test it."""
        ...

    @property
    def counts(self) -> np.ndarray:
        """How many rows of each class it learns from."""
        ...


class Known(Protocol):
    """All clients that take part, as a server knows them."""

    @property
    def clients(self) -> Sequence[KnownClient]:
        """Those that take part, in the order of their numbers."""
        ...

    @property
    def how(self) -> str:
        """What made clients of the rows, in words."""
        ...

    @property
    def fingerprints(self) -> dict[str, dict[str, Any]]:
        """What run.json holds under `data`."""
        ...

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes."""
        ...

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of a row."""
        ...

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns; of images none."""
        ...

    def network(self, method: Personaliser) -> Network:
        """The network with which everything begins under a method, on the CPU."""
        ...


def differing(counts: Sequence[np.ndarray]) -> float:
    """How differently classes are shared: the mean total variation between a client's shares and all clients', 0 to 1.

    Half the sum of |p_ic − p_c|, the clients weighing as they have rows.

    Args:
        counts: of each client the number of its rows of each class.

    Example:
        >>> differing([np.array([5, 5]), np.array([2, 2])]), differing([np.array([1, 0]), np.array([0, 1])])
        (0.0, 0.5)
    """
    table = np.stack(counts).astype(float)
    sizes = table.sum(1)
    shares, common = table / sizes[:, None], table.sum(0) / sizes.sum()
    return float((np.abs(shares - common).sum(1) / 2 * sizes).sum() / sizes.sum())
