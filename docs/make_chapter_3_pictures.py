"""Draw the picture of chapter 3, docs/pictures/bounds.png and docs/pictures/bounds.zh-CN.png.

    python docs/make_chapter_3_pictures.py

The chapter's own example with more steps: first the rows of the target move away and the rule stays, then the rows
stay and the rule turns.  The true error is drawn beside the estimated bounds on it.  matplotlib is in the extra
`development`; the Chinese labels need a font that has them (Noto Sans CJK).
"""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib import font_manager, pyplot

from juyi.measure import (
    ben_david_bound,
    dis2_bound,
    linear_classifier,
    linear_prediction,
    mansour_bound,
    margin_bound,
)

PLACE = Path(__file__).parent / "pictures"
INK, PAPER, GREY = "#222222", "#ffffff", "#dddddd"
COLOURS = {"ben_david": "#2a63b8", "mansour": "#2f9e8f", "margin": "#8b5fbf", "dis2": "#cf3f36"}
ROWS, LABELS = 20_000, 50
SHIFTS = np.array([0, 0.25, 0.5, 0.75, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5])
TURNS = np.arange(0, 181, 15)

ENGLISH = {
    "font": ["DejaVu Sans"],
    "moved": "The rows move, the rule stays",
    "turned": "The rows stay, the rule turns",
    "shift": "how far the target lies from the source",
    "turn": "by how many degrees the rule is turned",
    "error": "error on the target",
    "true": "true error (nobody there can see it)",
    "ben_david": "Ben-David et al. 2010",
    "mansour": "Mansour et al. 2009",
    "margin": "Zhang et al. 2019 (margin)",
    "dis2": "Dis², Rosenfeld and Garg 2023",
    "labels": "Ben-David, λ from 50 target labels",
    "tight": "tight",
    "vacuous": "vacuous: no better\nthan guessing",
    "broken": "every bound\nis wrong",
}
CHINESE = {
    "font": ["Noto Sans CJK SC", "Noto Sans CJK JP"],
    "moved": "数据在移动，规则不变",
    "turned": "数据不动，规则在转",
    "shift": "目标域离源域多远",
    "turn": "规则转了多少度",
    "error": "目标域上的错误率",
    "true": "真实错误率（在场的人谁也看不见）",
    "ben_david": "Ben-David 等 2010",
    "mansour": "Mansour 等 2009",
    "margin": "Zhang 等 2019（间隔）",
    "dis2": "Dis²，Rosenfeld 与 Garg 2023",
    "labels": "Ben-David，λ 由 50 个目标标签估计",
    "tight": "紧",
    "vacuous": "空话：\n不比瞎猜好",
    "broken": "所有的界\n都错了",
}


def rows(n: int, shift: float, seed: int) -> np.ndarray:
    """Draw rows of two clouds, side by side, moved up by the shift."""
    random = np.random.default_rng(seed)
    side = np.where(random.random(n) < 0.5, -2.0, 2.0)
    return random.normal(size=(n, 2)) + np.stack([side, np.full(n, shift)], 1)


def rule(x: np.ndarray, degrees: float = 0.0) -> np.ndarray:
    """Return the true class: on which side of a line through the origin a row lies."""
    angle = np.deg2rad(degrees)
    return (x[:, 0] * np.cos(angle) + x[:, 1] * np.sin(angle) > 0).astype(int)


def bounds(x: np.ndarray, y: np.ndarray, target: np.ndarray, w: np.ndarray) -> dict[str, float]:
    """Estimate all bounds on the error of a linear classifier."""
    functions = {"ben_david": ben_david_bound, "mansour": mansour_bound, "margin": margin_bound}
    found = {name: function(x, y, target, classifier=w).value for name, function in functions.items()}
    scores = x @ w[:-1] + w[-1], y, target @ w[:-1] + w[-1]
    found["dis2"] = 1 - dis2_bound(*scores, features_source=x, features_target=target).value
    return found


def curves() -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Compute the curves of both panels."""
    few = rows(40, 0, seed=1)
    w = linear_classifier(few, rule(few))
    x = rows(ROWS, 0, seed=11)
    y = rule(x)
    moved: dict[str, list[float]] = {}
    for shift in SHIFTS:
        target = rows(ROWS, shift, seed=12)
        found = bounds(x, y, target, w) | {"true": float((linear_prediction(w, target) != rule(target)).mean())}
        for name, value in found.items():
            moved.setdefault(name, []).append(value)
    target = rows(ROWS, 0, seed=12)
    turned = {name: [value] * len(TURNS) for name, value in bounds(x, y, target, w).items()}
    turned |= {"true": [], "labels": []}
    for turn in TURNS:
        label = rule(target, turn)
        turned["true"].append(float((linear_prediction(w, target) != label).mean()))
        known = np.where(np.arange(ROWS) < LABELS, label, np.nan)
        turned["labels"].append(ben_david_bound(x, y, target, classifier=w, label_target=known).value)
    return moved, turned


def draw(place: Path, words: dict, moved: dict[str, list[float]], turned: dict[str, list[float]]) -> None:
    """Draw both panels in a language."""
    pyplot.rcParams.update({"font.size": 9, "text.color": INK, "font.family": words["font"]})
    drawing, (left, right) = pyplot.subplots(1, 2, figsize=(8.4, 4.0), dpi=110, facecolor=PAPER, sharey=True)
    for panel, at, found in ((left, SHIFTS, moved), (right, TURNS, turned)):
        panel.axhspan(0.5, 1.1, color=GREY, alpha=0.5, linewidth=0)
        for name, colour in COLOURS.items():
            panel.plot(at, found[name], color=colour, label=words[name])
        panel.plot(at, found["true"], color=INK, linewidth=2.5, label=words["true"])
        panel.set(ylim=(0, 1.1), xlim=(at[0], at[-1]), facecolor=PAPER)
        panel.spines[["top", "right"]].set_visible(False)
    right.plot(TURNS, turned["labels"], color=COLOURS["ben_david"], linestyle="--", label=words["labels"])
    right.fill_between(TURNS, turned["margin"], turned["true"], where=np.greater(turned["true"], turned["margin"]),
                       interpolate=True, color=COLOURS["dis2"], alpha=0.15, linewidth=0)  # fmt: skip
    left.set(title=words["moved"], xlabel=words["shift"], ylabel=words["error"])
    right.set(title=words["turned"], xlabel=words["turn"], xticks=TURNS[::3])
    left.text(0.35, 0.1, words["tight"], color=COLOURS["dis2"])
    left.text(0.12, 1.06, words["vacuous"], va="top")
    right.text(148, 0.5, words["broken"], color=COLOURS["dis2"], ha="center")
    handles, labels = right.get_legend_handles_labels()
    drawing.legend(handles, labels, loc="lower center", ncols=3, frameon=False)
    drawing.tight_layout(rect=(0, 0.13, 1, 1))
    place.parent.mkdir(parents=True, exist_ok=True)
    drawing.savefig(place, facecolor=PAPER, metadata={"Software": ""}, pil_kwargs={"optimize": True})
    pyplot.close(drawing)
    print(place)


if __name__ == "__main__":
    both = curves()
    draw(PLACE / "bounds.png", ENGLISH, *both)
    if set(CHINESE["font"]) & set(font_manager.get_font_names()):
        draw(PLACE / "bounds.zh-CN.png", CHINESE, *both)
    else:
        print(f"none of {CHINESE['font']} is installed; the Chinese picture stays as it is")
