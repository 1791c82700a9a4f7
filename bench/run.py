"""Run the benchmarks: one JSON a run; what is there is not run again, so it can be stopped and started at will.

    JUYI_DATA=... python bench/run.py                 every run that is missing
    JUYI_DATA=... python bench/run.py mnist_m_dann    those of one experiment
    python bench/run.py --list

Each run is the command as a person would type it; its result file holds the command and what run.json says.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
RESULTS = HERE / "results"

MNIST_M = "juyi adapt mnist@train mnist_m@train --test mnist_m@test"
TO_MNIST = "juyi adapt usps@train[:1800] mnist@train[:2000] --test mnist@test"
TO_USPS = "juyi adapt mnist@train[:2000] usps@train[:1800] --test usps@test"

EXPERIMENTS: dict[str, tuple[str, range]] = {
    "demo": ("juyi demo", range(5)),
    "mnist_m_dann": (MNIST_M, range(3)),
    "mnist_m_dann_paper": (f"{MNIST_M} --config bench/dann_paper.yaml", range(3)),
    "usps_mnist_adda": (f"{TO_MNIST} --config bench/adda_paper.yaml", range(5)),
    "mnist_usps_adda": (f"{TO_USPS} --config bench/adda_paper.yaml", range(5)),
    "mnist_m_dann_1": (f"{MNIST_M} --target-labels 1", range(3)),
    "mnist_m_dann_5": (f"{MNIST_M} --target-labels 5", range(3)),
    "mnist_m_dann_10": (f"{MNIST_M} --target-labels 10", range(3)),
    "mnist_m_labels_1": ("labels 1", range(3)),
    "mnist_m_labels_5": ("labels 5", range(3)),
    "mnist_m_labels_10": ("labels 10", range(3)),
}
"""Name: the command (a seed is added), and the seeds.  `labels N` trains on N target labels a class alone."""


def main(wanted: list[str]) -> None:
    for name, (command, seeds) in EXPERIMENTS.items():
        if wanted and name not in wanted:
            continue
        for seed in seeds:
            place = RESULTS / name / f"seed-{seed}.json"
            if place.exists():
                continue
            print(f"{name}, seed {seed}", flush=True)
            run_one(command, seed, place)


def run_one(command: str, seed: int, place: Path) -> None:
    """Run one command in a folder that is thrown away, and keep its record."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        if command.startswith("labels "):
            command = f"juyi train {few_labels(int(command.split()[1]), seed, Path(folder))} --test mnist_m@test " + FEW
        words = [*shlex.split(command), "--seed", str(seed), "--out", str(out)]
        began = time.time()
        subprocess.run([sys.executable, "-m", *words], check=True, cwd=HERE.parent)
        record = json.loads((out / "run.json").read_text())
    record["command"] = f"{command.replace(folder, 'FOLDER')} --seed {seed}"
    record["wall_seconds"] = round(time.time() - began, 1)
    record["load_average"] = round(os.getloadavg()[2], 2)
    for key in ("request", "hyperparameters") if command.startswith("labels") else ():
        record.pop(key, None)
    place.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(record, ensure_ascii=False, indent=1).replace(folder, "FOLDER")
    place.with_suffix(".tmp").write_text(text + "\n")
    place.with_suffix(".tmp").rename(place)


FEW = "--epochs 200 --batch 10 --net dann_mnist --batch-norm shared"
"""Settings for a handful of labels alone."""


def few_labels(per_class: int, seed: int, folder: Path) -> Path:
    """Write the target rows whose labels `--target-labels N --seed S` gives, and nothing else, as a data file."""
    import numpy as np

    import juyi

    target = juyi.withhold_labels(juyi.load("mnist_m@train"), per_class, seed)
    few = target.select(target.labelled)
    path = folder / "few.npz"
    np.savez(path, x=np.ascontiguousarray(few.x), y=few.y, classes=np.asarray(few.classes))
    return path


if __name__ == "__main__":
    if "--list" in sys.argv:
        for name, (command, seeds) in EXPERIMENTS.items():
            print(f"{name:<20} {len(seeds)} seeds  {command}")
    else:
        main(sys.argv[1:])
