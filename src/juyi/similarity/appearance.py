"""What a person would name first when two sets of images look different: brightness, contrast, colour, sharpness."""

from __future__ import annotations

import numpy as np

from juyi.data.domain import Domain

GREY = ("brightness", "contrast", "sharpness", "dark pixels", "light pixels", "brightness of the border")
COLOUR = ("red", "green", "blue", "saturation")
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_BATCH = 512


def appearance(domain: Domain) -> tuple[np.ndarray, tuple[str, ...]]:
    """Describe each image by a few numbers, all from 0 to 1, that have a name.

    Brightness and contrast are mean and spread of the luma; sharpness is the mean absolute difference of neighbouring
    pixels; dark and light pixels are the shares below a quarter and above three quarters; the border is an eighth of
    the image on each side.  Of colour images also the mean of each channel, and the saturation, the mean distance of
    the largest from the smallest channel.

    Args:
        domain: images.

    Returns:
        float64, N×6 or N×10, and the names.

    Example:
        >>> half = np.zeros((1, 1, 4, 8), np.uint8)
        >>> half[..., 4:] = 255
        >>> values, names = appearance(Domain(half))
        >>> dict(zip(names, values[0].round(2).tolist(), strict=True))["brightness"]
        0.5
    """
    parts = [_describe(domain.x[start : start + _BATCH]) for start in range(0, domain.size, _BATCH)]
    return np.concatenate(parts), (*GREY, *COLOUR) if domain.x.shape[1] == 3 else GREY


def _describe(images: np.ndarray) -> np.ndarray:
    x = np.asarray(images, np.float32) / 255
    luma = x[:, 0] if x.shape[1] == 1 else np.tensordot(x, LUMA, (1, 0))
    steps = [np.abs(np.diff(luma, axis=axis)).mean((1, 2)) for axis in (1, 2) if luma.shape[axis] > 1]
    columns = [
        luma.mean((1, 2)),
        luma.std((1, 2)),
        np.mean(steps, axis=0) if steps else np.zeros(len(luma), np.float32),
        (luma < 0.25).mean((1, 2)),
        (luma > 0.75).mean((1, 2)),
        luma[:, _border(*luma.shape[1:])].mean(1),
    ]
    if x.shape[1] == 3:
        columns += [*x.mean((2, 3)).T, (x.max(1) - x.min(1)).mean((1, 2))]
    return np.stack(columns, 1).astype(np.float64)


def _border(height: int, width: int) -> np.ndarray:
    """Mark the outer eighth of an image, at least a pixel, on each side."""
    mask = np.ones((height, width), bool)
    down, across = max(1, height // 8), max(1, width // 8)
    mask[down : height - down, across : width - across] = False
    return mask
