"""What is compared at the door: two domains must agree in kind, channels, size, range and classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from juyi.data import cache
from juyi.data.domain import Domain
from juyi.errors import SettingError

_BATCH = 256


def resize(domain: Domain, size: tuple[int, int]) -> Domain:
    """Return the images at another size, by antialiased bilinear interpolation, and say so in the notes.

    Args:
        domain: images.
        size: height and width, in pixels, at least 1.
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
        larger = interpolate(torch.from_numpy(block), size, mode="bilinear", align_corners=False, antialias=True)
        resized[start : start + _BATCH] = larger.round_().clamp_(0, 255).byte().permute(0, 2, 3, 1).numpy()
    note = f"all images resized from {height}×{width} to {size[0]}×{size[1]}"
    return replace(domain, x=resized.transpose(0, 3, 1, 2), notes=(*domain.notes, note))


def to_rgb(domain: Domain) -> Domain:
    """Return grey images as RGB, the one channel three times, and say so in the notes; RGB as it is."""
    if domain.x.shape[1] == 3:
        return domain
    n, _, height, width = domain.x.shape
    colour = cache.scratch((n, height, width, 3))
    for start in range(0, n, _BATCH):
        colour[start : start + _BATCH] = domain.x[start : start + _BATCH].transpose(0, 2, 3, 1)
    note = "all images repeated from grey to RGB, since the other domain has colour"
    return replace(domain, x=colour.transpose(0, 3, 1, 2), notes=(*domain.notes, note))


def join(domains: Sequence[Domain], name: str) -> Domain:
    """Put several domains into one, each a group of its own.

    Args:
        domains: at least one; they are made equal as in `align`, and their names become the names of the groups.
        name: the name of the whole.
    """
    domains = align(*domains)
    sizes = [domain.size for domain in domains]
    x = cache.scratch((sum(sizes), *_memory_order(domains[0].x).shape[1:]), domains[0].x.dtype)
    np.concatenate([_memory_order(domain.x) for domain in domains], out=x)
    return Domain(
        x.transpose(0, 3, 1, 2) if x.ndim == 4 else x,
        np.concatenate([domain.y for domain in domains if domain.y is not None]),
        np.concatenate([domain.labelled for domain in domains if domain.labelled is not None]),
        classes=domains[0].classes,
        group=np.repeat(np.arange(len(domains)), sizes),
        groups=tuple(domain.name for domain in domains),
        name=name,
        row_names=[f"{domain.name}/{domain.row_name(i)}" for domain in domains for i in range(domain.size)],
        notes=tuple(f"{domain.name}: {note}" for domain in domains for note in domain.notes),
    )


def _memory_order(x: np.ndarray) -> np.ndarray:
    return x.transpose(0, 2, 3, 1) if x.ndim == 4 else x


def align(source: Domain, *others: Domain) -> tuple[Domain, ...]:
    """Placeholder."""
    return (source, *others)
