"""Shallow methods: on the shifts that they are made for, on many rows, and on images by the features of a network.

    python bench/shallow.py synthetic    each method, ten seeds of its shift (a minute of one core)
    python bench/shallow.py growth       25,000, 50,000 and 100,000 rows a side, 100 columns (some minutes)
    python bench/shallow.py digits       all six pairs of MNIST, USPS and MNIST-M, on features of a network that has
                                         learnt the source; a method is chosen without labels (needs JUYI_DATA)
    python bench/shallow.py pacs         the same for the twelve pairs of PACS

Each writes into bench/results/shallow, growth a file a method, digits and pacs a file a source; what is there is not
made again.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from run import keep

from juyi.adapt import METHODS
from juyi.adapt.forests import METHODS as FORESTS
from juyi.data import Domain

PLACE = Path(__file__).parent / "results" / "shallow"
SEEDS = range(1_000, 1_010)
"""Of the synthetic shifts: none of them was looked at while settings were chosen, which seeds from 0 on were."""
GROWN = ("coral", "linear_monge", "subspace_alignment", "gfk", "tca", "jda", "rulsif", "density_ratio")


def moved(rng: np.random.Generator) -> tuple:
    """Three classes of eight columns; the target is moved and stretched."""
    centres = np.zeros((3, 8))
    centres[range(3), range(3)] = 3.0
    y, z = rng.integers(0, 3, (2, 300))
    x, t = (centres[c] + 0.6 * rng.normal(size=(300, 8)) for c in (y, z))
    return x, y, t * rng.uniform(0.5, 2.0, 8) + 3 * rng.normal(size=8), z


def nuisance(rng: np.random.Generator) -> tuple:
    """Two classes; three more columns, which go with the class in the source, have other means in the target."""
    y, z = rng.integers(0, 2, (2, 400))
    x, t = (rng.normal(size=(400, 6)) + np.outer(c, [2, 2, 0, 0, 0, 0]) for c in (y, z))
    x[:, 3:] += 0.7 * y[:, None]
    t[:, 3:] += rng.choice([-4.0, 4.0])
    return x, y, t, z


def elsewhere(rng: np.random.Generator) -> tuple:
    """The same bent border in both, but the target's rows lie where it slopes otherwise than on the whole."""
    x, t = rng.normal(size=(1_000, 2)) * 1.5, rng.normal([1.6, 1.5], 0.5, (500, 2))
    y, z = ((rows[:, 1] > rows[:, 0] ** 2 - 1 + 0.2 * rng.normal(size=len(rows))).astype(int) for rows in (x, t))
    return x, y, t, z


def shares(rng: np.random.Generator) -> tuple:
    """Classes that overlap, half and half in the source, nine to one in the target."""
    y, z = (rng.random(1_000) < 0.5).astype(int), (rng.random(1_000) < 0.92).astype(int)
    x, t = (rng.normal(size=(1_000, 3)) + 0.8 * c[:, None] for c in (y, z))
    return x, y, t, z


def turned(rng: np.random.Generator) -> tuple:
    """A border that is turned by 40 degrees in the target, of which 20 labels are given."""
    x, t = rng.normal(size=(2, 500, 2))
    direction = np.array([np.cos(np.radians(40)), np.sin(np.radians(40))])
    return x, (x[:, 0] > 0).astype(int), t, (t @ direction > 0).astype(int)


def reversed_above(rng: np.random.Generator) -> tuple:
    """Two classes; in the source's upper half the rule is reversed, of the target 20 labels are given."""
    x, t = rng.normal(size=(2, 500, 3))
    y, z = (rows[:, 0] + 0.3 * rows[:, 2] > 0 for rows in (x, t))
    return x, np.where(x[:, 1] > 0, ~y, y).astype(int), t, z.astype(int)


def one_quarter(rng: np.random.Generator) -> tuple:
    """Two classes in the quarters of a plane; one quarter has changed, of the target 40 labels are given."""
    x, t = rng.uniform(-1, 1, (2, 1_000, 4))
    y = (x[:, 0] > 0) != (x[:, 1] > 0)
    return x, y.astype(int), t, ((t[:, 0] > 0) | (t[:, 1] > 0)).astype(int)


SHIFTS = {
    moved: ("coral", "linear_monge", "subspace_alignment", "gfk", "ot", "jdot"),
    nuisance: ("tca", "jda", "bda"),
    elsewhere: ("rulsif", "density_ratio", "kliep", "kmm"),
    shares: ("bbse", "mlls"),
    turned: ("feature_augmentation", "adaptive_svm"),
}
CHANGED = {
    reversed_above: ("tradaboost", "tradaboost_r2"),
    one_quarter: ("transfer_forest",),
}
DIGITS = ("mnist", "usps", "mnist_m")
PACS = ("photo", "art_painting", "cartoon", "sketch")
ALL = {**METHODS, **FORESTS}
SETTINGS = {"jdot": {"follow_shares": True}}
"""Other than the defaults: the classes lie apart."""
LABELS = {"transfer_forest": 40}
"""Given of the target, where a method needs some; else 20."""


def made(name: str) -> Any:
    """A method as it is measured."""
    return ALL[name](**SETTINGS.get(name, {}))


def synthetic(shifts: dict) -> dict:
    """Accuracy on the target, without transfer and with it, of each seed."""
    results = []
    for shift, names in shifts.items():
        for name in names:
            pairs = []
            for seed in SEEDS:
                x, y, t, z = shift(np.random.default_rng(seed))
                known = np.arange(len(t)) < (LABELS.get(name, 20) if ALL[name].needs_target_labels else 0)
                classes = tuple(map(str, range(int(y.max()) + 1)))
                target = Domain(t.astype(np.float32), z, known, classes, name="target")
                test, truth = t[~known], z[~known]
                pairs.append([made(name).fit(x, y, target=one).score(test, truth) for one in (None, target)])
            before, after = np.array(pairs).T
            told = {"better": int((after > before).sum()), "before": before.mean(), "after": after.mean()}
            results.append({"method": name, "shift": shift.__name__, "seeds": len(SEEDS), **told, "pairs": pairs})
            print(results[-1]["method"], told, flush=True)
    return {"results": results}


def grow(name: str, rows: int) -> None:
    """Fit once and print what it took; in a process of its own, since peaks of memory are counted by process."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 5, rows)
    x = rng.normal(size=(rows, 100)).astype(np.float64)
    x[:, :5] += 2 * np.eye(5)[y]
    target = rng.normal(size=(rows, 100)) * 1.2 + 0.3
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    METHODS[name]().fit(x, y, target=target)
    seconds, after = time.process_time() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"seconds": round(seconds, 2), "peak_gib": after / 2**20, "before_gib": before / 2**20}))


def growth(name: str) -> dict:
    """Processor seconds and peak memory of a fit, by the rows of each side."""
    results = []
    for rows in (25_000, 50_000, 100_000):
        command = [sys.executable, __file__, "grow", name, str(rows)]
        done = subprocess.run(command, capture_output=True, text=True)
        told = json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else {"failed": done.stderr[-300:]}
        results.append({"method": name, "rows": rows, "columns": 100, **told})
        print(results[-1], flush=True)
    return {"results": results}


def digits(source: str) -> dict:
    """The two pairs of a source of digits."""
    import juyi
    from juyi.data import align

    sets = align(*(juyi.load(f"{name}@train[:4000]") for name in DIGITS))
    return pairs(dict(zip(DIGITS, sets, strict=True)), source, net="lenet5", epochs=4)


def pacs(source: str) -> dict:
    """The three pairs of a source of PACS, at 32 × 32 pixels."""
    import juyi

    sets = {name: juyi.load(f"pacs128@{name}", size=32) for name in PACS}
    return pairs(sets, source, net="cnn_small", epochs=15, batch=32, augment="weak", flip=True)


def pairs(sets: dict[str, Domain], source: str, **settings: Any) -> dict:
    """Accuracy of every method from a source to each of the others, and of the one that is chosen without labels there.

    One row of eight of the source is held out, of the network as well: the choice is made on those rows' labels.
    """
    from juyi.adapt import SourceOnly
    from juyi.adapt.choose import Candidate, choose

    tried = [name for found in list(SHIFTS.values())[:4] for name in found]
    order = np.random.default_rng(0).permutation(sets[source].size)
    held, fitted = (sets[source].select(np.sort(part)) for part in np.split(order, [len(order) // 8]))
    net = SourceOnly(precision="float32", **settings).fit(fitted)
    x, here, results = net.transform_source(fitted), net.transform_source(held), []
    for target in (name for name in sets if name != source):
        z, truth = net.transform(sets[target]), sets[target].y
        models = {"source_only": METHODS["coral"]().fit(x, fitted.y)}
        models |= {name: made(name).fit(x, fitted.y, target=z) for name in tried}
        candidates, right = {}, {}
        for name, model in models.items():
            told = model.model_.predict_proba(model.transform_source(here)), model.predict_proba(z)
            on_source, on_target = (np.log(np.maximum(p, 1e-6)) for p in told)
            candidates[name] = Candidate(on_source, held.y, on_target)
            right[name] = float((told[1].argmax(1) == truth).mean())
        choice = choose(candidates)
        line = {"source": source, "target": target, "rows": len(truth), "accuracy": right}
        results.append(line | {"chosen": choice.name, "serves": choice.serves})
        print(results[-1], flush=True)
    return {"results": results}


PARTS = {
    "synthetic": (lambda piece: synthetic(CHANGED if piece else SHIFTS), ("", "changed")),
    "growth": (growth, GROWN),
    "digits": (digits, DIGITS),
    "pacs": (pacs, PACS),
}


def main(part: str) -> None:
    """Make what is not there of a part."""
    warnings.simplefilter("ignore")
    make, pieces = PARTS[part]
    PLACE.mkdir(exist_ok=True)
    for piece in pieces:
        place, began = PLACE / (f"{part}-{piece}.json" if piece else f"{part}.json"), time.time()
        if not place.is_file():
            keep({"command": f"python bench/shallow.py {part}", **make(piece)}, place, began)


if __name__ == "__main__":
    if sys.argv[1] == "grow":
        grow(sys.argv[2], int(sys.argv[3]))
    else:
        main(sys.argv[1])
