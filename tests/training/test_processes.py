"""Two processes of torchrun, on gloo, against one with the doubled batch; and the command under torchrun."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from two_processes import adapted

from juyi.runs.files import read_json, read_tensors
from juyi.training import Processes, join_processes

HERE = Path(__file__).parent


def torchrun(folder, *arguments):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "JUYI_CACHE": str(folder / "cache")}
    environment["PYTHONPATH"] = os.pathsep.join([str(HERE), environment.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """What the two processes left: a function from a name to the tensors of each."""
    folder = tmp_path_factory.mktemp("two")
    done = torchrun(folder, str(HERE / "two_processes.py"), str(folder))
    assert done.returncode == 0, done.stderr[-4000:]
    return lambda name: [read_tensors(folder / f"{name}-{rank}")[0] for rank in (0, 1)] + [folder]


@pytest.mark.parametrize("name", ["dann", "adda"])
def test_two_processes_are_one_with_the_doubled_batch(both, name):
    first, second, _ = both(name)
    whole = adapted(name, 16)
    assert whole.keys() == first.keys() == second.keys()
    gradients = [k for k in whole if k.startswith("gradient.")]
    assert len(gradients) >= 6 and sum(whole[k].abs().sum() for k in gradients) > 0.1
    assert all(torch.equal(first[k], second[k]) for k in whole)
    assert max((first[k] - whole[k]).abs().max() for k in gradients) < 1e-6
    weights = [k for k in whole if k.startswith("weight.")]
    assert max((first[k] - whole[k]).abs().max() for k in weights) < 1e-4
    alone = adapted(name, 8)  # and not because nothing was learnt, or because the batch does not matter
    assert max((alone[k] - whole[k]).abs().max() for k in weights) > 1e-3


def test_a_gradient_that_is_nowhere_stays_absent(both):
    first, second, _ = both("absent")
    assert all(torch.equal(first[k], second[k]) for k in first)
    assert (first["2.weight"] == 0.5).all()  # neither weight decay nor momentum moved it
    assert (first["0.weight"] != 0.5).all() and (first["1.weight"] != 0.5).all()
    # The bias's gradient is 5 (a row each), and 5 on one process of two: 2.5; three steps of SGD written out.
    for name, gradient in (("0.bias", 5.0), ("1.bias", 2.5)):
        value, momentum = 0.5, 0.0
        for _ in range(3):
            momentum = 0.9 * momentum + gradient + 0.5 * value
            value -= 0.01 * momentum
        assert first[name].tolist() == pytest.approx([value, value], rel=1e-5)


def test_nan_on_one_process_stops_both(both):
    first, second, folder = both("diverged")
    for rank in (0, 1):
        message = read_json(folder / f"told-{rank}.json")
        assert message.startswith("stage labels, step 2: the loss label is not a finite number")
    trained = [k for k in first if "num_batches" not in k and "running" not in k]
    assert all(torch.equal(first[k], second[k]) and torch.isfinite(first[k]).all() for k in trained)


def test_killed_and_resumed_on_two_processes(both):
    """The first one alone reads the checkpoint and hands it on; each used to look for it, some found none."""
    first, second, _ = both("resumed")
    for tensors in (first, second):
        for name in [k for k in tensors if k.startswith("whole.")]:
            assert torch.equal(tensors[name], tensors[name.replace("whole.", "resumed.")]), name
            assert torch.equal(first[name], second[name]), name


def test_the_command_under_torchrun_writes_one_run(tmp_path):
    done = torchrun(
        tmp_path, "-m", "juyi", "adapt", "digits@train[:200]", "digits_m@train[:200]", "--net", "lenet5",
        "--epochs", "2", "--batch", "16", "--precision", "float32", "--batch-norm", "none",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    assert [p.name for p in (tmp_path / "runs").iterdir()] == ["dann-1"]
    folder = tmp_path / "runs" / "dann-1"
    record = json.loads((folder / "run.json").read_text())
    assert record["status"] == "finished" and (folder / "report.html").exists()
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert [(line["model"], line["epoch"], line["step"]) for line in lines] == [
        ("source_only", 1, 6), ("source_only", 2, 12), ("dann", 1, 6), ("dann", 2, 12)
    ]  # fmt: skip
    assert done.stdout.count("report: ") == 1


def test_alone_there_is_one_process(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert join_processes() == Processes(0, 1) and join_processes().is_first
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert join_processes() == Processes()
