"""The operations of RandAugment and CTAugment on batches: each image of a batch has a magnitude of its own.

Three kinds, by how they are carried out.  Those of shape become one affine map an image, so that however many are
drawn, pixels are sampled once.  Those of colour that are linear in the pixels become one 3×4 matrix an image, so that
pixels are multiplied once.  The few others are applied to the images that drew them.

All take images of floats, 0 to 255, N×C×H×W, and magnitudes m, N, from −1 to 1 (drawn evenly; where only the size
matters, |m| is used).

Sources: Cubuk et al., "RandAugment", 2020, table 6 (the operations); Sohn et al., "FixMatch", 2020, tables 12 and 13
(their ranges); Berthelot et al., "AdaMatch", 2022, which uses them.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, pad

GREY = (0.299, 0.587, 0.114)
"""The weights of red, green and blue in the grey that the eye sees (ITU-R BT.601)."""


def _map(m: Tensor, xx: Tensor | float, xy: Tensor | float, yx: Tensor | float, yy: Tensor | float) -> Tensor:
    """Stack four entries, each N or one number, into N×2×2."""
    entries = [entry if isinstance(entry, Tensor) else torch.full_like(m, entry) for entry in (xx, xy, yx, yy)]
    return torch.stack(entries, 1).view(-1, 2, 2)


def rotate(m: Tensor) -> Tensor:
    """Turn by up to 30 degrees, either way: N×2×2."""
    angle = m * (math.pi / 6)
    return _map(m, angle.cos(), -angle.sin(), angle.sin(), angle.cos())


def shear_x(m: Tensor) -> Tensor:
    """Slant along the rows by up to .3: N×2×2."""
    return _map(m, 1.0, 0.3 * m, 0.0, 1.0)


def shear_y(m: Tensor) -> Tensor:
    """Slant along the columns by up to .3: N×2×2."""
    return _map(m, 1.0, 0.0, 0.3 * m, 1.0)


def rescale(m: Tensor) -> Tensor:
    """Make smaller or larger by up to a quarter: N×2×2."""
    return _map(m, 1.0 + 0.25 * m, 0.0, 0.0, 1.0 + 0.25 * m)


def _shift(m: Tensor, axis: int) -> Tensor:
    shift = torch.zeros(len(m), 2, device=m.device)
    shift[:, axis] = 0.6 * m
    return shift


def translate_x(m: Tensor) -> Tensor:
    """Move along the rows by up to .3 of the width (the axis is 2 wide): N×2."""
    return _shift(m, 0)


def translate_y(m: Tensor) -> Tensor:
    """Move along the columns by up to .3 of the height: N×2."""
    return _shift(m, 1)


def _scaled(factor: Tensor, offset: Tensor, channels: int) -> Tensor:
    """The matrix of x → factor · x + offset, N×C×(C+1)."""
    matrix = torch.zeros(len(factor), channels, channels + 1, device=factor.device)
    matrix[:, range(channels), range(channels)] = factor[:, None]
    matrix[:, :, channels] = offset[:, None]
    return matrix


def as_grey(x: Tensor) -> Tensor:
    """The grey picture, N×1×H×W."""
    if x.shape[1] == 1:
        return x
    return (x * torch.tensor(GREY, device=x.device).view(1, 3, 1, 1)).sum(1, keepdim=True)


def brightness(x: Tensor, m: Tensor) -> Tensor:
    """Multiply by .1 to 1.9: N×C×(C+1)."""
    return _scaled(1.0 + 0.9 * m, torch.zeros_like(m), x.shape[1])


def contrast(x: Tensor, m: Tensor) -> Tensor:
    """Stretch away from the mean grey of the picture, or shrink towards it, by .1 to 1.9: N×C×(C+1)."""
    factor = 1.0 + 0.9 * m
    return _scaled(factor, (1.0 - factor) * as_grey(x).mean((1, 2, 3)), x.shape[1])


def colour(x: Tensor, m: Tensor) -> Tensor:
    """Blend with the picture's grey, or away from it, by .1 to 1.9 (saturation): N×C×(C+1)."""
    if x.shape[1] == 1:
        return _scaled(torch.ones_like(m), torch.zeros_like(m), 1)
    factor = 1.0 + 0.9 * m
    matrix = _scaled(factor, torch.zeros_like(m), 3)
    matrix[:, :, :3] += (1.0 - factor).view(-1, 1, 1) * torch.tensor(GREY, device=x.device).view(1, 1, 3)
    return matrix


def autocontrast(x: Tensor, m: Tensor) -> Tensor:
    """Stretch each channel to 0-255: N×C×(C+1)."""
    low, high = x.amin((2, 3)), x.amax((2, 3))
    factor = torch.where(high > low, 255.0 / (high - low).clamp(min=1e-6), torch.ones_like(low))
    channels = x.shape[1]
    matrix = torch.zeros(len(x), channels, channels + 1, device=x.device)
    matrix[:, range(channels), range(channels)] = factor
    matrix[:, :, channels] = torch.where(high > low, -low * factor, torch.zeros_like(low))
    return matrix


def invert(x: Tensor, m: Tensor) -> Tensor:
    """Turn light into dark, 255 − x: N×C×(C+1)."""
    return _scaled(-torch.ones_like(m), torch.full_like(m, 255.0), x.shape[1])


def solarize(x: Tensor, m: Tensor) -> Tensor:
    """Invert the pixels at or above 255 (1 − |m|): images."""
    return torch.where(x < 255.0 * (1.0 - m.abs()).view(-1, 1, 1, 1), x, 255.0 - x)


def posterize(x: Tensor, m: Tensor) -> Tensor:
    """Keep 4 to 8 bits of each pixel: images."""
    step = torch.exp2((4.99 * m.abs()).floor().clamp(max=4.0)).view(-1, 1, 1, 1)
    return (x / step).floor() * step


def equalize(x: Tensor, m: Tensor) -> Tensor:
    """Spread each channel's grey levels evenly over 0-255, by its histogram of 256 levels: images.

    A level goes to the middle of its place: 255 times the share of pixels below it and half of those at it, of all
    that are not at the darkest level, which goes to 0.
    """
    n, c, h, w = x.shape
    levels = x.clamp(0, 255).reshape(n * c, h * w).long()
    counts = torch.zeros(n * c, 256, device=x.device).scatter_add_(1, levels, torch.ones_like(levels, dtype=x.dtype))
    below = counts.cumsum(1) - counts
    first = (counts > 0).to(x.dtype).argmax(1, keepdim=True)
    darkest = counts.gather(1, first)
    rest = (h * w - darkest).clamp(min=1.0)
    table = ((below - darkest).clamp(min=0.0) + counts / 2 * (below > 0)) / rest * 255.0
    flat = rest < 1.5  # a blank channel stays
    return torch.where(flat, levels.to(x.dtype), table.gather(1, levels)).view(n, c, h, w)


def _smoothed(x: Tensor) -> Tensor:
    """The mean of each pixel's 3×3 neighbourhood."""
    return avg_pool2d(pad(x, (1, 1, 1, 1), mode="replicate"), 3, 1)


def sharpness(x: Tensor, m: Tensor) -> Tensor:
    """Blend with the smoothed picture, or away from it, by .1 to 1.9: images."""
    smooth = _smoothed(x)
    return smooth + (1.0 + 0.9 * m).view(-1, 1, 1, 1) * (x - smooth)


def blur(x: Tensor, m: Tensor) -> Tensor:
    """Blend with the picture smoothed twice, by |m|: images."""
    share = m.abs().view(-1, 1, 1, 1)
    return x + share * (_smoothed(_smoothed(x)) - x)


MAPS: dict[str, Callable[[Tensor], Tensor]] = {
    "rotate": rotate, "shear_x": shear_x, "shear_y": shear_y, "rescale": rescale
}  # fmt: skip
MOVES: dict[str, Callable[[Tensor], Tensor]] = {"translate_x": translate_x, "translate_y": translate_y}
MATRICES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "brightness": brightness, "contrast": contrast, "colour": colour, "autocontrast": autocontrast, "invert": invert
}  # fmt: skip
PIXELS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "solarize": solarize, "posterize": posterize, "equalize": equalize, "sharpness": sharpness, "blur": blur
}  # fmt: skip

SHAPE = (*MAPS, *MOVES)
"""The operations that move pixels."""
COLOUR = (*MATRICES, *PIXELS)
"""The operations that change what a pixel shows."""
OPERATIONS = (*SHAPE, *COLOUR)
"""All of them, in the order in which they are carried out."""
