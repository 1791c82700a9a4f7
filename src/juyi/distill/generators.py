"""Networks that make rows out of noise, on the scale on which a teacher sees them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from juyi.distill.teacher import Teacher
from juyi.nets import Standardise

GENERATORS = ("small", "paper")
"""The generators of images; rows of a table have one of their own."""


WHITE = 255.0
"""The largest value of an image."""


class Generator(nn.Module):
    """Noise in, raw rows out, of the mean and spread that the teacher's own data have.

    The body's rows are brought to mean 0 and spread 1 by u = BN(body(z)), BN without scale and shift: by the batch
    while it learns, by running values else.  Rows of a table are then mean + spread · u.  Values of an image have to
    lie from 0 to 255: they are 255 sigmoid(a u + b), with a and b such that normal u give the mean and the spread
    (`squash`).  Of dark images with bright lines it so makes dark images with bright lines.

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

    slope: Tensor
    shift: Tensor

    def __init__(self, body: nn.Module, shape: Sequence[int], scale: Standardise, latent: int) -> None:
        super().__init__()
        self.body, self.latent, self.shape = body, latent, tuple(shape)
        self.is_image = len(self.shape) == 3
        self.level = (nn.BatchNorm2d if self.is_image else nn.BatchNorm1d)(self.shape[0], affine=False)
        slope, shift = scale.spread.detach().cpu(), scale.mean.detach().cpu()
        if self.is_image:
            pairs = [squash(m, s) for m, s in zip(shift.tolist(), slope.tolist(), strict=True)]
            slope, shift = (torch.tensor(values).view(1, -1, 1, 1) for values in zip(*pairs, strict=True))
        self.register_buffer("slope", slope.float())
        self.register_buffer("shift", shift.float())

    def forward(self, z: Tensor) -> Tensor:
        """Return raw rows, N×C×H×W or N×d, float32."""
        rows: Tensor = self.body(z).float()
        if self.is_image:
            rows = rows[..., : self.shape[1], : self.shape[2]]
        rows = self.shift + self.slope * self.level(rows)
        return WHITE * rows.sigmoid() if self.is_image else rows

    def make(self, count: int) -> Tensor:
        """Return rows from noise z ~ N(0, I), by torch's generator."""
        return self(torch.randn(count, self.latent, device=self.shift.device))  # type: ignore[no-any-return]


def squash(mean: float, spread: float) -> tuple[float, float]:
    """Return a and b for which 255 sigmoid(a u + b), u ~ N(0, 1), has this mean and this spread.

    Both are found by halving: the mean grows with b, and at that mean the spread with a.  Where no values from 0 to
    255 can have them (the scale of a foreign model is often not known), they are taken to be 127.5 and 64.

    Example:
        >>> a, b = squash(33.3, 78.6)  # MNIST: nearly all is black or white
        >>> x = 255 * torch.sigmoid(a * torch.randn(100_000) + b)
        >>> abs(x.mean() - 33.3).item() < 2, abs(x.std() - 78.6).item() < 2
        (True, True)
    """
    if not (0 < mean < WHITE and 1 < spread < 0.98 * math.sqrt(mean * (WHITE - mean))):
        mean, spread = WHITE / 2, WHITE / 4
    u = torch.special.ndtri((torch.arange(256, dtype=torch.float64) + 0.5) / 256)

    def shift(a: float) -> float:
        return _halve(
            lambda b: float(torch.sigmoid(a * u + b).mean()) < mean / WHITE,
            -400.0,
            400.0,
        )

    def is_narrow(logarithm: float) -> bool:
        a = math.exp(logarithm)
        return float(torch.sigmoid(a * u + shift(a)).std(correction=0)) < spread / WHITE

    a = math.exp(_halve(is_narrow, math.log(1e-2), math.log(1e2), 24))
    return a, shift(a)


def _halve(is_below: Callable[[float], bool], low: float, high: float, times: int = 32) -> float:
    for _ in range(times):
        middle = (low + high) / 2
        low, high = (middle, high) if is_below(middle) else (low, middle)
    return (low + high) / 2


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
    """Return a small generator of images: as the paper's, with one convolution less, 32 and 16 maps, and bilinear.

    Where the paper's repeats the nearest value, this one goes over evenly from each to the next: its images have fewer
    edges, and taught more.  A row of 28×28 takes 1.2 million multiplications, and one of the paper's generator 88
    million.

    Example:
        >>> small_body((3, 30, 28), 10)(torch.zeros(2, 10)).shape
        torch.Size([2, 3, 32, 28])
    """
    channels, height, width = shape
    low = math.ceil(height / 4), math.ceil(width / 4)
    even: dict[str, Any] = {"scale_factor": 2, "mode": "bilinear"}
    return nn.Sequential(
        nn.Linear(latent, 32 * low[0] * low[1]), nn.Unflatten(1, (32, *low)), nn.BatchNorm2d(32),
        nn.Upsample(**even), nn.Conv2d(32, 16, 3, padding=1), nn.BatchNorm2d(16), nn.LeakyReLU(0.2),
        nn.Upsample(**even), nn.Conv2d(16, channels, 3, padding=1),
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
