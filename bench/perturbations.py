"""Universal perturbations without data, by size: how often they change a classifier's answer, beside random signs.

    JUYI_DATA=... python bench/perturbations.py    write bench/results/perturbations/NAME-EPSILON-SEED.json
    python bench/perturbations.py --show           print what is in them

The teachers are the `mnist_lenet5` and the `cifar_cnn` of bench/run.py.  A perturbation is
learnt from class impressions of the teacher alone; the moment that serves, and which of ten perturbations is the first,
are chosen on impressions as well.  The rate is that of answers on all rows of the test set that differ from the clean
answer.  The settings were fixed on training rows of MNIST that a teacher of the others had not seen.
"""

from __future__ import annotations

import itertools
import json
import sys
import time
from functools import partial

import numpy as np
from run import RESULTS, fill, find_teacher

import juyi
from juyi.distill import AAA

PLACES = RESULTS / "perturbations"
TASKS = {
    "mnist": ("mnist_lenet5", (76.5, 51.0, 25.5)),
    "cifar10": ("cifar_cnn", (10.0, 16.0, 8.0, 4.0)),
}
"""Teachers, and sizes in steps of 0 … 255: of MNIST .3, .2 and .1 of the range."""
SEEDS = range(3)
SETTINGS: dict[str, dict] = {"mnist": {"epochs": 60}, "cifar10": {"epochs": 40, "impressions": 500}}
"""Of CIFAR-10 less, for time alone."""


def main() -> None:
    for name, (run, sizes) in TASKS.items():
        for size, seed in itertools.product(sizes, SEEDS):
            fill(PLACES / f"{name}-{size:g}-{seed}.json", partial(look, name, run, size, seed))


def look(name: str, run: str, size: float, seed: int) -> dict:
    """Learn perturbations of this size, and count what they change."""
    folder, began = find_teacher(run, seed), time.process_time()
    settings = {**SETTINGS[name], "precision": "float32", "random_state": seed}
    fitted = AAA(teacher=juyi.read_run(folder), epsilon=size / 255, **settings).fit()
    seconds, test = time.process_time() - began, juyi.load(f"{name}@test")
    found = fitted.fooling_rate(test)
    return {
        "command": f"python bench/perturbations.py ({folder.name})",
        "data": f"{name}@test",
        "settings": {"epsilon": f"{size:g}/255", **settings},
        "cpu_seconds": round(seconds, 1),
        "fooling_rate": {"value": found.rate, "low": found.low, "high": found.high, "n": found.n},
        "each": found.each,
        "random_signs": {"mean": float(np.mean(found.random)), "least": min(found.random), "most": max(found.random)},
        "times_random": found.rate / max(float(np.mean(found.random)), 1 / found.n),
    }


def show() -> None:
    for place in sorted(PLACES.glob("*.json")):
        record = json.loads(place.read_text())
        rate, random = record["fooling_rate"], record["random_signs"]
        print(f"{place.stem:<20} {rate['value']:.3f} ({rate['low']:.3f} to {rate['high']:.3f}), ten of them "
              f"{np.mean(record['each']):.3f}; random signs {random['mean']:.3f}; {record['times_random']:.1f} times "
              f"({record['cpu_seconds']:.0f} s)")  # fmt: skip


if __name__ == "__main__":
    show() if "--show" in sys.argv else main()
