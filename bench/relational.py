"""Roles of neurons carried over from the left half of a fly's mushroom body to the right, by relations alone.

    JUYI_DATA=/path/to/data python bench/relational.py      write bench/results/relational/TASK-SEED.json

Left and right share no feature and no name.  The right's roles score the answer, and are read for nothing else: all
settings were chosen on the left alone, from one half of its neurons to the other (`halves`), and from a thinned copy to
another one in which a tenth of the neurons are missing (`thinned`); each relation is a count of synapses, and each
synapse falls into one of the copies by a coin.  `fly` is left → right; `rewired` is left → a right whose relations were
laid anew with the same degrees.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import time
from functools import partial
from pathlib import Path

import numpy as np
from run import RESULTS, fill
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

from juyi.adapt.relations import Relational
from juyi.adapt.relations.chance import rewired
from juyi.measure.intervals import share

PLACES = RESULTS / "relational"
SEEDS = range(10)
WAYS = {
    "gromov_wasserstein, match alone": {"settle": False},
    "gromov_wasserstein": {},
    "quadratic_assignment, match alone": {"solver": "quadratic_assignment", "settle": False},
    "quadratic_assignment": {"solver": "quadratic_assignment"},
}
Side = tuple[np.ndarray, np.ndarray]


def half(side: str) -> Side:
    folder = Path(os.environ["JUYI_DATA"]) / "fly_mushroom_body"
    return np.loadtxt(folder / f"{side}_adjacency.csv"), np.loadtxt(folder / f"{side}_cell_labels.csv", dtype=str)


def part(side: Side, rows: np.ndarray) -> Side:
    return side[0][np.ix_(rows, rows)], side[1][rows]


def halves(seed: int) -> tuple[Side, Side]:
    left = half("left")
    order = np.random.default_rng(seed).permutation(len(left[1]))
    return part(left, order[: len(order) // 2]), part(left, order[len(order) // 2 :])


def thinned(seed: int) -> tuple[Side, Side]:
    weights, roles = half("left")
    rng = np.random.default_rng(seed)
    first = rng.binomial(weights.astype(int), 0.5).astype(float)
    sides = ((first, roles), (weights - first, roles))
    return tuple(part(side, rng.permutation(len(roles))[: round(0.9 * len(roles))]) for side in sides)


def fly(seed: int) -> tuple[Side, Side]:
    return half("left"), half("right")


def laid_anew(seed: int) -> tuple[Side, Side]:
    weights, roles = half("right")
    return half("left"), (rewired(weights, np.random.default_rng(seed)), roles)


TASKS = {"halves": halves, "thinned": thinned, "fly": fly, "rewired": laid_anew}


def degrees(weights: np.ndarray) -> np.ndarray:
    """How many each neuron stands to and they to it, and how strongly; standardised."""
    both = [np.log1p(part.sum(axis)) for part in (weights, weights > 0) for axis in (0, 1)]
    return StandardScaler().fit_transform(np.stack(both, 1))


def look(task: str, seed: int) -> dict:
    (source, roles), (target, truth) = TASKS[task](seed)
    names, counts = np.unique(roles, return_counts=True)
    told = {
        "majority": np.full(len(truth), names[counts.argmax()]),
        "degrees alone": KNeighborsClassifier(1).fit(degrees(source), roles).predict(degrees(target)),
    }
    record, seconds = {}, {}
    for way, settings in WAYS.items():
        began = time.process_time()
        draws = 99 if task == "fly" and way == "gromov_wasserstein" else 0
        model = Relational(draws=draws, random_state=seed, **settings).fit(source, roles, target=target)
        told[way], seconds[way] = model.roles_, round(time.process_time() - began, 2)
        if draws:
            record |= {"p_values": model.p_values_, "discrepancy": model.discrepancy_, "remarks": model.remarks_}
            record["by_chance"] = {name: values.tolist() for name, values in model.chance_.items()}
    results = [{"name": "accuracy", "model": way, **share(found == truth)} for way, found in told.items()]
    return (
        {"command": "python bench/relational.py", "task": task, "seed": seed, "results": results}
        | record
        | {"seconds": seconds}
    )


def main() -> None:
    for task in TASKS:
        for seed in SEEDS if task in ("halves", "thinned") else (0,):
            fill(PLACES / f"{task}-{seed}.json", partial(look, task, seed))


if __name__ == "__main__":
    main()
