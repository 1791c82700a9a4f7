"""The moving average of a network's weights: it follows the training, but smoothly."""

from __future__ import annotations

import copy
from typing import Any, Generic, TypeVar

import torch
from torch import nn

N = TypeVar("N", bound=nn.Module)


class WeightAverage(Generic[N]):
    """An exponential moving average of weights, and the copy of the network that has them.

    After the update of step t = 1, 2, ..., each weight a of the average becomes d a + (1 − d) w with
    d = min(decay, t / (t + 9)), so that the first steps do not linger.  Running statistics of batch norm, which are
    averages already, are copied.

    Args:
        live: the network that is trained.
        decay: 0 to 1; about 1 / (1 − decay) steps are averaged.

    Source: Polyak and Juditsky, "Acceleration of Stochastic Approximation by Averaging", 1992; with a decay, Tarvainen
    and Valpola, "Mean teachers are better role models", 2017.
    """

    def __init__(self, live: N, decay: float) -> None:
        self.live, self.decay, self.steps = live, decay, 0
        self.net: N = copy.deepcopy(live)

    @torch.no_grad()
    def update(self) -> None:
        """Follow the live network by one step."""
        self.steps += 1
        decay = min(self.decay, self.steps / (self.steps + 9.0))
        torch._foreach_lerp_(list(self.net.parameters()), list(self.live.parameters()), 1.0 - decay)
        for mine, other in zip(self.net.buffers(), self.live.buffers(), strict=True):
            mine.copy_(other)

    @torch.no_grad()
    def take(self) -> None:
        """Put the average into the live network."""
        for mine, other in zip(self.net.parameters(), self.live.parameters(), strict=True):
            other.copy_(mine)

    def state_dict(self) -> dict[str, Any]:
        """The steps so far; the weights are a module's own state (`net`)."""
        return {"steps": self.steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a stored state."""
        self.steps = int(state["steps"])
