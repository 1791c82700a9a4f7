"""Specialists on classes that a generalist confuses: Fashion-MNIST and CIFAR-10, three teachers each.

    JUYI_DATA=... python bench/specialists.py    write bench/results/specialists/NAME-SEED.json
    python bench/specialists.py --show           print what is in them

The teachers are the `fashion_lenet5` and the `cifar_cnn` of bench/run.py; of CIFAR-10 they learnt from 20,000 rows.  A
specialist learns from the same rows.  The test set is opened once a run, at its end: the accuracy of
generalist, combination and a student distilled from the combination, beside one distilled from the generalist, on all
rows and on those of classes that have a specialist.  The settings are the defaults.  Passes,
rate and weight are those of one trial, with three groups, on 10,000 training rows of Fashion-MNIST that a teacher of
the other 50,000 had not seen (+.0018, .0003 to .0033); five groups of softened predictions were taken for the classes
that they put together on training rows, and were not scored before.
"""

from __future__ import annotations

import json
import sys
import time
from functools import partial

import numpy as np
from run import RESULTS, fill, find_teacher

import juyi
from juyi.distill import Hinton, Specialists
from juyi.measure import paired_difference, wilson_interval

PLACES = RESULTS / "specialists"
TASKS = {
    "fashion": ("fashion_mnist", "", "fashion_lenet5", "lenet5_half"),
    "cifar": ("cifar10", "[:20000]", "cifar_cnn", "cnn_small_half"),
}
SEEDS = range(3)
SETTINGS = {"fashion": {"epochs": 5}, "cifar": {"epochs": 3, "specialist_epochs": 2}}
"""Of CIFAR-10 fewer passes, for time alone."""


def main() -> None:
    for seed in SEEDS:
        for name in TASKS:
            fill(PLACES / f"{name}-{seed}.json", partial(look, name, seed))


def look(name: str, seed: int) -> dict:
    """Fit both methods on the training rows, then open the test set."""
    data, part, run, student = TASKS[name]
    folder = find_teacher(run, seed)
    settings = {"batch": 128, "precision": "float32", **SETTINGS[name]}
    shared = {key: value for key, value in settings.items() if key != "specialist_epochs"}
    began, teacher, train = time.process_time(), juyi.read_run(folder), juyi.load(f"{data}@train{part}")
    fitted = Specialists(teacher=teacher, student=student, random_state=seed, **settings).fit(train)
    plain = Hinton(teacher=teacher, student=student, random_state=seed, **shared).fit(train)
    seconds = time.process_time() - began
    test = juyi.load(f"{data}@test")
    told = {"generalist": teacher.scores(test), "combined": fitted.combined_scores(test)}
    told |= {"student_of_combined": fitted.scores(test), "student_of_generalist": plain.scores(test)}
    right = {model: scores.argmax(1) == test.y for model, scores in told.items()}
    special = np.isin(test.y, [code for group in fitted.combination_.groups for code in group])
    return {
        "command": f"python bench/specialists.py ({folder.name})",
        "data": f"{data}@test",
        "seed": seed,
        "settings": settings,
        "groups": fitted.specialists_,
        "cpu_seconds": round(seconds, 1),
        "accuracy": [{"model": m, "rows": rows, **share(hits)} for m, rows, hits in both(right, special)],
        "gain": [
            {"of": one, "over": other, "rows": rows, **gain(right[one][where], right[other][where])}
            for one, other in (("combined", "generalist"), ("student_of_combined", "student_of_generalist"))
            for rows, where in (("all", special | True), ("special", special))
        ],
    }


def both(right: dict[str, np.ndarray], special: np.ndarray) -> list[tuple[str, str, np.ndarray]]:
    """Which rows each model has right: of all, and of classes that have a specialist."""
    return [
        (m, rows, hits[where])
        for m, hits in right.items()
        for rows, where in (("all", special | True), ("special", special))
    ]


def share(hits: np.ndarray) -> dict:
    low, high = wilson_interval(int(hits.sum()), len(hits))
    return {"value": round(float(hits.mean()), 5), "low": round(low, 5), "high": round(high, 5), "n": len(hits)}


def gain(one: np.ndarray, other: np.ndarray) -> dict:
    found = paired_difference(one, other)
    ends = {"gain": found.gain, "low": found.low, "high": found.high, "p_value": found.p_value}
    return {**{key: round(value, 5) for key, value in ends.items()}, "n": found.n}


def show() -> None:
    for place in sorted(PLACES.glob("*.json")):
        record = json.loads(place.read_text())
        print(
            f"{place.stem}: {'; '.join(', '.join(group) for group in record['groups'])} ({record['cpu_seconds']:.0f} s)"
        )
        for line in record["accuracy"]:
            print(
                f"  {line['model']:<22} {line['rows']:<8} {line['value']:.4f} ({line['low']:.4f} to {line['high']:.4f})"
            )
        for line in record["gain"]:
            print(f"  {line['of']} over {line['over']}, {line['rows']}: {line['gain']:+.4f} ({line['low']:+.4f} to "
                  f"{line['high']:+.4f})")  # fmt: skip


if __name__ == "__main__":
    show() if "--show" in sys.argv else main()
