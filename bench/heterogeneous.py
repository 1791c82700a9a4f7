"""Other columns: many labelled rows there, few here, whose columns are other ones.

    python bench/heterogeneous.py      write bench/results/heterogeneous/TASK-SEED.json

`digits`: pixels of 900 images of digits there; here directions of edges in others of the images.  `sensors`: two devices
that measure the same six hidden quantities, each by columns of its own, 20 and 12.  Three labels a class here, 10 seeds.
The floor is a model of these few labels alone.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import time
from functools import partial

import numpy as np
from run import RESULTS, fill
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from juyi.adapt.heterogeneous import METHODS
from juyi.data import as_domain
from juyi.measure.intervals import share

PLACES = RESULTS / "heterogeneous"
SEEDS, A_CLASS = range(10), 3
Task = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def edges(images: np.ndarray) -> np.ndarray:
    """Strength of edges in eight directions in each of nine fields of 8×8 images, 72 columns."""
    down, right = np.gradient(images, axis=(1, 2))
    strength, direction = np.hypot(down, right), np.floor(np.arctan2(down, right) / (2 * np.pi) * 8) % 8
    fields = [slice(0, 3), slice(3, 5), slice(5, 8)]
    found = [
        (strength * (direction == way))[:, rows, columns].sum((1, 2))
        for rows in fields for columns in fields for way in range(8)
    ]  # fmt: skip
    return np.stack(found, 1)


def digits(seed: int) -> Task:
    data = load_digits()
    order = np.random.default_rng(seed).permutation(len(data.target))
    ours, theirs = order[:900], order[900:]
    return data.data[ours], data.target[ours], edges(data.images[theirs]), data.target[theirs]


def sensors(seed: int) -> Task:
    rng = np.random.default_rng(seed)
    means = 1.5 * rng.normal(size=(4, 6))
    sides = []
    for rows, columns in ((1_000, 20), (1_000, 12)):
        y = rng.integers(4, size=rows)
        hidden = means[y] + rng.normal(size=(rows, 6))
        sides += [np.tanh(hidden @ rng.normal(size=(6, columns)) / 2) + 0.3 * rng.normal(size=(rows, columns)), y]
    return tuple(sides)


TASKS = {"digits": digits, "sensors": sensors}


def look(task: str, seed: int) -> dict:
    x, y, z, truth = TASKS[task](seed)
    order = np.random.default_rng(seed).permutation(len(truth))
    few = np.concatenate([order[truth[order] == c][:A_CLASS] for c in np.unique(y)])
    rest = np.setdiff1d(order, few)
    labels = np.full(len(truth), None, object)
    labels[few] = truth[few]
    scale = StandardScaler().fit(z)
    alone = LogisticRegression(max_iter=2_000).fit(scale.transform(z[few]), truth[few])
    told, seconds, remarks = {"target_only": alone.predict(scale.transform(z[rest]))}, {}, {}
    for name, method in METHODS.items():
        began = time.process_time()
        model = method(random_state=seed).fit(x, y, target=as_domain(z, labels, name="here"))
        told[name], seconds[name] = model.predict(z[rest]), round(time.process_time() - began, 2)
        remarks[name] = model.remarks_
    results = [{"name": "accuracy", "model": name, **share(found == truth[rest])} for name, found in told.items()]
    command = "python bench/heterogeneous.py"
    return {"command": command, "task": task, "seed": seed, "results": results, "seconds": seconds, "remarks": remarks}


def main() -> None:
    for task in TASKS:
        for seed in SEEDS:
            fill(PLACES / f"{task}-{seed}.json", partial(look, task, seed))


if __name__ == "__main__":
    main()
