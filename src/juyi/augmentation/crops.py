"""Crops in changed colours, as self-supervision sees one image twice: one sampling grid and one matrix an image."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from juyi.augmentation.operations import GREY, as_grey
from juyi.augmentation.views import warp
from juyi.errors import SettingError, nearest


@dataclass(frozen=True)
class Look:
    """How far the views of one image may differ; what stays the same in all of them is what a backbone learns to keep.

    Args:
        area: the least and the largest share of the picture that a view shows.
        ratio: the largest ratio of the sides of what is cropped, relative to the picture's own, either way.
        turn: degrees by which it is turned at most, either way.
        flip: whether half of the views are mirrored, left to right.
        brightness: b is drawn from 1 − brightness to 1 + brightness.
        contrast: likewise, c.
        saturation: likewise, s; pictures of one channel have none.
        hue: the colours are turned by up to this share of a whole turn, either way.
        recoloured: the share of the views whose colours change at all.
        grey: the share of the views without any colour.
    """

    area: tuple[float, float] = (0.2, 1.0)
    ratio: float = 4 / 3
    turn: float = 0.0
    flip: bool = False
    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.0
    hue: float = 0.0
    recoloured: float = 1.0
    grey: float = 0.0


LOOKS = {
    "photographs": Look(flip=True, saturation=0.4, hue=0.1, recoloured=0.8, grey=0.2),
    "digits": Look(area=(0.5, 1.0), turn=15.0),
    "drawings": Look(area=(0.3, 1.0), turn=10.0, flip=True, saturation=0.4, hue=0.5, recoloured=0.8, grey=0.4),
    "grey": Look(area=(0.4, 1.0), turn=10.0, flip=True),
}
"""By kind of picture.  Digits and letters are never mirrored.  In drawings colour says little, so it changes most.

`photographs` is that of Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations", ICML
2020, appendix A, with the area, and without the blur, of its appendix B.9 for CIFAR-10.
"""


def find_look(name: str) -> Look:
    """Return the look that a name means.

    Raises:
        SettingError: there is none of that name.
    """
    if name not in LOOKS:
        raise SettingError(f"--look {name}: there is no such look; {nearest(name, LOOKS)}")
    return LOOKS[name]


class Crops:
    """A view for self-supervision: a crop brought to the picture's size, mirrored, turned, in other colours.

    All that moves pixels is one map an image, so that pixels are sampled once; all that changes colours is one matrix
    an image,

        x ↦ b c (A₀ + s (cos θ A₁ + sin θ A₂)) x + b (1 − c) m

    with the brightness b, contrast c, saturation s and hue θ drawn for each image, m the mean grey of the crop, and A₀
    that which gives the luma, A₁ = 1 − A₀, A₂ the quarter turn of the colours about the grey axis (as in YIQ, so the
    luma stays; not the hue of HSV).  A grey view has s = 0.

    Every draw comes from torch's generator, which the loop seeds for each step.

    Args:
        look: how far views may differ.

    Example:
        >>> import torch
        >>> Crops(LOOKS["photographs"])(torch.zeros(2, 3, 16, 16, dtype=torch.uint8)).shape
        torch.Size([2, 3, 16, 16])
    """

    def __init__(self, look: Look) -> None:
        self.look = look

    def __call__(self, x: Tensor) -> Tensor:
        """Return floats, 0 to 255, of the shape of `x`, N×C×H×W."""
        with torch.autocast(x.device.type, enabled=False):  # pixels in half precision would be coarse
            # Sampling takes planes: what comes as channels-last is turned while it is made float.
            planes = x.to(torch.float32, memory_format=torch.contiguous_format)
            return self._recoloured(warp(planes, *self._places(len(x), x.device)))

    def _places(self, n: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """For each image the map, N×2×2, and the shift, N×2, of `warp`."""
        look, draw = self.look, torch.rand(n, 6, device=device)
        area = look.area[0] + (look.area[1] - look.area[0]) * draw[:, 0]
        stretch = (math.log(look.ratio) * (draw[:, 1] - 0.5)).exp()  # its square is the ratio of the sides
        sides = torch.stack([area.sqrt() * stretch, area.sqrt() / stretch], 1).clamp(max=1.0)
        angle = math.radians(look.turn) * (2.0 * draw[:, 2] - 1.0)
        turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], 1).view(n, 2, 2)
        maps = turn * sides[:, None, :]
        if look.flip:
            maps[:, :, 0] *= torch.where(draw[:, 3:4] < 0.5, -1.0, 1.0)
        return maps, (1.0 - sides) * (2.0 * draw[:, 4:] - 1.0)

    def _recoloured(self, x: Tensor) -> Tensor:
        look, draw = self.look, torch.rand(len(x), 6, device=x.device)
        changed = draw[:, 0] < look.recoloured

        def factor(most: float, column: int) -> Tensor:
            return torch.where(changed, 1.0 + most * (2.0 * draw[:, column] - 1.0), 1.0).view(-1, 1, 1)

        bright, contrast = factor(look.brightness, 1), factor(look.contrast, 2)
        offset = bright * (1.0 - contrast) * as_grey(x).mean((1, 2, 3)).view(-1, 1, 1)
        if x.shape[1] != 3:
            return (x * (bright * contrast).unsqueeze(3) + offset.unsqueeze(3)).clamp(0.0, 255.0)
        saturation = factor(look.saturation, 3) * (draw[:, 5] >= look.grey).view(-1, 1, 1)
        hue = 2.0 * math.pi * (factor(look.hue, 4) - 1.0)
        luma, rest, quarter = _TURN.to(x.device)
        matrix = bright * contrast * (luma + saturation * (hue.cos() * rest + hue.sin() * quarter))
        n, _, height, width = x.shape
        found = torch.bmm(x.view(n, 3, -1).transpose(1, 2), matrix.transpose(1, 2)).add_(
            offset
        )  # channels-last already
        return found.clamp_(0.0, 255.0).view(n, height, width, 3).permute(0, 3, 1, 2)


def _colour_turn() -> Tensor:
    """A₀, A₁ and A₂, 3×3×3: in YIQ, that which keeps the luma alone, the rest, and a quarter turn of the rest."""
    luma = torch.tensor(GREY, dtype=torch.float64).expand(3, 3)
    yiq = torch.tensor([GREY, (0.596, -0.274, -0.322), (0.211, -0.523, 0.312)], dtype=torch.float64)
    yiq[1:] -= yiq[1:].mean(1, keepdim=True)  # the published figures are rounded; grey has no colour at all
    quarter = torch.zeros(3, 3, dtype=torch.float64)
    quarter[1, 2], quarter[2, 1] = -1.0, 1.0
    return torch.stack([luma, torch.eye(3, dtype=torch.float64) - luma, yiq.inverse() @ quarter @ yiq]).float()


_TURN = _colour_turn()
