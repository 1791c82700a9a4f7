"""Every method on the 12 pairs of PACS, from a net trained on the source: one JSON a source and seed.

    JUYI_DATA=... python bench/pacs.py            those that are missing
    JUYI_DATA=... python bench/pacs.py 0 photo    that of one seed and source

A small network (cnn_small, 32 × 32 pixels) is trained on 1,000 images of the source, drawn by the seed, for about 600
steps; each method goes on from its weights, by its defaults, for 2 epochs, on 1,000 images of the target without
labels.  All the other images of the target are scored once, at the end.  `mme`, and `source_only` beside it, are given
3 target labels a class.
"""

from __future__ import annotations

import sys
import time
from functools import partial

import numpy as np
import torch
from run import RESULTS, fill

import juyi
from juyi.adapt import METHODS, SourceOnly
from juyi.data import Domain, withhold_labels
from juyi.errors import InputError
from juyi.measure import wilson_interval
from juyi.training import Served, declared
from juyi.training.machine import describe_machine, versions

PLACES = RESULTS / "pacs"
DOMAINS = ("photo", "art_painting", "cartoon", "sketch")
SIZE, ROWS, SEEDS, EPOCHS, LABELS = 32, 1_000, range(3), 2, 3
SHARED = {"batch": 32, "augment": "weak", "flip": True}


def main(wanted: list[str]) -> None:
    for seed in SEEDS:
        for source in DOMAINS:
            if not wanted or wanted == [str(seed), source]:
                fill(PLACES / f"seed-{seed}-{source}.json", partial(one_source, seed, source))


def one_source(seed: int, source_name: str) -> dict:
    """Train on a source, then adapt to the three others by every method."""
    source = juyi.load(f"pacs128@{source_name}[:{ROWS}]", size=SIZE, seed=seed)
    epochs = round(600 * SHARED["batch"] / source.size)
    start = SourceOnly(net="cnn_small", epochs=epochs, random_state=seed, **SHARED).fit(source)
    results, seconds, refused = [], {}, {}
    for target_name in DOMAINS:
        if target_name == source_name:
            continue
        whole = juyi.load(f"pacs128@{target_name}", size=SIZE)
        drawn = np.zeros(whole.size, bool)
        drawn[np.random.default_rng(seed).permutation(whole.size)[:ROWS]] = True
        training, test = whole.select(drawn), whole.select(~drawn)
        note(results, "source_only", start, test)
        without = [
            (name, 0) for name, method in METHODS.items() if name != "source_only" and not method.needs_target_labels
        ]
        for name, given in [*without, ("source_only", LABELS), ("mme", LABELS)]:
            target = withhold_labels(training, given, seed)
            model = f"{name}_{given}_labels" if given else name
            try:
                fitted, seconds[f"{target_name} {model}"] = adapt(name, start, source, target, seed)
            except InputError as refusal:
                refused[f"{target_name} {model}"] = str(refusal)
                continue
            note(results, model, fitted, test)
            print(f"seed {seed}, {source_name} -> {target_name}, {model}: {results[-1]['value']:.3f}", flush=True)
    return {
        "command": f"python bench/pacs.py {seed} {source_name}",
        "seed": seed,
        "source": source_name,
        "results": results,
        "seconds": seconds,
        "refused": refused,
        "machine": describe_machine(torch.device("cpu")),
        "versions": versions(),
    }


def adapt(name: str, start: SourceOnly, source: Domain, target: Domain, seed: int):
    """Go on from the source's net: by its model alone where that suffices, else with a copy of its net."""
    method = METHODS[name]
    epochs = {field: EPOCHS for field in declared(method) if field.endswith("epochs")}
    settings = {**SHARED, **epochs, "random_state": seed}
    began = time.time()
    if method.source_free:
        given = Served(start.net_, start.shape_, start.classes_, layers=start.layers)
        fitted = method(**settings).fit(given, target=target)
    else:
        fitted = method(net=start.net_, **settings).fit(source, target=target)
    return fitted, round(time.time() - began, 1)


def note(results: list[dict], model: str, fitted, test: Domain) -> None:
    """Add the accuracy on the target's test rows."""
    right = int((fitted.scores(Domain(test.x)).argmax(1) == test.y).sum())
    low, high = wilson_interval(right, test.size)
    on = {"data": test.name, "role": "test"}
    value = {"name": "accuracy", "model": model, "value": right / test.size, "low": low, "high": high}
    results.append({**value, "n": test.size, "on": on, "saw_target_labels": model.endswith("_labels")})


if __name__ == "__main__":
    np.seterr(all="raise")
    main(sys.argv[1:])
