"""A weak and a strong view of a batch: what is drawn comes from torch's generator, which the loop seeds each step."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from juyi.augmentation.operations import MAPS, MATRICES, MOVES, OPERATIONS, PIXELS
from juyi.errors import SettingError, nearest

View = Callable[[Tensor], Tensor]


def warp(x: Tensor, maps: Tensor, moves: Tensor) -> Tensor:
    """Sample each image once, at where the inverse of its affine map says; beyond the border, the border goes on.

    Args:
        x: images, floats, N×C×H×W.
        maps: N×2×2, applied to places relative to the middle, both axes from −1 to 1.
        moves: N×2, the shift (x, y) of the places, on the same axes.
    """
    grid = affine_grid(torch.cat([maps, moves.unsqueeze(2)], 2), list(x.shape), align_corners=False)
    return grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)


class Weak:
    """A little moved: a shift in whole pixels, of up to an eighth of the size, and mirrored if `flip`.

    Features instead of images are left as they are.

    Args:
        flip: mirror half of the images, left to right; never for digits or letters.
        shift: the largest shift, in pixels; None for an eighth of the size.

    Example:
        >>> import torch
        >>> Weak()(torch.zeros(2, 3, 16, 16, dtype=torch.uint8)).shape
        torch.Size([2, 3, 16, 16])

    Source: Sohn et al., "FixMatch", 2020, section 2.3.
    """

    def __init__(self, flip: bool = False, shift: int | None = None) -> None:
        self.flip, self.shift = flip, shift

    def __call__(self, x: Tensor) -> Tensor:
        """Return floats, 0 to 255, of the shape of `x`."""
        if x.dim() == 2 or not len(x):
            return x.float()
        with torch.autocast(x.device.type, enabled=False):  # pixels in half precision would be coarse
            return self._moved(x)

    def _moved(self, x: Tensor) -> Tensor:
        n, _, height, width = x.shape
        size = torch.tensor([width, height], device=x.device)
        reach = torch.div(size, 8, rounding_mode="floor") if self.shift is None else torch.full_like(size, self.shift)
        pixels = (torch.rand(n, 2, device=x.device) * (2 * reach + 1)).floor() - reach
        maps = torch.eye(2, device=x.device).repeat(n, 1, 1)
        if self.flip:
            maps[:, 0, 0] = torch.where(torch.rand(n, device=x.device) < 0.5, -1.0, 1.0)
        return warp(x.float(), maps, 2.0 * pixels / size).contiguous(memory_format=torch.channels_last)


class Warped:
    """Drawn anew as a hand would: turned, made larger or smaller, leant, and moved; colours stay.

    Each image is sampled once, under the inverse of

        x ↦ e^s R(α) [[1, h], [0, 1]] x + m

    with α up to 20°, s up to ¼, h up to .3 and m up to .15 of the half side, each drawn evenly either way.  Beyond the
    border, the border goes on.  Features instead of images are left as they are.

    Args:
        flip: mirror half of the images, left to right; never for digits or letters.
        shift: the largest shift, in pixels, instead of m's.

    Example:
        >>> import torch
        >>> Warped()(torch.zeros(2, 3, 16, 16, dtype=torch.uint8)).shape
        torch.Size([2, 3, 16, 16])

    Source: the affine distortions of Simard, Steinkraus and Platt, "Best Practices for Convolutional Neural Networks
    Applied to Visual Document Analysis", 2003, section 2.
    """

    angle, size, lean, move = math.radians(20.0), 0.25, 0.3, 0.15

    def __init__(self, flip: bool = False, shift: int | None = None) -> None:
        self.flip, self.shift = flip, shift

    def __call__(self, x: Tensor) -> Tensor:
        """Return floats, 0 to 255, of the shape of `x`."""
        if x.dim() == 2 or not len(x):
            return x.float()
        with torch.autocast(x.device.type, enabled=False):
            return self._warped(x)

    def _warped(self, x: Tensor) -> Tensor:
        n, _, height, width = x.shape
        draw = torch.rand(n, 5, device=x.device) * 2.0 - 1.0
        angle, scale, lean = draw[:, 0] * self.angle, (draw[:, 1] * self.size).exp(), draw[:, 2] * self.lean
        cos, sin = scale * angle.cos(), scale * angle.sin()
        maps = torch.stack([cos, lean * cos - sin, sin, lean * sin + cos], 1).view(n, 2, 2)
        if self.flip:
            maps[:, :, 0] *= torch.where(torch.rand(n, 1, device=x.device) < 0.5, -1.0, 1.0)
        reach = torch.full((2,), self.move, device=x.device)
        if self.shift is not None:
            reach = 2.0 * self.shift / torch.tensor([width, height], device=x.device)
        return warp(x.float(), maps, draw[:, 3:] * reach).contiguous(memory_format=torch.channels_last)


class Strong:
    """Greatly changed: `count` different operations an image, each with a magnitude of its own, and a patch cut out.

    The order is that of `OPERATIONS`; what is measured on a picture (its contrast) is measured before any colour of it
    is changed.  Features instead of images get Gaussian noise of a tenth of their spread, and a tenth of them their
    mean.

    Args:
        without: operations that are never drawn (see `OPERATIONS`).
        count: operations an image.
        cutout: the largest side of the patch that is filled with its image's mean, in shares of the image's.

    Raises:
        SettingError: there is no such operation, or fewer than `count` are left.

    Example:
        >>> import torch
        >>> strong = Strong(without=("invert", "solarize"))
        >>> strong(torch.full((2, 3, 16, 16), 99, dtype=torch.uint8)).shape
        torch.Size([2, 3, 16, 16])

    Source: Cubuk et al., "RandAugment", 2020, algorithm 1, with magnitudes drawn as in Sohn et al., "FixMatch", 2020,
    appendix D, and its Cutout (DeVries and Taylor 2017).
    """

    def __init__(self, without: Sequence[str] = (), count: int = 2, cutout: float = 0.5) -> None:
        for name in without:
            if name not in OPERATIONS:
                raise SettingError(
                    f"--exclude-operations {name}: there is no such operation; {nearest(name, OPERATIONS)}"
                )
        self.operations = [name for name in OPERATIONS if name not in without]
        if len(self.operations) < count:
            raise SettingError(f"only {len(self.operations)} operations are left, fewer than {count} an image")
        self.count, self.cutout = count, cutout

    def __call__(self, x: Tensor) -> Tensor:
        """Return floats, 0 to 255, of the shape of `x`."""
        if not len(x):
            return x.float()
        if x.dim() == 2:
            return self._features(x)
        with torch.autocast(x.device.type, enabled=False):
            return self._changed(x.float())

    def _changed(self, x: Tensor) -> Tensor:
        n = len(x)
        scores = torch.rand(n, len(self.operations), device=x.device)
        drawn = torch.zeros_like(scores, dtype=torch.bool).scatter_(1, scores.topk(self.count, 1).indices, True)
        magnitudes = 2.0 * torch.rand(n, len(self.operations), device=x.device) - 1.0
        chosen = {name: (drawn[:, i], magnitudes[:, i]) for i, name in enumerate(self.operations)}
        x = self._shaped(x, chosen)
        x = self._coloured(x, chosen)
        return self._cut(x).contiguous(memory_format=torch.channels_last)

    def _shaped(self, x: Tensor, chosen: dict[str, tuple[Tensor, Tensor]]) -> Tensor:
        maps = torch.eye(2, device=x.device).repeat(len(x), 1, 1)
        moves = torch.zeros(len(x), 2, device=x.device)
        for name, operation in MAPS.items():
            if name in chosen:
                drawn, m = chosen[name]
                maps = maps @ operation(m * drawn)  # at magnitude 0 each is the identity
        for name, operation in MOVES.items():
            if name in chosen:
                drawn, m = chosen[name]
                moves = moves + operation(m * drawn)
        return warp(x, maps, moves)

    def _coloured(self, x: Tensor, chosen: dict[str, tuple[Tensor, Tensor]]) -> Tensor:
        channels = x.shape[1]
        matrix = torch.eye(channels, channels + 1, device=x.device).repeat(len(x), 1, 1)
        for name, make in MATRICES.items():
            if name in chosen:
                drawn, m = chosen[name]
                rows = drawn.nonzero().squeeze(1)
                if len(rows):
                    new = make(x[rows], m[rows])
                    old = matrix[rows]
                    linear = new[:, :, :channels] @ old
                    linear[:, :, channels] += new[:, :, channels]
                    matrix = matrix.index_copy(0, rows, linear)
        x = torch.einsum("nij,njhw->nihw", matrix[:, :, :channels], x) + matrix[:, :, channels].view(-1, channels, 1, 1)
        x = x.clamp(0.0, 255.0)
        for name, apply in PIXELS.items():
            if name in chosen:
                drawn, m = chosen[name]
                rows = drawn.nonzero().squeeze(1)
                if len(rows):
                    x = x.index_copy(0, rows, apply(x[rows], m[rows]).clamp(0.0, 255.0))
        return x

    def _cut(self, x: Tensor) -> Tensor:
        n, _, height, width = x.shape
        side = torch.rand(n, device=x.device) * self.cutout
        middle = torch.rand(n, 2, device=x.device)
        rows = (torch.arange(height, device=x.device) + 0.5) / height
        columns = (torch.arange(width, device=x.device) + 0.5) / width
        inside = ((rows - middle[:, :1]).abs() < side[:, None] / 2)[:, None, :, None] & (
            (columns - middle[:, 1:]).abs() < side[:, None] / 2
        )[:, None, None, :]
        return torch.where(inside, x.mean((2, 3), keepdim=True), x)

    def _features(self, x: Tensor) -> Tensor:
        spread, mean = torch.std_mean(x, 0, keepdim=True) if len(x) > 1 else (torch.zeros_like(x), x)
        noisy = x + 0.1 * spread * torch.randn_like(x)
        return torch.where(torch.rand_like(x) < 0.1, mean.expand_as(x), noisy)


VIEWS = ("none", "weak", "warped", "strong")
"""The words that name a view."""


def make_view(name: str, *, flip: bool = False, without: Sequence[str] = (), shift: int | None = None) -> View | None:
    """Return the view that `none`, `weak`, `warped` or `strong` names; None for none.

    A strong view is drawn on top of a weak one.
    """
    if name == "none":
        return None
    weak = Weak(flip, shift)
    if name == "weak":
        return weak
    if name == "warped":
        return Warped(flip, shift)
    strong = Strong(without)
    return lambda x: strong(weak(x))
