"""Bring images to another size or number of channels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from PIL import Image

from juyi.data import cache
from juyi.data.domain import Domain
from juyi.errors import DataError, SettingError

_BATCH = 256


def resize(domain: Domain, size: tuple[int, int]) -> Domain:
    """Return the images at another size, by antialiased bilinear interpolation, and say so in the notes.

    Args:
        domain: images.
        size: height and width, in pixels, at least 1.

    Raises:
        SettingError: a size is less than 1.

    Example:
        >>> import numpy as np
        >>> resize(Domain(np.full((1, 1, 2, 2), 7, np.uint8)), (3, 4)).x.shape
        (1, 1, 3, 4)
    """
    import torch  # here, since loading alone should not have to wait for it
    from torch.nn.functional import interpolate

    if min(size) < 1:
        raise SettingError(f"size is {min(size)}; give a number of pixels, at least 1")
    n, channels, height, width = domain.x.shape
    if (height, width) == tuple(size):
        return domain
    resized = cache.scratch((n, *size, channels))
    for start in range(0, n, _BATCH):
        block = np.ascontiguousarray(domain.x[start : start + _BATCH], np.float32)
        scaled = interpolate(torch.from_numpy(block), size, mode="bilinear", align_corners=False, antialias=True)
        resized[start : start + _BATCH] = scaled.round_().clamp_(0, 255).byte().permute(0, 2, 3, 1).numpy()
    note = f"all images resized from {height}×{width} to {size[0]}×{size[1]}"
    return replace(domain, x=resized.transpose(0, 3, 1, 2), notes=(*domain.notes, note))


def to_rgb(domain: Domain) -> Domain:
    """Return grey images as RGB, the one channel three times, and say so in the notes; RGB as it is.

    Example:
        >>> import numpy as np
        >>> to_rgb(Domain(np.full((1, 1, 1, 1), 7, np.uint8))).x.ravel().tolist()
        [7, 7, 7]
    """
    if domain.x.shape[1] == 3:
        return domain
    n, _, height, width = domain.x.shape
    colour = cache.scratch((n, height, width, 3))
    for start in range(0, n, _BATCH):
        colour[start : start + _BATCH] = domain.x[start : start + _BATCH].transpose(0, 2, 3, 1)
    note = "all images repeated from grey to RGB, since colour is asked for"
    return replace(domain, x=colour.transpose(0, 3, 1, 2), notes=(*domain.notes, note))


def to_grey(domain: Domain) -> Domain:
    """Return colour images as grey by their luma (ITU-R 601: 0.299 R + 0.587 G + 0.114 B), and say so; grey as it is.

    Example:
        >>> import numpy as np
        >>> to_grey(Domain(np.full((1, 3, 1, 1), 7, np.uint8))).x.ravel().tolist()
        [7]
    """
    if domain.x.shape[1] == 1:
        return domain
    n, _, height, width = domain.x.shape
    grey = cache.scratch((n, height, width, 1))
    for i in range(n):
        image = np.ascontiguousarray(domain.x[i].transpose(1, 2, 0))
        grey[i, :, :, 0] = np.asarray(Image.fromarray(image).convert("L"))
    note = "all images turned from RGB to grey, since grey is asked for"
    return replace(domain, x=grey.transpose(0, 3, 1, 2), notes=(*domain.notes, note))


def conform(domain: Domain, shape: tuple[int, ...]) -> Domain:
    """Bring a domain to the shape that a network takes.

    Args:
        domain: images or features.
        shape: (C, H, W) for images, with C 1 or 3; (d,) for features.

    Returns:
        The domain with rows of that shape; images are converted (see `resize`, `to_rgb`, `to_grey`), and that is noted.

    Raises:
        DataError: one is images and the other features, or the number of features differs.

    Example:
        >>> import numpy as np
        >>> conform(Domain(np.zeros((2, 1, 4, 4), np.uint8)), (3, 8, 8)).x.shape
        (2, 3, 8, 8)
    """
    found = domain.x.shape[1:]
    if found == tuple(shape):
        return domain
    if len(found) != len(shape) or not domain.is_images:
        held = "images" if domain.is_images else f"{found[0]} features a row"
        wanted = "images" if len(shape) == 3 else f"{shape[0]} features a row"
        raise DataError(
            f"{domain.name}: holds {held}, but the network takes {wanted}; give data like those it was trained on"
        )
    domain = to_rgb(domain) if shape[0] == 3 else to_grey(domain)
    return resize(domain, (shape[1], shape[2]))
