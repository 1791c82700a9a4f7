"""What methods share that make rows by optimising them against a fixed teacher: the canvas, and the stages."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from juyi.data.domain import Domain
from juyi.distill.memory import Memory
from juyi.distill.soft import SoftTargets
from juyi.distill.teacher import Teacher
from juyi.errors import SettingError
from juyi.nets import Network
from juyi.training import Optimiser, Rows, Stage, StageGenerator, Steps, Turn, compute_rows, hyperparameter
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
    return rows / rows.norm(dim=1, keepdim=True)


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

    A table's row is mean + spread u; an image is mean + spread A u Aᵀ in range, A a `smoothing`.

    Args:
        teacher: whose scale it is; where that says nothing of images, that of uniform noise.
        count: the number of rows.
        fit: a word of `FITS`.
    """

    def __init__(self, teacher: Teacher, count: int, fit: str) -> None:
        self.u = torch.zeros(count, *teacher.shape, device=teacher.device)
        mean, spread = teacher.scale.mean.to(self.u.device), teacher.scale.spread.to(self.u.device)
        self.is_image, self.fit = teacher.is_image_model, fit
        if self.is_image:
            if bool((mean == 0).all() and (spread == 1).all()):
                mean, spread = torch.full_like(mean, 127.5), torch.full_like(spread, 255 / math.sqrt(12))
            mean, spread = mean.view(1, -1, 1, 1), spread.view(1, -1, 1, 1)
        self.mean, self.spread = mean, spread
        self.restart(0.0)

    @torch.no_grad()
    def restart(self, width: float) -> None:
        """Begin anew, by torch's generator: normal noise, smoothed; of width 0, images of uniform noise."""
        if self.is_image:
            self.down, self.across = (smoothing(size, width).to(self.u.device) for size in self.u.shape[2:])
        if self.is_image and not width:
            self.u.uniform_(0.0, 255.0).sub_(self.mean).div_(self.spread)
        else:
            self.u.normal_()

    def rows(self) -> Tensor:
        """The rows that it shows, raw."""
        if not self.is_image:
            return self.mean + self.spread * self.u
        return into_range(self.mean + self.spread * (self.down @ self.u @ self.across.T), self.fit)


class FromImpressions(SoftTargets):
    """The settings of making impressions, and the stages: first they are made, then the student learns from them."""

    impressions: int = hyperparameter(default=24_000, help="rows that are made", low=1, high=10_000_000)
    at_once: int = hyperparameter(default=2_000, help="rows that are made together", low=1, high=1_000_000)
    steps: int = hyperparameter(default=20, help="updates of each row", low=1, high=100_000)
    rate: float = hyperparameter(
        default=0.1, help="learning rate of the rows, in shares of the data's spread", low=0.0, high=100.0
    )
    smooth: str = hyperparameter(
        default="1,2,3",
        help="pixels over which images are smooth, one width after the other; 0 for the paper's free pixels",
    )
    fit_range: str = hyperparameter(
        default="clamp", help="how pixels are kept in range: clamp, or stretch each image (the paper's)", choices=FITS
    )
    total_variation: float = hyperparameter(
        default=0.0, help="weight of an image's roughness; 0 for none", low=0.0, high=1e6
    )

    @abstractmethod
    def begin(self, teacher: Teacher, canvas: Canvas) -> tuple[Losses, Callable[[], Tensor]]:
        """Say what a fresh canvas is trained for, and what gives its rows in the end."""
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
        memory = Memory(self.impressions, teacher.shape, teacher.device)
        widths, kind = self.widths, type(self).__name__
        count = math.ceil(self.impressions / self.at_once)
        canvas = Canvas(teacher, math.ceil(self.impressions / count), self.fit_range)
        recipe = Optimiser("adam", self.rate)
        for number in range(count):
            # What is drawn here needs no place in `keeps`: the loop seeds it by the stage, and replays it.
            canvas.restart(widths[number % len(widths)])
            losses, finish = self.begin(teacher, canvas)
            turn = Turn(losses, trains=[canvas.u], optimiser=recipe)
            yield Stage(f"impressions {number + 1} of {count}", Steps(self.steps), [turn], 1, keeps=[memory])
            with torch.no_grad():
                memory.add(finish()[: self.impressions - memory.added])
        rows, scores = self.look_back(teacher, memory, kind)
        return (yield from self.distil(teacher, student, rows.with_said(scores)))

    def look_back(self, teacher: Teacher, memory: Memory, kind: str) -> tuple[Rows, Tensor]:
        """Ask the teacher of what was made, and leave both with the method."""
        blank = np.zeros(memory.held, np.int64)
        made = Rows(Domain(memory.rows().cpu().numpy(), blank, classes=teacher.classes), teacher.device)
        scores = compute_rows(teacher.scores, made)
        self.impressions_ = memory.as_domain(teacher, scores, f"{kind} impressions")
        self.impression_scores_ = scores.cpu().numpy().astype(np.float32)
        return Rows(self.impressions_, teacher.device), scores
