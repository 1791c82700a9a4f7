"""Data made by a published recipe."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from juyi.data.domain import Domain
from juyi.errors import DataError


def blend_with_photographs(images: np.ndarray, photographs: Sequence[np.ndarray], seed: int) -> np.ndarray:
    """Lay grey images on photographs, as MNIST-M is made: |patch − image| in each channel.

    Each image gets a random patch of a random photograph, of its own size.

    Args:
        images: uint8, N×H×W.
        photographs: uint8, h×w×3 each, with h ≥ H and w ≥ W; at least one.
        seed: the same seed gives the same patches.

    Returns:
        uint8, N×H×W×3.

    Raises:
        DataError: there is no photograph, or one is smaller than the images.

    Example:
        >>> white = np.full((1, 2, 2), 255, np.uint8)
        >>> blend_with_photographs(white, [np.full((3, 3, 3), 200, np.uint8)], seed=0)[0, 0, 0].tolist()
        [55, 55, 55]

    Source: Ganin and Lempitsky, Unsupervised Domain Adaptation by Backpropagation, ICML 2015, section 4.
    """
    height, width = images.shape[1:]
    if not photographs:
        raise DataError("there is no photograph to lay the images on; give at least one")
    for photograph in photographs:
        if photograph.shape[0] < height or photograph.shape[1] < width:
            found = f"{photograph.shape[0]}×{photograph.shape[1]}"
            raise DataError(
                f"a photograph of {found} pixels is smaller than the images, {height}×{width}; leave it out"
            )
    rng = np.random.default_rng(seed)
    blended = np.empty((*images.shape, 3), np.uint8)
    for i, image in enumerate(images):
        photograph = photographs[rng.integers(len(photographs))]
        top = rng.integers(photograph.shape[0] - height + 1)
        left = rng.integers(photograph.shape[1] - width + 1)
        patch = photograph[top : top + height, left : left + width].astype(np.int16)
        blended[i] = np.abs(patch - image[:, :, None].astype(np.int16))
    return blended


RECIPES: dict[str, Callable[[str], Domain]] = {}
