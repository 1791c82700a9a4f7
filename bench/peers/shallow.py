"""Shallow methods beside skada, adapt and POT: seconds, answers and accuracy, on the same rows, in one run.

    sh bench/peers/make.sh bench/peers/.environments skada adapt    the peers' environments (POT is in Juyi's own)
    python bench/peers/shallow.py                                   every method; goes on where it stopped
    python bench/peers/shallow.py --summary                         print what bench/results/peers_shallow.json holds

5,000 + 5,000 rows of 100 columns, five classes; the target is moved and stretched.  Every side learns the same logistic
regression (ridge regression of numbers) on what its method makes of them.  A side is a process of its own, one thread,
which has awoken on 200 rows before its clock starts; the quickest of its repeats counts.  A side that takes longer than
ten minutes is stopped, and that is its figure.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from juyi.training import choose_device
from juyi.training.machine import describe_machine, now

HERE = Path(__file__).parent
PLACE = HERE.parent / "results" / "peers_shallow.json"
SIDES = {
    "coral": ("skada", "adapt"),
    "linear_monge": ("skada", "pot"),
    "subspace_alignment": ("skada", "adapt"),
    "tca": ("skada", "adapt"),
    "rulsif": ("adapt",),
    "kliep": ("skada", "adapt"),
    "kmm": ("skada", "adapt"),
    "density_ratio": ("skada",),
    "ot": ("skada", "pot"),
    "jdot": ("skada",),
    "tradaboost": ("adapt",),
    "tradaboost_r2": ("adapt",),
}
LIMIT = 600


def make_data(place: Path) -> None:
    """The rows, standardised by the source, since not every side does that itself."""
    rng = np.random.default_rng(0)
    centres, mixed = 1.2 * rng.normal(size=(5, 100)), rng.normal(size=(100, 100)) / 10
    y, z = rng.integers(0, 5, (2, 5_000))
    x, target = (centres[c] + 3 * rng.normal(size=(5_000, 100)) + rng.normal(size=(5_000, 100)) @ mixed for c in (y, z))
    target = target * rng.uniform(0.6, 1.6, 100) + 0.5 * rng.normal(size=100)
    mean, spread = x.mean(0), x.std(0)
    x, target = (x - mean) / spread, (target - mean) / spread
    rule = rng.normal(size=100)
    numbers, changed = x @ rule, target @ (rule + 0.5 * rng.normal(size=100))
    np.savez(place, x=x, y=y, target=target, z=z, numbers=numbers, target_numbers=changed)


def one(python: str, side: str, method: str, place: Path) -> dict:
    """What a side took, and what it told; or why it came to no end."""
    worker = str(HERE / "worker_shallow.py")
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1",
                                "TF_NUM_INTEROP_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}  # fmt: skip
    command = [python, worker, side, method, str(place), "3" if side == "juyi" else "1"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, env=environment)
    except subprocess.TimeoutExpired:
        return {"failed": f"no end after {LIMIT} s"}
    if done.returncode:
        return {"failed": (done.stderr.strip().splitlines() or ["killed"])[-1][:300]}
    return json.loads(done.stdout.splitlines()[-1])


def compared(method: str, environments: Path, place: Path) -> list[dict]:
    """A row a peer: both sides' seconds, the ratio, scores, and how often the answers are the same."""
    ours, rows = one(sys.executable, "juyi", method, place), []
    for side in SIDES[method]:
        python = sys.executable if side == "pot" else str(environments / side / "bin" / "python")
        theirs = one(python, side, method, place)
        row = {"method": method, "peer": side, "juyi": {k: v for k, v in ours.items() if k != "told"},
               "theirs": {k: v for k, v in theirs.items() if k != "told"}}  # fmt: skip
        if "failed" not in theirs and "failed" not in ours:
            row["ratio"] = theirs["processor_seconds"] / ours["processor_seconds"]
            told = np.array(ours["told"]), np.array(theirs["told"])
            row["alike"] = float(np.isclose(*told, rtol=1e-3, atol=1e-6).mean())
        rows.append(row)
        print(row, flush=True)
    return rows


def summary(record: dict) -> None:
    """Print the ratios to the fastest peer of each method, and their geometric mean."""
    ratios = []
    for method in SIDES:
        rows = [row for row in record["results"] if row["method"] == method and "ratio" in row]
        if rows:
            ratios.append(min(row["ratio"] for row in rows))
            told = [(row["peer"], round(row["ratio"], 2), round(row["alike"], 4)) for row in rows]
            print(f"{method:20} {ratios[-1]:8.2f}  {told}")
    if ratios:
        print(f"geometric mean {math.exp(np.mean(np.log(ratios))):.2f} of {len(ratios)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("methods", nargs="*", help="by default all")
    parser.add_argument("--environments", type=Path, default=HERE / ".environments")
    parser.add_argument("--summary", action="store_true", help="run nothing")
    args = parser.parse_args()
    record = json.loads(PLACE.read_text()) if PLACE.exists() else {"results": []}
    if not args.summary:
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder) / "data.npz"
            make_data(place)
            for method in args.methods or SIDES:
                if any(row["method"] == method for row in record["results"]):
                    continue
                record["results"] += compared(method, args.environments, place)
                record |= {
                    "command": "python bench/peers/shallow.py",
                    "machine": describe_machine(choose_device("cpu")),
                    "when": now(),
                }
                PLACE.write_text(json.dumps(record, indent=1) + "\n")
    summary(record)


if __name__ == "__main__":
    main()
