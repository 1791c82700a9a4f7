"""What leaves a client: found by letting a client do its part without learning, and looking at what it would send."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from juyi.personalize.client import Client, Planned
from juyi.personalize.vector import Vector

if TYPE_CHECKING:
    from juyi.personalize.federation import Federation

PARTS = ("all", "body", "rest", "weights", "head", "norm")


def part_of(model: Vector, value: Tensor) -> str | None:
    """The part of a model that a value is, if it is one to the bit.

    Example:
        >>> from juyi.nets import build_network
        >>> model = Vector(build_network("lenet5", torch.zeros(2, 1, 28, 28, dtype=torch.uint8), 10))
        >>> part_of(model, model.copy("body")), part_of(model, torch.zeros(10, 84))
        ('body', None)
    """
    return next((part for part in PARTS if value.numel() and torch.equal(model[part], value)), None)


def would_send(federation: Federation, number: int, shared: dict[str, Tensor]) -> tuple[Client, dict[str, Tensor]]:
    """Let a client do its part of a round without learning: return it, with its steps counted, and what it sends."""
    client = Planned(
        federation.rows_of(number), number, 0, {}, federation.model, federation.beginning, federation.training,
        federation.settings,
    )  # fmt: skip
    return client, federation.method.local_update(client, shared)


def what_is_shared(federation: Federation) -> dict[str, Any]:
    """What travels between a client and the server, and what else is told, as run.json has it."""
    method, model = federation.method, federation.model
    model["all"] = federation.beginning
    begun = method.init_shared(model)
    parts = {name: part_of(model, value) for name, value in begun.items()}

    def listed(values: dict[str, Tensor], first_only: set[str]) -> list[dict[str, Any]]:
        return [
            {
                "name": name, "part": parts.get(name), "shape": list(value.shape),
                "bytes": value.numel() * value.element_size(),
                "statistics": model["statistics"].numel() if parts.get(name) in ("all", "body") else 0,
                "first_round_only": name in first_only,
            }
            for name, value in values.items()
        ]  # fmt: skip

    first, later = (would_send(federation, 0, shared)[1] for shared in (begun, federation.shared))
    return {
        "sends": method.sends, "up": listed({**later, **first}, set(first) - set(later)),
        "down": listed(federation.shared, set()), "besides": besides(federation, bool(first)),
    }  # fmt: skip


def besides(federation: Federation, sends: bool) -> dict[str, bool]:
    """What the server is told of each client besides its update, if it sends one."""
    method = federation.method
    open_ = method.privacy == "none" or federation.elsewhere
    return {
        "number_of_rows": sends and (open_ or method.privacy != "client"),
        "mean_loss": open_,
        "held_out_accuracy": open_,
        "scale_of_inputs": method.standardise == "source" or not federation.rows_of(0).rows.is_images,
    }
