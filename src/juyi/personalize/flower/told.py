"""What a server knows of clients that are elsewhere: what each told of itself."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from juyi.nets import Network
from juyi.personalize.base import Personaliser
from juyi.personalize.flower.parcel import Parcel
from juyi.personalize.flower.setup import Form, build_for, put_together, scales_by_rows


@dataclass(frozen=True, eq=False)
class ToldClient:
    """A client that is elsewhere.

    Args:
        name: what a person calls it.
        learns_from: how many rows it learns from.
        tested_on: how many rows test it.
        counts: how many rows of each class it learns from.
        fingerprint: what changes with any of its rows.
        moments: what scaling needs of its rows, where they are scaled by all clients'.
    """

    name: str
    learns_from: int
    tested_on: int
    counts: np.ndarray
    fingerprint: str
    moments: Mapping[str, Tensor]

    @classmethod
    def read(cls, hello: Parcel, form: Form) -> ToldClient:
        """Read what a client says of itself.

        Raises:
            KeyError, TypeError, ValueError: it does not say what it has to.
        """
        counts = np.array(hello.note["counts"], np.int64)
        fingerprint = str(hello.note["fingerprint"])
        width = form.shape[0]
        fits = all(hello.tensors[name].shape == (width,) for name in ("mean", "squares") if name in hello.tensors)
        if counts.shape != (len(form.classes),) or (counts < 0).any() or len(fingerprint) > 200 or not fits:
            raise ValueError("it counts rows of other classes or columns")
        rows, tested = int(hello.figures["rows"]), int(hello.figures["tested"])
        return cls(str(hello.note["client"]), rows, tested, counts, fingerprint, hello.tensors)


@dataclass(frozen=True, eq=False)
class Told:
    """All clients that take part, none of whose rows are here.

    Args:
        clients: in the order of their numbers.
        form: what their rows look like.
        how: what made clients of the rows, in words.
        name: what all their data are called.
    """

    clients: Sequence[ToldClient]
    form: Form
    how: str
    name: str

    @property
    def fingerprints(self) -> dict[str, dict[str, Any]]:
        """What run.json holds under `data`."""
        every = "".join(client.fingerprint for client in self.clients)
        rows = sum(client.learns_from + client.tested_on for client in self.clients)
        return {
            "clients": {
                "name": self.name, "fingerprint": hashlib.sha256(every.encode()).hexdigest()[:16], "rows": rows,
                "labelled": rows, "shape": list(self.shape), "notes": [],
            }
        }  # fmt: skip

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes."""
        return self.form.classes

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of a row."""
        return self.form.shape

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns; of images none."""
        return self.form.columns

    def network(self, method: Personaliser) -> Network:
        """The network with which everything begins under a method, scaled by what all clients have, on the CPU."""
        net = build_for(method, self.form)
        layer = scales_by_rows(net)
        if layer is not None:
            mean, spread = put_together([client.moments for client in self.clients])
            layer.mean.copy_(mean)
            layer.spread.copy_(spread)
        return net
