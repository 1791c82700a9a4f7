"""`juyi export` and `juyi predict model.onnx` by the command, on tiny data: files, one line an error, exit codes."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from cli.cli_data import QUICK, arrays, image_folder, table
from juyi.runs import RunFolder

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def test_a_folder_of_pictures_becomes_one_file_and_a_page(juyi, monkeypatch):
    image_folder("pets")
    assert juyi("train", "pets", "--out", "run", "--net", "lenet5-0.5", *QUICK).code == 0
    Path("run/export").mkdir()
    Path("run/export/.model.onnx.1234.tmp").write_bytes(b"what a killed export left")
    said = juyi("export", "run", "--onnx", "--int8", "--calibrate", "pets", "--test", "pets")
    assert said.code == 0, said.err
    assert [path.name for path in sorted(Path("run/export").iterdir())] == [
        "model.html", "model.int8.onnx", "model.onnx"
    ]  # fmt: skip
    lines = said.out.splitlines()
    assert lines[0].startswith("export/model.onnx  ") and lines[-2].startswith("try it on pictures: run/export/model")
    assert any(line.strip().startswith("model.int8.onnx: accuracy") for line in lines)
    page = Path("run/report.html").read_text()
    assert "On the small machine" in page and 'href="export/model.html"' in page and "What was kept, on pets" in page
    Path("run/run.json").rename("elsewhere.json")  # the file alone is enough
    with monkeypatch.context() as patch:
        patch.setattr(torch.nn.Module, "__call__", None)  # no network of torch is asked
        alone = juyi("predict", "run/export/model.onnx", "pets", "--json")
    Path("elsewhere.json").rename("run/run.json")
    whole = juyi("predict", "run", "pets", "--json")
    assert alone.code == 0 and json.loads(alone.out) == json.loads(whole.out)


def test_tables_and_numbers_are_predicted_from_the_file(juyi):
    table("flowers.csv")
    assert juyi("train", "flowers.csv", "--label", "kind", "--out", "run", *QUICK).code == 0
    said = juyi("export", "run", "--json")
    assert said.code == 0 and json.loads(said.out) == RunFolder.open("run").read()["export"]
    assert not Path("run/export/model.html").exists()  # that is for pictures
    answers = [
        juyi("predict", where, "flowers.csv", "--label", "kind").out for where in ("run", "run/export/model.onnx")
    ]
    assert answers[0] == answers[1]
    table("turned.csv", columns=("width", "length"))
    said = juyi("predict", "run/export/model.onnx", "turned.csv", "--label", "kind")
    assert said.code == 2 and "order" in said.line


def test_a_file_of_others_has_numbers_for_classes(juyi, refused):
    arrays("data.npz")
    assert juyi("train", "data.npz", "--out", "run", *QUICK).code == 0 and juyi("export", "run").code == 0
    model = onnx.load("run/export/model.onnx")
    del model.metadata_props[:]
    onnx.save_model(model, "other.onnx")
    said = juyi("predict", "other.onnx", "data.npz")
    assert said.code == 0 and "does not name its classes; they are numbered from 0" in said.err
    refused(["predict", "other.onnx", "data.npz", "--unknown"], "--unknown: is for runs, and other.onnx is one model")
    refused(["predict", "other.onnx", "data.npz", "--model", "x"], "--model: is for runs")
    refused(["predict", "nowhere.onnx", "data.npz"], "nowhere.onnx: there is no such file")
    Path("empty.onnx").write_bytes(b"")
    refused(["predict", "empty.onnx", "data.npz"], "is damaged or no ONNX file")


def test_wrong_input_is_one_line(juyi, refused):
    arrays("data.npz")
    arrays("wide.npz", width=5)
    assert juyi("train", "data.npz", "--out", "run", *QUICK).code == 0
    refused(["export", "nowhere"], "nowhere: there is no such folder")
    refused(["export", "run", "--model", "sourceonly"], "--model sourceonly", "did you mean source_only?")
    refused(["export", "run", "--test", "gone.npz"], "gone.npz")
    refused(["export", "run", "--int8", "--calibrate", "wide.npz"], "5 features a row", "3 features a row")
    refused(["export", "run", "--int9"], "--int9")


def test_a_network_of_ones_own_is_given_again(juyi, refused, monkeypatch):
    Path("mine.py").write_text(
        "from torch import nn\n"
        "def net(shape, outputs):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(shape[0], 4), nn.ReLU(), nn.Linear(4, outputs))\n"
    )
    arrays("data.npz")
    assert juyi("train", "data.npz", "--net", "mine:net", "--out", "run", *QUICK).code == 0
    refused(["export", "run"], "give it again with --net module:factory")
    assert juyi("export", "run", "--net", "mine:net").code == 0
    sys.modules.pop("mine", None)


def test_a_budget_by_the_command(juyi, refused):
    arrays("data.npz", n=200)
    assert juyi("train", "data.npz", "--out", "teacher", "--net", "mlp", *QUICK).code == 0
    said = juyi("distill", "teacher", "data.npz", "--max-params", "100", "--out", "run", *QUICK)
    assert said.code == 0, said.err
    found = RunFolder.open("run").read()["budget"]
    assert all(candidate["parameters"] <= 100 for candidate in found["candidates"])
    page = Path("run/report.html").read_text()
    assert "A student of at most 100 parameters" in page and found["chosen"] in page
    refused(["distill", "teacher", "data.npz", "--max-params", "1"], "--max-params 1: no student is so small")
    refused(["distill", "teacher", "data.npz", "--max-bytes", "small"], "--max-bytes small: is no number above 0")


def test_where_it_cannot_write_it_says_so(juyi):
    arrays("data.npz")
    assert juyi("train", "data.npz", "--out", "run", *QUICK).code == 0
    Path("file").write_text("")
    said = juyi("export", "run", "--out", "file")
    assert said.code == 1 and "cannot be written" in said.line
    assert "export" not in RunFolder.open("run").read() and np.load("data.npz")
