"""Bring images to the channels and the size for which a network was made, within the network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from juyi.nets.normalisation import Standardise

Size = tuple[int, int]
SIDES = (32, 64, 96, 128, 160, 192, 224, 256, 299, 384, 512)
"""Sides, in pixels, that are tried where nothing says for which size a network was made."""
LEAST_MAP = 3
"""A last map of fewer positions a side sees hardly more than padding: images are then made larger."""
_LUMA = (0.299, 0.587, 0.114)


class Inputs(nn.Module):
    """Raw images of any channels and size in, floats as a network was made for out; part of the network.

    Grey images are repeated for each channel; colour images become grey by luma, 0.299 R + 0.587 G + 0.114 B; all
    are standardised and then resized bilinearly, with antialiasing where they become smaller (resizing is linear
    and its weights sum to 1, so it does not matter which comes first).

    Args:
        scale: standardises images of `channels` channels.
        channels: 1 or 3, or the number of channels that the data have.
        size: height and width in pixels, or None to leave them.
        reverse: give the channels in reverse order (BGR).

    Example:
        >>> layer = Inputs(Standardise(torch.zeros(3), torch.ones(3)), channels=3, size=(8, 8))
        >>> layer(torch.zeros(2, 1, 4, 4, dtype=torch.uint8)).shape
        torch.Size([2, 3, 8, 8])
    """

    def __init__(self, scale: Standardise, channels: int, size: Size | None = None, reverse: bool = False) -> None:
        super().__init__()
        self.scale = scale
        self.channels, self.size, self.reverse = channels, size, reverse

    def forward(self, x: Tensor) -> Tensor:
        """Bring N×C×H×W images (any number type) to N×channels×size, float32."""
        x = self.scale(with_channels(x, self.channels))
        if self.reverse:
            x = x.flip(1)
        return self.resized(x)

    def resized(self, x: Tensor) -> Tensor:
        """Bring N×C×H×W floats to the size."""
        if self.size is None or tuple(x.shape[2:]) == self.size:
            return x
        smaller = x.shape[2] > self.size[0] or x.shape[3] > self.size[1]
        return interpolate(x, self.size, mode="bilinear", align_corners=False, antialias=smaller)


def with_channels(x: Tensor, channels: int) -> Tensor:
    """Return N×C×H×W images with 1 or 3 channels, made of the other number; others are left as they are.

    >>> with_channels(torch.tensor([[[[10]]]]), 3).flatten().tolist()
    [10, 10, 10]
    """
    if x.shape[1] == 1 and channels == 3:
        return x.expand(-1, 3, -1, -1)
    if x.shape[1] == 3 and channels == 1:
        luma = torch.tensor(_LUMA, device=x.device).view(1, 3, 1, 1)
        return (x.float() * luma).sum(1, keepdim=True)
    return x


def channels_wanted(module: nn.Module, given: int) -> int:
    """The channels that a network takes, from its first convolution; `given` where nothing can be made of them."""
    first = next((layer for layer in module.modules() if isinstance(layer, nn.Conv2d)), None)
    wanted = first.in_channels if first is not None else given
    return wanted if {wanted, given} == {1, 3} else given


def fitting_size(
    module: nn.Module, run: Callable[[Size | None], object], native: Size, wanted: Iterable[Size] = ()
) -> Size | None:
    """Find the size at which a network works: one that it was made for, else the data's own, else a larger one.

    Args:
        module: the network, whose convolutions tell how small the last map becomes.
        run: sends an image through it at a size (None: as the data are) and fails where that cannot be.
        native: the size of the data's images, height and width.
        wanted: sizes that its own description names; the first that works is taken.

    Returns:
        The size, or None to leave the images as they are.

    Raises:
        Exception: what `run` raised first, where it works at no size.
    """
    for named in wanted:
        if _runs(module, run, named) is not None:
            return None if named == native else named
    larger = [(side, side) for side in SIDES if side > max(native)]
    smaller = [(side, side) for side in reversed(SIDES) if side < max(native)]
    works: list[Size | None] = []
    for size in (None, *larger, *smaller):
        least = _runs(module, run, size)
        if least is not None:
            works.append(size)
            if least >= LEAST_MAP:
                return size
            if size in smaller:  # it will not become better
                break
    if not works:
        run(None)  # tells why
    return works[0]


def _runs(module: nn.Module, run: Callable[[Size | None], object], size: Size | None) -> float | None:
    """The side of the last convolution's map at this size (infinite where there is none); None if it does not run."""
    sides: list[float] = []

    def look(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if max(inputs[0].shape[-2:]) > 1:  # else it works on what was pooled already
            sides.append(min(output.shape[-2:]))

    hooks = [layer.register_forward_hook(look) for layer in module.modules() if isinstance(layer, nn.Conv2d)]
    try:
        run(size)
    except Exception:  # whatever a network of one's own may raise
        return None
    finally:
        for hook in hooks:
            hook.remove()
    return sides[-1] if sides else float("inf")


def size_said(native: Sequence[int], size: Size | None) -> list[str]:
    """Say how images are resized, if they are.

    >>> size_said((28, 28), (224, 224)), size_said((28, 28), None)
    (['resized 28×28→224×224'], [])
    """
    return [] if size is None else [f"resized {native[0]}×{native[1]}→{size[0]}×{size[1]}"]


def channels_said(given: int, wanted: int) -> list[str]:
    """Say how channels are made of others, if they are.

    >>> channels_said(1, 3), channels_said(3, 3)
    (['grey repeated to 3 channels'], [])
    """
    if given == wanted:
        return []
    return ["grey repeated to 3 channels" if wanted == 3 else "colours made grey"]
