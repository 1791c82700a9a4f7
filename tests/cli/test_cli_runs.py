"""Whole runs by the command, on tiny data: what a run folder holds, what is withheld, what is refused."""

import csv
import json
import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import juyi as package
from cli.cli_data import QUICK, arrays, image_folder, table, tree
from juyi.runs import RunFolder

DIGITS = ("digits@train[:120]", "digits_m@train[:120]")
SMALL = (*QUICK, "--net", "lenet5")


def rows_of(path):
    with Path(path).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_run_on_digits_holds_everything(juyi):
    said = juyi("adapt", *DIGITS, "--test", "digits_m@test[:80]", *SMALL, "--json")
    assert said.code == 0, said.err
    record = json.loads(said.out)
    assert record == RunFolder.open("runs/dann-1").read()
    assert record["schema"] == 1
    assert record["command"].startswith("juyi adapt 'digits@train[:120]' ")
    assert (record["room"], record["method"], record["serves"], record["seed"]) == ("adapt", "dann", "dann", 0)
    assert record["hyperparameters"]["epochs"] == 1
    assert set(record["hyperparameters"]) >= {"net", "batch", "learning_rate", "critic_width", "reversal"}
    assert {role: entry["name"] for role, entry in record["data"].items()} == {
        "source": DIGITS[0], "target": DIGITS[1], "test": "digits_m@test[:80]"
    }  # fmt: skip
    assert all(len(entry["fingerprint"]) == 16 for entry in record["data"].values())
    assert [entry["labelled"] for entry in record["data"].values()] == [120, 0, 80]
    assert record["target_labels"] == {"given": 0, "given_to_start": 0}
    assert set(record["versions"]) >= {"juyi", "torch", "numpy", "python"}
    assert record["machine"]["precision"] == "float32"
    assert set(record["seconds"]) == {"source_only", "dann"}
    results = {(r["model"], r["on"]["role"]): r for r in record["results"]}
    assert set(results) == {(m, role) for m in ("source_only", "dann") for role in ("source_validation", "test")}
    for result in results.values():
        assert 0 <= result["low"] <= result["value"] <= result["high"] <= 1
        assert result["saw_target_labels"] is False
    assert results["dann", "test"]["n"] == 80
    assert results["dann", "test"]["on"]["data"] == "digits_m@test[:80]"
    assert record["verdict"]["answer"] in {"helped", "no_difference", "hurt", "cannot_tell"}
    assert record["verdict"]["evidence"] == "test_labels"
    assert record["verdict"]["sentence"]
    assert [opening["data"] for opening in record["openings"]] == ["digits_m@test[:80]"]
    assert record["status"] == "finished"
    folder = Path("runs/dann-1")
    assert {path.name for path in (folder / "models").iterdir()} == {
        f"{model}.{end}" for model in ("source_only", "dann") for end in ("safetensors", "json")
    }  # fmt: skip
    predictions = rows_of(folder / "predictions.csv")
    assert len(predictions) == 120
    assert set(predictions[0]) == {"name", "dann", "dann_confidence", "source_only", "source_only_confidence"}
    assert (folder / "report.html").read_text(encoding="utf-8").lower().startswith("<!doctype html")
    assert (folder / "log.jsonl").read_text().count("\n") == 2
    assert not (folder / "checkpoint").exists()
    assert "source digits@train[:120]: 120 images" in said.err
    assert "run folder: runs/dann-1" in said.err
    assert "note: digits@train[:120]: all images repeated from grey to RGB" in said.err


def test_nothing_but_results_goes_to_standard_output(finished, juyi):
    said = juyi("adapt", "source.npz", "target.npz", *QUICK)
    assert said.code == 0
    assert said.out.splitlines()[0].startswith("accuracy on source.npz (source, held out)")
    assert said.out.splitlines()[-1] == "report: runs/dann-1/report.html"
    assert "run folder: runs/dann-1" in said.err


def test_predict_from_a_run_equals_its_predictions(finished, juyi):
    said = juyi("predict", "run", "target.npz", "--json")
    assert (said.code, said.err) == (0, "")
    expected = rows_of("run/predictions.csv")
    predicted = json.loads(said.out)["predictions"]
    assert [(r["name"], r["prediction"]) for r in predicted] == [(r["name"], r["dann"]) for r in expected]
    assert [f"{r['confidence']:.4f}" for r in predicted] == [r["dann_confidence"] for r in expected]
    other = juyi("predict", "run", "target.npz", "--model", "source_only")
    assert [r["prediction"] for r in csv.DictReader(other.out.splitlines())] == [r["source_only"] for r in expected]
    written = juyi("predict", "run", "target.npz", "--out", "new/p.csv")
    assert (written.out, written.err) == ("", "80 predictions: new/p.csv\n")
    assert [r["prediction"] for r in rows_of("new/p.csv")] == [r["dann"] for r in expected]


def test_report_writes_the_page_anew(finished, juyi):
    (finished / "report.html").unlink()
    said = juyi("report", "run")
    assert said.code == 0
    assert "report: run/report.html" in said.out
    assert (finished / "report.html").is_file()
    assert json.loads(juyi("report", "run", "--json").out) == RunFolder.open("run").read()


def test_train_then_predict(juyi):
    image_folder("here", n=20)
    image_folder("other", seed=1, size=20)
    said = juyi("train", "here", "--test", "other", *SMALL, "--out", "teacher", "--json")
    assert said.code == 0, said.err
    record = json.loads(said.out)
    assert (record["room"], record["method"], record["serves"]) == ("train", "source_only", "source_only")
    assert [r["on"]["role"] for r in record["results"]] == ["source_validation", "test"]
    said = juyi("predict", "teacher", "other")
    assert said.code == 0
    assert said.err == "note: other: all images resized from 20×20 to 28×28\n"
    assert len(said.out.splitlines()) == 25


def test_images_of_another_size_and_colour_are_conformed_for_prediction(juyi):
    image_folder("here", n=20)
    assert juyi("train", "here", *SMALL, "--out", "teacher").code == 0
    np.savez("colour.npz", x=np.random.default_rng(0).integers(0, 255, (5, 3, 32, 30), np.uint8))
    said = juyi("predict", "teacher", "colour.npz", "--json")
    assert len(json.loads(said.out)["predictions"]) == 5
    assert "RGB to grey" in said.err
    assert "resized from 32×30 to 28×28" in said.err


@pytest.mark.parametrize("method", ["dann", "adda"])
def test_withheld_labels_change_nothing(juyi, method):
    arrays("source.npz")
    for name, seed in (("a", 0), ("b", 1)):
        Path(name).mkdir()
        arrays(f"{name}/target.npz", seed=3)
        with np.load(f"{name}/target.npz") as old:
            np.savez(f"{name}/target.npz", x=old["x"], y=np.random.default_rng(seed).permutation(old["y"]))
    runs = {}
    for name in ("a", "b"):
        shutil.copy(f"{name}/target.npz", "target.npz")
        more = ["--adversarial-epochs", "1"] if method == "adda" else []
        said = juyi("adapt", "source.npz", "target.npz", "--method", method, *more, *QUICK, "--out", f"{name}/run")
        assert said.code == 0, said.err
        runs[name] = tree(f"{name}/run")
    assert not np.array_equal(np.load("a/target.npz")["y"], np.load("b/target.npz")["y"])
    for part in ("predictions.csv", "models/source_only.safetensors", f"models/{method}.safetensors"):
        assert runs["a"][f"a/run/{part}"] == runs["b"][f"b/run/{part}"], part
    records = [json.loads(runs[name][f"{name}/run/run.json"]) for name in ("a", "b")]
    assert records[0]["data"] == records[1]["data"]
    assert records[0]["results"] == records[1]["results"]


@pytest.mark.parametrize(("wanted", "given"), [("5", 10), ("all", 80), ("labels.csv", 3)])
def test_target_labels_that_are_given_are_counted_and_marked(juyi, wanted, given):
    arrays("source.npz")
    arrays("target.npz", seed=1)
    Path("labels.csv").write_text("name,label\n0,0\n2,0\n7,0\n4,\n")
    said = juyi("adapt", "source.npz", "target.npz", "--target-labels", wanted, *QUICK, "--out", "run", "--json")
    assert said.code == 0, said.err
    record = json.loads(said.out)
    assert record["target_labels"]["given"] == given
    assert all(result["saw_target_labels"] for result in record["results"])
    assert f"target target.npz: 80 rows, 3 features, {given} labels read" in said.err


def test_a_few_target_labels_need_not_name_every_class(juyi):
    arrays("source.npz")
    arrays("target.npz", seed=1, labels=False)
    Path("labels.csv").write_text("name,label\n3,1\n")
    said = juyi("adapt", "source.npz", "target.npz", "--target-labels", "labels.csv", *QUICK, "--out", "run")
    assert said.code == 0, said.err


@pytest.mark.parametrize("wanted", ["0", "all"])
def test_a_table_with_a_few_labels_need_not_name_every_class(juyi, wanted):
    table("a.csv", classes=("cat", "dog", "owl"))
    table("b.csv", seed=1, classes=("cat", "dog", "owl"), cells={(row, 2): "" for row in range(1, 40)})
    arguments = ["adapt", "a.csv", "b.csv", "--label", "kind", "--target-labels", wanted, *QUICK, "--out", "run"]
    said = juyi(*arguments, "--json")
    assert said.code == 0, said.err
    assert json.loads(said.out)["classes"] == ["cat", "dog", "owl"]
    assert json.loads(said.out)["target_labels"]["given"] == (1 if wanted == "all" else 0)


def test_a_test_without_some_class_is_scored_and_it_is_said(juyi):
    table("a.csv", classes=("cat", "dog", "owl"))
    table("test.csv", n=10, seed=1, classes=("owl", "cat"))
    said = juyi("train", "a.csv", "--test", "test.csv", "--label", "kind", *QUICK, "--out", "run", "--json")
    assert said.code == 0, said.err
    assert json.loads(said.out)["results"][-1]["n"] == 10
    assert "note: test.csv: there is no labelled row of dog" in said.err


def test_a_table_without_labels_is_a_target_also_when_a_label_column_is_named(juyi):
    table("a.csv")
    table("b.csv", seed=1, label=None)
    said = juyi("adapt", "a.csv", "b.csv", "--label", "kind", *QUICK, "--out", "run")
    assert said.code == 0, said.err


def test_several_sources_are_one_with_groups(juyi, monkeypatch):
    for seed, split in enumerate(("photo", "cartoon", "sketch")):
        image_folder(f"sets/pets/{split}", seed=seed)
    monkeypatch.setenv("JUYI_DATA", "sets")
    said = juyi("adapt", "pets@photo+cartoon", "pets@sketch", "--test", "pets@sketch[:20]", *SMALL, "--json")
    assert said.code == 0, said.err
    record = json.loads(said.out)
    assert record["data"]["source"]["rows"] == 48
    assert record["data"]["target"]["rows"] == 24


def test_a_test_of_rows_that_were_learnt_from_is_said(juyi):
    arrays("source.npz")
    arrays("target.npz", seed=1)
    said = juyi("adapt", "source.npz", "target.npz", "--test", "target.npz", *QUICK, "--out", "run", "--json")
    assert said.code == 0
    note = "target.npz: 80 of 80 rows are also in target.npz and so are learnt from, without their labels"
    assert note in said.err
    assert any(note in line for line in json.loads(said.out)["notes"])
    said = juyi("train", "source.npz", "--test", "source.npz", *QUICK, "--out", "other")
    assert "80 of 80 rows are also in source.npz and so are learnt from, with their labels" in said.err


def test_rows_of_a_test_without_labels_are_not_scored(juyi):
    table("a.csv")
    table("test.csv", seed=1, cells={(0, 2): "", (5, 2): ""})
    said = juyi("train", "a.csv", "--test", "test.csv", "--label", "kind", *QUICK, "--out", "run", "--json")
    assert json.loads(said.out)["results"][-1]["n"] == 38
    assert "2 of 40 rows have no label, so they are not scored" in said.err


def test_a_run_is_replaced_only_when_asked(finished, juyi, refused):
    words = ("run: holds a run already", "--overwrite")
    refused(["adapt", "source.npz", "target.npz", *QUICK, "--out", "run"], *words)
    refused(["train", "source.npz", *QUICK, "--out", "run"], *words)
    (finished / "my notes.txt").write_text("kept")
    before = (finished / "run.json").read_bytes()
    said = juyi("train", "source.npz", *QUICK, "--out", "run", "--overwrite")
    assert said.code == 0, said.err
    assert (finished / "run.json").read_bytes() != before
    assert {path.name for path in (finished / "models").iterdir()} == {"source_only.json", "source_only.safetensors"}
    assert not (finished / "predictions.csv").exists()
    assert (finished / "my notes.txt").read_text() == "kept"


@pytest.mark.parametrize(
    "wrong", [["--net", "mpl"], ["--epochs", "0"], ["--test", "gone.npz"], ["--target-labels", "x"], ["--batch", "999"]]
)
def test_a_run_is_not_replaced_when_the_input_is_wrong(finished, refused, wrong):
    quick = [part for part in QUICK if wrong[0] not in ("--epochs", "--batch") or part.startswith("x")]
    refused(["adapt", "source.npz", "target.npz", *quick, *wrong, "--out", "run", "--overwrite"])


@pytest.mark.parametrize("more", [[], ["--overwrite"]])
def test_a_folder_with_foreign_files_is_left_alone(refused, more):
    arrays("source.npz")
    Path("mine/models").mkdir(parents=True)
    Path("mine/models/weights").write_text("years of work")
    refused(["train", "source.npz", *QUICK, "--out", "mine", *more], "mine: holds files that are not a run", "--out")
    for foreign in ('{"a": 1}', "no json", "[]"):
        Path("mine/run.json").write_text(foreign)
        refused(["train", "source.npz", *QUICK, "--out", "mine", *more], "mine", *([] if more else ["--overwrite"]))
    refused(["train", "source.npz", *QUICK, "--out", "source.npz", *more], "source.npz: is a file", "--out")


def test_a_folder_that_cannot_be_written(refused):
    arrays("source.npz")
    Path("file").write_text("")
    arguments = ["train", "source.npz", *QUICK, "--out", "file/run"]
    refused(arguments, "file/run: cannot be made", "name another folder with --out", code=1)


def test_an_empty_folder_may_be_the_run_folder_also_the_current_one(juyi, monkeypatch):
    arrays("source.npz")
    Path("run").mkdir()
    monkeypatch.chdir("run")
    said = juyi("train", "../source.npz", *QUICK, "--out", ".")
    assert said.code == 0, said.err
    assert "report: report.html" in said.out
    assert Path("report.html").is_file()


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("models/dann.safetensors", b"no tensors", ["dann.safetensors: is damaged or is no safetensors file"]),
        ("models/dann.safetensors", b"", ["dann.safetensors"]),
        ("models/dann.json", b"{}", ["dann.json: is not the description of a model of Juyi"]),
        ("models/dann.json", b"\x80\x04]\x94.", ["dann.json: is not a JSON file that Juyi wrote"]),
        ("models/dann.json", ("shape", [5]), ["dann.safetensors: does not fit its description"]),
        ("models/dann.json", ("shape", [-1]), ["its shape is impossible"]),
        ("models/dann.json", ("classes", ["a"]), ["its classes do not fit its outputs"]),
        ("models/dann.json", ("network", "os:system"), ["is not built in; give it again with --net"]),
        ("models/dann.json", None, ["dann.json: there is no such file"]),
        ("run.json", b"{", ["run.json: is not a JSON file"]),
        ("run.json", b"[]", ["run.json: is not a run's record"]),
        ("run.json", ("schema", 99), ["schema 99", "update Juyi"]),
        ("run.json", ("serves", "gone"), ["gone.json: there is no such file"]),
        ("run.json", None, ["run: holds no run.json, so it is not a run"]),
    ],
)
def test_a_tampered_or_foreign_model_is_refused(finished, refused, file, content, words):
    path = finished / file
    if content is None:
        path.unlink()
    elif isinstance(content, tuple):
        path.write_text(json.dumps({**json.loads(path.read_text()), content[0]: content[1]}))
    else:
        path.write_bytes(content)
    refused(["predict", "run", "target.npz"], *words)


def test_weights_that_are_no_numbers_are_refused(finished, refused):
    import torch

    from juyi.runs.files import read_tensors, write_tensors

    path = finished / "models/dann.safetensors"
    tensors, note = read_tensors(path)
    write_tensors(path, {name: torch.full_like(t, torch.nan) for name, t in tensors.items()}, note)
    refused(["predict", "run", "target.npz"], "damaged")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "pictures"], ["pictures: holds images, but the network takes 3 features a row"]),
        (["run", "wide.npz"], ["wide.npz: holds 5 features a row, but the network takes 3 features a row"]),
        (["run", "gone.npz"], ["gone.npz: there is no such file"]),
        (["gone", "target.npz"], ["gone: there is no such folder", "`juyi adapt`"]),
        (["pictures", "target.npz"], ["pictures: holds no run.json, so it is not a run"]),
        (["run", "target.npz", "--model", "dan"], ["--model dan: run has no such model; did you mean dann?"]),
        (["run", "target.npz", "--model", "../models/dann"], ["--model ../models/dann: run has no such model"]),
        (["run", "target.npz", "--out", "pictures"], ["--out pictures: is a folder; name a file"]),
        (["run", "target.npz", "--size", "8"], ["no images", "size"]),
    ],
)
def test_predicting_what_cannot_be_predicted(finished, refused, arguments, words):
    image_folder("pictures")
    arrays("wide.npz", width=5)
    refused(["predict", *arguments], *words)


def test_the_demo_is_the_run_that_its_command_line_says(juyi, monkeypatch):
    asked = []
    monkeypatch.setattr("juyi.cli.demo.start", lambda *arguments: asked.append(arguments))
    monkeypatch.setattr("juyi.cli.adapt.start", lambda *arguments: asked.append(arguments))
    assert juyi("demo", "--seed", "3").code == 0
    (demo, method, given) = asked[0]
    assert str(given["out"]) == "juyi-demo"
    assert juyi(*shlex.split(demo.command)[1:]).code == 0
    (same, again, _) = asked[1]
    assert replace(same, command="") == replace(demo, command="")
    assert again.get_params() == method.get_params()
    assert method.random_state == 3


def test_the_example_of_the_package_runs(monkeypatch):
    """As in the docstring of `juyi`, with fewer rows and epochs."""
    source = package.load("digits@train[:100]")
    target = package.withhold_labels(package.load("digits_m@train[:100]"))
    assert not target.labelled.any()
    model = package.adapt.DANN(random_state=0, epochs=1, batch=32, net="lenet5").fit(source, target=target)
    test = package.load("digits_m@test[:50]")
    predicted = model.predict(test)
    assert predicted.shape == (50,)
    assert set(predicted) <= set(source.classes)
    assert model.predict_proba(test).sum(1) == pytest.approx(1, abs=1e-5)
    assert 0 <= model.score(test) <= 1


def test_a_run_in_python_is_read_again(finished):
    served = package.read_run("run")
    predicted = served.predict(package.load("target.npz"))
    assert list(predicted) == [row["dann"] for row in rows_of("run/predictions.csv")]
