"""Three ways to make images from a teacher alone, beside real ones, at equal number: variety, relations, students.

    JUYI_DATA=... python bench/impressions.py    write bench/results/impressions/WAY-SEED.json
    python bench/impressions.py --show           print what is in them

The teachers are the `mnist_lenet5` of bench/run.py.  Each way makes `ROWS` images of MNIST: class impressions, data
impressions (`zskd`), and a generator (`dafl`); the fourth takes real training images.  Then a
`lenet5_half` learns from them, always by the same recipe, and its accuracy is taken on the test images.  How varied
the images of a class are, and whether classes are related as in real images, is measured in the teacher's features
and soft answers; the real images that serve as reference are others than those of the fourth way.

The first two ways run twice, as Juyi has them (smooth noise) and with the papers' free pixels.  Settings were fixed
on `mnist@train[:5000]`.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import json
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
from run import RESULTS, fill, find_teacher

import juyi
from juyi.distill import DAFL, ZSKD, ClassImpressions, Distiller, Hinton, Teacher
from juyi.distill.teachers import as_teacher
from juyi.measure import class_relation, variety_within, wilson_interval

PLACES = RESULTS / "impressions"
ROWS, SEEDS = 1_000, range(3)
FREE = {"smooth": "0", "fit_range": "stretch", "steps": 100}
MAKE = {"impressions": ROWS, "at_once": 1_000, "epochs": 1}
WAYS: dict[str, tuple[type[Distiller] | None, dict]] = {
    "real": (None, {}),
    "class_impressions": (ClassImpressions, MAKE),
    "class_impressions-free": (ClassImpressions, MAKE | FREE),
    "zskd": (ZSKD, MAKE),
    "zskd-free": (ZSKD, MAKE | FREE),
    "dafl": (DAFL, {"epochs": 10}),
}
STUDENT = {"temperature": 20.0, "soft_weight": 1.0, "hard_weight": 0.0, "learning_rate": 3e-3, "augment": "weak"}
STUDENT |= {"epochs": 64, "student": "lenet5_half", "precision": "float32"}


def main() -> None:
    """Make what is missing."""
    for seed in SEEDS:
        for way in WAYS:
            fill(PLACES / f"{way}-{seed}.json", partial(look, way, seed))


def made(way: str, folder: Path, seed: int) -> juyi.Domain:
    """The images of one way, without labels."""
    method, settings = WAYS[way]
    if method is None:
        return juyi.Domain(juyi.load("mnist@train").x[5_000 : 5_000 + ROWS], name=way)
    fitted = method(teacher=folder, student="lenet5_half", precision="float32", random_state=seed, **settings).fit()
    found = fitted.impressions_
    order = np.random.default_rng(seed).permutation(found.size)[:ROWS]
    return juyi.Domain(found.x[np.sort(order)], name=way)


@torch.no_grad()
def seen(teacher: Teacher, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The teacher's scores and features."""
    looks = [teacher.look(torch.from_numpy(np.ascontiguousarray(x[i : i + 500]))) for i in range(0, len(x), 500)]
    return tuple(torch.cat(parts).float().numpy() for parts in zip(*looks, strict=True))  # type: ignore[return-value]


def look(way: str, seed: int) -> dict:
    """Make images, measure them, and teach a student."""
    folder, began = find_teacher("mnist_lenet5", seed), time.process_time()
    images, teacher = made(way, folder, seed), as_teacher(folder)
    seconds = time.process_time() - began
    scores, features = seen(teacher, images.x)
    reference, _ = seen(teacher, juyi.load("mnist@train").x[20_000:30_000])
    variety = variety_within(features, scores.argmax(1), scores.shape[1], rows=100, seed=seed)
    student = Hinton(teacher=folder, random_state=seed, **STUDENT).fit(images)
    test = juyi.load("mnist@test")
    accuracy = student.score(test)
    low, high = wilson_interval(round(accuracy * test.size), test.size)
    estimates = {**variety, "relation": class_relation(scores, reference, seed=seed)}
    return {
        "command": f"python bench/impressions.py ({way}, {folder.name})",
        "rows": images.size,
        "cpu_seconds_to_make": round(seconds, 1),
        "settings": WAYS[way][1],
        "student": STUDENT,
        "classes": np.bincount(scores.argmax(1), minlength=scores.shape[1]).tolist(),
        **{name: {"value": e.value, "low": e.low, "high": e.high} for name, e in estimates.items()},
        "accuracy": {"value": accuracy, "low": low, "high": high, "n": test.size, "data": "mnist@test"},
    }


def show() -> None:
    """Print the mean over the seeds, a line a way."""
    for way in WAYS:
        found = [json.loads(p.read_text()) for s in SEEDS if (p := PLACES / f"{way}-{s}.json").exists()]
        if found:
            cells = [
                f"{name} {np.mean([f[name]['value'] for f in found]):.3f}"
                for name in ("distance", "vendi", "relation", "accuracy")
            ]
            print(f"{way:24s} seeds {len(found)}  " + "  ".join(cells))


if __name__ == "__main__":
    show() if "--show" in sys.argv else main()
