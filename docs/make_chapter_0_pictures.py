"""Draw the pictures of chapter 0, docs/pictures/weather.png and docs/pictures/weather_few_days.png.

    python docs/make_chapter_0_pictures.py

`weather.png` shows the days of three cities beside what Beijing alone leads one to expect; `weather_few_days.png` what
is made of five days of Chicago and of Auckland, the same draw as in the chapter.  matplotlib is in the extra
`development`.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib import pyplot

import juyi
from juyi.adapt import BiasedRegularisation, SourceOnly, TargetOnly

PLACE = Path(__file__).parent / "pictures"
BLUE, RED, GREEN, GREY, INK, PAPER = "#2a63b8", "#cf3f36", "#12805c", "#b9bcc4", "#222222", "#ffffff"
MONTHS = [date(2017, month, 1) for month in (1, 4, 7, 10)]
"""Where the axis of time has its marks."""
LABELS, DRAW = 5, 0


def draw_cities(place: Path) -> None:
    """Draw the days of 2017 in three cities, and Beijing's curve, learnt from 2016, over each."""
    floor = SourceOnly().fit(juyi.load("weather@beijing-2016"))
    drawing, panels = pyplot.subplots(1, 3, figsize=(8.4, 2.7), dpi=110, sharey=True, facecolor=PAPER)
    for panel, city in zip(panels, ("beijing", "chicago", "auckland"), strict=True):
        days = juyi.load(f"weather@{city}-2017")
        told = floor.predict(days)
        panel.plot(days.y, ".", color=GREY, markersize=3, label="measured")
        panel.plot(told, color=BLUE, linewidth=1.8, label="as learnt in Beijing")
        panel.set_title(f"{city.capitalize()}: off by {np.abs(told - days.y).mean():.1f} °C", fontsize=9)
    finish(drawing, panels, place)


def draw_few_days(place: Path) -> None:
    """Draw what five days make of Beijing's curve in Chicago and in Auckland."""
    beijing = juyi.load("weather@beijing-2016")
    ways = {
        "chicago": (("pulled to Beijing's", RED, BiasedRegularisation(slope="1", penalty=20.0)),),
        "auckland": (
            ("pulled to Beijing's", RED, BiasedRegularisation(slope="1", penalty=20.0)),
            ("the relation found", GREEN, BiasedRegularisation(slope="free")),
        ),
    }
    drawing, panels = pyplot.subplots(1, 2, figsize=(8.4, 3.2), dpi=110, sharey=True, facecolor=PAPER)
    for panel, (city, models) in zip(panels, ways.items(), strict=True):
        year, test = juyi.load(f"weather@{city}-2016"), juyi.load(f"weather@{city}-2017")
        few = juyi.withhold_labels(year, LABELS, DRAW)
        panel.plot(test.y, ".", color=GREY, markersize=3, label="measured, a year later")
        for name, colour, model in (("the five days alone", BLUE, TargetOnly()), *models):
            told = model.fit(beijing, target=few).predict(test)
            panel.plot(told, color=colour, linewidth=1.8, label=f"{name}: {np.abs(told - test.y).mean():.1f} °C")
        known = np.flatnonzero(few.labelled)
        panel.plot(known, few.y[known], "o", color=INK, markersize=5, label="the five days")
        panel.set_title(city.capitalize(), fontsize=9)
        panel.legend(frameon=False, fontsize=7, loc="lower center")
        panel.set_ylim(-46, 44)  # room for the words
        panel.set_yticks(range(-20, 50, 20))
    finish(drawing, panels, place)


def finish(drawing: pyplot.Figure, panels: np.ndarray, place: Path) -> None:
    """Mark the months and the unit, and write the file."""
    marks = [(month - date(2017, 1, 1)).days for month in MONTHS]
    for panel in panels:
        panel.set_xticks(marks, [month.strftime("%b") for month in MONTHS])
        panel.set_facecolor(PAPER)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("mean temperature of a day, °C")
    if panels[0].get_legend() is None:
        panels[0].legend(frameon=False, fontsize=7, loc="lower center")
    drawing.tight_layout()
    place.parent.mkdir(parents=True, exist_ok=True)
    drawing.savefig(place, facecolor=PAPER, metadata={"Software": ""}, pil_kwargs={"optimize": True})
    pyplot.close(drawing)
    print(place)


if __name__ == "__main__":
    pyplot.rcParams.update({"font.size": 8, "text.color": INK, "font.family": "DejaVu Sans"})
    draw_cities(PLACE / "weather.png")
    draw_few_days(PLACE / "weather_few_days.png")
