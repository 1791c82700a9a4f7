"""A finished run in the place of the source's data: from Python, from the command, killed and resumed, and refused."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import juyi
from juyi.adapt import DANN, SHOT, AdaBN, SourceOnly
from juyi.adapt.outcome import Outcome
from juyi.cli import main
from juyi.errors import ClassesDifferError, DataError, SettingError
from juyi.runs.files import read_tensors, write_tensors
from juyi.training import read_run

DYING = Path(__file__).parents[1] / "training" / "dying.py"
QUICK = shlex.split("--epochs 1 --batch 32 --precision float32 --device cpu")
TARGET = "digits_m@train[:100]"
TEST = ("--test", "digits_m@test[:40]")


def tree(folder):
    return {str(p): p.read_bytes() for p in sorted(Path(folder).rglob("*")) if p.is_file()}


def record(folder="run"):
    return json.loads(Path(folder, "run.json").read_text())


def tensors(folder, model):
    return read_tensors(Path(folder, "models", f"{model}.safetensors"))[0]


def equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A finished run on the source alone, made once."""
    folder, threads = tmp_path_factory.mktemp("start"), torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("JUYI_CACHE", str(tmp_path_factory.mktemp("cache")))
        code = main(["train", "digits@train[:100]", "--net", "lenet5", "--out", "start", *QUICK])
    torch.set_num_threads(threads)
    assert code == 0
    return folder / "start"


@pytest.fixture(autouse=True)
def start(made, monkeypatch, tmp_path, tmp_path_factory):
    """Every test works in a folder of its own that holds a copy of that run, `start`."""
    monkeypatch.setenv("JUYI_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.delenv("JUYI_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    shutil.copytree(made, "start")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield Path("start")
    torch.set_num_threads(threads)


@pytest.fixture
def command(capsys):
    """Call the command; return its code and what it said on standard error."""

    def call(*arguments):
        capsys.readouterr()
        return main([*map(str, arguments)]), capsys.readouterr().err

    return call


@pytest.fixture
def refused(command):
    """One line with these words, code 2, and no file is changed."""

    def call(*arguments, words):
        before = tree(".")
        code, said = command(*arguments)
        assert code == 2 and len(said.splitlines()) == 1, said
        for word in words:
            assert word in said
        assert tree(".") == before

    return call


def archive(name, side=28, n=60, y=None, seed=0):
    x = np.random.default_rng(seed).integers(0, 256, (n, 1, side, side)).astype(np.uint8)
    np.savez(name, x=x, **({} if y is None else {"y": y}))
    return name


# From Python


@pytest.mark.parametrize("method", [SHOT, AdaBN])
def test_fit_takes_a_folder_its_path_or_what_was_read(start, method):
    target = juyi.withhold_labels(juyi.load(TARGET))
    settings = {"epochs": 1, "batch": 32, "precision": "float32", "device": "cpu"}
    before, served = tree(start), read_run("start")
    fingerprint = served.fingerprint()
    fitted = [method(**settings).fit(given, target=target) for given in ("start", start, served)]
    scores = [model.scores(target) for model in fitted]
    assert np.array_equal(scores[0], scores[1]) and np.array_equal(scores[0], scores[2])
    assert not np.array_equal(scores[0], served.scores(target))
    assert fitted[0].classes_.tolist() == [str(digit) for digit in range(10)]
    assert served.fingerprint() == fingerprint and tree(start) == before


def test_fit_goes_on_from_what_another_fit_has_learnt():
    """Nothing but the network is taken over: the settings are those of the second method."""
    source = juyi.load("digits@train[:100]")
    target = juyi.withhold_labels(juyi.load("digits_m@train[:100]"))
    settings = {"epochs": 1, "batch": 32, "precision": "float32", "device": "cpu", "net": "lenet5"}
    first = SourceOnly(**settings).fit(source)
    fitted = AdaBN(**settings).fit(first._served(), target=target)
    for name, p in fitted.net_.named_parameters():
        assert torch.equal(p, dict(first.net_.named_parameters())[name])
    assert not torch.equal(fitted.net_.body[1].target_mean, first.net_.body[1].target_mean)


@pytest.mark.parametrize(
    ("method", "target", "error", "words"),
    [
        (DANN, TARGET, SettingError, "DANN: needs the source's data, not a run"),
        (SHOT, None, DataError, "a run alone leaves nothing to learn from; give a target"),
        (SHOT, "digits_m@train[:20]", DataError, "has 20 rows, fewer than a batch of 32"),
        (SHOT, np.zeros((40, 5), np.float32), DataError, "features"),
    ],
)
def test_what_fit_refuses(method, target, error, words):
    given = juyi.withhold_labels(juyi.load(target)) if isinstance(target, str) else target
    model = method(epochs=1, batch=32)
    with pytest.raises(error, match=words) as caught:
        model.fit("start", target=given)
    assert "\n" not in str(caught.value) and not hasattr(model, "net_")


def test_a_target_with_a_class_that_the_model_does_not_know():
    data = juyi.data.as_domain(np.zeros((40, 8, 8)), ["0", "1", "2", "x"] * 10, name="there")
    with pytest.raises(ClassesDifferError, match="there: "):
        SHOT(epochs=1, batch=32).fit("start", target=data)


# From the command


@pytest.mark.parametrize("method", ["shot", "adabn"])
def test_from_run_to_run(start, command, method):
    before = tree(start)
    code, said = command("adapt", "start", TARGET, *TEST, "--method", method, "--out", "run", *QUICK)
    assert code == 0, said
    assert tree(start) == before
    found = record()
    assert found["status"] == "finished" and found["serves"] == method and found["classes"] == [*"0123456789"]
    assert found["data"]["source"]["fingerprint"] == read_run("start").fingerprint()
    assert found["data"]["source"]["rows"] == found["target_labels"]["given"] == 0
    assert "start: source_only is the model of start as it is; the source's data are not needed" in found["notes"]
    assert [(r["model"], r["on"]["role"], r["n"]) for r in found["results"]] == [
        ("source_only", "test", 40),
        (method, "test", 40),
    ]
    assert len(Path("run/predictions.csv").read_text().splitlines()) == 101
    assert Path("run/report.html").is_file() and not Path("run/checkpoint").exists()
    old, new = tensors("start", "source_only"), tensors("run", method)
    assert equal(old, tensors("run", "source_only")) and not equal(old, new)
    changed = {name for name in old if not torch.equal(old[name], new[name])}
    if method == "adabn":
        assert changed and all("target_" in name for name in changed)
    else:
        assert any(name.startswith("body") for name in changed)
        assert not any(name.startswith("head") for name in changed)  # the source's hypothesis stays
    target = juyi.load(TARGET)
    assert np.array_equal(read_run("run").predict(target), [
        line.split(",")[3] for line in Path("run/predictions.csv").read_text().splitlines()[1:]
    ])  # fmt: skip


def test_a_source_free_run_can_be_the_start_of_another(command):
    assert command("adapt", "start", TARGET, "--method", "adabn", "--out", "run", *QUICK)[0] == 0
    assert command("adapt", "run", TARGET, "--method", "shot", "--out", "again", *QUICK)[0] == 0
    assert equal(tensors("again", "source_only"), tensors("run", "adabn"))


def test_target_labels_are_used(command):
    for labels, name in (("0", "without"), ("3", "with")):
        arguments = ("--method", "shot", "--target-labels", labels, "--out", name, *QUICK)
        assert command("adapt", "start", "digits_m@train[:200]", *arguments)[0] == 0
    assert record("with")["target_labels"]["given"] == record("with")["data"]["target"]["labelled"] == 30
    losses = [
        json.loads(Path(name, "log.jsonl").read_text().splitlines()[-1])["losses"] for name in ("without", "with")
    ]
    assert "target_label" not in losses[0] and losses[1]["target_label"] > 0
    assert not equal(tensors("without", "shot"), tensors("with", "shot"))


def test_a_target_of_another_size_is_brought_to_the_models(command):
    code, said = command("adapt", "start", archive("small.npz", 16), "--method", "adabn", "--out", "run", *QUICK)
    assert code == 0, said
    found = record()["data"]["target"]
    assert found["shape"] == [1, 28, 28] and any("28" in note for note in found["notes"])


def test_the_layers_are_those_of_the_run_whatever_was_asked_for(command):
    """The network stands; its description used to be the only place that could go wrong."""
    arguments = ("--method", "adabn", "--batch-norm", "none", "--standardise", "source", "--out", "run", *QUICK)
    assert command("adapt", "start", TARGET, *arguments)[0] == 0
    assert record()["hyperparameters"]["batch_norm"] == "domain"
    for part in ("batch_norm", "standardise", "head", "network"):
        descriptions = [json.loads(Path(at).read_text())[part] for at in (
            "start/models/source_only.json", "run/models/adabn.json"
        )]  # fmt: skip
        assert descriptions[0] == descriptions[1], part


def adapt(*more, method="shot", source="start", target=TARGET):
    return ("adapt", source, target, "--method", method, "--out", "run", *QUICK, *more)


def test_what_the_command_refuses(refused):
    refused(*adapt(method="dann"), words=["DANN: needs the source's data, not a run", "use a source-free method"])
    refused(*adapt("--size", "32"), words=["--size 32", "has its size already"])
    refused(*adapt(target="digits_m@train[:20]"), words=["has 20 rows, fewer than a batch of 32"])
    refused(*adapt("--target-labels", "many"), words=["--target-labels", "many"])
    refused(*adapt("--class-shares", "estimated", method="adabn"), words=["--class-shares estimated", "AdaBN"])
    refused(*adapt(source="begin"), words=["begin"])
    refused(*adapt(target="gone.npz"), words=["gone.npz"])
    named = archive("named.npz", y=np.array(["x", "y"] * 30))
    refused(*adapt(target=named), words=["named.npz", "classes"])
    refused(*adapt("--test", archive("bare.npz")), words=["bare.npz", "has no labels"])


def test_a_run_that_is_not_finished_is_refused(start, refused):
    (start / "run.json").write_text(json.dumps({**record("start"), "status": "running"}))
    refused(*adapt(), words=["start: is not finished", "juyi resume start"])


def test_a_damaged_model_is_refused(start, refused):
    path = start / "models" / "source_only.safetensors"
    path.write_bytes(path.read_bytes()[:-50])
    refused(*adapt(), words=[str(path)])


def test_resuming_needs_the_model_that_the_run_began_with(start, command, refused, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Outcome, "write", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        assert command(*adapt())[0] == 130
    assert record()["status"] == "running"
    path = start / "models" / "source_only.safetensors"
    whole = path.read_bytes()
    weights, note = read_tensors(path)
    write_tensors(path, {**weights, "head.bias": weights["head.bias"] + 1e-3}, note)
    refused("resume", "run", words=["start: has changed since the run in run began", "restore it, or start a new run"])
    path.write_bytes(whole)
    assert command("resume", "run")[0] == 0 and record()["status"] == "finished"


def test_killed_and_resumed_the_same_bytes(command):
    """`kill -9` in the training of the method, while a checkpoint is written."""
    arguments = adapt("--average", "0.9", "--target-epochs", "2")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    died = subprocess.run(
        [sys.executable, str(DYING), "17", *arguments], env=environment, capture_output=True, text=True
    )
    assert died.returncode == -signal.SIGKILL, died.stderr
    assert record()["status"] == "running" and Path("run/checkpoint/shot/latest.safetensors").exists()
    assert command("resume", "run")[0] == 0
    shutil.move("run", "resumed")
    assert command(*arguments)[0] == 0
    for name in ("models/shot.safetensors", "models/source_only.safetensors", "models/shot.json", "predictions.csv"):
        assert Path("resumed", name).read_bytes() == Path("run", name).read_bytes(), name
    assert record("resumed")["status"] == "finished"
    for key in ("data", "hyperparameters", "verdict", "warnings"):
        assert record("resumed")[key] == record()[key]
