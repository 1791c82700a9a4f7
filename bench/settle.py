"""How many labels `juyi settle` needs, beside the same test on rows drawn from the whole target, and how often it errs.

    JUYI_DATA=... python bench/settle.py            what is missing in bench/results/settle.json
    JUYI_DATA=... python bench/settle.py --table    what it holds

Each pair is a target of N rows, on N_D of which two models disagree; on `better` of these only the first is right, on
`worse` only the second.  An oracle labels rows in 2,000 random orders and stops at the first answer.  `labels` is the
mean number from the disagreeing rows, `labels_random` from the whole target, where the rows on which the models agree
count z = 0; `ratio` is the one over the other, over the disagreement rate.  An answer is wrong if it is `helped` or
`hurt` and the true gain is not of that sign, or `no_difference` and it is more than two points.  `ever_wrong` counts an
order in which such an answer would be given at any moment before all are labelled, not only at the first answer.
`labels_sign_test` is that of the sequential sign test, the same bets, that does not know N_D (it cannot say
`no_difference`, so it goes on to the last row); of pairs whose models differ.

Simulated pairs are counts alone.  Real ones are runs of this file: subsets of 2,000 images, the labels of the target's
files.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from run import keep

import juyi
from juyi.measure.betting import capital, first, margin_rows, moments
from juyi.runs import RunFolder
from juyi.runs.predictions import models_in, read_predictions
from juyi.training.machine import describe_machine, versions

PLACE = Path(__file__).parent / "results" / "settle.json"
ORDERS, BLOCK, MARGIN = 2_000, 250, 0.02
SIZES, RATES = (500, 2_000, 8_000), (0.05, 0.15, 0.4)
BETTER, NEITHER = (0.5, 0.55, 0.6, 0.75, 0.9), 0.2
REAL = {
    "mnist to mnist_m, dann": ("mnist@train[:2000]", "mnist_m@train[:2000]", "dann"),
    "mnist to mnist_m, mcc": ("mnist@train[:2000]", "mnist_m@train[:2000]", "mcc"),
    "usps to mnist, deep_coral": ("usps@train[:2000]", "mnist@train[:2000]", "deep_coral"),
    "mnist to usps, dann": ("mnist@train[:2000]", "usps@train[:2000]", "dann"),
}


def main() -> None:
    record = json.loads(PLACE.read_text()) if PLACE.is_file() else {"pairs": {}}
    for name, make in planned().items():
        if name in record["pairs"]:
            continue
        began = time.time()
        record["pairs"][name] = {**make(), "cpu_seconds": 0.0}
        record["pairs"][name]["cpu_seconds"] = round(time.process_time() - main.clock, 1)  # type: ignore[attr-defined]
        main.clock = time.process_time()  # type: ignore[attr-defined]
        print(f"{name}: {record['pairs'][name]}", flush=True)
        summary = {"command": "python bench/settle.py", "orders": ORDERS, "results": summarise(record["pairs"])}
        machine = {"machine": describe_machine(torch.device("cpu")), "versions": versions()}
        keep({**summary, **machine, "pairs": record["pairs"]}, PLACE, began)
    print(json.dumps(summarise(record["pairs"]), indent=1))


main.clock = time.process_time()  # type: ignore[attr-defined]


def planned() -> dict:
    """Name every pair, and say how it is made."""
    found = {name: lambda words=words: one_pair(*run_one(*words)) for name, words in REAL.items()}
    for total in SIZES:
        for rate in RATES:
            for better in BETTER:
                size = round(total * rate)
                decisive = round(size * (1 - NEITHER))
                ahead = round(decisive * better)
                found[f"simulated, N {total}, disagreeing {rate:.0%}, better {better:.0%}"] = (
                    lambda size=size, total=total, ahead=ahead, behind=decisive - ahead: one_pair(
                        size, total, ahead, behind
                    )
                )
        # exactly at the two borders, where an error is likeliest
        size, bound = round(total * 0.15), margin_rows(MARGIN, total)
        for more, what in ((0, "equal"), (-1, "one row worse"), (bound + 1, "one row more than the margin")):
            behind = (round(size * 0.8) - more) // 2
            found[f"simulated, N {total}, disagreeing 15%, {what}"] = (
                lambda size=size, total=total, behind=behind, more=more: one_pair(size, total, behind + more, behind)
            )
    return found


def one_pair(size: int, total: int, better: int, worse: int) -> dict:
    """Label in random orders, from the disagreeing rows and from all; count labels and errors."""
    rng = np.random.default_rng(size * 31 + total * 7 + better)
    values = np.repeat(np.array([1, -1, 0], np.int8), [better, worse, size - better - worse])
    labels, answers, ever = until(values, size, total, better - worse, rng)
    whole = np.concatenate([values, np.zeros(total - size, np.int8)])
    labels_random, answers_random, _ = until(whole, total, total, better - worse, rng, whole_target=True)
    found = {
        "rows": total, "disagreeing": size, "better": better, "worse": worse,
        "gain": round((better - worse) / total, 5),
        "labels": round(float(labels.mean()), 1), "labels_90_percent": int(np.quantile(labels, 0.9)),
        "labels_random": round(float(labels_random.mean()), 1),
        "ratio": round(float(labels.mean() / labels_random.mean() / (size / total)), 4),
        "wrong": float(wrong(answers, better - worse, total).mean()), "ever_wrong": float(ever.mean()),
        "wrong_random": float(wrong(answers_random, better - worse, total).mean()),
        "answers": {str(a): int((answers == a).sum()) for a in np.unique(answers)},
    }  # fmt: skip
    if better > worse:
        found["labels_sign_test"] = round(float(sign_test(values, rng).mean()), 1)
    return found


def until(
    values: np.ndarray, size: int, total: int, true: int, rng: np.random.Generator, whole_target: bool = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Count labels to the first answer in each order; give the answers, and whether a wrong one could ever be given."""
    labels, answers, ever = [], [], []
    for _ in range(ORDERS // BLOCK):
        orders = rng.permuted(np.tile(values, (BLOCK, 1)), axis=1)
        count, answer = np.zeros(BLOCK, int), np.full(BLOCK, "", object)
        steps, open_ = min(64, size), np.ones(BLOCK, bool)
        while open_.any():
            at = moments(orders[open_, :steps], size, total, MARGIN)
            stop = np.minimum.reduce(list(at.values()))
            names = np.select([at[name] == stop for name in at], list(at), default="")
            done = stop <= steps
            where = np.flatnonzero(open_)[done]
            count[where], answer[where] = stop[done], names[done]
            open_[where] = False
            steps = min(2 * steps, size)
        labels.append(count)
        answers.append(answer.astype(str))
        if not whole_target:
            ever.append(ever_wrong(orders, size, total, true))
    return np.concatenate(labels), np.concatenate(answers), np.concatenate(ever) if ever else np.zeros(0, bool)


def ever_wrong(orders: np.ndarray, size: int, total: int, true: int) -> np.ndarray:
    """Tell in which orders a wrong answer would be given at some moment, were one to look at all of them."""
    at = moments(orders[:, : size - 1], size, total, MARGIN)  # with the last label it is exact
    found = np.zeros(len(orders), bool)
    for answer, when in at.items():
        if wrong(np.array([answer]), true, total)[0]:
            found |= when < size
    return found


def wrong(answers: np.ndarray, true: int, total: int) -> np.ndarray:
    """Tell which answers are wrong, if the first model is right on `true` more rows than the second."""
    small = abs(true) <= margin_rows(MARGIN, total)
    right = {"helped": true > 0, "hurt": true < 0, "no_difference": small}
    return np.array([not right[str(answer)] for answer in answers])


def sign_test(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Count labels of the sequential sign test, in 250 orders; all of them where it gives no answer before."""
    orders = rng.permuted(np.tile(values, (BLOCK, 1)), axis=1)
    endless, limit = 10**9, math.log(2 / 0.05)
    both = [first(capital(sign * orders, endless, 0) >= limit) for sign in (1, -1)]
    return np.minimum(np.minimum(*both), len(values))


def run_one(source: str, target: str, method: str) -> tuple[int, int, int, int]:
    """Train, and count by the labels of the target's files on which rows only one model is right."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            "adapt",
            source,
            target,
            "--method",
            method,
            "--net",
            "lenet5",
            "--epochs",
            "8",
            "--out",
            f"{folder}/run",
        ]
        subprocess.run([sys.executable, "-m", "juyi", *command], check=True, capture_output=True)
        run = RunFolder.open(f"{folder}/run")
        data = juyi.load(target)
        truth = np.array([data.classes[code] for code in data.y], object)
        model, floor = (
            read_predictions(run, name, data.classes, data.size).classes for name in (models_in(run)[-1], "source_only")
        )
    differ = model != floor
    return (
        int(differ.sum()),
        data.size,
        int(((model == truth) & differ).sum()),
        int(((floor == truth) & differ).sum()),
    )


def summarise(pairs: dict) -> dict:
    """Sum up: ratios, errors, and how the labels compare with those of the sign test."""
    found = list(pairs.values())
    asked = [pair for pair in found if pair["labels"] > 0]
    clear = [pair for pair in asked if pair.get("labels_sign_test") and pair["better"] >= 1.5 * pair["worse"]]
    ratios = [pair["ratio"] for pair in asked]
    return {
        "pairs": len(found),
        "ratio_mean": round(float(np.mean(ratios)), 4), "ratio_worst": max(ratios), "ratio_must_reach": 1.15,
        "wrong_worst": max(pair["wrong"] for pair in found), "wrong_must_reach": 0.05,
        "wrong_mean": round(float(np.mean([pair["wrong"] for pair in found])), 5),
        "ever_wrong_worst": max(pair["ever_wrong"] for pair in found),
        "labels_over_sign_test": round(float(np.mean([p["labels"] / p["labels_sign_test"] for p in clear])), 3)
        if clear else None,
        "cpu_seconds": round(sum(pair["cpu_seconds"] for pair in found), 1),
    }  # fmt: skip


if __name__ == "__main__":
    np.seterr(all="raise", under="ignore")
    if sys.argv[1:] == ["--table"]:
        print(json.dumps(summarise(json.loads(PLACE.read_text())["pairs"]), indent=1))
    else:
        main()
