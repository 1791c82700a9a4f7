"""ClassImpressions: noise is moved until the teacher is sure of a class; then a student learns from it."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from torch import Tensor

from juyi.augmentation.views import warp
from juyi.distill.base import Distiller
from juyi.distill.impressions import Canvas, FromImpressions, roughness
from juyi.distill.teacher import Teacher
from juyi.errors import SettingError
from juyi.training import hyperparameter, redeclare
from juyi.training.stages import Losses

ZOOMS = (0.95, 0.975, 1.0, 1.025)
"""The factors by which an image may be enlarged in a step."""


def shake(x: Tensor, degrees: float = 5.0, shift: float = 1 / 16, jitter: float = 10.0) -> Tensor:
    """Return rows as a step shows them to the teacher, so that no single pixel decides; by torch's generator.

    An image is turned by up to ±5°, enlarged by a factor of `ZOOMS`, shifted by up to 1/16 of its size (the paper's
    random crop), made brighter by U[−10, 10] in each channel, and noise of U[−10, 10] is laid on each pixel.

    Args:
        x: images, N×C×H×W, 0 to 255; features, N×d, are returned as they are.
        degrees: the largest angle.
        shift: the largest shift, in shares of the size.
        jitter: the largest change of a channel, and of a pixel.

    Source: Mopuri, Uppala and Babu, "Ask, Acquire, and Attack", ECCV 2018, section 3.1.

    >>> shake(torch.full((2, 1, 8, 8), 250.0)).shape
    torch.Size([2, 1, 8, 8])
    """
    if x.dim() == 2:
        return x
    n, channels, device = len(x), x.shape[1], x.device

    def between(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(*shape, device=device)

    angle = between(-math.radians(degrees), math.radians(degrees), n)
    zoom = torch.tensor(ZOOMS, device=device)[torch.randint(len(ZOOMS), (n,), device=device)]
    cosine, sine = angle.cos() / zoom, angle.sin() / zoom
    maps = torch.stack([torch.stack([cosine, -sine], 1), torch.stack([sine, cosine], 1)], 1)
    moved = warp(x, maps, between(-2 * shift, 2 * shift, n, 2))
    changed = between(-jitter, jitter, n, channels, 1, 1) + between(-jitter, jitter, *x.shape)
    return (moved + changed).clamp(0.0, 255.0)


class ClassImpressions(FromImpressions, Distiller):
    """Distillation from class impressions: rows that the teacher is sure of, found without any data.

    From noise x, for class c, ascend the score before the softmax, of a shaken x:

        max_x z_c(shake(x)),   until softmax(z(x))_c > t,   t ~ U[.55, .99] for each row

    Then the row stays as it is.  One that does not come so far in `steps` is kept as it then is, and a remark says
    how many.  The authors of `zskd` name two faults, which come from asking for one class alone: the rows of a class
    are alike, and say little of how classes are related.

    Images are smoothed noise here, and the student learns from them, as in `zskd`; `smooth="0"` has the paper's free
    pixels.

    Source: K. R. Mopuri, P. K. Uppala, R. V. Babu, "Ask, Acquire, and Attack: Data-free UAP Generation using Class
    Impressions", ECCV 2018, section 3.1; distilled as in Nayak et al. 2019, figure 3.

    Example:
        >>> import juyi
        >>> digits = juyi.load("digits@train[:256]")
        >>> teacher = juyi.adapt.SourceOnly(net="lenet5", epochs=1).fit(digits)
        >>> made = ClassImpressions(teacher=teacher, student="lenet5_half", impressions=64, steps=2, epochs=1).fit()
        >>> made.impressions_.size, made.predict(digits).shape
        (64, (256,))
    """

    looks_inside: ClassVar[bool] = True
    takes_data: ClassVar[bool] = False
    quick: ClassVar[dict[str, Any]] = {"impressions": 400, "at_once": 200, "steps": 30}
    freezes: ClassVar[bool] = True

    steps: int = redeclare(FromImpressions, "steps", 60)
    least_sure: float = hyperparameter(
        default=0.55, help="the lowest confidence at which a row may be finished", low=0.0, high=1.0,
        source="section 3.1",
    )  # fmt: skip
    most_sure: float = hyperparameter(
        default=0.99, help="the highest confidence that is asked of a row", low=0.0, high=1.0, source="section 3.1"
    )

    def check_hyperparameters(self) -> None:
        """Raise `SettingError` for the first hyperparameter whose type or value is not allowed."""
        super().check_hyperparameters()
        if self.least_sure > self.most_sure:
            raise SettingError(f"least_sure: {self.least_sure} is above most_sure, {self.most_sure}; give less")

    def begin(self, teacher: Teacher, canvas: Canvas) -> Losses:
        """Every class has as many rows, each its own threshold."""
        place = canvas.numbers
        label = place % len(teacher.classes)
        threshold = self.least_sure + (self.most_sure - self.least_sure) * torch.rand(len(place), device=place.device)

        def losses(batch: None, progress: float) -> dict[str, Tensor]:
            with torch.no_grad():
                going = (~canvas.frozen).nonzero().squeeze(1)
                if len(going):
                    sure = confidence(teacher, canvas.rows(going), label[going])
                    canvas.freeze(going[sure > threshold[going]])
                    going = going[sure <= threshold[going]]
            if not len(going):
                return {"score": 0.0 * canvas.u.sum()}
            x = canvas.rows(going)
            found = {"score": -teacher.scores(shake(x)).gather(1, label[going, None]).sum()}
            if self.total_variation and canvas.is_image:
                found["roughness"] = self.total_variation * roughness(x).sum()
            return found

        return losses


def confidence(teacher: Teacher, x: Tensor, label: Tensor) -> Tensor:
    """Return the teacher's probability of each row's class, N; images as they are stored, in whole values."""
    shown = x.round() if x.dim() == 4 else x
    return teacher.scores(shown).float().softmax(1).gather(1, label[:, None]).squeeze(1)
