"""Draw the picture of chapter 14: how far liars move each middle, docs/pictures/liars.png.

    python docs/make_chapter_14_pictures.py

matplotlib is in the extra `development`.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib
import torch

matplotlib.use("Agg")
from matplotlib import pyplot

from juyi.personalize.defence import krum, limited, median, trimmed_mean

PLACE = Path(__file__).parent / "pictures"
CLIENTS, WIDTH, MOST = 20, 200, 12
RULES = {
    "mean": lambda values, liars: values.mean(0),
    "clip-norm 20": lambda values, liars: limited(values, 20.0).mean(0),
    "krum, 6": lambda values, liars: values[krum(values, 6)],
    "trimmed mean, 0.3": lambda values, liars: trimmed_mean(values, int(0.3 * CLIENTS)),
    "median": lambda values, liars: median(values),
}
COLOURS = ("#b0413e", "#c98b2b", "#7a6c9d", "#3c7d9c", "#2f7d4f")


def main() -> None:
    """Draw it: honest clients agree but for noise, liars send all the same far away."""
    PLACE.mkdir(exist_ok=True)
    torch.manual_seed(0)
    honest = 1.0 + torch.randn(CLIENTS, WIDTH)
    drawing, axis = pyplot.subplots(figsize=(6.4, 3.4), dpi=110, facecolor="#ffffff")
    for (name, rule), colour in zip(RULES.items(), COLOURS, strict=True):
        apart = []
        for liars in range(MOST + 1):
            values = honest.clone()
            values[:liars] = -100.0
            apart.append(float((rule(values, liars) - 1.0).norm() / WIDTH**0.5))
        axis.plot(range(MOST + 1), apart, marker="o", markersize=3.5, label=name, color=colour)
    axis.set_yscale("log")
    axis.set_xlabel("liars among 20 clients", color="#222222")
    axis.set_ylabel("distance from the truth", color="#222222")
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False, fontsize=8.5)
    drawing.tight_layout(pad=0.5)
    drawing.savefig(PLACE / "liars.png")


if __name__ == "__main__":
    main()
