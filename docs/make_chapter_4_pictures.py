"""Draw the picture of chapter 4, docs/pictures/soft_answers.png.

    python docs/make_chapter_4_pictures.py

The chapter's own teacher is trained anew on the built-in `digits`, and asked about three images of `digits@test`: its
answers at two temperatures are drawn beside them.  matplotlib is in the extra `development`.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib
import torch

matplotlib.use("Agg")
from matplotlib import pyplot

import juyi

PLACE = Path(__file__).parent / "pictures"
BLUE, RED, INK, PAPER = "#2a63b8", "#cf3f36", "#222222", "#ffffff"
ROWS, TEMPERATURES = (109, 324, 2), (1, 4)
"""Which images are shown, and at which temperatures their answers."""


def draw_soft_answers(place: Path) -> None:
    """Draw images, and what a teacher says of them, the likeliest class in another colour."""
    digits, test = juyi.load("digits@train"), juyi.load("digits@test")
    settings = {"precision": "float32", "random_state": 0}
    teacher = juyi.adapt.SourceOnly(net="lenet5", epochs=5, **settings).fit(digits)
    scores = torch.from_numpy(teacher.scores(test))
    pyplot.rcParams.update({"font.size": 9, "text.color": INK, "font.family": "DejaVu Sans"})
    drawing, axes = pyplot.subplots(
        len(ROWS), 3, figsize=(7.6, 3.6), dpi=110, facecolor=PAPER, gridspec_kw={"width_ratios": (1, 3, 3)}
    )
    for row, line in zip(ROWS, axes, strict=True):
        line[0].imshow(test.x[row, 0], cmap="gray", interpolation="nearest")
        line[0].set_axis_off()
        for temperature, axis in zip(TEMPERATURES, line[1:], strict=True):
            p = (scores[row] / temperature).softmax(0).numpy()
            colours = [RED if code == p.argmax() else BLUE for code in range(len(p))]
            axis.bar(range(len(p)), p, color=colours)
            axis.set(xticks=range(len(p)), yticks=(0, 1) if temperature == 1 else (0, 0.4))
            axis.set_ylim(0, 1 if temperature == 1 else 0.4)
            axis.spines[["top", "right"]].set_visible(False)
            axis.tick_params(length=0)
    for temperature, axis in zip(TEMPERATURES, axes[0, 1:], strict=True):
        axis.set_title(f"what the teacher says, T = {temperature}", fontsize=9)
    drawing.tight_layout()
    place.parent.mkdir(parents=True, exist_ok=True)
    drawing.savefig(place, facecolor=PAPER, metadata={"Software": ""}, pil_kwargs={"optimize": True})
    pyplot.close(drawing)
    print(place)


if __name__ == "__main__":
    draw_soft_answers(PLACE / "soft_answers.png")
