"""Runs that were stopped, killed, or failed: what is said, what is kept, how they go on."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cli.cli_data import QUICK, arrays, tree
from juyi.training import stage_run

DIVERGING = (
    *("adapt", "source.npz", "target.npz", "--epochs", "30", "--batch", "16", "--precision", "float32"),
    *("--learning-rate", "10", "--optimiser", "sgd", "--weight-decay", "1", "--out", "run"),
)


@pytest.fixture
def stopped(juyi, monkeypatch):
    """A run that was interrupted in its ninth step, and what was said."""
    arrays("source.npz")
    arrays("target.npz", seed=1)
    steps, real = iter(range(10**6)), stage_run._take_turn

    def take_turn(*arguments):
        if next(steps) == 8:
            raise KeyboardInterrupt
        real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(stage_run, "_take_turn", take_turn)
        return juyi("adapt", "source.npz", "target.npz", *QUICK, "--out", "run")


def test_an_interrupted_run_says_how_to_go_on_and_ends_as_if_it_had_not_been(stopped, juyi):
    assert stopped.code == 130
    assert stopped.line == "juyi: stopped; to go on where it was: juyi resume run"
    assert stopped.out == ""
    said = juyi("resume", "run", "--json")
    assert said.code == 0, said.err
    record = json.loads(said.out)
    assert record["status"] == "finished"
    assert juyi("adapt", "source.npz", "target.npz", *QUICK, "--out", "whole").code == 0
    whole, resumed = tree("whole"), tree("run")
    for part in ("predictions.csv", "models/source_only.safetensors", "models/dann.safetensors"):
        assert resumed[f"run/{part}"] == whole[f"whole/{part}"], part


def test_an_interruption_before_the_run_began(juyi, monkeypatch):
    def load(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("juyi.adapt.request.load", load)
    said = juyi("adapt", "a", "b")
    assert (said.code, said.line) == (130, "juyi: stopped; nothing was written")
    assert tree() == {}


def test_a_run_that_is_not_finished_cannot_be_reported_or_predicted_from(stopped, refused):
    refused(["report", "run"], "run: is not finished (running)", "juyi resume run")
    refused(["predict", "run", "target.npz"], "run: is not finished", "juyi resume run")
    refused(["predict", "run", "target.npz", "--model", "dann"], "run has no such model")


@pytest.mark.parametrize("name", ["source.npz", "target.npz"])
def test_a_run_whose_data_changed_is_not_resumed(stopped, refused, name):
    arrays(name, seed=7)
    refused(["resume", "run"], f"{name}: has changed since the run in run began", "restore it, or start a new run")


def test_withheld_labels_that_changed_do_not_matter_for_resuming(stopped, juyi):
    with np.load("target.npz") as old:
        np.savez("target.npz", x=old["x"], y=old["y"][::-1])
    assert juyi("resume", "run").code == 0


@pytest.mark.parametrize(
    "change",
    [
        {"hyperparameters": {"epoch": 3}},
        {"hyperparameters": None},
        {"method": "gone"},
        {"request": {"sauce": 1}},
        {"machine": {}},
        {"machine": {"threads": -1}},
        {"data": None},
        {"data": {"source": 1}},
    ],
)
def test_a_tampered_record_is_not_resumed_from(stopped, refused, change):
    path = Path("run/run.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    refused(["resume", "run"], "run.json: cannot be resumed from", "start a new run")


def test_a_damaged_checkpoint_is_named(stopped, juyi):
    for path in Path("run/checkpoint").rglob("*.safetensors"):
        path.write_bytes(b"no tensors")
    said = juyi("resume", "run")
    assert said.code == 2
    assert "is damaged or is no safetensors file" in said.line


def test_what_cannot_be_resumed(finished, refused):
    refused(["resume", "run"], "run: is finished; there is nothing to resume")
    refused(["resume", "gone"], "gone: there is no such folder")
    Path("empty").mkdir()
    refused(["resume", "empty"], "empty: holds no run.json, so it is not a run")
    refused(["resume", "source.npz"], "source.npz")
    refused(["report", "gone"], "gone: there is no such folder")


def test_a_run_that_diverges_fails_with_a_hint_and_keeps_its_last_good_state(juyi):
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(100, 3)) * 1000).astype(np.float32)
    np.savez("source.npz", x=x, y=rng.integers(0, 2, 100))
    np.savez("target.npz", x=x)
    said = juyi(*DIVERGING)
    assert (said.code, said.out) == (1, "")
    for words in ("the loss label is not a finite number", "last good state is kept", "--learning-rate"):
        assert words in said.line
    record = json.loads(Path("run/run.json").read_text())
    assert record["status"] == "failed"
    assert record["error"] in said.line
    assert record["openings"] == record["results"] == []
    assert list(Path("run/checkpoint").rglob("*.safetensors"))
    assert not Path("run/report.html").exists()
    again = juyi("resume", "run")
    assert (again.code, again.line) == (1, said.line)
    assert juyi("report", "run").line == "juyi: run: is not finished (failed); first: juyi resume run"


def start(*arguments):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "juyi", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell in the background ignores it
    )  # fmt: skip


def test_a_real_interruption(juyi):
    arrays("source.npz")
    arrays("target.npz", seed=1)
    process = start("adapt", "source.npz", "target.npz", "--epochs", "100000", "--batch", "16", "--out", "run")
    try:
        said = ""
        while "computing in" not in said:
            line = process.stderr.readline()
            assert line, said
            said += line
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, err
    assert err.splitlines()[-1] == "juyi: stopped; to go on where it was: juyi resume run"
    assert "Traceback" not in err
    assert out == ""
    assert juyi("report", "run").code == 2


def test_a_real_error_and_a_reader_that_has_seen_enough():
    process = start("adapt", "gone/", "gone/")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (2, "")
    assert err == "juyi: gone/: there is no such file or folder; check the path\n"
    process = start("methods", "--json")
    process.stdout.close()
    assert process.wait(timeout=60) == 0
    assert process.stderr.read() == ""
    process.stderr.close()
