"""Run the benchmarks of targets with other classes: digits 5-9 absent from the target, or 7-9 unknown to the source.

    JUYI_DATA=... python bench/partial.py                 every run that is missing
    JUYI_DATA=... python bench/partial.py partial_dann    those of one experiment
    python bench/partial.py --list

One JSON a run, as `bench/run.py` writes them; what is there is not run again.  The parts of the sets are drawn by the
seed and written as .npz files into a folder that is thrown away: FOLDER in the commands.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
from run import HERE, RESULTS, fill

PARTIAL = "juyi adapt mnist@train[:10000] FOLDER/target.npz --test FOLDER/test.npz --epochs 6"
OPEN = "juyi adapt FOLDER/source.npz mnist_m@train[:10000] --test mnist_m@test --epochs 6 --unknown"

EXPERIMENTS: dict[str, tuple[str, range]] = {
    f"partial_{method}{'_estimated' if shares else ''}": (f"{PARTIAL} --method {method}{shares}", range(3))
    for method in ("dann", "mcc", "adamatch")
    for shares in ("", " --class-shares estimated")
} | {f"open_{method}": (f"{OPEN} --method {method}", range(3)) for method in ("dann", "mcc", "adamatch")}
"""Name: the command (a seed is added), and the seeds."""


def main(wanted: list[str]) -> None:
    for seed in range(3):
        for name, (command, seeds) in EXPERIMENTS.items():
            if seed in seeds and (not wanted or name in wanted):
                fill(RESULTS / name / f"seed-{seed}.json", partial(run_one, command, seed))


def run_one(command: str, seed: int) -> dict:
    """Run one command on data that are made for it, and return its record."""
    with tempfile.TemporaryDirectory() as folder:
        make_data(Path(folder), seed)
        out = Path(folder) / "run"
        words = [*shlex.split(command.replace("FOLDER", folder)), "--seed", str(seed), "--out", str(out)]
        subprocess.run([sys.executable, "-m", *words], check=True, cwd=HERE.parent)
        record = json.loads((out / "run.json").read_text().replace(folder, "FOLDER"))
        if "--unknown" in command:
            record["strangers_rejected_at_5_percent_of_known_test_rows"] = oracle(out)
    return record | {"command": f"{command} --seed {seed}"}


def oracle(out: Path) -> dict[str, float]:
    """The share of strangers rejected if the test's labels set the threshold, so that 5 % of its known rows are."""
    import juyi
    from juyi.measure import certainty, rejection_threshold

    test, found = juyi.load("mnist_m@test"), {}
    for path in sorted((out / "models").glob("*.safetensors")):
        values = certainty(juyi.read_run(out, path.stem).scores(test))
        limit = rejection_threshold(values[test.y <= 6], 0.05)
        found[path.stem] = float((values[test.y > 6] < limit).mean())
    return found


def make_data(folder: Path, seed: int) -> None:
    """Write target.npz and test.npz (MNIST-M, digits 0-4) and source.npz (MNIST, digits 0-6)."""
    import juyi

    for name, data, highest in (
        ("target", "mnist_m@train[:10000]", 4),
        ("test", "mnist_m@test", 4),
        ("source", "mnist@train[:10000]", 6),
    ):
        domain = juyi.load(data, seed=seed)
        there = domain.y <= highest
        np.savez(folder / f"{name}.npz", x=domain.x[there], y=domain.y[there])


if __name__ == "__main__":
    if "--list" in sys.argv:
        for name, (command, seeds) in EXPERIMENTS.items():
            print(f"{name:<28} {len(seeds)} seeds  {command}")
    else:
        main(sys.argv[1:])
