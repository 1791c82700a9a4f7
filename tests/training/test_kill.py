"""`kill -9` for the command itself, again and again: `juyi resume` ends with the same bytes."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

DYING = Path(__file__).with_name("dying.py")
ARGUMENTS = shlex.split(
    "adapt digits@train[:200] digits_m@train[:200] --net lenet5 --method adda --epochs 2 --adversarial-epochs 2 "
    "--critic-width 32 --precision float32 --device cpu --test digits_m@test[:60] --out run"
)


def juyi(folder, at, *arguments):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "JUYI_CACHE": str(folder / "cache")}
    return subprocess.run(
        [sys.executable, str(DYING), str(at), *arguments], cwd=folder, env=environment, capture_output=True, text=True
    )


def log(folder):
    lines = [json.loads(line) for line in (folder / "run" / "log.jsonl").read_text().splitlines()]
    for line in lines:
        line.pop("seconds")
    return lines


def files(folder, *patterns):
    run = folder / "run"
    return {str(p.relative_to(run)): p.read_bytes() for pattern in patterns for p in sorted(run.glob(pattern))}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    done = juyi(folder, 0, *ARGUMENTS)
    assert done.returncode == 0, done.stderr
    return folder, int(re.search(r"flushes: (\d+)", done.stderr)[1])


def test_killed_again_and_again_and_resumed_the_same_bytes(whole, tmp_path):
    """In the floor's training, in the method's first and second stage, before and after files are in their places."""
    uninterrupted, flushes = whole
    assert flushes > 60
    lives, arguments = [13, 38, 23], ARGUMENTS
    for at in lives:
        died = juyi(tmp_path, at, *arguments)
        assert died.returncode == -signal.SIGKILL, died.stderr
        assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "running"
        arguments = ["resume", "run"]
    done = juyi(tmp_path, 0, *arguments)
    assert done.returncode == 0, done.stderr

    kinds = ("models/*", "predictions.csv", "records/*.safetensors")
    found, expected = files(tmp_path, *kinds), files(uninterrupted, *kinds)
    assert found == expected and len(found) == 4 + 1 + 6 + 2
    assert log(tmp_path) == log(uninterrupted)
    places = [(line["model"], line["stage"], line["epoch"]) for line in log(tmp_path)]
    assert len(places) == len(set(places)) == 6
    one, other = (json.loads((folder / "run" / "run.json").read_text()) for folder in (tmp_path, uninterrupted))
    assert one["status"] == other["status"] == "finished"
    for key in ("results", "verdict", "data", "hyperparameters"):
        assert one[key] == other[key]
    assert not (tmp_path / "run" / "checkpoint").exists()
