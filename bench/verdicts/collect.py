"""Train every method on every pair and keep what it says: one .npz and one .json a pair and seed.

    JUYI_DATA=... python bench/verdicts/collect.py                     all that is missing
    JUYI_DATA=... python bench/verdicts/collect.py --pairs mnist-usps  some of it
    ... --set development --to FOLDER --part 0/2                       the other pairs; every second one

Kept are the logits (in steps of 1/20 below the largest of a row, at most 12.75) on held-out source rows and on target
rows at a third, two thirds and the end of the training, with the held-out labels; the rehearsals; and, apart from it
all and read by nothing that chooses or judges, which rows of the test each model is right on.
"""

from __future__ import annotations

import argparse
import json
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
from pairs import CONFIRMATION, DEVELOPMENT, PAIRS

from juyi.adapt import METHODS
from juyi.adapt.rehearsal import Stage
from juyi.data import Domain
from juyi.data.splits import hold_out
from juyi.errors import JuyiError
from juyi.nets import SOURCE, TARGET, Network
from juyi.training import Rows, Silent
from juyi.training.serving import compute

RECORDS = Path(__file__).parent / "records"
ADAPTING = ("adabn", "mcc", "deep_coral", "dann", "cdan", "shot", "adamatch")
BEST = ("mcc", "deep_coral", "shot")
KEPT_ROWS = 800


class Thirds(Silent):
    """Keeps the logits at a third and two thirds of the last stage, and apart from them which test rows are right."""

    def __init__(self, validation: Rows, target: Rows, test: Rows) -> None:
        self.sides, self.test = {SOURCE: validation, TARGET: target}, test
        self.found: list[tuple[dict[str, np.ndarray], np.ndarray]] = []

    def step_done(self, run) -> None:
        if run.step in {max(1, run.total_steps // 3), max(1, 2 * run.total_steps // 3)}:
            served = run.stage.serves or next(m for m in run.state.owners if isinstance(m, Network))
            self.found.append(self.look(served))

    def look(self, net: Network) -> tuple[dict[str, np.ndarray], np.ndarray]:
        logits = {
            domain: compute(net, rows, np.arange(min(KEPT_ROWS, rows.size)), partial(net, domain=domain)).numpy()
            for domain, rows in self.sides.items()
        }
        answers = compute(net, self.test, np.arange(self.test.size), partial(net, domain=TARGET)).argmax(1)
        return logits, (answers == self.test.y).numpy()


def settings(name: str, domain: Domain, seed: int) -> dict:
    """About 200 steps: few, so that a run takes seconds; adamatch, whose steps are three times as dear, 150."""
    steps = {"adamatch": 150}.get(name, 200) if domain.is_images else 400
    found = {"net": "lenet5" if domain.is_images else "mlp", "random_state": seed, "precision": "float32"}
    found |= {"augment": "weak", "flip": True} if domain.x.shape[2:] == (32, 32) and domain.is_images else {}
    epochs = max(2, round(steps * 64 / domain.size))
    return found | ({"epochs": epochs, "target_epochs": max(2, epochs // 2)} if name == "shot" else {"epochs": epochs})


def small(logits: np.ndarray) -> np.ndarray:
    """Logits below the row's largest, in steps of 1/20."""
    return np.clip(np.rint(20 * (logits.max(1, keepdims=True) - logits)), 0, 255).astype(np.uint8)


def collect(pair, seed: int, methods: tuple[str, ...], *, rehearse: bool) -> tuple[dict[str, np.ndarray], dict]:
    """Train source only and the methods; rehearse."""
    source, target, test = pair(seed)
    training, validation = hold_out(source, 0.2, seed=seed)
    arrays: dict[str, np.ndarray] = {"source_label": validation.y.astype(np.uint8)}
    about: dict = {
        "shape": list(source.x.shape), "target_rows": target.size, "test_rows": test.size,
        "classes": len(source.classes), "seconds": {}, "rehearsal": {}, "refused": {},
    }  # fmt: skip
    stage = Stage(training, target, seed)
    device = torch.device("cpu")
    for name in ("source_only", *methods):
        method = METHODS[name](**settings(name, training, seed))
        began = time.time()
        try:
            watcher = Thirds(*(Rows(domain, device) for domain in (validation, target, test)))
            method.learn(training, target, watcher=watcher)
            about["seconds"][name] = round(time.time() - began, 1)
            moments = [*watcher.found, watcher.look(method.net_)][-3:]
            for moment, (looked, right) in enumerate(moments, 4 - len(moments)):
                for domain, logits in looked.items():
                    arrays[f"{name}/{moment}/{domain}"] = small(logits)
                arrays[f"{name}/{moment}/test_right"] = np.packbits(right)
            about.setdefault("accuracy", {})[name] = round(float(right.mean()), 4)
            if (
                name == "source_only" or not rehearse
            ):  # the rule does not read rehearsals; once tells what they are worth
                continue
            began = time.time()
            about["rehearsal"][name] = stage.rehearse(METHODS[name](**settings(name, stage.source, seed))).as_json()
            about["seconds"][name + " rehearsal"] = round(time.time() - began, 1)
        except JuyiError as error:
            about["refused"][name] = str(error)
    return arrays, about


def main() -> None:
    words = argparse.ArgumentParser()
    words.add_argument("--set", choices=("bench", "development", "confirmation"), default="bench")
    words.add_argument("--to", type=Path, default=RECORDS)
    words.add_argument("--pairs", nargs="*")
    words.add_argument("--part", default="0/1")
    words.add_argument("--no-rehearsal", action="store_true")
    words.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    given = words.parse_args()
    part, parts = map(int, given.part.split("/"))
    pairs = {"bench": PAIRS, "development": DEVELOPMENT, "confirmation": CONFIRMATION}[given.set]
    for seed in given.seeds:
        for number, (name, pair) in enumerate(pairs.items()):
            place = given.to / f"{name}--{seed}.json"
            if place.exists() or number % parts != part or (given.pairs and name not in given.pairs):
                continue
            began = time.time()
            arrays, about = collect(
                pair, seed, ADAPTING if seed == 0 else BEST, rehearse=not (seed or given.no_rehearsal)
            )
            given.to.mkdir(parents=True, exist_ok=True)
            np.savez_compressed(place.with_suffix(".npz"), **arrays)
            about = {"pair": name, "seed": seed, **about, "wall_seconds": round(time.time() - began, 1)}
            place.with_suffix(".tmp").write_text(json.dumps(about, indent=1) + "\n")
            place.with_suffix(".tmp").rename(place)
            print(name, seed, about["wall_seconds"], about["accuracy"], flush=True)


if __name__ == "__main__":
    main()
