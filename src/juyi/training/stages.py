"""What a method says of its learning: stages, the turns in them, and the steps between them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from juyi.nets import Network
from juyi.training.batches import Batch
from juyi.training.schedules import SCHEDULES

Losses = Callable[[Any, float], Mapping[str, Tensor]]


class Batches(Protocol):
    """Where the batches of a stage come from: a pure function of (seed, stage, step), so nothing has to be stored."""

    def steps_per_epoch(self, processes: int) -> int:
        """The number of steps of one pass over the larger domain."""
        ...

    def batch(self, key: tuple[int, ...], step: int, process: int, processes: int) -> Any:
        """The batch of this step for this process."""
        ...


@dataclass(frozen=True)
class Optimiser:
    """How a turn's parameters are moved: `sgd` or `adam`, and how the learning rate goes with progress.

    Args:
        kind: `sgd` (with momentum) or `adam` (decoupled weight decay).
        learning_rate: at the start.
        momentum: of SGD, or the first β of Adam.
        weight_decay: L2 (SGD) or decoupled (Adam).
        schedule: a name in `juyi.training.schedules.SCHEDULES`.
    """

    kind: str = "sgd"
    learning_rate: float = 0.01
    momentum: float = 0.9
    weight_decay: float = 0.0
    schedule: str = "constant"

    def build(self, parameters: Sequence[Tensor]) -> torch.optim.Optimizer:
        """Return the torch optimiser for these parameters (the fused one, which is the fastest exact step)."""
        if self.kind == "adam":
            return torch.optim.AdamW(
                parameters, self.learning_rate, (self.momentum, 0.999), weight_decay=self.weight_decay, fused=True
            )
        optimiser = torch.optim.SGD(
            parameters, self.learning_rate, self.momentum, weight_decay=self.weight_decay, fused=True
        )
        if self.momentum:
            # Made on its own at the first step, it fails where one parameter has its first gradient after another;
            # from zero, the first step is the same to the bit.
            for parameter in parameters:
                optimiser.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter).detach()
        return optimiser

    def rate(self, progress: float) -> float:
        """Return the learning rate at this share of the stage's steps, 0 to 1."""
        return self.learning_rate * SCHEDULES[self.schedule](progress)


@dataclass(frozen=True)
class Turn:
    """One update within a step: these losses, summed, move these parameters, and nothing else.

    While a turn runs, only what it trains has `requires_grad` and is in training mode.

    Args:
        losses: from a batch and the stage's progress (0 to 1) to named scalar losses.
        trains: the modules and tensors that are moved.
        optimiser: how; several are one for each of what it trains.  Turns that train the same parameter must share one.
        gradient_hook: called with the parameters after the backward pass, before the update.
    """

    losses: Losses
    trains: Sequence[nn.Module | Tensor]
    optimiser: Optimiser | Sequence[Optimiser] = field(default_factory=Optimiser)
    gradient_hook: Callable[[Sequence[Tensor]], None] | None = None

    @property
    def optimisers(self) -> Sequence[Optimiser]:
        """One for each of what it trains."""
        return [self.optimiser] * len(self.trains) if isinstance(self.optimiser, Optimiser) else self.optimiser


@dataclass(frozen=True)
class Stage:
    """A part of the training: batches, and the turns that each of them is given to.

    Args:
        name: for the progress bar, the log and the report.
        over: where the batches come from.
        turns: the updates of a step, in order.
        epochs: passes over the larger domain.
        keeps: what else changes while the stage runs (running averages, memories): anything with a state dict.
        serves: the network that would serve if training ended with this stage; None is the method's own.
        after_step: called, in order, when a step's turns are done (to follow an average, say); figures that they
            return, by name, are shown beside the losses.
        unit: what a pass is called where it is shown.
    """

    name: str
    over: Batches
    turns: Sequence[Turn]
    epochs: int
    keeps: Sequence[Any] = ()
    serves: Network | None = None
    after_step: Sequence[Callable[[], Mapping[str, float] | None]] = ()
    unit: str = "epoch"

    def then(self, function: Callable[[], None], **changes: Any) -> Stage:
        """Return this stage with `changes` and one more function that is called after each step."""
        return replace(self, after_step=(*self.after_step, function), **changes)


@dataclass(frozen=True)
class Step:
    """A part of the training without gradients (k-means, statistics): a function, whose results `keeps` names."""

    name: str
    function: Callable[[], None]
    keeps: Sequence[Any] = ()


Stages = Iterator[Stage | Step]

__all__ = ["Batch", "Batches", "Losses", "Optimiser", "Stage", "Stages", "Step", "Turn"]
