"""A client at work: its rows, what is its own, and the model that it is lent for as long as it works."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from juyi.errors import DataError, TrainingDivergedError
from juyi.nets import TARGET, Network
from juyi.personalize.private_steps import PoissonBatches, RowPrivacy, gradients_of_rows
from juyi.personalize.vector import Vector
from juyi.training import Batch, Optimiser, Rows, Settings, Single, Stage, StageRun, Turn, compute, derive_seed
from juyi.training.labels import loss_of
from juyi.training.stage_run import run_stage
from juyi.training.state import State

Losses = Callable[[Batch], Mapping[str, Tensor]]


@dataclass(frozen=True)
class ClientRows:
    """The rows of one client.

    Args:
        name: what a person calls it.
        rows: what it learns from, all with a label.
        held_out: its own rows by which choices are made; it never learns from them.
    """

    name: str
    rows: Rows
    held_out: Rows


@dataclass(frozen=True)
class LocalTraining:
    """How clients learn: what a method's settings say, for all of them alike.

    The rounds are those of the method `rounds_of`; others get other noise, since what hides rows must not come twice.
    """

    optimiser: Optimiser
    epochs: int
    batch: int
    through: Callable[[Stage], Sequence[Stage]]
    statistics: str
    rounds_of: str


class Client:
    """A client as a method sees it, in one round.

    Attributes:
        model: the network that it works with; what is in it before, other clients left.
        own: what stays with it between rounds, by name; a method puts in what it likes.
        rows, held_out: its data.
        size: the number of its rows: its weight where clients are averaged.
        beginning: the weights with which everything began, the same for all.
        steps: how many updates it made in this round.
        private: how its steps hide its rows; None where they do not.
        private_steps: how many of its steps in this round did, and count for its ε.
    """

    def __init__(
        self,
        data: ClientRows,
        number: int,
        round_number: int,
        own: Mapping[str, Tensor],
        model: Vector,
        beginning: Tensor,
        training: LocalTraining,
        settings: Settings,
        share: float = 1.0,
    ) -> None:
        self.name, self.rows, self.held_out, self.number = data.name, data.rows, data.held_out, number
        self.own, self.model, self.beginning = dict(own), model, beginning
        self.size = data.rows.size
        self.steps = self.private_steps = 0
        self.private: RowPrivacy | None = None
        self.losses: list[float] = []
        self._training, self._settings, self._share = training, settings, share
        self._seed = derive_seed(settings.seed, round_number, number)
        self._times = 0

    @property
    def net(self) -> Network:
        """The network."""
        return self.model.net

    def load(self, values: Tensor, part: str = "all") -> None:
        """Put values into a part of the model; statistics of batch norm that are the client's own stay its own."""
        self.model[part] = values
        if self._training.statistics == "local" and "statistics" in self.own:
            self.model["statistics"] = self.own["statistics"]

    def random(self, purpose: int) -> np.random.Generator:
        """Randomness of this client in this round, for a purpose."""
        return np.random.default_rng(derive_seed(self._seed, purpose))

    def learn(
        self,
        *trains: nn.Module | Tensor,
        losses: Losses | None = None,
        epochs: int | None = None,
        toward: Tensor | None = None,
        pull: float = 0.0,
        shift: Tensor | None = None,
        optimiser: Optimiser | None = None,
        over: Rows | None = None,
        stays: bool = False,
    ) -> None:
        """Pass over the client's rows, a batch at a time, and move the model.

        The gradient of each step becomes g + `pull` (w − `toward`) + `shift`.

        Args:
            trains: what is moved; by default the body and the head.
            losses: of a batch; by default the cross-entropy of the head's scores.
            epochs: passes; by default as the settings say.
            toward: weights to which it is pulled, like `model["all"]`.
            pull: how strongly.
            shift: what is added to the gradient, likewise.
            optimiser: by default as the settings say.
            over: other rows.
            stays: whether what is learnt stays with the client, and nothing that is sent hangs on it, so that it needs
                no privacy.
        """
        training, net = self._training, self.net
        private = None if stays else self.private
        trains = trains or (net.body, net.head)
        batches = self._batches(over or self.rows, private)
        pulled = toward if pull else None

        def hook(parameters: Sequence[Tensor]) -> None:
            if isinstance(batches, PoissonBatches):
                batches.hide(parameters)
            self._correct(parameters, pulled, pull, shift)

        turn = Turn(
            lambda batch, progress: losses(batch) if losses else {"label": batches.loss(net, batch)},
            trains=trains,
            optimiser=optimiser or training.optimiser,
            gradient_hook=hook if private or pulled is not None or shift is not None else None,
        )
        for p in self.model.learnable:  # which the loop around this one holds still
            p.requires_grad_(True)
        stage = Stage("client", over=batches, turns=[turn], epochs=epochs or training.epochs)
        settings = Settings(self._seed, self._settings.device, self._settings.dtype)
        if private:
            seed = derive_seed(self._seed, *training.rounds_of.encode())
            settings = Settings(seed, settings.device, torch.float32)
        devices = [settings.device] if settings.device.type == "cuda" else []
        by_row = gradients_of_rows([part for part in trains if isinstance(part, nn.Module)])
        with torch.random.fork_rng(devices=devices), by_row if private else nullcontext():
            for part in training.through(stage):
                state = State()
                state.see([net])  # so that what is not trained is in eval mode, and stays as it is
                run = StageRun(part, self._times, state, settings)
                run_stage(run)
                self._count(run.total_steps, private)
                self.losses.append(sum(run.mean_losses().values()))

    def tune(self, *trains: nn.Module | Tensor, epochs: int) -> None:
        """Learn from where the model stands; if that comes to no numbers, the model stays as it was."""
        before = self.model.copy("all")
        try:
            self.learn(*trains, epochs=epochs)
        except TrainingDivergedError:
            self.model["all"] = before

    def _batches(self, rows: Rows, private: RowPrivacy | None) -> _Some | PoissonBatches:
        """Batches of a client's rows; one that is late makes only a share of the steps."""
        size = min(self._training.batch, rows.size)
        return PoissonBatches(rows, size, self._share, private) if private else _Some(rows, size, self._share)

    def _correct(self, parameters: Sequence[Tensor], toward: Tensor | None, pull: float, shift: Tensor | None) -> None:
        """Add to the gradients what pulls and what shifts."""
        for p in parameters:
            if p.grad is None or not self._is_of_model(p):
                continue
            if toward is not None:
                p.grad.add_(p.detach() - self.model.piece(toward, p), alpha=pull)
            if shift is not None:
                p.grad.add_(self.model.piece(shift, p))

    def _count(self, steps: int, private: RowPrivacy | None) -> None:
        self._times += 1
        self.steps += steps
        self.private_steps += steps if private else 0

    def gradient(self) -> Tensor:
        """The gradient of the mean cross-entropy over all its rows, like `model["all"]`; 0 where nothing learns."""
        found = torch.zeros_like(self.model.values)
        batch = min(500, self.net.rows_at_once)
        self.net.eval()
        with torch.enable_grad():
            for p in self.model.learnable:
                p.requires_grad_(True)
            for start in range(0, self.size, batch):
                some = self.rows.take(np.arange(start, min(start + batch, self.size)))
                loss = loss_of(self.net, self.net(some.x), some.y) * (len(some.y) / self.size)
                for p, g in zip(
                    self.model.learnable,
                    torch.autograd.grad(loss, self.model.learnable, allow_unused=True),
                    strict=True,
                ):
                    if g is not None:
                        self.model.piece(found, p).add_(g)
        return found

    def _is_of_model(self, parameter: Tensor) -> bool:
        inside = parameter.data_ptr() - self.model.values.data_ptr()
        return 0 <= inside < self.model.values.numel() * self.model.values.element_size()

    def features(self, rows: Rows | None = None) -> Tensor:
        """The features of its rows (or of others) under the model as it is, N×width, float32, on the CPU."""
        rows = rows or self.rows
        return compute(self.net, rows, np.arange(rows.size), lambda x: self.net.features(x, TARGET))

    def scores(self, rows: Rows) -> Tensor:
        """The scores of rows under the model as it is, N×C, float32, on the CPU."""
        return compute(self.net, rows, np.arange(rows.size), lambda x: self.net(x, TARGET))

    def right(self, rows: Rows) -> float:
        """The share of these rows of which the model as it is tells the class."""
        return float((self.scores(rows).argmax(1) == rows.y.cpu()).float().mean())


class Planned(Client):
    """A client that does its part of a round without learning, so that its steps are counted and its answer is seen."""

    def learn(
        self,
        *trains: nn.Module | Tensor,
        epochs: int | None = None,
        over: Rows | None = None,
        stays: bool = False,
        **ignored: Any,
    ) -> None:
        """Count the steps that there would be."""
        private = RowPrivacy(0.0, 0.0)
        steps = self._batches(over or self.rows, private).steps_per_epoch(1) * (epochs or self._training.epochs)
        self._count(steps, None if stays else private)
        self.losses.append(0.0)


@dataclass(frozen=True)
class _Some:
    """Batches of a client's rows; one that is late makes only a share of the steps."""

    rows: Rows
    size: int
    share: float = 1.0
    single: Single = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "single", Single(self.rows, self.size, labelled_only=True))

    def steps_per_epoch(self, processes: int) -> int:
        """As many as in a pass, or a share of them, at least one."""
        return max(1, math.floor(self.share * self.single.steps_per_epoch(1)))

    def loss(self, net: Network, batch: Batch) -> Tensor:
        """The mean cross-entropy of a batch."""
        return loss_of(net, net(batch.x), batch.y)

    def batch(self, key: tuple[int, ...], step: int, process: int, processes: int) -> Batch:
        """The batch of this step; what the processes divide among themselves are clients, so each has it whole."""
        found: Batch = self.single.batch(key, step, 0, 1)
        return found


def check_rows(clients: Sequence[ClientRows], model: Vector) -> None:
    """Refuse a client from whose rows a step cannot be made."""
    compares_rows = any(isinstance(layer, nn.BatchNorm1d) for layer in model.net.modules())
    for client in clients:
        if not client.rows.size or not client.held_out.size:
            what = "to learn from" if not client.rows.size else "that is held out"
            raise DataError(f"client {client.name}: has no row {what}; leave it out")
        if client.rows.size == 1 and compares_rows:
            raise DataError(
                f"client {client.name}: has a single row to learn from, and batch norm compares two or more; leave it "
                "out, or use --batch-norm none"
            )
