"""Draw the pictures of chapter 2, docs/pictures/views.png and docs/pictures/negative_transfer.png.

    python docs/make_chapter_2_pictures.py

`views.png` shows an image of `digits_m@test` as the method `adamatch` sees it.  For `negative_transfer.png` the
chapter's own example is run anew, in a folder that is thrown away: SHOT on a target with other class shares than the
source.  The labels are used for drawing alone.  matplotlib is in the extra `development`.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import matplotlib
import numpy as np
import torch

matplotlib.use("Agg")
from matplotlib import pyplot

import juyi
from juyi.adapt import SHOT, Request, SourceOnly
from juyi.augmentation import Strong, Weak
from juyi.losses import entropy
from juyi.runs.files import read_tensors
from juyi.runs.scores import read_scores

PLACE = Path(__file__).parent / "pictures"
BLUE, RED, INK, PAPER = "#2a63b8", "#cf3f36", "#222222", "#ffffff"
COLUMNS, ROW = 9, 11
"""How many views are shown, and of which image."""


def draw_views(place: Path) -> None:
    """Draw one image, then views of it: weak ones, strong ones, strong ones without two operations."""
    image = torch.from_numpy(juyi.load("digits_m@test").x[ROW : ROW + 1])
    kinds = {
        "weak": Weak(),
        "strong": Strong(),
        "strong, without\ninvert and solarize": Strong(without=("invert", "solarize")),
    }
    pyplot.rcParams.update({"font.size": 9, "text.color": INK, "font.family": "DejaVu Sans"})
    drawing, axes = pyplot.subplots(len(kinds), COLUMNS + 1, figsize=(8.4, 2.5), dpi=120, facecolor=PAPER)
    for line, (name, view) in zip(axes, kinds.items(), strict=True):
        torch.manual_seed(1)
        views = view(image.repeat(COLUMNS, 1, 1, 1))
        for axis, shown in zip(line, torch.cat([image.float(), views]), strict=True):
            axis.imshow(shown.permute(1, 2, 0).round().clamp(0, 255).byte().numpy(), interpolation="nearest")
            axis.set_axis_off()
        line[0].text(-0.15, 0.5, name, transform=line[0].transAxes, ha="right", va="center")
    axes[0, 0].set_title("as it is", fontsize=9)
    drawing.subplots_adjust(left=0.2, right=0.995, top=0.9, bottom=0.01, wspace=0.08, hspace=0.08)
    save(drawing, place)


def draw_negative_transfer(place: Path) -> None:
    """Draw, epoch by epoch, how sure SHOT is of a skewed target, and how often it is right."""
    settings = {"precision": "float32", "random_state": 0}
    whole = juyi.load("digits@test")
    skewed = whole.select((whole.y < 2) | (np.arange(whole.size) % 10 == 0))
    with tempfile.TemporaryDirectory() as folder:
        vendor, data = Path(folder) / "vendor", Path(folder) / "skewed.npz"
        np.savez(data, x=skewed.x, y=skewed.y)
        juyi.adapt.run(Request("digits@train"), SourceOnly(net="mlp", epochs=10, **settings), out=vendor)
        run = juyi.adapt.run(Request(str(vendor), str(data)), SHOT(epochs=30, **settings), out=Path(folder) / "harmed")
        floor = torch.from_numpy(read_scores(run, "source_only")["target"]).float().softmax(1)
        files = sorted(run.records.glob("shot-*.safetensors"))
        epochs = [floor] + [read_tensors(file)[0]["target"].float().softmax(1) for file in files]

    truth = torch.from_numpy(skewed.y)
    unsure = [float(entropy(p).mean()) for p in epochs]
    right = np.array([float((p.argmax(1) == truth).double().mean()) for p in epochs])
    apart = np.array([float((p.argmax(1) != floor.argmax(1)).double().mean()) for p in epochs])

    pyplot.rcParams.update({"font.size": 9, "text.color": INK, "font.family": "DejaVu Sans"})
    drawing, (left, right_panel) = pyplot.subplots(1, 2, figsize=(8.4, 3.1), dpi=110, facecolor=PAPER)
    passes = np.arange(1, len(epochs))
    left.plot(passes, unsure[1:], color=RED, label="shot")
    left.axhline(unsure[0], color=BLUE, linestyle="--", label="source_only")
    left.set(title="mean entropy of the predictions (nats)", xlabel="epoch", ylim=(0, None))
    low, high = np.clip(right[0] - apart, 0, 1), np.clip(right[0] + apart, 0, 1)
    right_panel.fill_between(passes, low[1:], high[1:], color="#dddddd", label="source_only ± the share in dispute")
    right_panel.plot(passes, right[1:], color=RED, label="shot")
    right_panel.axhline(right[0], color=BLUE, linestyle="--", label="source_only")
    right_panel.set(title="accuracy (nobody there can see it)", xlabel="epoch", ylim=(0, 1.02))
    for panel, where in ((left, "upper right"), (right_panel, "lower right")):
        panel.set_facecolor(PAPER)
        panel.spines[["top", "right"]].set_visible(False)
        panel.legend(loc=where, frameon=False)
    drawing.tight_layout()
    save(drawing, place)


def save(drawing: pyplot.Figure, place: Path) -> None:
    """Write a PNG file with a white background."""
    place.parent.mkdir(parents=True, exist_ok=True)
    drawing.savefig(place, facecolor=PAPER, metadata={"Software": ""}, pil_kwargs={"optimize": True})
    pyplot.close(drawing)
    print(place)


if __name__ == "__main__":
    draw_views(PLACE / "views.png")
    draw_negative_transfer(PLACE / "negative_transfer.png")
