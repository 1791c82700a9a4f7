"""Draw the picture of chapter 8: what views of one picture each look makes, docs/pictures/looks.png.

    python docs/make_chapter_8_pictures.py

matplotlib is in the extra `development`.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib
import torch

matplotlib.use("Agg")
from matplotlib import pyplot

import juyi
from juyi.augmentation import LOOKS, Crops

PLACE = Path(__file__).parent / "pictures"
VIEWS = 7
SHOWN = (("photographs", "digits_m"), ("drawings", "digits_m"), ("grey", "digits"), ("digits", "digits"))
"""A look, and the built-in pictures on which it is shown."""


def main() -> None:
    """Draw it."""
    PLACE.mkdir(exist_ok=True)
    drawing, axes = pyplot.subplots(len(SHOWN), VIEWS + 1, figsize=(7.2, 3.9), dpi=110, facecolor="#ffffff")
    for line, (look, data) in zip(axes, SHOWN, strict=True):
        image = torch.from_numpy(juyi.load(f"{data}@test").x[4:5])
        torch.manual_seed(0)
        views = Crops(LOOKS[look])(image.repeat(VIEWS, 1, 1, 1)).to(torch.uint8)
        for axis, x in zip(line, torch.cat([image, views]), strict=True):
            axis.imshow(x.permute(1, 2, 0), cmap="gray", vmin=0, vmax=255)
            axis.set_axis_off()
        line[0].set_title(look, fontsize=9, color="#222222")
    drawing.tight_layout(pad=0.4)
    drawing.savefig(PLACE / "looks.png")


if __name__ == "__main__":
    main()
