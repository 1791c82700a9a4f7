"""Benchmark of the scores that say which source to start from: do they order networks as the accuracies do?

    JUYI_DATA=... python bench/transferability.py    networks and features that are missing, then scores and table

Six sources of 2,000 grey images of 28×28 each train a small network (`cnn_small`, 6 epochs), three seeds; a seventh is
not trained at all.  Each network turns five targets into features.  From `SHOTS` labelled images a class of the target
each score is computed, and on the same images a linear classifier is fitted; its accuracy on the target's test rows
is what was really reached.  For each target and seed: the rank correlation, over the networks, of score and accuracy.
A network that was trained on the target itself is left out of a second figure, since it needs no score to be chosen.

Networks and features lie in a temporary folder; the result is bench/results/transferability.json.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import itertools
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from run import keep
from scipy.special import softmax
from scipy.stats import kendalltau
from sklearn.linear_model import LogisticRegression

import juyi
from juyi.adapt import SourceOnly
from juyi.measure import gbc, h_score, leep, log_me, nce, trans_rate

RESULT = Path(__file__).parent / "results" / "transferability.json"
WORK = Path(tempfile.gettempdir()) / "juyi-bench-transferability"
SOURCES = ("mnist", "usps", "digits", "fashion_mnist", "mnist_m", "cifar10", "untrained")
TARGETS = ("mnist", "usps", "digits_m", "mnist_m", "fashion_mnist")
SEEDS = range(3)
ROWS, TEST, SHOTS, EPOCHS = 2_000, 1_000, 30, 6


def grey(name: str, rows: int, seed: int, a_class: bool = False) -> juyi.Domain:
    """Load `rows` of a set, drawn by the seed (or so many a class), as grey images of 28×28."""
    domain = juyi.load(name)
    chosen = np.random.default_rng(seed).permutation(domain.size)
    if a_class:
        chosen = np.concatenate([chosen[domain.y[chosen] == k][:rows] for k in range(len(domain.classes))])
    else:
        chosen = chosen[:rows]
    x = torch.from_numpy(domain.x[chosen]).float().mean(1, keepdim=True)
    x = torch.nn.functional.interpolate(x, (28, 28), mode="bilinear", antialias=True)
    return juyi.Domain(x=x.round().clamp(0, 255).byte().numpy(), y=domain.y[chosen], classes=domain.classes, name=name)


def network(source: str, seed: int) -> SourceOnly:
    """Train a network on a source; the untrained one makes one step of no size on images of the first."""
    recipe = {"epochs": 1, "learning_rate": 1e-12} if source == "untrained" else {"epochs": EPOCHS}
    domain = grey(f"{'mnist' if source == 'untrained' else source}@train", 64 if source == "untrained" else ROWS, seed)
    model = SourceOnly(net="cnn_small", random_state=seed, precision="float32", **recipe)
    model.fit(domain)
    return model


def outputs(source: str, seed: int) -> dict[str, np.ndarray]:
    """Features and scores of the labelled and the test rows of every target, from the folder or anew."""
    place = WORK / f"{source}-{seed}.npz"
    if not place.exists():
        print(f"{source}, seed {seed}", flush=True)
        began, model, found = time.process_time(), network(source, seed), {}
        found["seconds"] = np.array(time.process_time() - began)
        for target in TARGETS:
            few, test = grey(f"{target}@train", SHOTS, seed, a_class=True), grey(f"{target}@test", TEST, seed)
            for part, x, y in (("few", few.x, few.y), ("test", test.x, test.y)):
                found[f"{target}_{part}"] = model.transform(x)
                found[f"{target}_{part}_scores"] = model.scores(x)
                found[f"{target}_{part}_label"] = y
        WORK.mkdir(exist_ok=True)
        np.savez(place, **found)
    return dict(np.load(place))


SCORES = {
    "log_me": lambda features, p, y: log_me(features, y),
    "h_score": lambda features, p, y: h_score(features, y),
    "gbc": lambda features, p, y: gbc(features, y),
    "trans_rate": lambda features, p, y: trans_rate(features, y),
    "leep": lambda features, p, y: leep(p, y),
    "nce": lambda features, p, y: nce(p.argmax(1), y),
}


def one_row(found: dict[str, np.ndarray], target: str) -> dict[str, float]:
    """Every score of a network for a target, and the accuracy that a linear classifier on its features reaches."""
    few, label = found[f"{target}_few"], found[f"{target}_few_label"]
    p = softmax(found[f"{target}_few_scores"].astype(float), axis=1)
    middle, spread = few.mean(0), few.std(0) + 1e-6
    probe = LogisticRegression(C=0.1, max_iter=300).fit((few - middle) / spread, label)
    reached = probe.score((found[f"{target}_test"] - middle) / spread, found[f"{target}_test_label"])
    return {name: float(score(few, p, label).value) for name, score in SCORES.items()} | {"accuracy": float(reached)}


def correlations(rows: dict[str, dict[str, float]], leave_out: str = "") -> dict[str, float]:
    """Kendall's τ over the networks, of each score and the accuracy."""
    kept = [source for source in rows if source != leave_out]
    accuracy = [rows[source]["accuracy"] for source in kept]
    return {name: float(kendalltau([rows[s][name] for s in kept], accuracy).statistic) for name in SCORES}


def main() -> None:
    table = {
        (target, seed): {source: one_row(outputs(source, seed), target) for source in SOURCES}
        for target, seed in itertools.product(TARGETS, SEEDS)
    }
    home = {"digits_m": "digits"}
    tau = {f"{target} {seed}": correlations(rows) for (target, seed), rows in table.items()}
    away = {f"{target} {seed}": correlations(rows, home.get(target, target)) for (target, seed), rows in table.items()}
    summary = {
        what: {
            name: {"mean": float(np.mean([t[name] for t in taus.values()])),
                   "least": float(np.min([t[name] for t in taus.values()]))}
            for name in SCORES
        }
        for what, taus in (("all networks", tau), ("without the target's own", away))
    }  # fmt: skip
    keep(
        {
            "command": "python bench/transferability.py",
            "what": "Kendall's tau of score and reached accuracy over 7 networks; 5 targets, 3 seeds",
            "summary": summary, "tau": tau, "tau_without_own": away,
            "rows": {f"{target} {seed}": rows for (target, seed), rows in table.items()},
        },
        RESULT, time.time(),
    )  # fmt: skip
    for what, names in summary.items():
        print(what, {name: round(one["mean"], 2) for name, one in names.items()})


if __name__ == "__main__":
    main()
