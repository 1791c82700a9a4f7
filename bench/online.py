"""Benchmark of `juyi adapt RUN --online STREAM`: MNIST-M in four corruptions, one after another, and ordered by class.

    JUYI_DATA=... python bench/online.py                      every run that is missing
    JUYI_DATA=... python bench/online.py online_ordered       those of one experiment
    python bench/online.py --pictures FILE.png                how the corruptions look, on training rows

The stream is 8,000 rows of mnist_m@test, drawn by the seed: 2,000 with each corruption.  The corruptions are one of
each family of ImageNet-C (noise, blur, weather, digital); their strengths were fixed beforehand by looking at pictures
of training rows (a person still reads nearly all digits), and no setting of a method was chosen on these streams: that
was done on Fashion-MNIST with the same corruptions and on training rows of MNIST-M that the start had not seen.

One JSON file a seed and experiment (`bench/results/NAME/seed-N.json`): the commands, and what run.json says.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from run import keep
from scipy.ndimage import gaussian_filter

HERE = Path(__file__).parent
RESULTS = HERE / "results"
WORK = Path(tempfile.gettempdir()) / "juyi-bench-online"
METHODS = ("batch_norm_adaptation", "tent")
SEEDS = range(3)
PART = 2_000

STARTS = {"": "mnist_m@train[:20000]", "_from_mnist": "mnist@train[:20000]"}
"""What the start is trained on: MNIST-M, so that the corruption alone is new; or MNIST, so that all is."""
ORDERS = ("mixed", "ordered", "ordered_within")
"""As drawn; by class; by class within each corruption."""
EXPERIMENTS = {f"online_{order}{start}": (order, start) for start in STARTS for order in ORDERS}


def gaussian_noise(x: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Add normal noise of standard deviation .26 to each value (ImageNet-C, severity 4)."""
    return x + random.normal(scale=0.26, size=x.shape)


def gaussian_blur(x: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Blur by a Gaussian of 1.5 pixels."""
    return gaussian_filter(x, (0, 0, 1.5, 1.5))


def brightness(x: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Raise V of HSV by .5 (ImageNet-C, severity 5): all channels are scaled alike."""
    value = x.max(1, keepdims=True)
    return x * np.minimum(value + 0.5, 1) / np.maximum(value, 1e-6)


def contrast(x: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Shrink the distance from each channel's mean to a tenth (ImageNet-C, severity 4)."""
    mean = x.mean((2, 3), keepdims=True)
    return (x - mean) * 0.1 + mean


CORRUPTIONS = (gaussian_noise, gaussian_blur, brightness, contrast)


def corrupt(x: np.ndarray, number: int, seed: int) -> np.ndarray:
    """Apply a corruption to uint8 images N×C×H×W; uint8 again."""
    changed = CORRUPTIONS[number](x / 255, np.random.default_rng((seed, number)))
    return np.clip(np.round(changed * 255), 0, 255).astype(np.uint8)


def write_streams(folder: Path, seed: int) -> np.ndarray:
    """Write the three streams of a seed; return which corruption each row of the mixed one has."""
    import juyi

    test = juyi.load("mnist_m@test")
    rows = np.random.default_rng(seed).permutation(test.size)[: PART * len(CORRUPTIONS)]
    parts = np.split(rows, len(CORRUPTIONS))
    x = np.concatenate([corrupt(test.x[part], number, seed) for number, part in enumerate(parts)])
    y, part = test.y[rows], np.repeat(np.arange(len(CORRUPTIONS)), PART)
    for order in ORDERS:
        chosen = in_order(order, y, part)
        np.savez(folder / f"{order}.npz", x=x[chosen], y=y[chosen])
    return part


def in_order(order: str, y: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Row numbers in the order that a stream has; rows that are equal in it stay as they were."""
    if order == "mixed":
        return np.arange(len(y))
    return np.argsort(y, kind="stable") if order == "ordered" else np.lexsort((y, part))


def juyi_command(words: list[str], folder: Path) -> str:
    """Run the command; return it as a person would type it."""
    subprocess.run([sys.executable, "-m", "juyi", *words], check=True, cwd=folder, stdout=subprocess.DEVNULL)
    return shlex.join(["juyi", *words])


def prepare(start: str, seed: int) -> tuple[Path, str]:
    """Train the start of a seed and write its streams, unless they are there."""
    folder = WORK / f"start{start}-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    words = ["train", STARTS[start], "--epochs", "3", "--seed", str(seed), "--out", "start", "--overwrite"]
    if not (folder / "done").exists():
        juyi_command(words, folder)
        write_streams(folder, seed)
        (folder / "done").touch()
    return folder, shlex.join(["juyi", *words[:-1]])


def run_one(order: str, start: str, seed: int, place: Path) -> None:
    """Follow one stream with each method; what was answered without adapting comes with each of them."""
    began = time.time()
    folder, trained = prepare(start, seed)
    y, part = np.load(folder / f"{order}.npz")["y"], np.repeat(np.arange(len(CORRUPTIONS)), PART)
    part = part[in_order(order, np.load(folder / "mixed.npz")["y"], part)]
    commands, results, methods, seconds = [trained], [], {}, {}
    for method in METHODS:
        words = ["adapt", "start", "--online", f"{order}.npz", "--test", f"{order}.npz", "--method", method]
        words += ["--seed", str(seed), "--out", method, "--overwrite"]
        commands.append(juyi_command(words, folder).removesuffix(" --overwrite"))
        record = json.loads((folder / method / "run.json").read_text())
        results += [r for r in record["results"] if r not in results]
        online = {k: record["online"][k] for k in ("held_back", "batches", "resets", "disagreement", "scored")}
        methods[method] = {**online, "verdict": record["verdict"], "by_corruption": by_part(folder / method, y, part)}
        seconds |= record["seconds"]
    kept = {key: record[key] for key in ("classes", "data", "hyperparameters", "versions", "machine")}
    content = {
        "command": "; ".join(commands),
        "results": results,
        "methods": methods,
        "seconds": seconds,
        **kept,
    }
    keep(content, place, began)


def by_part(run: Path, y: np.ndarray, part: np.ndarray) -> dict[str, dict[str, float]]:
    """The accuracy of each model on the rows of each corruption, from the answers as they were given."""
    import csv

    with (run / "predictions.csv").open() as file:
        table = list(csv.DictReader(file))
    models = [name for name in table[0] if name != "name" and not name.endswith("_confidence")]
    right = {model: np.array([int(row[model]) for row in table]) == y for model in models}
    return {
        corruption.__name__: {model: round(float(right[model][part == k].mean()), 4) for model in models}
        for k, corruption in enumerate(CORRUPTIONS)
    }


def pictures(place: str) -> None:
    """Show fourteen training rows as they are, and in each corruption."""
    from PIL import Image

    import juyi

    x = juyi.load("mnist_m@train[:3000]").x[:14]
    rows = [x, *(corrupt(x, number, 0) for number in range(len(CORRUPTIONS)))]
    sheet = np.concatenate([np.concatenate(list(row.transpose(0, 2, 3, 1)), 1) for row in rows])
    Image.fromarray(sheet).resize((sheet.shape[1] * 3, sheet.shape[0] * 3), 0).save(place)


def main(wanted: list[str]) -> None:
    for name, (order, start) in EXPERIMENTS.items():
        for seed in SEEDS:
            place = RESULTS / name / f"seed-{seed}.json"
            if (not wanted or name in wanted) and not place.exists():
                print(f"{name}, seed {seed}", flush=True)
                run_one(order, start, seed, place)


if __name__ == "__main__":
    if "--pictures" in sys.argv:
        pictures(sys.argv[sys.argv.index("--pictures") + 1])
    else:
        main(sys.argv[1:])
