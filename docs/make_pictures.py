"""Draw docs/pictures/maps.png, the two maps of a run: before adapting and after it.

    juyi demo --out RUN
    python docs/make_pictures.py RUN

Only RUN/figures/maps.json is read.  The upper row is coloured by domain, the lower row by class: the source by its
labels, the target by what the model predicts for it.  matplotlib is in the extra `development`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

PLACE = Path(__file__).parent / "pictures" / "maps.png"
FLOOR = "source_only"
BLUE, RED, INK, PAPER = "#2a63b8", "#cf3f36", "#222222", "#ffffff"
TITLES = ("before adapting", "after adapting")


def draw(figure: dict[str, Any], place: Path) -> None:
    """Draw the maps of a run with two models into a PNG file with a white background."""
    maps = sorted(figure["maps"], key=lambda entry: entry["model"] != FLOOR)
    if len(maps) != 2:
        raise SystemExit(f"the run has {len(maps)} map(s), but before and after are two; name a run of juyi adapt")
    classes = figure["classes"]
    colours = [pyplot.get_cmap("tab10" if len(classes) <= 10 else "tab20")(code % 20) for code in range(len(classes))]
    pyplot.rcParams.update({"font.size": 9, "text.color": INK, "font.family": "DejaVu Sans"})
    drawing, axes = pyplot.subplots(2, 2, figsize=(8, 8), dpi=100, facecolor=PAPER)
    for column, (entry, title) in enumerate(zip(maps, TITLES, strict=True)):
        source, target = zip(*entry["source"], strict=True), zip(*entry["target"], strict=True)
        source, target = tuple(source), tuple(target)
        upper, lower = axes[:, column]
        upper.set_title(f"{title}: {entry['model']}", fontsize=11, color=INK)
        upper.scatter(*target, s=8, color=RED, alpha=0.6, linewidths=0)
        upper.scatter(*source, s=13, color=BLUE, alpha=0.85, linewidths=0)  # the fewer, on top
        lower.scatter(*source, s=13, c=[colours[code] for code in figure["source"]["label"]], linewidths=0)
        lower.scatter(*target, s=13, c=[colours[code] for code in entry["prediction"]], linewidths=0.9, marker="x")
        for panel in (upper, lower):
            plain(panel)
    domains = [dot(BLUE, "source", "o"), dot(RED, "target", "o")]
    axes[0, 0].legend(handles=domains, loc="lower left", frameon=False, handletextpad=0.1)
    marks = [dot(INK, "source, by label", "o"), dot(INK, "target, by prediction", "x")]
    axes[1, 0].legend(handles=marks, loc="lower left", frameon=False, handletextpad=0.1)
    by_class = [dot(colour, name, "o") for colour, name in zip(colours, classes, strict=True)]
    drawing.legend(
        handles=by_class[:20], loc="lower center", ncols=min(10, len(classes)), frameon=False, handletextpad=0.1
    )
    drawing.tight_layout(rect=(0, 0.03, 1, 1))
    place.parent.mkdir(parents=True, exist_ok=True)
    drawing.savefig(place, facecolor=PAPER, metadata={"Software": ""}, pil_kwargs={"optimize": True})
    pyplot.close(drawing)


def plain(panel: Axes) -> None:
    """Take ticks off and keep a thin frame: the coordinates of such a map mean nothing."""
    panel.set(xticks=[], yticks=[], facecolor=PAPER)
    panel.margins(0.06)
    for side in panel.spines.values():
        side.set(color="#cccccc", linewidth=0.8)


def dot(colour: Any, label: str, marker: str) -> Line2D:
    """Return an entry of a legend."""
    return Line2D([], [], linestyle="", marker=marker, color=colour, markersize=5, label=label)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    draw(json.loads((Path(sys.argv[1]) / "figures" / "maps.json").read_text(encoding="utf-8")), PLACE)
    print(PLACE)
