"""Draw the pictures of chapters 17 and 18: docs/pictures/relations.png, other_columns.png and arriving.png.

    python docs/make_chapter_17_pictures.py

What is drawn of measurements is from bench/results.  matplotlib is in the extra `development`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib import pyplot

PLACE = Path(__file__).parent / "pictures"
RESULTS = Path(__file__).parents[1] / "bench" / "results"
INK, SOFT = "#222222", "#888888"
ROLES = {"leads": "#b5452c", "helps": "#d99a2b", "follows": "#2c6fb5"}
CHANCE = {"shuffled": ("laid at random", "#bbbbbb"), "rewired": ("the same degrees", "#2c6fb5")}
METHODS = {"target_only": "few rows alone", "cca": "cca", "dama": "dama", "coot": "coot"}
TASKS = {
    "sensors": "two sensors\n24 pairs",
    "digits": "pixels, edges\n3 labels a class",
    "pixels": "mixed-up pixels\n3 labels a class",
}


def company(
    axis: Any, title: str, people: dict[str, tuple[float, float, str]], relations: list[tuple[str, str]]
) -> None:
    """Draw people where they stand, coloured by role, and arrows."""
    for one, other in relations:
        (x, y, _), (x2, y2, _) = people[one], people[other]
        style = {"arrowstyle": "-|>", "color": SOFT, "shrinkA": 11, "shrinkB": 11, "lw": 1.1}
        axis.annotate("", (x2, y2), (x, y), arrowprops=style)
    for name, (x, y, role) in people.items():
        axis.plot(x, y, "o", ms=19, color=ROLES[role])
        axis.text(x, y + (0.2 if role == "leads" else -0.38), name, ha="center", fontsize=7.5, color=INK)
    axis.set_title(title, fontsize=9, color=INK)
    axis.set_xlim(-0.7, 3.7)
    axis.set_ylim(-0.6, 2.5)
    axis.set_axis_off()


def relations() -> None:
    """The analogy, and the fly by chance."""
    drawing, axes = pyplot.subplots(1, 3, figsize=(9.6, 2.9), dpi=110, width_ratios=(1, 1.1, 1.6), facecolor="#ffffff")
    school = {
        "teacher": (1.5, 2.0, "leads"),
        "Ann": (0, 0.6, "helps"),
        "Bob": (1.5, 0, "follows"),
        "Cai": (3, 0.6, "follows"),
    }
    arrows = [("teacher", "Ann"), ("teacher", "Bob"), ("teacher", "Cai"), ("Ann", "Bob")]
    company(axes[0], "school", school, arrows)
    office = {
        "4": (1.5, 2.0, "leads"), "6": (0, 0.9, "helps"), "1": (0, 0, "follows"), "3": (1.2, 0, "follows"),
        "2": (2.2, 0.3, "follows"), "5": (3.3, 0.9, "follows"),
    }  # fmt: skip
    company(axes[1], "office", office, [*(("4", name) for name in "61325"), ("6", "1"), ("6", "3")])
    record = json.loads((RESULTS / "relational" / "fly-0.json").read_text())
    for name, (shown, colour) in CHANCE.items():
        axes[2].hist(record["by_chance"][name], bins=12, color=colour, label=shown)
    axes[2].axvline(record["discrepancy"], color="#b5452c", lw=2.5, label="found")
    axes[2].set_xlim(0, 0.8)
    axes[2].set_xlabel("discrepancy of the match", fontsize=8)
    axes[2].set_ylabel("targets laid anew", fontsize=8)
    axes[2].set_title("left and right half of a fly’s mushroom body", fontsize=9, color=INK)
    axes[2].tick_params(labelsize=7.5)
    axes[2].legend(fontsize=7.5, frameon=False, loc="center", bbox_to_anchor=(0.735, 0.7))
    finish(drawing, "relations")


def other_columns() -> None:
    """Accuracy of each method on each task, a dot a seed."""
    drawing, axes = pyplot.subplots(1, 3, figsize=(8.4, 2.7), dpi=110, sharey=True, facecolor="#ffffff")
    for axis, (task, title) in zip(axes, TASKS.items(), strict=True):
        records = [json.loads(path.read_text()) for path in sorted((RESULTS / "heterogeneous").glob(f"{task}-*.json"))]
        for place, method in enumerate(METHODS):
            values = [r["value"] for record in records for r in record["results"] if r["model"] == method]
            colour = SOFT if method == "target_only" else "#2c6fb5"
            jitter = np.linspace(-0.18, 0.18, len(values))
            axis.plot(place + jitter, values, "o", ms=3.5, color=colour, alpha=0.7)
            axis.plot([place - 0.3, place + 0.3], [np.mean(values)] * 2, color=INK, lw=1.6)
        axis.set_xticks(range(len(METHODS)), METHODS.values(), fontsize=7.5)
        axis.set_title(title, fontsize=9, color=INK)
        axis.tick_params(axis="y", labelsize=7.5)
    axes[0].set_ylabel("accuracy here", fontsize=8)
    finish(drawing, "other_columns")


def arriving() -> None:
    """Weights of experts over a stream, and mistakes so far."""
    record = json.loads((RESULTS / "online_transfer" / "seed-0.json").read_text())
    history, rows = record["history"], [one["rows"] for one in record["history"]]
    names = list(dict.fromkeys(name for one in history for name in one["weights"]))
    kept = [name for name in names if name.startswith("until")]
    parts = {
        "the source’s": [one["weights"]["source"] for one in history],
        "learnt here earlier, kept": [sum(one["weights"].get(name, 0) for name in kept) for one in history],
        "being learnt here": [one["weights"]["goes on"] + one["weights"]["since the alarm"] for one in history],
    }
    drawing, axis = pyplot.subplots(figsize=(8.4, 2.6), dpi=110, facecolor="#ffffff")
    axis.stackplot(rows, *parts.values(), labels=parts, colors=("#b5452c", "#d99a2b", "#2c6fb5"), alpha=0.9)
    for number, angle in enumerate(("30°", "90°", "30°", "150°", "0°")):
        axis.axvline(4_000 * number, color="#ffffff", lw=2)
        axis.text(4_000 * number + 2_000, 1.03, f"rule at {angle}", ha="center", fontsize=8, color=INK)
    for place in record["alarms"]:
        axis.plot(place, -0.04, "^", color=INK, ms=5, clip_on=False)
    axis.set_xlim(rows[0], rows[-1])
    axis.set_ylim(0, 1)
    axis.set_xlabel("rows (a triangle is an alarm)", fontsize=8, labelpad=8)
    axis.set_ylabel("weight", fontsize=8)
    axis.tick_params(labelsize=7.5)
    axis.legend(fontsize=7.5, loc="lower right", framealpha=0.9)
    finish(drawing, "arriving")


def finish(drawing: Any, name: str) -> None:
    """Store a drawing."""
    drawing.tight_layout(pad=0.6)
    drawing.savefig(PLACE / f"{name}.png")


if __name__ == "__main__":
    PLACE.mkdir(exist_ok=True)
    relations()
    other_columns()
    arriving()
