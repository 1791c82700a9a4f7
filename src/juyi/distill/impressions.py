"""What methods share that make rows by optimising them against a fixed teacher: the canvas, and the stages."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from juyi.distill.memory import Memory
from juyi.distill.soft import SoftTargets
from juyi.distill.teacher import Teacher
from juyi.errors import SettingError
from juyi.nets import Network
from juyi.training import (
    Augmented,
    Optimiser,
    Rows,
    Stage,
    StageGenerator,
    Steps,
    Turn,
    hyperparameter,
    redeclare,
)
from juyi.training.stages import Losses

FITS = ("clamp", "stretch")
"""How pixels are kept in range: cut off, or each image stretched to it."""


def smoothing(size: int, width: float) -> Tensor:
    """Return the matrix A, size×size, that smooths white noise and keeps its spread: rows of a Gaussian, ‖A_i‖ = 1.

        A_ij ∝ exp(−(i − j)² / (2 width²))

    A u Aᵀ is then smooth noise of spread 1 for white noise u, and a step on u moves a whole patch of pixels.

    Example:
        >>> smoothing(3, 0.0).tolist()
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
        >>> bool(smoothing(5, 2.0).norm(dim=1).allclose(torch.ones(5)))
        True
    """
    if not width:
        return torch.eye(size)
    place = torch.arange(size, dtype=torch.float32)
    rows = torch.exp(-((place[:, None] - place) / width).square() / 2)
    smooth: Tensor = rows / rows.norm(dim=1, keepdim=True)
    return smooth


def level_and_size(mean: Tensor, spread: Tensor) -> tuple[Tensor, Tensor]:
    """Return a and b, so that a + b z, cut to 0 … 255, has this mean and spread for z ~ N(0, 1), channel by channel.

    Pixels of drawings are black or white and little else: then a is far below 0, b large, and what is left of smooth
    noise are patches and strokes.  Where no noise can have such a spread, b stops at 1,000.

    Example:
        >>> level, size = level_and_size(torch.tensor([127.5, 33.0]), torch.tensor([20.0, 79.0]))
        >>> level.round().tolist(), size.round().tolist()
        ([128.0, -475.0], [20.0, 528.0])
    """
    z = torch.special.ndtri((torch.arange(1_000, dtype=torch.float64) + 0.5) / 1_000)
    level, size = mean.double().cpu(), spread.double().cpu()
    mean, spread = level, size
    for _ in range(1_000):
        found = (level + size * z[:, None]).clamp(0.0, 255.0)
        level = level + mean - found.mean(0)
        size = (size * spread / found.std(0).clamp(min=1e-6)).clamp(max=1_000.0)
    return level.float(), size.float()


def into_range(x: Tensor, fit: str) -> Tensor:
    """Bring images to 0 … 255: `clamp` cuts off, `stretch` maps each image's least and largest value to the ends.

    >>> into_range(torch.tensor([[[[-1.0, 0.0, 1.0]]]]), "stretch").tolist()
    [[[[0.0, 127.5, 255.0]]]]
    """
    if fit == "clamp":
        return x.clamp(0.0, 255.0)
    low, high = x.amin((1, 2, 3), keepdim=True), x.amax((1, 2, 3), keepdim=True)
    return (x - low) / (high - low).clamp(min=1e-6) * 255.0


def roughness(x: Tensor) -> Tensor:
    """Return the total variation of each image: mean |difference| of neighbours, down and across, N."""
    down, across = x[:, :, 1:] - x[:, :, :-1], x[..., 1:] - x[..., :-1]
    return down.abs().mean((1, 2, 3)) + across.abs().mean((1, 2, 3))


class Canvas:
    """Rows that are drawn: a tensor `u`, trained, and what it stands for, on the teacher's scale.

    A table's row is mean + spread u.  An image is a + b A u Aᵀ, brought into range, with A a `smoothing` and a, b from
    `level_and_size`: it begins as smooth noise of the data's mean and spread.  `numbers` are those of its rows among
    all that are made, so that classes take turns from one canvas to the next.  Rows that are frozen stay, whatever
    becomes of `u`.

    Args:
        teacher: whose scale it is; where that says nothing of images, that of uniform noise.
        count: the number of rows.
        fit: a word of `FITS`.
    """

    def __init__(self, teacher: Teacher, count: int, fit: str) -> None:
        self.u = torch.zeros(count, *teacher.shape, device=teacher.device)
        self.numbers = torch.arange(count, device=teacher.device)
        self.frozen = torch.zeros(count, dtype=torch.bool, device=teacher.device)
        self.still = torch.zeros_like(self.u)
        self.is_image, self.fit, self.gain = teacher.is_image_model, fit, 1.0
        self.scale = (teacher.scale.mean, teacher.scale.spread)
        if self.is_image and bool((self.scale[0] == 0).all() and (self.scale[1] == 1).all()):
            self.scale = (torch.full_like(self.scale[0], 127.5), torch.full_like(self.scale[1], 255 / math.sqrt(12)))
        self.drawn = level_and_size(*self.scale) if self.is_image else self.scale
        self.restart(0.0)

    @torch.no_grad()
    def restart(self, width: float) -> None:
        """Begin anew, by torch's generator: normal noise, smoothed; of width 0, images of uniform noise."""
        self.frozen.fill_(False)
        shape = (1, -1, 1, 1) if self.is_image else (1, -1)
        self.level, self.size = (v.to(self.u.device).view(shape) for v in (self.drawn if width else self.scale))
        if self.is_image:
            self.down, self.across = (smoothing(size, width).to(self.u.device) for size in self.u.shape[2:])
            self.gain = float(self.down.sum(1).max() * self.across.sum(1).max())
        if self.is_image and not width:
            self.u.uniform_(0.0, 255.0).sub_(self.level).div_(self.size)
        else:
            self.u.normal_()

    @torch.no_grad()
    def freeze(self, index: Tensor) -> None:
        """Let these rows stay as they are."""
        self.still[index] = self.u[index]
        self.frozen[index] = True

    def rows(self, index: Tensor | None = None) -> Tensor:
        """The rows that it shows, raw; or those of `index`, where none is frozen."""
        if index is None:
            u = torch.where(self.frozen.view(-1, *[1] * (self.u.dim() - 1)), self.still, self.u)
        else:
            u = self.u[index]
        if not self.is_image:
            return self.level + self.size * u
        return into_range(self.level + self.size * (self.down @ u @ self.across.T), self.fit)


class FromImpressions(SoftTargets, Augmented):
    """The settings of making impressions, and the stages: first they are made, then the student learns from them."""

    loss: str = redeclare(SoftTargets, "loss", "dist")
    temperature: float | None = redeclare(SoftTargets, "temperature", 20.0)
    soft_weight: float | None = redeclare(SoftTargets, "soft_weight", 1.0)
    hard_weight: float | None = redeclare(SoftTargets, "hard_weight", 0.0)
    learning_rate: float = redeclare(Augmented, "learning_rate", 6e-3)
    augment: str = redeclare(Augmented, "augment", "warped")
    epochs: int | None = redeclare(Augmented, "epochs", 32)
    impressions: int = hyperparameter(default=24_000, help="rows that are made", low=1, high=10_000_000)
    at_once: int = hyperparameter(default=2_000, help="rows that are made together", low=1, high=1_000_000)
    steps: int = hyperparameter(default=20, help="updates of each row", low=1, high=100_000)
    rate: float = hyperparameter(
        default=0.1, help="how far a step moves a value at most, in shares of the spread", low=0.0, high=100.0
    )
    smooth: str = hyperparameter(
        default="1,1.5,2,3",
        help="pixels over which images are smooth, one width after the other; 0 for the paper's free pixels",
    )
    fit_range: str = hyperparameter(
        default="clamp", help="how pixels are kept in range: clamp, or stretch each image (the paper's)", choices=FITS
    )
    total_variation: float = hyperparameter(
        default=0.0, help="weight of an image's roughness; 0 for none", low=0.0, high=1e6
    )

    freezes: ClassVar[bool] = False
    """Whether rows are frozen before the last step."""

    @abstractmethod
    def begin(self, teacher: Teacher, canvas: Canvas) -> Losses:
        """Say what a fresh canvas is trained for."""
        raise NotImplementedError

    @property
    def widths(self) -> tuple[float, ...]:
        """The widths of smoothing."""
        try:
            found = tuple(float(word) for word in self.smooth.split(","))
        except ValueError:
            found = (-1.0,)
        if not all(0 <= width <= 100 for width in found):
            raise SettingError(
                f"smooth: {self.smooth!r} is not widths in pixels, 0 to 100; give numbers, such as 1,2,3"
            )
        return found

    def check_hyperparameters(self) -> None:
        """Raise `SettingError` for the first hyperparameter whose type or value is not allowed."""
        super().check_hyperparameters()
        _ = self.widths

    def stages(self, teacher: Teacher, student: Network, data: Rows | None) -> StageGenerator:
        """One stage for each canvas, then one for the student."""
        teacher.net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # twice as fast
        memory = Memory(self.impressions, teacher.shape, teacher.device)
        widths, kind = self.widths, type(self).__name__
        count = max(math.ceil(self.impressions / self.at_once), min(len(widths), self.impressions))  # each width once
        canvas = Canvas(teacher, math.ceil(self.impressions / count), self.fit_range)
        keeps = [memory, canvas.frozen, canvas.still] if self.freezes else [memory]
        going = 0
        for number in range(count):
            # What is drawn here needs no place in `keeps`: the loop seeds it by the stage, and replays it.
            canvas.restart(widths[number % len(widths)])
            canvas.numbers = torch.arange(len(canvas.u), device=canvas.u.device) + number * len(canvas.u)
            recipe = Optimiser("adam", self.rate / canvas.gain)  # where smooth, a pixel goes with its neighbours
            turn = Turn(self.begin(teacher, canvas), trains=[canvas.u], optimiser=recipe)
            yield Stage(f"impressions {number + 1} of {count}", Steps(self.steps), [turn], 1, keeps=keeps)
            made = self.impressions - memory.added
            going += int((~canvas.frozen[:made]).sum())
            memory.add(canvas.rows()[:made])
        if self.freezes and going:
            self.remarks_ += (
                f"{going:,} of {self.impressions:,} impressions were not finished in {self.steps} steps, and are kept "
                "as they were; give more --steps",
            )
        rows, scores = self.look_back(teacher, memory, kind)
        return (yield from self.distil(teacher, student, rows.with_said(scores)))

    def look_back(self, teacher: Teacher, memory: Memory, kind: str) -> tuple[Rows, Tensor]:
        """Ask the teacher of what was made, and leave both with the method."""
        self.impressions_, scores = memory.told_by(teacher, f"{kind} impressions")
        self.impression_scores_ = scores.cpu().numpy().astype(np.float32)
        return Rows(self.impressions_, teacher.device), scores
