"""Benchmark: how often estimated bounds hold, and intervals of transferability scores, on synthetic truth.

    python bench/coverage_bounds.py             what is missing, in parts of 100 resamplings; may be stopped at will
    python bench/coverage_bounds.py --table     from the parts that are there

A bound on the target's error holds where the true error is at most the bound; Dis² where the true accuracy is at least
its bound.  Each resampling draws a shift, 300 training rows for the classifier, 1,000 labelled source rows, 1,000
target rows, and 20,000 more target rows that tell the truth.  `_core` is a bound less its sampling term, with which
the three older ones say nothing about so few rows.  Three kinds of shift:

- `covariate`: two classes in the plane, parted by one line in both domains, 5 % of labels wrong; the target's rows lie
  elsewhere and are spread otherwise.  What the bounds assume holds, but for what a few per cent of noise make of λ.
- `covariate_5_classes`: the same with five classes in six dimensions.
- `concept`: the rows move little, and the line turns by an angle of up to 180°.  No estimate from unlabelled rows can
  see that: here the bounds must fail, and how often is reported apart.  With 50 labels of the target λ shows it.

For intervals of transferability scores (200 rows, four classes, eight features) the truth is the mean of the score over
all resamplings, which an interval of 95 % should hold in 95 % of them.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import json
import re
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from run import keep

from juyi.measure import (
    ben_david_bound,
    dis2_bound,
    gbc,
    h_score,
    leep,
    linear_classifier,
    linear_prediction,
    log_me,
    mansour_bound,
    margin_bound,
    nce,
    trans_rate,
    wilson_interval,
)

RESULT = Path(__file__).parent / "results" / "coverage_bounds.json"
WORK = Path(tempfile.gettempdir()) / "juyi-bench-coverage-bounds"
PART, ROWS, TRAIN, TRUTH, LABELS = 100, 1_000, 300, 20_000, 50
KINDS = {"covariate": 2_000, "covariate_5_classes": 200, "concept": 300, "scores": 2_000}
"""How many resamplings of each."""
BOUNDS = {"ben_david_bound": ben_david_bound, "mansour_bound": mansour_bound, "margin_bound": margin_bound}


def rule(x: np.ndarray, w: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Label rows by the largest of linear scores; one label in twenty is drawn at random."""
    y = (x @ w[:-1] + w[-1]).argmax(1)
    return np.where(random.random(len(x)) < 0.05, random.integers(0, w.shape[1], len(x)), y)


def shift(kind: str, random: np.random.Generator) -> tuple[Callable, Callable, np.ndarray, np.ndarray]:
    """Draw a problem: how source and target rows are drawn, and the rules of both."""
    d, classes = (6, 5) if kind == "covariate_5_classes" else (2, 2)
    w = random.normal(size=(d + 1, classes))
    w[-1] *= 0.3
    far = 0.3 if kind == "concept" else random.uniform(0, 2.5)
    move, spread = random.normal(size=d), np.exp(random.normal(scale=0.3, size=d))
    move *= far / np.sqrt((move * move).sum())
    there = w.copy()
    if kind == "concept":
        angle = random.uniform(0, np.pi)
        cos, sin = np.cos(angle), np.sin(angle)
        there[:2] = np.array([[cos, -sin], [sin, cos]]) @ w[:2]
    return (
        lambda n: random.normal(size=(n, d)),
        lambda n: move + spread * random.normal(size=(n, d)),
        w,
        there,
    )


def one_shift(kind: str, seed: int) -> dict:
    """Draw a problem, train a classifier, estimate its bounds, and look up the truth."""
    random = np.random.default_rng((seed, list(KINDS).index(kind)))
    source, target, here, there = shift(kind, random)
    x = source(TRAIN)
    w = linear_classifier(x, rule(x, here, random), here.shape[1])
    x, goal, far = source(ROWS), target(ROWS), target(TRUTH)
    y, label = rule(x, here, random), rule(goal, there, random)
    known = np.where(np.arange(ROWS) < LABELS, label, np.nan)
    found = {"error": float((linear_prediction(w, far) != rule(far, there, random)).mean())}
    for name, bound in BOUNDS.items():
        estimate = bound(x, y, goal, classifier=w, seed=seed)
        found[name] = estimate.value
        found[f"{name}_core"] = estimate.value - sampling(estimate.note)
        if kind == "concept":
            found[f"{name}_labels"] = bound(x, y, goal, classifier=w, label_target=known, seed=seed).value
    given = (x @ w[:-1] + w[-1], y, goal @ w[:-1] + w[-1])
    seen = {"features_source": x, "features_target": goal}
    found["dis2_bound"] = 1 - dis2_bound(*given).value
    found["dis2_bound_features"] = 1 - dis2_bound(*given, **seen).value
    found["dis2_bound_consistent"] = 1 - dis2_bound(*given, **seen, critic="consistent").value
    found["dis2_bound_held_out"] = 1 - dis2_bound(*given, **seen, held_out=True, seed=seed).value
    return found | {"classes": here.shape[1]}


def sampling(note: str) -> float:
    """The sampling term, which the note of a bound names last."""
    return float(re.findall(r"sampling ([\d.e-]+)", note)[-1])


def one_set_of_scores(seed: int) -> dict:
    """Draw rows of one fixed distribution, and score them."""
    centres = np.random.default_rng(99).normal(size=(4, 8))
    random = np.random.default_rng((seed, 3))
    y = random.permutation(np.arange(200) % 4)
    x = centres[y] + random.normal(size=(200, 8)) * np.linspace(0.5, 2, 8)
    p = np.exp(x[:, :5])
    p /= p.sum(1, keepdims=True)
    given = {"log_me": x, "h_score": x, "gbc": x, "trans_rate": x, "leep": p, "nce": p.argmax(1)}
    functions = {"log_me": log_me, "h_score": h_score, "gbc": gbc, "trans_rate": trans_rate, "leep": leep, "nce": nce}
    found = {name: function(given[name], y, seed=seed) for name, function in functions.items()}
    return {name: [one.value, one.low, one.high] for name, one in found.items()}


def part(kind: str, number: int) -> list[dict]:
    """The resamplings of one part, from the folder or anew."""
    place = WORK / f"{kind}-{number}.json"
    if not place.exists():
        began = time.process_time()
        seeds = range(number * PART, (number + 1) * PART)
        records = [one_set_of_scores(seed) if kind == "scores" else one_shift(kind, seed) for seed in seeds]
        WORK.mkdir(exist_ok=True)
        content = {"records": records, "cpu_seconds": time.process_time() - began}
        place.with_suffix(".tmp").write_text(json.dumps(content))
        place.with_suffix(".tmp").rename(place)
        print(f"{kind}, part {number}: {content['cpu_seconds']:.0f} s", flush=True)
    return json.loads(place.read_text())["records"]


def held(values: np.ndarray) -> dict:
    """The share of true values, with its interval."""
    low, high = wilson_interval(int(values.sum()), len(values))
    return {"coverage": round(float(values.mean()), 4), "low": round(low, 4), "high": round(high, 4), "n": len(values)}


def of_bounds(records: list[dict]) -> dict:
    """Of each bound: how often it holds, how often it says nothing, how far it lies from the truth where it says."""
    error, chance = np.array([r["error"] for r in records]), np.array([1 - 1 / r["classes"] for r in records])
    found = {}
    for name in (key for key in records[0] if "bound" in key):
        value = np.array([r[name] for r in records])
        says = value < chance
        said = {"vacuous": round(float(1 - says.mean()), 4)}
        if says.any():
            said["coverage_where_not_vacuous"] = round(float((error <= value)[says].mean()), 4)
            said["mean_slack_where_not_vacuous"] = round(float((value - error)[says].mean()), 4)
        found[name] = held(error <= value) | said
    return {"mean_true_error": round(float(error.mean()), 4), "bounds": found}


def of_scores(records: list[dict]) -> dict:
    """Of each score: how often its interval holds the mean of all its values, and how wide it is on average."""
    found = {}
    for name in records[0]:
        value, low, high = np.array([r[name] for r in records]).T
        truth = value.mean()
        found[name] = held((low <= truth) & (truth <= high)) | {
            "mean": round(float(truth), 4),
            "spread": round(float(value.std()), 4),
            "mean_width": round(float((high - low).mean()), 4),
        }
    return found


def main(table: bool) -> None:
    began = time.time()
    result = {"command": "python bench/coverage_bounds.py", "rows": ROWS, "delta": 0.01, "kinds": {}}
    for kind, n in KINDS.items():
        parts = [k for k in range(n // PART) if not table or (WORK / f"{kind}-{k}.json").exists()]
        records = [record for number in parts for record in part(kind, number)]
        if records:
            result["kinds"][kind] = of_scores(records) if kind == "scores" else of_bounds(records)
    seconds = [json.loads(place.read_text())["cpu_seconds"] for place in WORK.glob("*.json")]
    result["cpu_seconds"] = round(sum(seconds), 1)
    if table:
        print(json.dumps(result, indent=1))
    else:
        keep(result, RESULT, began)


if __name__ == "__main__":
    main("--table" in sys.argv)
