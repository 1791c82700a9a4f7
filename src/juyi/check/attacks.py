"""Clients that lie, to see what a defence is worth: nothing of a run uses this."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from juyi.personalize import Personaliser
from juyi.personalize.client import Client

Sent = dict[str, Tensor]
Attack = Callable[[Client, Sent, Sent], Sent]
"""From the client, what it was sent and what it would send if it were honest, to what it sends."""


def sign_flip(strength: float = 1.0) -> Attack:
    """Go the other way: s − k (u − s).

    L. Li, W. Xu, T. Chen, G. Giannakis, Q. Ling, "RSA: Byzantine-Robust Stochastic Aggregation Methods for Distributed
    Learning from Heterogeneous Datasets", AAAI 2019, section 5.
    """
    return lambda client, origin, sent: {name: origin[name] - strength * (u - origin[name]) for name, u in sent.items()}


def gaussian(spread: float = 1.0) -> Attack:
    """Send noise: s + N(0, spread² I)."""

    def attack(client: Client, origin: Sent, sent: Sent) -> Sent:
        random = torch.Generator().manual_seed(int(client.random(9).integers(2**62)))
        drawn = {name: torch.randn(u.shape, generator=random).to(u.device) for name, u in sent.items()}
        return {name: origin[name] + spread * drawn[name] for name in sent}

    return attack


def replace_model(goal: Sent, clients: int) -> Attack:
    """Send so much that the mean of all becomes `goal`, if the others hardly move: s + N (goal − s).

    E. Bagdasaryan, A. Veit, Y. Hua, D. Estrin, V. Shmatikov, "How To Backdoor Federated Learning", AISTATS 2020,
    equation 3.
    """
    return lambda client, origin, sent: {name: origin[name] + clients * (goal[name] - origin[name]) for name in sent}


def label_flip(client: Client) -> None:
    """Let a client learn that class c is class C − 1 − c."""
    client.rows = client.rows.with_labels(client.net.outputs - 1 - client.rows.y)


def attacked(method: Personaliser, attacks: Mapping[int, Attack], flipped: tuple[int, ...] = ()) -> Personaliser:
    """Return a method under the same settings, some of whose clients lie.

    Args:
        method: an unfitted method.
        attacks: what clients send instead, by their numbers.
        flipped: clients that learn from flipped labels, and are honest otherwise.
    """
    kind = type(method)

    def local_update(self: Personaliser, client: Client, shared: Sent) -> Sent:
        if client.number in flipped:
            label_flip(client)
        sent = kind.local_update(self, client, shared)
        origin = {n: torch.zeros_like(shared[n]) if self.sends == "changes" else shared[n] for n in sent}
        lie = attacks.get(client.number)
        return lie(client, origin, sent) if lie else sent

    changed = {"local_update": local_update, "__module__": kind.__module__, "__doc__": kind.__doc__}
    made: Personaliser = type(kind.__name__, (kind,), changed)(**method.get_params())
    return made
