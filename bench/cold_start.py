"""Cold start: a backbone from images without labels, then classifiers from a few labels, beside training from scratch.

    JUYI_DATA=... python bench/cold_start.py                what is missing, one result file each
    JUYI_DATA=... python bench/cold_start.py cifar10        that task alone
    JUYI_DATA=... python bench/cold_start.py cifar10-lora   that method on that task
    python bench/cold_start.py --list

A backbone is made by the command as a person would type it, and kept in the folder `backbones` of Juyi's cache; labels
never reach it.  For each number of labels a class, five draws of labels (seeds 0 to 4) are the same for all methods.
Every method has the same budget to choose its setting: three settings, by two folds of the labels of draw 0; the one
that is right most often there serves for all five draws.  `scratch` is the same network with random weights, and all of
it learns, with the same augmentation as `full`.  The test is scored once a draw, and nothing is chosen by it.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from functools import partial

import numpy as np
from run import RESULTS, fill, make_once
from sklearn.model_selection import StratifiedKFold

import juyi
from juyi.data import Domain
from juyi.finetune import METHODS, Finetuner
from juyi.finetune.run import untrained
from juyi.measure import neighbour_scores, share, wilson_interval
from juyi.training import Served

DRAWS = range(5)
ISIF = "--method isif --net airbench-0.5 --optimiser adam --learning-rate 0.002"
PACS = ("photo", "art_painting", "cartoon", "sketch")

BACKBONES: dict[str, str] = {
    "cifar_isif": f"juyi pretrain cifar10@train --watch cifar10@train --test cifar10@test {ISIF} --epochs 22",
    "cifar_patches": "juyi pretrain cifar10@train --method patches",
    "fashion_isif": "juyi pretrain fashion_mnist@train --watch fashion_mnist@train --test fashion_mnist@test "
    f"--look grey {ISIF} --epochs 5",
    **{
        f"pacs_{domain}": f"juyi pretrain pacs128@{'+'.join(other for other in PACS if other != domain)} --size 64 "
        f"{ISIF} --epochs 8"
        for domain in PACS
    },
}
"""Backbones by name: how each is made."""


@dataclass(frozen=True)
class Task:
    """What a backbone is used for.

    Args:
        backbone: its name in `BACKBONES`.
        few: the data from which the labels are drawn.
        test: the data that are scored; None for all rows of `few` whose labels were not drawn.
        counts: numbers of labels a class.
        size: pixels to which images are brought.
        flip: whether images may be mirrored.
        tuned: at which numbers of labels the methods that change the backbone are measured too.
    """

    backbone: str
    few: str
    test: str | None
    counts: tuple[int, ...]
    size: int | None = None
    flip: bool = True
    tuned: tuple[int, ...] = ()


TASKS: dict[str, Task] = {
    "cifar10": Task("cifar_isif", "cifar10@train", "cifar10@test", (10, 40, 400), tuned=(40, 400)),
    "fashion_mnist": Task("fashion_isif", "fashion_mnist@train", "fashion_mnist@test", (10, 100)),
    **{f"pacs_{domain}": Task(f"pacs_{domain}", f"pacs128@{domain}", None, (10,), size=64) for domain in PACS},
}

RATES = tuple({"learning_rate": rate} for rate in (1e-3, 3e-3, 1e-2))
GRIDS: dict[str, tuple[dict[str, float], ...]] = {
    "linear": tuple({"strength": strength} for strength in (1.0, 10.0, 100.0)),
    "untrained": tuple({"strength": strength} for strength in (1.0, 10.0, 100.0)),
    **dict.fromkeys(("scratch", "full", "lp_ft", "lora", "fixmatch"), RATES),
}
"""The three settings from which each method chooses; `untrained` is `linear` on the network before it has learnt."""


def main(wanted: list[str]) -> None:
    for name, place, measure in parts():
        if not wanted or any(f"{name}-".startswith(f"{word}-") for word in wanted):
            fill(place, measure)


def parts():
    for task, given in TASKS.items():
        for method in GRIDS:
            simple = method in ("linear", "untrained", "scratch")
            for count in given.counts if simple else given.tuned:
                name = f"{task}-{method}-{count}"
                yield name, RESULTS / "cold_start" / f"{name}.json", partial(measure, task, method, count)
    yield "cifar10-whitened", RESULTS / "pretrain" / "cifar_isif_whitened.json", whitened
    yield "cifar10-patches-5000", RESULTS / "cold_start" / "cifar10-patches-5000.json", all_labels


def find_backbone(name: str) -> Served:
    """The backbone of that name, which is pretrained if it is not."""
    from juyi.data.cache import cache_folder

    folder = cache_folder() / "backbones" / f"{name}-0"
    make_once(f"{BACKBONES[name]} --seed 0", folder, RESULTS / "pretrain" / f"{name}.json")
    return juyi.read_run(folder)


def measure(task: str, method: str, count: int) -> dict:
    """Choose a setting on the labels of draw 0, then learn from each draw and score it."""
    given = TASKS[task]
    backbone = find_backbone(given.backbone)
    start = untrained(backbone, 0) if method in ("scratch", "untrained") else backbone
    every = juyi.load(given.few, size=given.size)
    more = juyi.withhold_labels(every)
    chosen, compared = choose(method, start, drawn(every, count, 0)[0], more, given.flip)
    test = None if given.test is None else juyi.load(given.test)
    draws = []
    for seed in DRAWS:
        few, rest = drawn(every, count, seed)
        began = time.time()
        learnt = make(method, chosen, few.size, given.flip, seed).learn(start, few, more)
        draws += [
            {"seed": seed, **scored(learnt, rest if test is None else test), "seconds": round(time.time() - began, 1)}
        ]
        print(f"{task} {method} {count}: {draws[-1]}", flush=True)
    return {
        "command": f"python bench/cold_start.py {task}-{method}-{count}", "task": task, "method": method,
        "labels_a_class": count, "backbone": f"{BACKBONES[given.backbone]} --seed 0", "chosen": chosen,
        "cross_validated": compared, "test": given.test or "rows whose labels were not drawn", "draws": draws,
    }  # fmt: skip


def all_labels() -> dict:
    """Patches, and a linear head on them by all labels: what it comes to, and how long both take together."""
    began = time.time()
    backbone = find_backbone("cifar_patches")
    learnt = METHODS["ridge"]().learn(backbone, juyi.load("cifar10@train"))
    seconds = round(time.time() - began, 1)
    return {
        "command": "python bench/cold_start.py cifar10-patches", "task": "cifar10", "method": "patches and ridge",
        "labels_a_class": 5_000, "backbone": f"{BACKBONES['cifar_patches']} --seed 0", "chosen": {},
        "test": "cifar10@test", "draws": [{**scored(learnt, juyi.load("cifar10@test")), "seconds": seconds}],
    }  # fmt: skip


def scored(learnt: Finetuner, test: Domain) -> dict[str, float]:
    """The accuracy on a test, with its interval."""
    accuracy = learnt.score(test)
    low, high = wilson_interval(round(accuracy * test.size), test.size)
    return {"accuracy": accuracy, "low": low, "high": high, "n": test.size}


def whitened() -> dict:
    """Neighbours in the features of `cifar_isif` after whitening, by mean and covariance of unlabelled images.

    That whitening helps was seen on training images: there .55 became .63, with 12,000 voters and 2,000 asked.
    """
    began = time.time()
    backbone = find_backbone("cifar_isif")
    known, test = juyi.load("cifar10@train"), juyi.load("cifar10@test")
    features = backbone.features(known)
    mean = features.mean(0)
    spread, axes = np.linalg.eigh(np.cov(features.T))
    white = axes / np.sqrt(np.maximum(spread, 0.0) + 1e-3 * spread.mean())
    votes = neighbour_scores(
        (features - mean) @ white, known.y, (backbone.features(test) - mean) @ white, 10, k=200, temperature=0.1
    )
    return {
        "command": "python bench/cold_start.py cifar10-whitened", "serves": "isif, whitened",
        "seconds": {"whitening and asking": round(time.time() - began, 1)},
        "results": [{"name": "accuracy", "model": "isif, whitened", **share(votes.argmax(1) == test.y),
                     "on": {"data": "cifar10@test", "role": "test"}}],
    }  # fmt: skip


def drawn(every: Domain, count: int, seed: int) -> tuple[Domain, Domain]:
    """So many labelled rows of each class, and the rest with its labels."""
    labelled = juyi.withhold_labels(every, count, seed).labelled
    return every.select(labelled), every.select(~labelled)


def make(method: str, setting: dict, rows: int, flip: bool, seed: int) -> Finetuner:
    """A method with its setting; those that learn by gradients take about 20,000 rows, or 15 passes if that is more."""
    if method in ("linear", "untrained"):
        return METHODS["linear"](random_state=seed, **setting)
    kind = METHODS["full" if method == "scratch" else method]
    steps = {"batch": 64, "epochs": max(15, 20_000 // rows), "augment": "weak", "flip": flip}
    scratch = {"body_rate": 1.0} if method == "scratch" else {}
    return kind(random_state=seed, **steps, **scratch, **setting)


def choose(method: str, start: Served, few: Domain, more: Domain, flip: bool) -> tuple[dict, dict[str, float]]:
    """The setting that is right most often on the rows that were not fitted, and what each came to."""
    folds = list(StratifiedKFold(2, shuffle=True, random_state=0).split(few.y, few.y))
    compared = {}
    for setting in GRIDS[method]:
        right = 0
        for fitted, held in folds:
            asked = few.select(held)
            learnt = make(method, setting, len(fitted), flip, 0).learn(start, few.select(fitted), more)
            right += round(learnt.score(asked) * asked.size)
        compared[json.dumps(setting)] = right / few.size
    return json.loads(max(compared, key=lambda setting: compared[setting])), compared


if __name__ == "__main__":
    if "--list" in sys.argv:
        print("\n".join(name for name, _, _ in parts()))
    else:
        main(sys.argv[1:])
