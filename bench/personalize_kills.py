"""A run of personal models that is killed at twenty random moments: is every client's model the same to the bit?

    JUYI_DATA=... python bench/personalize_kills.py         writes bench/results/personalize_kills.json

One run goes through.  The same run in another folder is killed with kill -9 at random moments after its modules are
read, and resumed; where it ends before it was killed twenty times, another one begins.  A checkpoint is written after
each step, and not every now and then, so that each life goes on where the one before it ended, and many die while
something is written.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from run import RESULTS, keep

PLACE = RESULTS / "personalize_kills.json"
KILLS, LONGEST = 20, 3.0
ASKED = shlex.split(
    "personalize mnist@train[:1000] --clients 10 --partition pathological:2 --test mnist@test[:1000] --method fedrep "
    "--net lenet5 --rounds 6 --participation 0.7 --newcomers 2 --precision float32 --seed 0"
)


def live(arguments: list[str]) -> int:
    """The command, storing after each step."""
    from juyi.cli import main
    from juyi.personalize.progress import Progress
    from juyi.training import Checkpoint

    Checkpoint.__init__.__defaults__ = (0.0,)
    Progress.__init__.__defaults__ = (None, 0.0, time.monotonic)
    print("awake", file=sys.stderr, flush=True)
    return main(arguments)


def start(arguments: list[str]) -> subprocess.Popen:
    """A life, which has awoken."""
    life = subprocess.Popen([sys.executable, __file__, "live", *arguments], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})  # fmt: skip
    while "awake" not in (life.stderr.readline() if life.stderr else "awake"):
        pass
    return life


def finish(arguments: list[str]) -> None:
    """A life that may end."""
    life = start(arguments)
    _, errors = life.communicate()
    if life.returncode:
        sys.exit(errors)


def contents(folder: Path) -> dict[str, str]:
    """What each model's file and each client's is, as a digest."""
    files = sorted(path for path in (folder / "models").rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def main() -> None:
    began, random, moments, compared = time.time(), np.random.default_rng(0), [], []
    with tempfile.TemporaryDirectory() as place:
        whole = Path(place) / "whole"
        finish([*ASKED, "--out", str(whole)])
        expected = contents(whole)
        while len(moments) < KILLS:
            killed = Path(place) / f"killed-{len(compared)}"
            lives = kill(killed, random, KILLS - len(moments))
            moments += lives
            found = contents(killed)
            same = sum(found.get(name) == digest for name, digest in expected.items())
            alike = [json.loads((folder / "run.json").read_text())["results"] for folder in (whole, killed)]
            compared.append(
                {
                    "kills": len(lives),
                    "files": len(expected),
                    "same_files": same,
                    "more_files": sorted(set(found) - set(expected)),
                    "same_results": alike[0] == alike[1],
                }
            )
            print(compared[-1], flush=True)
    record = {"command": "python bench/personalize_kills.py", "asked": " ".join(["juyi", *ASKED]), "runs": compared}
    keep({**record, "kills": moments}, PLACE, began)


def kill(folder: Path, random: np.random.Generator, most: int) -> list[dict]:
    """Kill a run up to so many times and let it end; return when each life ended, and what it was doing."""
    arguments, moments = [*ASKED, "--out", str(folder)], []
    while len(moments) < most:
        life, moment = start(arguments), float(random.uniform(0.0, LONGEST))
        try:
            life.communicate(timeout=moment)
            return moments
        except subprocess.TimeoutExpired:
            life.send_signal(signal.SIGKILL)
            life.communicate()
        begun = (folder / "run.json").is_file()
        moments.append({"seconds": round(moment, 3), "begun": begun})
        if begun:
            arguments = ["resume", str(folder)]
    finish(arguments)
    return moments


if __name__ == "__main__":
    if sys.argv[1:2] == ["live"]:
        sys.exit(live(sys.argv[2:]))
    main()
