"""Targets with other classes on the command line: strangers are named, rejected and counted; shares are recorded."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest

from juyi import read_run
from juyi.adapt import predict_unknown
from juyi.adapt.unknown import threshold_of
from juyi.measure import certainty
from juyi.runs import RunFolder
from juyi.runs.files import read_tensors

NAMES = np.array(["cat", "dog", "owl", "elk"])
LEARN = ["--epochs", "20", "--batch", "32", "--precision", "float32"]


def clouds(path, codes, rows=240, seed=0, shift=0.0):
    """Four clouds of features, far from each other."""
    rng = np.random.default_rng(seed)
    y = np.array(codes)[np.arange(rows) % len(codes)]
    x = 4.0 * np.eye(4)[y] @ np.eye(4, 6) + rng.normal(scale=0.6, size=(rows, 6)) + shift
    np.savez(path, x=x.astype(np.float32), y=NAMES[y])


@pytest.fixture
def open_data():
    clouds("source.npz", [0, 1, 2], rows=600)
    clouds("target.npz", [0, 1, 2, 3], seed=1, shift=0.2)
    clouds("test.npz", [0, 1, 2, 3], seed=2, shift=0.2)


@pytest.fixture
def finished_open(open_data, juyi):
    said = juyi("adapt", "source.npz", "target.npz", "--test", "test.npz", "--unknown", "--out", "run", *LEARN)
    assert said.code == 0, said.err
    assert "note: target.npz: there are classes that source.npz lacks: elk; their rows are strangers" in said.err
    return RunFolder(Path("run"))


def predicted(said):
    return [row["prediction"] for row in csv.DictReader(io.StringIO(said.out))]


def test_strangers_are_rejected_and_counted(finished_open, juyi):
    record = finished_open.read()
    found = {(r["name"], r["model"]): r for r in record["results"] if r["on"]["role"] == "test"}
    for model in ("source_only", "dann"):
        assert found["accuracy", model]["n"] == found["known_rejected", model]["n"] == 180
        assert found["strangers_rejected", model]["n"] == 60
        for name in ("accuracy", "strangers_rejected", "known_rejected"):
            result = found[name, model]
            assert 0 <= result["low"] <= result["value"] <= result["high"] <= 1
    assert found["accuracy", "dann"]["value"] > 0.95 and found["strangers_rejected", "dann"]["value"] > 0.5
    truth = NAMES[[0, 1, 2, 3] * 60]
    said = juyi("predict", "run", "test.npz", "--unknown")
    answers = np.array(predicted(said))
    assert (answers == "unknown")[truth == "elk"].mean() == pytest.approx(found["strangers_rejected", "dann"]["value"])
    assert (answers == "unknown")[truth != "elk"].mean() == pytest.approx(found["known_rejected", "dann"]["value"])
    assert juyi("predict", "run", "test.npz").out.count("unknown") == 0
    assert predict_unknown("run", np.load("test.npz")["x"]).tolist() == answers.tolist()


def test_the_threshold_comes_from_the_folder_alone_and_keeps_its_rate(finished_open, juyi):
    Path("source.npz").unlink()
    for rate in (0.02, 0.05, 0.3):
        held = read_tensors(finished_open.records / "final-dann.safetensors")[0]["source"].numpy()
        share = (certainty(held) < threshold_of(finished_open, "dann", rate)).mean()
        assert rate - 2 / len(held) <= share <= rate
    few, many = (
        predicted(juyi("predict", "run", "test.npz", "--unknown", "--wrong-rejections", rate)).count("unknown")
        for rate in (0.02, 0.5)
    )
    assert few < many


def test_the_final_scores_are_those_of_the_models(finished_open):
    for model in ("source_only", "dann"):
        stored, note = read_tensors(finished_open.records / f"final-{model}.safetensors")
        assert note == {"model": model}
        x = np.load("target.npz")["x"]
        assert np.array_equal(stored["target"].numpy(), read_run("run", model).scores(x))
        assert stored["target_row"].tolist() == list(range(240))
        assert stored["source"].shape == (60, 3) and stored["source_label"].bincount().tolist() == [20, 20, 20]


def test_what_cannot_be_rejected_is_refused(finished_open, refused):
    refused(["predict", "run", "test.npz", "--unknown", "--wrong-rejections", "5"], "--wrong-rejections 5", "0.05")
    (finished_open.records / "final-dann.safetensors").unlink()
    refused(["predict", "run", "test.npz", "--unknown"], "final-dann.safetensors: is not there", "train again")


def test_other_classes_are_refused_unless_they_are_said_to_be_unknown(open_data, refused):
    refused(["adapt", "source.npz", "target.npz", *LEARN], "target.npz: its classes differ", "it has elk besides")
    clouds("fewer.npz", [0, 1])
    refused(["adapt", "source.npz", "fewer.npz", "--test", "test.npz", *LEARN], "test.npz", "it has elk besides")
    both = ["adapt", "source.npz", "target.npz", "--unknown", "--intersect-classes", *LEARN]
    refused(both, "--unknown keeps rows of other classes")
    clouds("word.npz", [0, 1, 2])
    with np.load("word.npz") as arrays:
        np.savez("word.npz", x=arrays["x"], y=np.where(arrays["y"] == "owl", "unknown", arrays["y"]))
    refused(["adapt", "word.npz", "target.npz", "--unknown", *LEARN], "has a class called unknown", "rename")


def test_labels_that_were_given_to_strangers_are_not_learnt_from(open_data, juyi):
    juyi("adapt", "source.npz", "target.npz", "--unknown", "--target-labels", "5", "--out", "run", *LEARN)
    assert RunFolder(Path("run")).read()["target_labels"]["given"] == 15


def test_a_target_that_lacks_classes_is_taken_and_its_shares_recorded(juyi, refused):
    clouds("source.npz", [0, 1, 2, 3])
    clouds("target.npz", [0, 1], seed=1)
    plain = juyi("adapt", "source.npz", "target.npz", "--out", "plain", *LEARN)
    assert plain.code == 0 and "note: target.npz: has no class elk, owl;" in plain.err
    record = RunFolder(Path("plain")).read()
    assert record["class_shares"]["used"] == "source"
    assert np.allclose(record["class_shares"]["source"], 0.25, atol=0.01)
    estimated = juyi("adapt", "source.npz", "target.npz", "--class-shares", "estimated", "--out", "run", *LEARN)
    assert estimated.code == 0
    record = RunFolder(Path("run")).read()
    shares = record["class_shares"]
    assert shares["used"] == "estimated" and sum(shares["estimated"]) == pytest.approx(1, abs=1e-4)
    assert json.loads(Path("run/figures/class_balance.json").read_text())["estimated"] == shares["estimated"]
    assert "estimate" in Path("run/report.html").read_text(encoding="utf-8")
    refused(
        ["adapt", "source.npz", "target.npz", "--method", "adabn", "--class-shares", "estimated", *LEARN],
        "--class-shares estimated: AdaBN cannot have it",
    )


def test_other_shares_are_warned_of(juyi):
    clouds("source.npz", [0, 1, 2, 3])
    clouds("target.npz", [0], seed=1)
    said = juyi("adapt", "source.npz", "target.npz", "--out", "run", "--batch-norm", "none", *LEARN)
    record = RunFolder(Path("run")).read()
    assert any("other shares of the classes" in warning for warning in record["warnings"]), record["class_shares"]
    assert "try --class-shares estimated" in said.out
