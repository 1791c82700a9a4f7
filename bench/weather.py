"""The weather: from one city to another with a few days' labels, 50 draws of the days, every way of using the source.

    python bench/weather.py             write bench/results/weather.json (about two minutes of one core)
    python bench/weather.py --show      print what is in it

Learnt from the days of 2016 (of the target those whose labels were drawn), judged by the mean absolute error over all
days of 2017, in °C.  The means are over draws, with Student's 95 % interval.  Nothing was chosen by these errors: the
weighing of the ways was made the default by `bench/relations.py`.
"""

from __future__ import annotations

import itertools
import json
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
from run import keep
from table import mean_and_half

import juyi
from juyi.adapt import BiasedRegularisation, SourceOnly, TargetOnly
from juyi.errors import SettingError
from juyi.measure import material_margin, verdict_from_numbers

PLACE = Path(__file__).parent / "results" / "weather.json"
CITIES = ("auckland", "beijing", "chicago", "mumbai", "san_diego")
SHOWN = (("beijing", "chicago"), ("chicago", "beijing"), ("beijing", "auckland"), ("beijing", "mumbai"))
LABELS = (2, 3, 5, 10, 30)
DRAWS = 50
WAYS = {
    "target_only": lambda: TargetOnly(),
    "pulled to the source, slope 1, penalty 20": lambda: BiasedRegularisation(slope="1", penalty=20.0),
    "pulled to the source, slope 1": lambda: BiasedRegularisation(slope="1"),
    "the relation found, slope free": lambda: BiasedRegularisation(slope="free"),
    "all weighed, slope auto": lambda: BiasedRegularisation(),
    "the best of all, slope auto": lambda: BiasedRegularisation(selection="best"),
}
"""What is held against the source as it is."""
JUDGED = ("pulled to the source, slope 1, penalty 20", "the relation found, slope free", "all weighed, slope auto")
"""Of these the verdicts are counted, for the pairs that are shown and five labels."""


def main() -> None:
    began, started = time.time(), time.process_time()
    days = {(city, year): juyi.load(f"weather@{city}-{year}") for city in CITIES for year in (2016, 2017)}
    results, verdicts, gains = [], [], []
    for source, target in itertools.permutations(CITIES, 2):
        told: dict[tuple[str, int], list[np.ndarray]] = {}
        test = days[target, 2017]
        shown = (source, target) in SHOWN
        for labels, draw in itertools.product(LABELS if shown else (5, 10), range(DRAWS)):
            few = juyi.withhold_labels(days[target, 2016], labels, draw)
            for way, make in WAYS.items():
                if shown or way in ("target_only", "all weighed, slope auto"):
                    try:
                        model = make().fit(days[source, 2016], target=few)
                    except SettingError:  # two days leave no relation to be found
                        continue
                    told.setdefault((way, labels), []).append(model.predict(test) - test.y)
        pair = f"{source} → {target}"
        if shown:
            floor = SourceOnly().fit(days[source, 2016]).predict(test) - test.y
            results.append({"pair": pair, "labels": 0, "way": "source_only", **summary([floor])})
        results += [{"pair": pair, "labels": n, "way": way, **summary(e)} for (way, n), e in told.items()]
        for labels in (5, 10):
            of = {way: np.array([np.abs(e).mean() for e in told[way, labels]]) for way in ("target_only", JUDGED[-1])}
            gains.append({"pair": pair, "labels": labels, **gain(of["target_only"] - of[JUDGED[-1]])})
        if shown:
            verdicts += [{"pair": pair, "labels": 5, "way": way, **count(told, way, test.y)} for way in JUDGED]
        print(f"{pair}: {time.process_time() - started:.0f} s", flush=True)
    record = {"command": "python bench/weather.py", "draws": DRAWS, "unit": "°C", "results": results}
    keep({**record, "gain_of_all_weighed_over_target_only": gains, "verdicts": verdicts}, PLACE, began)


def summary(errors: list[np.ndarray]) -> dict:
    """Mean absolute error over draws, with Student's 95 % interval where there are several."""
    each = np.array([np.abs(error).mean() for error in errors])
    mean, half = mean_and_half(each)
    ends = {} if len(each) < 2 else {"low": round(mean - half, 3), "high": round(mean + half, 3)}
    return {"mean_absolute_error": round(mean, 3), **ends, "draws": len(each)}


def gain(gains: np.ndarray) -> dict:
    """By how much the error is lower, over draws, and how often it is higher."""
    mean, half = mean_and_half(gains)
    worse = int((gains < 0).sum())
    return {"gain": round(mean, 3), "low": round(mean - half, 3), "high": round(mean + half, 3), "worse_in": worse}


def count(told: dict[tuple[str, int], list[np.ndarray]], way: str, y: np.ndarray) -> dict:
    """How often each verdict is given against target only."""
    margin = material_margin(y)
    answers: Counter[str] = Counter()
    for error, floor in zip(told[way, 5], told["target_only", 5], strict=True):
        answers[verdict_from_numbers(error, floor, way, "target_only", margin=margin)["answer"]] += 1
    return dict(answers)


def show() -> None:
    record = json.loads(PLACE.read_text())
    for result in record["results"]:
        ends = f" ({result['low']:.2f} to {result['high']:.2f})" if "low" in result else ""
        where = f"{result['pair']:<24} {result['labels']:>2} labels  {result['way']:<42}"
        print(f"{where} {result['mean_absolute_error']:6.2f}{ends}")
    for line in record["gain_of_all_weighed_over_target_only"]:
        print(f"{line['pair']:<24} {line['labels']:>2} labels  gain {line['gain']:+.2f} ({line['low']:+.2f} to "
              f"{line['high']:+.2f}), worse in {line['worse_in']} of {record['draws']} draws")  # fmt: skip
    for line in record["verdicts"]:
        print(line)


if __name__ == "__main__":
    show() if "--show" in sys.argv else main()
