"""`juyi adapt RUN --online STREAM`: the run folder, what reads it, what is refused."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from cli.cli_data import image_folder
from juyi.adapt import online
from juyi.errors import DataChangedError, RunFolderError
from juyi.runs import RunFolder


def shifted(path, n=100, seed=5, by_class=False, shift=2.0):
    """Two classes, moved; the run of `finished` is about as often wrong as right on them."""
    rng = np.random.default_rng(seed)
    y = np.sort(np.arange(n) % 2) if by_class else rng.permutation(np.arange(n) % 2)
    np.savez(path, x=(rng.normal(size=(n, 3)) + 3 * y[:, None] + shift).astype(np.float32), y=y)
    return Path(path)


@pytest.fixture
def stream(finished):
    return shifted("stream.npz")


def rows(run):
    return list(csv.DictReader((Path(run) / "predictions.csv").read_text().splitlines()))


def lines(run):
    return [json.loads(line) for line in (Path(run) / "log.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("method", online.METHODS)
def test_a_run_folder_as_every_other(juyi, stream, method):
    said = juyi(
        "adapt", "run", "--online", stream, "--test", stream, "--method", method, "--out", "on", "--batch", "32"
    )
    assert said.code == 0, said
    record = RunFolder.open("on").read()
    assert (record["room"], record["method"], record["serves"], record["status"]) == (
        "adapt",
        method,
        method,
        "finished",
    )
    assert record["data"]["target"]["labelled"] == 0 and record["target_labels"]["given"] == 0
    assert [opening["data"] for opening in record["openings"]] == ["stream.npz"]
    assert [(r["model"], r["n"], r["on"]["role"]) for r in record["results"]] == [
        ("source_only", 100, "test"),
        (method, 100, "test"),
    ]
    assert record["verdict"]["evidence"] == "test_labels"
    assert "dann without adapting" in record["verdict"]["sentence"]
    kept = record["online"]
    assert (kept["model"], kept["batches"], kept["scored"]) == ("dann", 3, "the answers as the stream passed")
    assert kept["class_shares_from"] == "labels of the source" and sum(kept["class_shares"]) == pytest.approx(1)
    assert [(line["batch"], line["rows"]) for line in lines("on")] == [(1, 32), (2, 32), (3, 36)]
    assert {path.name for path in Path("on/models").glob("*.safetensors")} == {
        "source_only.safetensors", f"{method}.safetensors"
    }  # fmt: skip
    assert Path("on/report.html").is_file() and "report: " in said.out


def test_the_answers_that_were_given_are_those_that_are_scored(juyi, stream):
    juyi("adapt", "run", "--online", stream, "--test", stream, "--out", "on")
    table = rows("on")
    y = np.load(stream)["y"]
    for result in RunFolder.open("on").read()["results"]:
        right = np.mean([int(row[result["model"]]) == truth for row, truth in zip(table, y, strict=True)])
        assert result["value"] == pytest.approx(right)


def test_source_only_is_what_predict_says_of_the_run(juyi, stream):
    juyi("adapt", "run", "--online", stream, "--out", "on")
    before = juyi("predict", "run", stream, "--json").out
    floor = juyi("predict", "on", stream, "--model", "source_only", "--json").out
    assert json.loads(before) == json.loads(floor)
    table = [row["source_only"] for row in rows("on")]
    assert table == [row["prediction"] for row in json.loads(floor)["predictions"]]


def test_another_test_is_scored_by_the_model_after_the_stream(juyi, stream):
    shifted("other.npz", seed=9)
    assert juyi("adapt", "run", "--online", stream, "--test", "other.npz", "--out", "on").code == 0
    record = RunFolder.open("on").read()
    assert record["online"]["scored"] == "the model as it is after the stream"
    served = json.loads(juyi("predict", "on", "other.npz", "--json").out)["predictions"]
    right = np.mean([int(p["prediction"]) == y for p, y in zip(served, np.load("other.npz")["y"], strict=True)])
    assert record["results"][-1]["value"] == pytest.approx(right)


def test_labels_of_the_stream_are_not_read(juyi, stream):
    held = np.load(stream)
    np.savez("bare.npz", x=held["x"])
    np.savez("wrong.npz", x=held["x"], y=1 - held["y"])
    for name in (stream, "bare.npz", "wrong.npz"):
        assert juyi("adapt", "run", "--online", name, "--method", "tent", "--out", f"on-{name}").code == 0
    runs = [Path(f"on-{name}") for name in (stream, "bare.npz", "wrong.npz")]
    assert len({(run / "predictions.csv").read_bytes() for run in runs}) == 1
    assert len({(run / "models" / "tent.safetensors").read_bytes() for run in runs}) == 1
    assert RunFolder.open(runs[0]).read()["verdict"]["evidence"] == "label_free"


def test_a_stream_by_class_is_warned_of(juyi, finished):
    shifted("ordered.npz", n=256, by_class=True, shift=0.3)
    quick = ("--epochs", "30", "--batch", "16", "--precision", "float32")
    assert juyi("train", "source.npz", *quick, "--out", "start").code == 0
    said = juyi("adapt", "start", "--online", "ordered.npz", "--test", "ordered.npz", "--out", "on")
    record = RunFolder.open("on").read()
    assert record["online"]["held_back"] == 4 and record["online"]["held_back_rows"] == 256
    assert "ordered by class" in said.err and "ordered by class" in said.out
    assert record["results"][0]["value"] == record["results"][1]["value"]
    assert "held back" in Path("on/report.html").read_text()


def test_images_in_the_order_of_their_names(juyi):
    image_folder("photos", n=30)
    image_folder("frames", classes=(), n=40)
    quick = ("--epochs", "2", "--batch", "16", "--net", "lenet5_half", "--precision", "float32")
    assert juyi("train", "photos", *quick, "--out", "start").code == 0
    assert juyi("adapt", "start", "--online", "frames", "--out", "on").code == 0
    names = [row["name"] for row in rows("on")]
    assert names == [f"{i}.png" for i in range(40)]
    record = RunFolder.open("on").read()
    assert record["online"]["class_shares_from"] == "its answers on held-out source"
    assert record["results"] == [] and Path("on/figures/least_sure.json").is_file()


def test_an_online_run_can_be_begun_at(juyi, stream):
    juyi("adapt", "run", "--online", stream, "--out", "one")
    assert juyi("adapt", "one", "--online", stream, "--out", "two").code == 0
    one, two = (RunFolder.open(name).read()["online"] for name in ("one", "two"))
    assert two["class_shares"] == one["class_shares"] and two["model"] == "batch_norm_adaptation"


def test_a_killed_run_is_followed_anew_to_the_same_bits(juyi, stream, monkeypatch):
    command = ("adapt", "run", "--online", stream, "--method", "tent", "--batch", "16", "--test", stream)
    juyi(*command, "--out", "whole")
    follow, count = online.Tent._next, []

    def killed(self, *arguments):
        count.append(1)
        if len(count) == 4:
            raise KeyboardInterrupt
        return follow(self, *arguments)

    monkeypatch.setattr(online.Tent, "_next", killed)
    said = juyi(*command, "--out", "on")
    assert said.code == 130 and "juyi resume on" in said.err
    monkeypatch.setattr(online.Tent, "_next", follow)
    assert "first: juyi resume on" in juyi("predict", "on", stream).err
    assert juyi("resume", "on").code == 0
    for part in ("predictions.csv", "log.jsonl", "models/tent.safetensors", "figures/stream.json"):
        assert (Path("on") / part).read_bytes() == (Path("whole") / part).read_bytes()
    assert "nothing to resume" in juyi("resume", "on").err
    with pytest.raises(RunFolderError, match="finished"):
        online.resume(RunFolder.open("on"), methods=online.METHODS)


def test_resuming_with_another_stream_is_refused(juyi, stream):
    juyi("adapt", "run", "--online", stream, "--out", "on")
    folder = RunFolder.open("on")
    folder.write({**folder.read(), "status": "running"})
    shifted(stream, seed=77)
    with pytest.raises(DataChangedError, match="has changed"):
        online.resume(folder, methods=online.METHODS)


def test_json_report_and_methods(juyi, stream):
    said = juyi("adapt", "run", "--online", stream, "--out", "on", "--json")
    assert json.loads(said.out)["online"]["batches"] == 2  # 64, and 36
    assert juyi("report", "on").code == 0
    assert "Over the stream" in Path("on/report.html").read_text()
    found = json.loads(juyi("methods", "--json").out)["methods"]
    assert {m["name"] for m in found if m["room"] == "adapt.online"} == {"batch_norm_adaptation", "tent"}
    assert "entropy_limit" in juyi("methods", "tent").out or "--entropy-limit" in juyi("methods", "tent").out


def test_yaml_may_hold_the_stream(juyi, stream):
    Path("on.yaml").write_text("online: stream.npz\nmethod: tent\nbatch: 32\n")
    assert juyi("adapt", "run", "--config", "on.yaml", "--out", "on").code == 0
    assert RunFolder.open("on").read()["hyperparameters"]["batch"] == 32


def test_refused(refused, stream):
    np.savez("one.npz", x=np.load(stream)["x"][:1])
    np.savez("wide.npz", x=np.zeros((64, 5), np.float32))
    np.savez("bare.npz", x=np.load(stream)["x"])
    begin = ("adapt", "run", "--online")
    refused([*begin, "one.npz"], "has 1 row", "juyi predict run one.npz")
    refused([*begin, stream, "--batch", "1"], "--batch 1", "--batch 64 collects")
    refused([*begin, "wide.npz"], "3 features")
    refused([*begin, "gone.npz"], "gone.npz")
    refused([*begin, stream, "--test", "bare.npz"], "has no labels")
    refused([*begin, stream, "--out", "run", "--overwrite"], "is the run to begin at")
    refused(["adapt", "run", "target.npz", "--online", stream], "target.npz", "leave TARGET out")
    refused(["adapt", "run"], "TARGET is missing", "--online STREAM")
    refused(["adapt", "nowhere", "--online", stream], "nowhere")
    refused(["adapt", "source.npz", "--online", stream], "source.npz")
    refused([*begin, stream, "--method", "dann"], "no such method")
    refused([*begin, stream, "--anchor", "1"], "--anchor", "setting of tent")
    refused(["adapt", "source.npz", "target.npz", "--method", "tent"], "--online STREAM --method tent")
    refused([*begin, stream, "--prior", "-1"], "--prior", "out of range")


def test_an_unfinished_run_is_no_start(refused, stream, finished):
    folder = RunFolder.open("run")
    folder.write({**folder.read(), "status": "running"})
    refused(["adapt", "run", "--online", stream], "is not finished", "juyi resume run")


def test_a_network_without_normalisation_is_refused(juyi, refused, finished, stream):
    quick = ("--epochs", "1", "--batch", "16", "--precision", "float32")
    assert juyi("train", "source.npz", *quick, "--batch-norm", "none", "--out", "bare").code == 0
    for method in online.METHODS:
        refused(["adapt", "bare", "--online", stream, "--method", method], "--batch-norm domain")
