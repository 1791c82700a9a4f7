"""Seconds and peak memory of every measure on n + n vectors of 256 features, each n in a process of its own.

python bench/measure_speed.py            writes bench/results/measure_speed.json
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch

from juyi.training.machine import describe_machine, versions

RESULT = Path(__file__).parent / "results" / "measure_speed.json"
SIZES, FEATURES = (2_500, 5_000, 10_000, 20_000), 256


def once(n: int) -> dict[str, float]:
    """Measure two clouds that differ a little."""
    from juyi import measure

    random = np.random.default_rng(0)
    x, y = (random.normal(size=(n, FEATURES)).astype(np.float32) for _ in range(2))
    y += 0.05
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    names = ["proxy_a_distance", "mmd", "energy_distance", "coral_distance", "frechet_distance"]
    names += ["sliced_wasserstein", "wasserstein", "feature_tests"]
    seconds = {}
    for name in names:
        began = time.perf_counter()
        getattr(measure, name)(x, y)
        seconds[name] = round(time.perf_counter() - began, 2)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {**seconds, "all": round(sum(seconds.values()), 2), "mebibytes_more": round((peak - before) / 1024)}


def main() -> None:
    sizes = {}
    for n in SIZES:
        said = subprocess.run([sys.executable, __file__, str(n)], check=True, capture_output=True, text=True).stdout
        sizes[n] = json.loads(said)
        print(n, sizes[n], flush=True)
    record = {
        "command": "python bench/measure_speed.py",
        "features": FEATURES,
        "results": sizes,
        "machine": describe_machine(torch.device("cpu")),
        "versions": versions(),
    }
    RESULT.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    print(json.dumps(once(int(sys.argv[1])))) if len(sys.argv) > 1 else main()
