"""Other columns: many labelled rows there, few here, whose columns are other ones.

    python bench/heterogeneous.py      write bench/results/heterogeneous/TASK-SEED.json

`digits`: pixels of 900 images of digits there; here directions of edges in other images, three labels a class.
`pixels`: the same there; here 48 of the 64 pixels of other images, in an order that nobody knows, with noise, three
labels a class.  `sensors`: two devices that measure the same six hidden quantities, each by columns of its own, 20 and
12; no label here, but 24 things were measured by both.  The floor is a model of these few rows alone; of a pair the
label is known there.  Settings were chosen on seeds 100 to 102.
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
SEEDS, A_CLASS, PAIRS = range(10), 3, 24
Task = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]


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
    images, y, rng = load_digits().images, load_digits().target, np.random.default_rng(seed)
    order = rng.permutation(len(y))
    ours, theirs = order[:900], order[900:]
    return images[ours].reshape(900, -1), y[ours], edges(images[theirs]), y[theirs], few_of(y[theirs], rng), None


def pixels(seed: int) -> Task:
    x, y, rng = load_digits().data, load_digits().target, np.random.default_rng(seed)
    order = rng.permutation(len(y))
    ours, theirs, columns = order[:900], order[900:], rng.permutation(64)[:48]
    z = x[theirs][:, columns] + 2 * rng.normal(size=(len(theirs), 48))
    return x[ours], y[ours], z, y[theirs], few_of(y[theirs], rng), None


def sensors(seed: int) -> Task:
    rng = np.random.default_rng(seed)
    means, y = 1.2 * rng.normal(size=(4, 6)), rng.integers(4, size=2_000)
    hidden = means[y] + rng.normal(size=(2_000, 6))
    hidden[1_000 : 1_000 + PAIRS], y[1_000 : 1_000 + PAIRS] = hidden[:PAIRS], y[:PAIRS]
    x, z = (
        np.tanh(part @ rng.normal(size=(6, columns)) / 2) + 0.5 * rng.normal(size=(1_000, columns))
        for part, columns in ((hidden[:1_000], 20), (hidden[1_000:], 12))
    )
    few = np.arange(PAIRS)
    return x, y[:1_000], z, y[1_000:], few, np.stack([few, few], 1)


def few_of(y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    order = rng.permutation(len(y))
    return np.concatenate([order[y[order] == c][:A_CLASS] for c in np.unique(y)])


TASKS = {"digits": digits, "pixels": pixels, "sensors": sensors}


def look(task: str, seed: int, methods: tuple[str, ...] = tuple(METHODS)) -> dict:
    x, y, z, truth, few, pairs = TASKS[task](seed)
    rest = np.setdiff1d(np.arange(len(truth)), few)
    labels = np.full(len(truth), None, object)
    if pairs is None:
        labels[few] = truth[few]
    scale = StandardScaler().fit(z)
    alone = LogisticRegression(max_iter=2_000).fit(scale.transform(z[few]), truth[few])
    told, seconds, remarks = {"target_only": alone.predict(scale.transform(z[rest]))}, {}, {}
    for name in methods:
        began = time.process_time()
        model = METHODS[name](random_state=seed).fit(x, y, target=as_domain(z, labels, name="here"), pairs=pairs)
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
