"""One stage while it runs: `run_stage` is the loop in which every method of every room learns."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from juyi.errors import ForeignFileError, SettingError, TrainingDivergedError
from juyi.nets import frozen_parts, trainable
from juyi.training.batches import seed_torch
from juyi.training.processes import Processes, average_gradients
from juyi.training.stages import Optimiser, Stage, Turn
from juyi.training.state import State, copy_into


@dataclass(frozen=True)
class Settings:
    """Where and how precisely to compute, and what the randomness comes from."""

    seed: int = 0
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    dtype: torch.dtype = torch.float32
    processes: Processes = field(default_factory=Processes)


@dataclass
class _Part:
    """What a turn needs while it runs: its parameters, and the optimisers that own them."""

    turn: Turn
    parameters: list[Tensor]
    optimisers: list[int]
    frozen: list[nn.Module]


class StageRun:
    """A stage with its optimisers, its position, and the sums of its losses since the epoch began.

    Args:
        stage: what to run.
        number: its place among the method's stages; with the seed, it names the randomness.
        state: the owners of all that changes; those of this stage are added to it.
        settings: device, precision, seed, processes.
    """

    def __init__(self, stage: Stage, number: int, state: State, settings: Settings) -> None:
        self.stage, self.number, self.settings = stage, number, settings
        for turn in stage.turns:
            state.see(turn.trains)
        state.see(stage.keeps)
        self.state = state
        self.step = 0
        self.steps_per_epoch = stage.over.steps_per_epoch(settings.processes.count)
        self.total_steps = self.steps_per_epoch * stage.epochs
        self.sums: dict[str, float] = {}
        self.optimisers: list[torch.optim.Optimizer] = []
        self.recipes: list[Optimiser] = []
        self.parts = [self._part(turn) for turn in stage.turns]

    def _part(self, turn: Turn) -> _Part:
        parameters: list[Tensor] = []
        frozen: list[nn.Module] = []
        by_recipe: dict[Optimiser, list[Tensor]] = {}
        for owner, recipe in zip(turn.trains, turn.optimisers, strict=True):
            frozen += frozen_parts(owner) if isinstance(owner, nn.Module) else []
            found: list[Tensor] = [*trainable(owner)] if isinstance(owner, nn.Module) else [owner]
            found = [p for p in found if not any(p is known for known in parameters)]
            parameters += found
            by_recipe.setdefault(recipe, []).extend(found)
        if frozen and not parameters:
            raise SettingError(f"--freeze: leaves stage {self.stage.name} nothing to train; freeze less")
        used = {k for recipe, some in by_recipe.items() for k in self._own(some, recipe)}
        return _Part(turn, parameters, sorted(used), frozen)

    def _own(self, parameters: list[Tensor], recipe: Optimiser) -> set[int]:
        """Give these parameters an optimiser, unless they have one; return the numbers of those that they have."""
        owned = {id(p): k for k, o in enumerate(self.optimisers) for g in o.param_groups for p in g["params"]}
        new = [p for p in parameters if id(p) not in owned]
        for k in {owned[id(p)] for p in parameters if id(p) in owned}:
            if self.recipes[k] != recipe:
                raise ValueError(f"stage {self.stage.name}: turns that train the same parameter need one Optimiser")
        if new:
            owned |= {id(p): len(self.optimisers) for p in new}
            self.optimisers.append(recipe.build(new))
            self.recipes.append(recipe)
        return {owned[id(p)] for p in parameters}

    @property
    def progress(self) -> float:
        """The share of the stage's steps that are done, 0 to 1."""
        return self.step / self.total_steps

    @property
    def epoch(self) -> int:
        """The number of epochs that are done."""
        return self.step // self.steps_per_epoch

    @property
    def at_epoch_end(self) -> bool:
        """True right after the last step of an epoch."""
        return self.step > 0 and self.step % self.steps_per_epoch == 0

    def mean_losses(self) -> dict[str, float]:
        """The mean of each loss over the steps of the epoch so far."""
        steps = (self.step - 1) % self.steps_per_epoch + 1
        return {name: total / steps for name, total in self.sums.items()}

    def tensors(self) -> dict[str, Tensor]:
        """Everything that is needed to go on from here: the state, and that of the optimisers."""
        found = {f"state.{name}": value for name, value in self.state.tensors().items()}
        for number, _, position, entries in self._optimiser_state():
            found |= {f"optimiser.{number}.{position}.{key}": v for key, v in entries.items() if isinstance(v, Tensor)}
        return found

    def note(self) -> dict[str, Any]:
        """What goes with the tensors: position, sums, and values that are no tensors."""
        steps = {"step": self.step, "total_steps": self.total_steps}
        return {"stage": self.number, **steps, "sums": self.sums, "plain": self.state.plain()}

    def load(self, tensors: Mapping[str, Tensor], note: Mapping[str, Any]) -> None:
        """Go to a stored position.

        Raises:
            ForeignFileError: it belongs to another stage: other tensors, or another number of steps.
        """
        if note["total_steps"] != self.total_steps:
            raise ForeignFileError(
                f"checkpoint: its stage has {note['total_steps']} steps, but this one {self.total_steps}; "
                "resume with the same settings, data and number of processes"
            )
        own = {name.removeprefix("state."): value for name, value in tensors.items() if name.startswith("state.")}
        self.state.load(own, note["plain"])
        self.step, self.sums = int(note["step"]), dict(note["sums"])
        for number, optimiser in enumerate(self.optimisers):
            for position, parameter in enumerate(optimiser.param_groups[0]["params"]):
                prefix = f"optimiser.{number}.{position}."
                entries = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
                if entries:
                    optimiser.state[parameter] = {k: _like(parameter, v) for k, v in entries.items()}

    def is_finite(self) -> bool:
        """Whether all that is trained, and the running statistics that go with it, are finite numbers."""
        owners = [owner for turn in self.stage.turns for owner in turn.trains]
        values = [
            value
            for owner in owners
            for value in ((*owner.parameters(), *owner.buffers()) if isinstance(owner, nn.Module) else (owner,))
        ]
        return all(bool(torch.isfinite(value).all()) for value in values)

    def _optimiser_state(self) -> list[tuple[int, Tensor, int, Mapping[str, Any]]]:
        return [
            (number, parameter, position, optimiser.state[parameter])
            for number, optimiser in enumerate(self.optimisers)
            for position, parameter in enumerate(optimiser.param_groups[0]["params"])
            if parameter in optimiser.state
        ]


def _like(parameter: Tensor, stored: Tensor) -> Tensor:
    """Lay a stored optimiser tensor out in memory as its parameter is: the fused kernels walk raw memory."""
    if stored.dim() == 0:  # a counter of steps
        return stored.to(parameter.device, copy=True)
    value = torch.empty_like(parameter)
    copy_into(value, {"": stored}, "")
    return value.detach()


def run_stage(run: StageRun, after_step: Callable[[StageRun], None] | None = None) -> None:
    """Run a stage from where it stands to its end.

    Each step draws a batch, and each turn in it makes an update; randomness comes from (seed, stage, step,
    process) alone.  No file, bar or thread is opened here: whoever wants to watch or to store does it in
    `after_step`.

    Raises:
        TrainingDivergedError: a loss is not finite, and the update that it asked for was not made; or the last
            updates left weights that are not finite.
    """
    tensors = [owner for owner in run.state.owners if isinstance(owner, Tensor)]
    parameters = [p for module in run.state.modules() for p in module.parameters()]
    flags = [(p, p.requires_grad) for p in (*tensors, *parameters)]
    training = [(layer, layer.training) for module in run.state.modules() for layer in module.modules()]
    try:
        for p, _ in flags:
            p.requires_grad_(False)
        prepared: _Part | None = None
        while run.step < run.total_steps:
            process = run.settings.processes
            seed_torch(run.settings.device, run.settings.seed, run.number, run.step, process.rank)
            batch = run.stage.over.batch((run.settings.seed, run.number), run.step, process.rank, process.count)
            if run.step % run.steps_per_epoch == 0:
                run.sums = {}
            for part in run.parts:
                if prepared is not part:
                    _prepare(run, part, prepared)
                    prepared = part
                _take_turn(run, part, batch)
            run.step += 1
            for follow in run.stage.after_step:
                for name, value in (follow() or {}).items():
                    run.sums[name] = run.sums.get(name, 0.0) + value
            if run.step == run.total_steps and not run.is_finite():  # no loss comes after it to tell
                raise TrainingDivergedError(_diverged(run, "the last update left weights that are not finite numbers"))
            if after_step:
                after_step(run)
    finally:
        for part in run.parts:
            for trained in part.parameters:
                trained.requires_grad_(False)
                trained.grad = None
        for p, flag in flags:
            p.requires_grad_(flag)
        for layer, mode in training:
            layer.training = mode


def _prepare(run: StageRun, part: _Part, before: _Part | None) -> None:
    """Let only what this turn trains have gradients and be in training mode."""
    for p in before.parameters if before else ():
        p.requires_grad_(False)
    for p in part.parameters:
        p.requires_grad_(True)
    for module in run.state.modules():
        module.eval()
    for owner in part.turn.trains:
        if isinstance(owner, nn.Module):
            owner.train()
    for module in part.frozen:  # its statistics stay, and its dropout is off
        module.training = False


def _take_turn(run: StageRun, part: _Part, batch: Any) -> None:
    settings = run.settings
    with torch.autocast(settings.device.type, settings.dtype, enabled=settings.dtype != torch.float32):
        losses = part.turn.losses(batch, run.progress)
    total = torch.stack([loss.float() for loss in losses.values()]).sum()
    for index in part.optimisers:
        for group in run.optimisers[index].param_groups:
            for p in group["params"]:
                p.grad = None
    total.backward()  # type: ignore[no-untyped-call]
    total = average_gradients(part.parameters, total, settings.processes)
    if not math.isfinite(total.item()):
        raise TrainingDivergedError(_why_diverged(run, losses))
    if part.turn.gradient_hook:
        part.turn.gradient_hook(part.parameters)
    for index in part.optimisers:
        for group in run.optimisers[index].param_groups:
            group["lr"] = run.recipes[index].rate(run.progress)
        run.optimisers[index].step()
    for name, loss in losses.items():
        run.sums[name] = run.sums.get(name, 0.0) + loss.item()


def _why_diverged(run: StageRun, losses: Mapping[str, Tensor]) -> str:
    names = [name for name, loss in losses.items() if not math.isfinite(loss.item())] or list(losses)
    return _diverged(run, f"the loss {' and '.join(names)} is not a finite number")


def _diverged(run: StageRun, why: str) -> str:
    return (
        f"stage {run.stage.name}, step {run.step}: {why}; "
        "the last good state is kept; try a smaller --learning-rate, or --precision float32"
    )
