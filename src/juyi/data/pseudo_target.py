"""A pseudo-target: rows of the source, with their labels, in the look of the target. A dress rehearsal needs one."""

from __future__ import annotations

import numpy as np

from juyi.data.domain import Domain
from juyi.errors import DataError

LOW_FREQUENCIES = 0.1
"""The share of an image's side that the frequencies reach which are taken from the target."""
_RIDGE = 1e-3


def pseudo_target(source: Domain, target: Domain, seed: int = 0) -> Domain:
    """Give rows of the source the target's look, and keep their labels.

    Images: each takes the amplitudes of the low frequencies from an image of the target that is drawn at random, and
    keeps its own phases, in which the shapes lie:

        x' = F⁻¹( (M |F x_t| + (1 − M) |F x|) · exp(i arg F x) ),   M = 1 where both frequencies are below β · side

    Features: they are moved and stretched to the mean and covariance of the target,

        x' = μ_t + (x − μ_s) C_s^(-1/2) C_t^(1/2)

    No label of the target is read.  What comes out is as far from the source as the target is in these respects, and
    only in these: how a method fares on it is a rehearsal, not the performance.

    Args:
        source: labelled rows; images uint8 N×C×H×W or features float32 N×d.
        target: rows of the same shape; only `x` is used.
        seed: the same seed draws the same images of the target.

    Returns:
        The rows of `source`, in order, with its labels, in the target's look.

    Raises:
        DataError: the two are not of one shape, or the target has fewer than two rows.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> source = Domain(rng.normal(size=(500, 2)).astype(np.float32))
        >>> target = Domain((3 + 2 * rng.normal(size=(500, 2))).astype(np.float32))
        >>> pseudo_target(source, target).x.mean(0).round(1), pseudo_target(source, target).x.std(0).round(1)
        (array([3.1, 2.9], dtype=float32), array([2.1, 2. ], dtype=float32))

    Source: images: Yang and Soatto, "FDA: Fourier Domain Adaptation for Semantic Segmentation", CVPR 2020, equation
    4; features: Sun, Feng and Saenko, "Return of Frustratingly Easy Domain Adaptation", AAAI 2016, algorithm 1.
    """
    if source.x.shape[1:] != target.x.shape[1:]:
        raise DataError(
            f"{source.name} has rows of shape {source.x.shape[1:]}, {target.name} of {target.x.shape[1:]}; align them"
        )
    if target.size < 2:
        raise DataError(f"{target.name}: has {target.size} row, which has no look of its own; give more")
    x = _in_look(source.x, target.x, seed) if source.is_images else _moved(source.x, target.x)
    return Domain(
        x, source.y, source.labelled, source.classes, name=f"{source.name} in the look of {target.name}",
        columns=source.columns,
    )  # fmt: skip


def _in_look(x: np.ndarray, target: np.ndarray, seed: int) -> np.ndarray:
    """Swap the low-frequency amplitudes of images, some at a time."""
    models = np.random.default_rng(seed).integers(len(target), size=len(x))
    height, width = x.shape[2:]
    reach = max(1, round(min(height, width) * LOW_FREQUENCIES))
    low = np.abs(np.fft.fftfreq(height, 1 / height))[:, None] <= reach
    mask = low & (np.abs(np.fft.rfftfreq(width, 1 / width)) <= reach)
    made = np.empty_like(x)
    for start in range(0, len(x), 512):
        rows = slice(start, start + 512)
        own = np.fft.rfft2(x[rows].astype(np.float32))
        others = np.fft.rfft2(target[models[rows]].astype(np.float32))
        amplitude = np.where(mask, np.abs(others), np.abs(own))
        changed = np.fft.irfft2(amplitude * np.exp(1j * np.angle(own)), s=(height, width))
        made[rows] = np.clip(np.rint(changed), 0, 255).astype(np.uint8)
    return made


def _moved(x: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Bring features to the target's mean and covariance."""
    source, other = x.astype(np.float64), target.astype(np.float64)
    whiten, colour = _power(source, -0.5), _power(other, 0.5)
    moved: np.ndarray = (other.mean(0) + (source - source.mean(0)) @ whiten @ colour).astype(np.float32)
    return moved


def _power(x: np.ndarray, exponent: float) -> np.ndarray:
    """Return a power of the covariance of the rows, which a small ridge keeps invertible."""
    covariance = np.atleast_2d(np.cov(x, rowvar=False))
    ridge = _RIDGE * max(float(np.trace(covariance)) / len(covariance), 1e-12)
    values, vectors = np.linalg.eigh(covariance + ridge * np.eye(len(covariance)))
    powered: np.ndarray = (vectors * values**exponent) @ vectors.T
    return powered
