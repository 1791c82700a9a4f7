"""ONNX files: every kind of model answers the same in onnxruntime; what cannot be exported is named, and not left."""

import importlib.util
import json

import numpy as np
import pytest
import torch
from hub_models import saved
from torch import nn

import juyi
from juyi.adapt import DANN, SourceOnly
from juyi.errors import SettingError
from juyi.nets import Network, Standardise, build_network
from juyi.nets.heads import NoHead
from juyi.portable import OnnxModel, compare, write_onnx
from juyi.portable.writing import noise
from juyi.training import Served

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
QUICK = {"epochs": 1, "batch": 32, "precision": "float32", "device": "cpu"}


def served(net, shape, classes=3):
    return Served(net.eval(), shape, [f"class {i}" for i in range(classes)])


def images(*shape, rows=6):
    return torch.randint(0, 256, (rows, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def own(body, width, shape=(1, 8, 8)):
    return Network(Standardise(torch.full((shape[0],), 99.0), torch.full((shape[0],), 51.0)), body,
                   nn.Linear(width, 3), width, 3, "own").eval()  # fmt: skip


@pytest.mark.parametrize(
    "name, shape, batch_norm, head",
    [
        ("lenet5", (1, 28, 28), "none", "own"), ("cnn_small-0.2", (3, 32, 32), "domain", "own"),
        ("resnet18", (3, 32, 32), "shared", "cosine"), ("mlp-8", (5,), "shared", "own"),
    ],
    ids=str,
)  # fmt: skip
def test_named_networks_answer_the_same_for_any_number_of_rows(tmp_path, name, shape, batch_norm, head):
    x = images(*shape, rows=40) if len(shape) == 3 else torch.randn(40, *shape)
    net = build_network(name, x, 3, batch_norm=batch_norm, head=head)
    net(x, "source")
    net(x, "target")
    model = served(net, shape)
    written = OnnxModel(write_onnx(model, tmp_path / "deep" / "model.onnx", x.numpy()))
    assert written.shape == shape and written.batch is None and written.classes == ("class 0", "class 1", "class 2")
    assert written.kind is (np.uint8 if len(shape) == 3 else np.float32) and not written.tells_numbers
    for rows in (1, 7, 40):
        found = compare(model, written, x[:rows].numpy())
        assert found.differ == 0 and found.largest <= 1e-4 * found.size
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["model.onnx"]  # one file, nothing beside it


@pytest.mark.parametrize("name, batch_norm", [("cnn_small-0.2", "domain"), ("resnet18-0.1", "shared")], ids=str)
def test_a_backbone_gives_the_features_of_any_number_of_rows(tmp_path, name, batch_norm):
    x = images(3, 32, 32, rows=40)
    net = build_network(name, x, 3, batch_norm=batch_norm, head="none")
    net(x, "source")
    net(x, "target")
    model = Served(net.eval(), (3, 32, 32), ())
    path = write_onnx(model, tmp_path / "model.onnx", x.numpy())
    graph = onnx.load(path).graph
    assert [output.name for output in graph.output] == ["features"]
    assert [dim.dim_value for dim in graph.output[0].type.tensor_type.shape.dim][1:] == [net.width]
    written = OnnxModel(path)
    assert written.is_backbone and written.classes is None and not written.tells_numbers and written.batch is None
    for rows in (1, 7, 40):
        assert np.allclose(written.features(x[:rows].numpy()), model.features(x[:rows].numpy()), rtol=1e-4, atol=1e-4)
        assert compare(model, written, x[:rows].numpy()).differ == 0


def test_features_of_a_faint_row_count_as_much_as_those_of_a_bright_one():
    """By the largest value of all rows, an error in a row of small features would not be seen."""
    net = Network(Standardise(torch.zeros(1), torch.ones(1)), nn.Flatten(), NoHead(), 64, 3, "own").eval()
    model, rows = Served(net, (1, 8, 8), ()), np.full((2, 1, 8, 8), 250, np.uint8)
    rows[0] = 1

    class Written:
        def scores(self, rows):
            found = model.scores(rows)
            found[0, :32] *= 1.2
            return found

    found = compare(model, Written(), rows)
    assert found.differ == 1 and found.largest < 1e-3 * found.size


def test_methods_of_adaptation_tables_and_numbers_are_exported(tmp_path):
    source, target = juyi.load("digits@train[:100]"), juyi.load("digits_m@train[:100]")
    adapted = DANN(batch_norm="domain", **QUICK).fit(source, target=target)
    written = OnnxModel(write_onnx(adapted, tmp_path / "a.onnx", target.x))
    assert (written.scores(target.x).argmax(1) == adapted.scores(target).argmax(1)).all()

    weather = juyi.load("weather@beijing-2016")
    fitted = SourceOnly(**QUICK).fit(weather)
    told = OnnxModel(write_onnx(fitted, tmp_path / "b.onnx"))
    assert told.tells_numbers and told.classes is None and told.columns == tuple(weather.columns)
    assert np.allclose(told.scores(weather.x)[:, 0], fitted.predict(weather), rtol=1e-4, atol=1e-3)


def test_a_vision_transformer_of_the_hub_is_exported(tmp_path):
    saved(tmp_path / "vit", "vit", size=32)
    x = images(1, 20, 20, rows=10)
    net = build_network(str(tmp_path / "vit"), x, 3)
    model = served(net, (1, 20, 20))
    found = compare(model, OnnxModel(write_onnx(model, tmp_path / "vit.onnx", x.numpy())), x.numpy())
    assert found.differ == 0 and found.largest < 1e-3 * found.size


def test_the_file_says_nothing_of_this_machine(tmp_path):
    model = served(own(nn.Flatten(), 64), (1, 8, 8))
    content = write_onnx(model, tmp_path / "model.onnx").read_bytes()
    for word in (b"/src/", b"site-packages", b"torch/nn", str(tmp_path).encode()):
        assert word not in content
    assert json.loads(onnx.load_from_string(content).metadata_props[0].value)["classes"][0] == "class 0"


class Hangs(nn.Module):
    def forward(self, x):
        return x.flatten(1) * (2 if x.sum() > 0 else 1)


class Neighbours(nn.Module):
    """Rows are compared with the rows beside them."""

    def forward(self, x):
        flat = x.flatten(1)
        return flat - flat.mean(0)


class Unknown(nn.Module):
    def forward(self, x):
        return torch.linalg.matrix_exp(x.flatten(2).mean(1)[:, :, None] * torch.eye(64)).sum(1)


@pytest.mark.parametrize(
    "layer, words",
    [
        (Hangs(), ("the network own cannot be exported", "must not hang on the values")),
        (Unknown(), ("ONNX has no operator aten.linalg_matrix_exp", "in its layer body", "replace that layer")),
    ],
    ids=["values", "operator"],
)
def test_what_cannot_be_exported_is_named(tmp_path, layer, words):
    with pytest.raises(SettingError) as raised:
        write_onnx(served(own(layer, 64), (1, 8, 8)), tmp_path / "model.onnx")
    line = str(raised.value)
    assert all(word in line for word in words) and "\n" not in line and len(line) < 500, line
    assert not list(tmp_path.iterdir())


def test_a_file_that_answers_otherwise_is_not_written(tmp_path, monkeypatch):
    model = served(own(nn.Flatten(), 64), (1, 8, 8))
    other = served(own(nn.Flatten(), 64), (1, 8, 8))
    monkeypatch.setattr("juyi.portable.writing.portable", lambda net, row: other.net)
    (tmp_path / "model.onnx").write_bytes(b"an earlier file")
    with pytest.raises(SettingError, match=r"was not written, since the exported network answers [0-9,]+ of 1,000"):
        write_onnx(model, tmp_path / "model.onnx")
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("model.onnx", b"an earlier file")]


def test_rows_that_hang_on_their_neighbours_are_told_apart():
    model = served(own(Neighbours(), 64), (1, 8, 8))
    rows = noise(model, 200)
    alone = np.concatenate([model.scores(rows[i : i + 1]) for i in range(200)])
    assert (alone.argmax(1) != model.scores(rows).argmax(1)).any()  # what compare would see


def test_without_the_extra_it_says_what_to_install(tmp_path, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "onnxscript" else found(name))
    with pytest.raises(SettingError, match=r"needs onnxscript; pip install 'juyi\[export\]'"):
        write_onnx(served(own(nn.Flatten(), 64), (1, 8, 8)), tmp_path / "model.onnx")


def test_a_full_disk_leaves_the_earlier_file(tmp_path, monkeypatch):
    from juyi.errors import WriteError

    model = served(own(nn.Flatten(), 64), (1, 8, 8))
    write_onnx(model, tmp_path / "model.onnx")
    before = (tmp_path / "model.onnx").read_bytes()

    def full(path, content, check):
        raise WriteError(f"{path}: cannot be written (No space left on device)")

    monkeypatch.setattr("juyi.portable.writing.write_bytes", full)
    with pytest.raises(WriteError):
        write_onnx(model, tmp_path / "model.onnx")
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("model.onnx", before)]
