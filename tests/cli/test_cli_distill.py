"""`juyi distill` by the command, on tiny data: what a run folder holds, how it goes on, what is refused."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from cli.cli_data import arrays, tree
from juyi.cli import main
from juyi.runs import RunFolder
from juyi.training import stage_run

QUICK = ("--epochs", "2", "--batch", "16", "--precision", "float32")
STUDENT = (*QUICK, "--student", "mlp-8")


@pytest.fixture(scope="module")
def trained_folder(tmp_path_factory):
    """A teacher, made once."""
    folder = tmp_path_factory.mktemp("trained")
    arrays(folder / "data.npz", n=200)
    arrays(folder / "test.npz", n=80, seed=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("JUYI_CACHE", str(tmp_path_factory.mktemp("cache")))
        assert main(["train", "data.npz", "--out", "teacher", *QUICK[2:], "--epochs", "30", "--net", "mlp"]) == 0
    return folder


@pytest.fixture
def teacher(trained_folder, tmp_path):
    """A copy of the teacher and its data in this test's folder; the run is `teacher`."""
    shutil.copytree(trained_folder, tmp_path, dirs_exist_ok=True)
    return tmp_path / "teacher"


def test_a_run_holds_everything(teacher, juyi):
    said = juyi("distill", "teacher", "data.npz", "--test", "test.npz", *STUDENT, "--temperatures", "1,8", "--json")
    assert said.code == 0, said.err
    record = json.loads(said.out)
    assert record == RunFolder.open("runs/hinton-1").read()
    assert (record["room"], record["method"], record["serves"]) == ("distill", "hinton", "hinton")
    assert list(record["data"]) == ["teacher", "data", "test"]
    assert record["data"]["teacher"]["name"] == "teacher"
    assert record["network"]["teacher_parameters"] > record["network"]["parameters"] > 0
    results = {(r["name"], r["model"], r["on"]["role"]) for r in record["results"]}
    models = ("teacher", "student_alone", "hinton")
    assert results == {("accuracy", m, role) for m in models for role in ("held_out", "test")} | {
        ("agreement", m, role) for m in models[1:] for role in ("held_out", "test")
    }
    for result in record["results"]:
        assert 0 <= result["low"] <= result["value"] <= result["high"] <= 1
    assert record["verdict"]["sentence"].startswith(("Distilling", "This test cannot tell whether distilling"))
    assert len(record["openings"]) == 1
    assert set(record["seconds"]) == {"student_alone", "temperature_1", "temperature_8", "hinton"}
    figure = json.loads(Path("runs/hinton-1/figures/temperature.json").read_text())
    assert [point["temperature"] for point in figure["points"]] == [1.0, 8.0]
    page = Path("runs/hinton-1/report.html").read_text()
    assert "times smaller than its teacher" in page and "Accuracy and temperature" in page
    assert not Path("runs/hinton-1/checkpoint").exists()


def test_the_student_predicts_without_its_teacher(teacher, juyi):
    assert juyi("distill", "teacher", "data.npz", *STUDENT, "--out", "run").code == 0
    shutil.rmtree("teacher")
    said = juyi("predict", "run", "test.npz", "--json")
    assert said.code == 0, said.err
    assert len(json.loads(said.out)["predictions"]) == 80
    assert juyi("predict", "run", "test.npz", "--model", "student_alone").code == 0


def test_unlabelled_data_have_no_student_alone_and_say_how_often_both_agree(teacher, juyi):
    np.savez("bare.npz", x=np.load("data.npz")["x"])
    said = juyi("distill", "teacher", "bare.npz", *STUDENT, "--out", "run")
    assert said.code == 0, said.err
    record = RunFolder.open("run").read()
    assert {(r["name"], r["model"]) for r in record["results"]} == {("agreement", "hinton")}
    assert "answers as its teacher on" in said.out
    assert list(record["seconds"]) == ["hinton"]


def test_a_run_that_was_stopped_goes_on_to_the_same_bits(teacher, juyi, monkeypatch):
    steps, real = iter(range(10**6)), stage_run._take_turn

    def take_turn(*arguments):
        if next(steps) == 31:
            raise KeyboardInterrupt
        real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(stage_run, "_take_turn", take_turn)
        stopped = juyi("distill", "teacher", "data.npz", *STUDENT, "--out", "run")
    assert (stopped.code, stopped.line) == (130, "juyi: stopped; to go on where it was: juyi resume run")
    said = juyi("resume", "run")
    assert said.code == 0, said.err
    assert juyi("distill", "teacher", "data.npz", *STUDENT, "--out", "whole").code == 0
    whole, resumed = tree("whole"), tree("run")
    for part in ("models/hinton.safetensors", "models/student_alone.safetensors"):
        assert resumed[f"run/{part}"] == whole[f"whole/{part}"], part


def test_a_run_whose_teacher_changed_is_not_resumed(teacher, juyi, monkeypatch, refused):
    def stop(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(stage_run, "_take_turn", stop)
        juyi("distill", "teacher", "data.npz", *STUDENT, "--out", "run")
    assert juyi("train", "data.npz", "--out", "teacher", "--overwrite", *QUICK, "--net", "mlp", "--seed", "9").code == 0
    refused(["resume", "run"], "teacher: has changed since the run in run began")


def test_biases_are_corrected_in_a_model_of_its_own(teacher, juyi):
    said = juyi("distill", "teacher", "data.npz", *STUDENT, "--correct-bias", "test.npz", "--out", "run")
    assert said.code == 0, said.err
    record = RunFolder.open("run").read()
    assert record["serves"] == "hinton_corrected"
    assert any("class biases were corrected by the labels of 80 rows of test.npz" in note for note in record["notes"])
    assert {r["model"] for r in record["results"]} == {"teacher", "student_alone", "hinton", "hinton_corrected"}
    assert juyi("predict", "run", "test.npz").code == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere", "data.npz"], ["nowhere"]),
        (["teacher", "gone.npz"], ["gone.npz"]),
        (["teacher"], ["needs data, labelled or not"]),
        (["teacher", "data.npz", "--temperature", "0"], ["--temperature 0", "out of range"]),
        (["teacher", "data.npz", "--temperatures", "1,none"], ["--temperatures 1,none", "none is no number above 0"]),
        (["teacher", "data.npz", "--student", "lenet6"], ["--student lenet6", "there is no such network"]),
        (["teacher", "data.npz", "--student", "lenet5"], ["--student lenet5", "the data are features"]),
        (["teacher", "data.npz", "--method", "hintn"], ["did you mean hinton"]),
        (["teacher", "other.npz"], ["other.npz"]),
        (["teacher", "digits@train"], ["digits@train", "features"]),
        (["teacher", "named.npz"], ["named.npz", "classes"]),
    ],
)
def test_what_is_refused(teacher, refused, arguments, words):
    arrays("other.npz", width=5)
    given = np.load("data.npz")
    np.savez("named.npz", x=given["x"], y=np.where(np.arange(200) % 2, "cat", "owl"))
    refused(["distill", *arguments, *QUICK], *words)


def test_the_teacher_may_be_smaller_which_is_said(teacher, juyi):
    said = juyi("distill", "teacher", "data.npz", *QUICK, "--student", "mlp-2048", "--no-alone", "--out", "run")
    assert said.code == 0
    assert "more than its teacher" in said.err
    assert any("more than its teacher" in note for note in RunFolder.open("run").read()["notes"])
