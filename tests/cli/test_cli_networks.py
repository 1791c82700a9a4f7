"""Networks of one's own by the command: trained, stopped, gone on with, predicted from; weights and frozen parts."""

import csv
import json
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from cli.cli_data import QUICK, image_folder, tree
from juyi.training import stage_run

OWN = """
from torch import nn

class Small(nn.Module):
    def __init__(self, classes=10):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 5, 4), nn.BatchNorm2d(4), nn.ReLU())
        self.fc = nn.Linear(4, classes)

    def forward(self, x):
        return self.fc(self.stem(x).mean((2, 3)))
"""
FOLDERS = ("there", "here")
NET = "my_own_nets:Small"


@pytest.fixture(autouse=True)
def pictures(monkeypatch, apart):
    image_folder("there", n=20)
    image_folder("here", n=20, seed=1)
    Path("my_own_nets.py").write_text(OWN)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    sys.modules.pop("my_own_nets", None)


def predictions(path):
    with Path(path).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_classifier_of_ones_own_from_the_first_step_to_predictions(juyi, refused, monkeypatch):
    steps, real = iter(range(10**6)), stage_run._take_turn

    def stop(*arguments):
        if next(steps) == 3:
            raise KeyboardInterrupt
        real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(stage_run, "_take_turn", stop)
        said = juyi("adapt", *FOLDERS, *QUICK, "--net", NET, "--out", "run")
    assert said.code == 130
    assert f"note: network {NET}: grey repeated to 3 channels, head fc new (it had 10 outputs), 4→2" in said.err
    assert "note: batch norm: statistics of source and target apart in 1 layers" in said.err
    record = json.loads(Path("run/run.json").read_text())
    assert record["network"]["name"] == NET and record["network"]["fitted"] == record["notes"][-2:]
    refused(["resume", "run"], f"run: its network {NET} is one of your own; give it again with --net module:factory")
    refused(["resume", "run", "--net", "other:Net"], f"--net other:Net: run began with {NET}")
    assert juyi("resume", "run", "--net", NET).code == 0
    assert juyi("adapt", *FOLDERS, *QUICK, "--net", NET, "--out", "whole").code == 0
    for part in ("predictions.csv", "models/dann.safetensors", "models/source_only.safetensors"):
        assert Path("run", part).read_bytes() == Path("whole", part).read_bytes(), part
    refused(["predict", "run", "here"], "is not built in; give it again with --net")
    said = juyi("predict", "run", "here", "--net", NET)
    assert said.code == 0, said.err
    rows = list(csv.DictReader(said.out.splitlines()))
    assert [r["prediction"] for r in rows] == [r["dann"] for r in predictions("run/predictions.csv")]


def test_a_network_of_the_hub_predicts_from_the_run_alone(juyi):
    pytest.importorskip("transformers")
    from hub_models import saved

    saved("given", "resnet", size=32)
    said = juyi("adapt", *FOLDERS, "--test", "here", *QUICK, "--net", "given", "--freeze", "body.model.resnet.embedder")
    assert said.code == 0, said.err
    fitted = "grey repeated to 3 channels, resized 28×28→32×32, scaled as it was trained, head new, 12→2"
    assert f"note: hub network resnet: {fitted}" in said.err
    assert "note: frozen: body.model.resnet.embedder, " in said.err
    for path in sorted(Path("given").iterdir()):
        path.unlink()
    Path("given").rmdir()
    Path("runs/dann-1").rename("moved")
    said = juyi("predict", "moved", "here")
    assert said.code == 0, said.err
    rows = list(csv.DictReader(said.out.splitlines()))
    assert [r["prediction"] for r in rows] == [r["dann"] for r in predictions("moved/predictions.csv")]
    first = load_file("moved/models/source_only.safetensors")["body.model.resnet.embedder.embedder.convolution.weight"]
    assert torch.equal(
        first, load_file("moved/models/dann.safetensors")["body.model.resnet.embedder.embedder.convolution.weight"]
    )


def test_weights_and_frozen_parts_from_the_command_line(juyi, refused):
    assert juyi("train", "there", *QUICK, "--net", "lenet5", "--out", "first").code == 0
    weights = "first/models/source_only.safetensors"
    begin = (*QUICK, "--net", "lenet5", "--weights", weights, "--freeze", "body.0,body.1")
    said = juyi("adapt", *FOLDERS, *begin, "--out", "second")
    assert said.code == 0, said.err
    assert f"note: weights from {weights}: " in said.err and "note: frozen: body.0, body.1, " in said.err
    old = load_file(weights)
    for model in ("source_only", "dann"):  # both begin there
        new = load_file(f"second/models/{model}.safetensors")
        assert torch.equal(new["body.0.weight"], old["body.0.weight"]), model
        assert torch.equal(new["body.1.source_mean"], old["body.1.source_mean"]), model
        assert not torch.equal(new["body.4.weight"], old["body.4.weight"]), model
    assert json.loads(Path("second/run.json").read_text())["hyperparameters"]["weights"] == weights
    adapt = ["adapt", *FOLDERS, *QUICK]
    refused([*adapt, "--weights", weights, "--net", "lenet"], "does not fit --net lenet: it holds body.11.bias")
    refused([*adapt, "--weights", "w.pt"], "is a pickle, which may run any code")
    refused([*adapt, "--freeze", "bdy"], "--freeze bdy: the network has no such part; did you mean body?")
    refused([*adapt, "--freeze", "body,head"], "would leave nothing to train")


def test_a_run_whose_weights_are_gone_is_not_resumed(juyi, refused, monkeypatch):
    save_file({"weight": torch.zeros(1)}, "w.safetensors")
    assert juyi("train", "there", *QUICK, "--net", "lenet5", "--out", "first").code == 0
    Path("first/models/source_only.safetensors").rename("w.safetensors")

    def stop(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(stage_run, "_take_turn", stop)
        assert (
            juyi("train", "there", *QUICK, "--net", "lenet5", "--weights", "w.safetensors", "--out", "run").code == 130
        )
    Path("w.safetensors").rename("elsewhere.safetensors")
    said = juyi("resume", "run")
    assert said.code == 2 and "--weights w.safetensors: there is no such file; restore it" in said.line
    Path("elsewhere.safetensors").rename("w.safetensors")
    assert juyi("resume", "run").code == 0


@pytest.mark.parametrize(
    "net, words",
    [
        ("my_own_nets:Nothing", "cannot be imported (AttributeError"),
        ("no_such_module:net", "cannot be imported (ModuleNotFoundError"),
        ("empty", "is a folder without config.json"),
        ("hub/", "cannot be fetched"),
    ],
)
def test_a_network_that_is_not_there(refused, net, words):
    Path("empty").mkdir()
    refused(["adapt", *FOLDERS, *QUICK, "--net", net], f"--net {net}: ", words)
    assert "run" not in tree()
