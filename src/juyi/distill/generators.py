"""Networks that make rows out of noise, on the scale on which a teacher sees them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from juyi.distill.teacher import Teacher
from juyi.nets import Standardise

GENERATORS = ("small", "paper")
"""The generators of images; rows of a table have one of their own."""


class Generator(nn.Module):
    """Noise in, raw rows out: what the body makes is brought to mean 0 and spread 1, and then to the teacher's scale.

    x = mean + spread · BN(body(z)), BN without scale and shift: by the batch while it learns, by running values else.
    So a teacher that standardises its rows sees them on the scale of its own data.

    Args:
        body: noise, N×latent, to rows, of at least the height and the width that are needed.
        shape: of a row, C×H×W or d.
        scale: the teacher's.
        latent: the number of noise values a row.

    Example:
        >>> scale = Standardise(torch.full((4,), 3.0), torch.full((4,), 2.0))
        >>> generator = Generator(table_body(4, 10), (4,), scale, 10)
        >>> made = generator.make(500)
        >>> made.shape, round(made.mean().item(), 3), round(made.std().item(), 2)
        (torch.Size([500, 4]), 3.0, 2.0)
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, body: nn.Module, shape: Sequence[int], scale: Standardise, latent: int) -> None:
        super().__init__()
        self.body, self.latent, self.shape = body, latent, tuple(shape)
        image = len(self.shape) == 3
        self.level = (nn.BatchNorm2d if image else nn.BatchNorm1d)(self.shape[0], affine=False)
        places = (1, -1, 1, 1) if image else (1, -1)
        self.register_buffer("mean", scale.mean.detach().cpu().clone().view(places))
        self.register_buffer("spread", scale.spread.detach().cpu().clone().view(places))

    def forward(self, z: Tensor) -> Tensor:
        """Return raw rows, N×C×H×W or N×d, float32."""
        rows: Tensor = self.body(z).float()
        if rows.dim() == 4:
            rows = rows[..., : self.shape[1], : self.shape[2]]
        levelled: Tensor = self.level(rows)
        return self.mean + self.spread * levelled

    def make(self, count: int) -> Tensor:
        """Return rows from noise z ~ N(0, I), by torch's generator."""
        return self(torch.randn(count, self.latent, device=self.mean.device))  # type: ignore[no-any-return]


def build_generator(kind: str, teacher: Teacher, latent: int) -> Generator:
    """Return a generator of rows like the teacher's, on its device.

    Args:
        kind: `small` or `paper`, for images; a table has its own.
        teacher: whose shape and scale the rows have.
        latent: the number of noise values a row.
    """
    if teacher.is_image_model:
        body = {"small": small_body, "paper": paper_body}[kind](teacher.shape, latent)
    else:
        body = table_body(teacher.shape[0], latent)
    made = Generator(body, teacher.shape, teacher.scale, latent).to(teacher.device)
    return made.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def small_body(shape: Sequence[int], latent: int) -> nn.Sequential:
    """Return a small generator of images: as the paper's, with one convolution less and 32 and 16 maps.

    A row of 28×28 takes 1.2 million multiplications, and one of the paper's generator 88 million.

    Example:
        >>> small_body((3, 30, 28), 10)(torch.zeros(2, 10)).shape
        torch.Size([2, 3, 32, 28])
    """
    channels, height, width = shape
    low = math.ceil(height / 4), math.ceil(width / 4)
    return nn.Sequential(
        nn.Linear(latent, 32 * low[0] * low[1]), nn.Unflatten(1, (32, *low)), nn.BatchNorm2d(32),
        nn.Upsample(scale_factor=2), nn.Conv2d(32, 16, 3, padding=1), nn.BatchNorm2d(16), nn.LeakyReLU(0.2),
        nn.Upsample(scale_factor=2), nn.Conv2d(16, channels, 3, padding=1), nn.Tanh(),
    )  # fmt: skip


def paper_body(shape: Sequence[int], latent: int) -> nn.Sequential:
    """Return the generator of the paper's program, at the size of the data instead of 32×32.

    Its two later batch norms have ε = .8 there, by a slip of position; here they have the usual one.

    Example:
        >>> paper_body((1, 28, 28), 10)(torch.zeros(2, 10)).shape
        torch.Size([2, 1, 28, 28])
    """
    channels, height, width = shape
    low = math.ceil(height / 4), math.ceil(width / 4)
    return nn.Sequential(
        nn.Linear(latent, 128 * low[0] * low[1]), nn.Unflatten(1, (128, *low)), nn.BatchNorm2d(128),
        nn.Upsample(scale_factor=2), nn.Conv2d(128, 128, 3, padding=1), nn.BatchNorm2d(128), nn.LeakyReLU(0.2),
        nn.Upsample(scale_factor=2), nn.Conv2d(128, 64, 3, padding=1), nn.BatchNorm2d(64), nn.LeakyReLU(0.2),
        nn.Conv2d(64, channels, 3, padding=1), nn.Tanh(),
    )  # fmt: skip


def table_body(width: int, latent: int) -> nn.Sequential:
    """Return a generator of rows of a table, with two hidden layers.

    Example:
        >>> table_body(8, 10)(torch.zeros(2, 10)).shape
        torch.Size([2, 8])
    """
    return nn.Sequential(
        nn.Linear(latent, 64), nn.BatchNorm1d(64), nn.LeakyReLU(0.2),
        nn.Linear(64, 64), nn.BatchNorm1d(64), nn.LeakyReLU(0.2), nn.Linear(64, width),
    )  # fmt: skip
