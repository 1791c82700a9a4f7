"""ZSKD: draw soft answers as the teacher relates its classes, make images that it answers so, and learn from them."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn.functional import log_softmax, normalize

from juyi.distill.base import Distiller
from juyi.distill.impressions import Canvas, FromImpressions, roughness
from juyi.distill.teacher import Teacher
from juyi.errors import SettingError
from juyi.training import hyperparameter
from juyi.training.stages import Losses

TINIEST = 1e-3
"""The least concentration: with 0 a class could never be drawn, and its logarithm has no value."""


def class_similarity(weight: Tensor) -> Tensor:
    """Return the cosine of every two classes' weights in the last layer, C×C, float64; the bias says nothing here.

    Args:
        weight: C×d.

    Source: Nayak et al., "Zero-Shot Knowledge Distillation in Deep Networks", ICML 2019, equation 5.

    >>> class_similarity(torch.tensor([[3.0, 0.0], [0.0, 2.0], [-1.0, 0.0]])).tolist()
    [[1.0, 0.0, -1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 1.0]]
    """
    rows = normalize(weight.double(), dim=1)
    return rows @ rows.T


def concentrations(similarity: Tensor, scale: float) -> Tensor:
    """Return the Dirichlet concentrations of each class, C×C: β (s − min s) / (max s − min s), row by row.

    β multiplies what is normalised: before it, it would do nothing.

    Args:
        similarity: C×C.
        scale: β, above 0; the smaller, the nearer to one class are the answers that are drawn.

    Source: the same, section 3.2.

    >>> concentrations(class_similarity(torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])), 0.1)[0].tolist()
    [0.1, 0.05, 0.001]
    """
    low, high = similarity.amin(1, keepdim=True), similarity.amax(1, keepdim=True)
    return (scale * (similarity - low) / (high - low).clamp(min=1e-12)).clamp(min=TINIEST)


def draw_answers(concentration: Tensor) -> Tensor:
    """Draw y ~ Dirichlet(α) for each row α, N×C, by torch's generator.

    y is the softmax of log g, g ~ Gamma(α), and log g = log g' + log(u) / α with g' ~ Gamma(α + 1), u uniform: tiny α
    then give answers near one class, where g itself would be 0 for all of them.

    Source: Marsaglia and Tsang, "A Simple Method for Generating Gamma Variables", 2000, section 6, for α < 1.

    >>> draw_answers(torch.full((2, 3), 1e-3)).sum(1).numpy().round(6).tolist()
    [1.0, 1.0]
    """
    alpha = concentration.double()
    uniform = torch.rand_like(alpha).clamp(min=1e-300)
    return (torch._standard_gamma(alpha + 1).log() + uniform.log() / alpha).softmax(1)


def impression_loss(scores: Tensor, answer: Tensor, temperature: float) -> Tensor:
    """Return the sum over rows of CE(y, softmax(z / τ)); a sum, so that a row's gradient is its own.

    Args:
        scores: z of the teacher, N×C.
        answer: y, N×C.
        temperature: τ.

    Source: the same, equation 4.

    >>> impression_loss(torch.zeros(2, 4), torch.full((2, 4), 0.25), 20.0).item() / 2  # log 4
    1.3862943649291992
    """
    return -(answer * log_softmax(scores.float() / temperature, 1)).sum()


class ZSKD(FromImpressions, Distiller):
    """Zero-shot knowledge distillation: without any data, from impressions of what the teacher was taught on.

    1. The cosines of the last layer's weights say how alike classes are.
    2. For class c, soft answers y ~ Dirichlet(β · normalised row c), for each β of `scales` as many.
    3. For each y an image: from noise, minimise CE(y, softmax(z_T(x) / τ)) over its pixels.
    4. The student learns the teacher's softened answers to these images (not y itself).

    The paper's pixels are free, and what is found so looks like noise; such images taught a student far less here than
    smooth ones did.  So by default an image is smoothed noise, and its steps are smooth as well (as C. Olah et al.,
    "Feature Visualization", 2017, do in Fourier space).  The student sees them warped, and learns how the teacher ranks
    them (the loss `dist`) instead of its very values.  `smooth="0"`, `fit_range="stretch"`, `steps=1500`,
    `loss="hinton"`, `augment="none"` are the paper's.

    Source: G. K. Nayak, K. R. Mopuri, V. Shaj, R. V. Babu, A. Chakraborty, "Zero-Shot Knowledge Distillation in Deep
    Networks", ICML 2019, algorithm 1.

    Example:
        >>> import juyi
        >>> digits = juyi.load("digits@train[:256]")
        >>> teacher = juyi.adapt.SourceOnly(net="lenet5", epochs=1).fit(digits)
        >>> made = ZSKD(teacher=teacher, student="lenet5_half", impressions=64, steps=2, epochs=1).fit()
        >>> made.impressions_.size, made.predict(digits).shape
        (64, (256,))
    """

    looks_inside: ClassVar[bool] = True
    takes_data: ClassVar[bool] = False
    quick: ClassVar[dict[str, Any]] = {"impressions": 400, "at_once": 200, "steps": 20}

    scales: str = hyperparameter(
        default="1,0.1", help="β, concentrations of the soft answers, as many rows of each", source="section 4.1"
    )
    impression_temperature: float = hyperparameter(
        default=20.0, help="τ at which the teacher is made to answer", low=1e-6, high=1_000.0, source="section 4.1"
    )

    @property
    def betas(self) -> tuple[float, ...]:
        """The scales as numbers."""
        try:
            found = tuple(float(word) for word in self.scales.split(","))
        except ValueError:
            found = (0.0,)
        if not all(0 < scale <= 1_000 for scale in found):
            raise SettingError(f"scales: {self.scales!r} is not numbers above 0; give some, such as 1,0.1")
        return found

    def check_hyperparameters(self) -> None:
        """Raise `SettingError` for the first hyperparameter whose type or value is not allowed."""
        super().check_hyperparameters()
        _ = self.betas

    def begin(self, teacher: Teacher, canvas: Canvas) -> Losses:
        """Draw the answers; every class has as many of them, half of each scale."""
        similarity = class_similarity(teacher.last.weight.detach())
        choices = torch.stack([concentrations(similarity, scale) for scale in self.betas])
        place, classes = canvas.numbers, len(similarity)
        answer = draw_answers(choices[place // classes % len(choices), place % classes]).float()

        def losses(batch: None, progress: float) -> dict[str, Tensor]:
            x = canvas.rows()
            found = {"impression": impression_loss(teacher.scores(x), answer, self.impression_temperature)}
            if self.total_variation and canvas.is_image:
                found["roughness"] = self.total_variation * roughness(x).sum()
            return found

        return losses
