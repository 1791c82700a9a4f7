"""Peak memory of a whole run on 60,000 + 60,000 images of 28×28×3.

JUYI_DATA=... python bench/memory.py            writes bench/results/memory.json
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from juyi.training.machine import describe_machine, versions

COMMAND = ["juyi", "adapt", "mnist@train", "mnist_m@train", "--epochs", "1"]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", *COMMAND, "--out", f"{folder}/run"], check=True)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    record = {
        "command": " ".join(COMMAND),
        "results": {"peak_gibibytes": round(peak, 3), "must_reach": 1.5},
        "machine": describe_machine(torch.device("cpu")),
        "versions": versions(),
    }
    (Path(__file__).parent / "results" / "memory.json").write_text(json.dumps(record, indent=1) + "\n")
    print(record["results"])


if __name__ == "__main__":
    main()
