"""Model files: read back to the bit, and nothing of them is trusted."""

import importlib
import json
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from toys import Conv, domain, table

from juyi.errors import ForeignFileError, JuyiError, SettingError
from juyi.nets import NETWORKS, build_network
from juyi.runs import RunFolder
from juyi.runs.files import read_tensors, write_tensors
from juyi.training import Served, read_model, read_run, softmax, write_model

LAYERS = {"batch_norm": "domain", "standardise": "source"}
CLASSES = ("köttur", "hundur", "önd")


def images(side=28):
    return torch.randint(0, 256, (8, 3, side, side), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def written(folder, name="lenet5"):
    net = build_network(name, images(), 3, **LAYERS)
    net(images(), "source"), net(images() // 2, "target")
    write_model(folder, "m", net, (3, 28, 28), CLASSES, LAYERS)
    return net.eval()


@pytest.mark.parametrize("layers", [("none", "image"), ("shared", "source"), ("domain", "image")], ids=str)
@pytest.mark.parametrize("name", sorted(set(NETWORKS) - {"resnet18"}))
def test_a_model_comes_back_to_the_bit(tmp_path, name, layers):
    layers = dict(zip(("batch_norm", "standardise"), layers, strict=True))
    net = build_network(name, images(), 3, **layers)
    net(images(), "source")
    net.eval()
    write_model(tmp_path, "m", net, (3, 28, 28), CLASSES, layers)
    read, description = read_model(tmp_path, "m")
    for domain_ in ("source", "target"):
        assert torch.equal(read(images(), domain_), net(images(), domain_))
    assert description["classes"] == list(CLASSES) and not any(layer.training for layer in read.modules())
    read(images()).sum().backward()  # it can be learnt further
    assert all(p.grad is not None and not p.is_meta for p in read.parameters())


def test_a_network_of_ones_own_has_to_be_given_again(tmp_path):
    data = torch.from_numpy(domain().x)
    net = build_network(Conv(), data, 3, **LAYERS).eval()
    write_model(tmp_path, "m", net, (3, 8, 8), CLASSES, LAYERS)
    with pytest.raises(SettingError, match="its network 'Conv' is not built in; give it again with --net module:fact"):
        read_model(tmp_path, "m")
    read, _ = read_model(tmp_path, "m", Conv())
    assert torch.equal(read(data), net(data))
    with pytest.raises(ForeignFileError, match="does not fit its description"):
        read_model(tmp_path, "m", Conv(norm=False))
    with pytest.raises(SettingError, match="scores of shape"):
        read_model(tmp_path, "m", Conv(outputs=4))


TAMPERED = {
    "no table": lambda d: [d],
    "nothing": lambda d: None,
    "no shape": lambda d: {k: v for k, v in d.items() if k != "shape"},
    "no layers": lambda d: {k: v for k, v in d.items() if k != "batch_norm"},
    "two lengths": lambda d: {**d, "shape": [28, 28]},
    "no length": lambda d: {**d, "shape": []},
    "zero": lambda d: {**d, "shape": [3, 0, 28]},
    "negative": lambda d: {**d, "shape": [3, -28, 28]},
    "endless": lambda d: {**d, "shape": [3, float("inf"), 28]},
    "no number": lambda d: {**d, "shape": [3, float("nan"), 28]},
    "words": lambda d: {**d, "shape": "a b"},
    "another size": lambda d: {**d, "shape": [3, 32, 32]},
    "features": lambda d: {**d, "shape": [784]},
    "huge": lambda d: {**d, "shape": [999_999, 999_999, 999_999]},
    "large": lambda d: {**d, "shape": [3, 60_000, 60_000]},
    "an mlp of a petabyte": lambda d: {**d, "network": "mlp", "shape": [3, 999_999, 999_999]},
    "many outputs": lambda d: {**d, "outputs": 999_999, "classes": ["a"] * 999_999},
    "too few classes": lambda d: {**d, "classes": ["a", "b"]},
    "too many classes": lambda d: {**d, "classes": [*CLASSES, "x"]},
    "classes that are no words": lambda d: {**d, "classes": [{"a": 1}, [2], None]},
    "classes that are no list": lambda d: {**d, "classes": "abc"},
    "network a list": lambda d: {**d, "network": ["lenet5"]},
    "network a table": lambda d: {**d, "network": {"a": 1}},
    "another network": lambda d: {**d, "network": "lenet"},
    "unknown layers": lambda d: {**d, "batch_norm": "layer"},
    "unknown scale": lambda d: {**d, "standardise": "__import__('os')"},
    "other layers": lambda d: {**d, "batch_norm": "shared"},
}


@pytest.mark.parametrize("what", TAMPERED)
def test_a_tampered_description_is_refused(tmp_path, what):
    """Some of these used to take all memory, or to end in a fault of Juyi's own."""
    written(tmp_path)
    path = tmp_path / "m.json"
    path.write_text(json.dumps(TAMPERED[what](json.loads(path.read_text()))))
    with pytest.raises(ForeignFileError) as caught:
        read_model(tmp_path, "m")
    assert "\n" not in str(caught.value) and str(tmp_path) in str(caught.value)


@pytest.mark.parametrize("network", ["os:system", "evil_marker:make", "evil_marker", "builtins:eval"])
def test_a_file_cannot_say_what_code_to_run(tmp_path, monkeypatch, network):
    written(tmp_path)
    (tmp_path / "evil_marker.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\ndef make(*a): raise SystemExit\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    asked = []
    monkeypatch.setattr(importlib, "import_module", lambda name, *_: asked.append(name))
    path = tmp_path / "m.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "network": network}))
    with pytest.raises(JuyiError, match="is not built in; give it again"):
        read_model(tmp_path, "m")
    assert asked == [] and "evil_marker" not in sys.modules and not (tmp_path / "ran").exists()


def test_tampered_weights_are_refused(tmp_path):
    written(tmp_path)
    path = tmp_path / "m.safetensors"
    good, note = read_tensors(path)
    first = "body.0.weight"
    for changed in (
        {k: v for k, v in good.items() if k != first},
        {**good, "more": torch.zeros(1)},
        {**good, first: good[first][:1]},
        {**good, first: good[first].double()},
        {**good, first: good[first].long()},
    ):
        write_tensors(path, changed, note)
        with pytest.raises(ForeignFileError, match="does not fit its description"):
            read_model(tmp_path, "m")
    save_file(good, path)
    with pytest.raises(ForeignFileError, match="was not written by Juyi"):
        read_model(tmp_path, "m")
    path.unlink()
    with pytest.raises(ForeignFileError, match="there is no such file"):
        read_model(tmp_path, "m")


@pytest.mark.parametrize("name", ["../m", "/etc/passwd", "a/b", ".", "..", ""])
def test_a_record_cannot_lead_out_of_the_folder(tmp_path, name):
    folder = RunFolder.create(tmp_path / "r", "dann")
    written(tmp_path)
    folder.write({"serves": name})
    with pytest.raises(ForeignFileError):
        read_run(folder, name or "..")


def test_serving_gives_probabilities_of_the_names(tmp_path):
    folder = RunFolder.create(tmp_path / "r", "dann")
    net = written(folder.models)
    folder.write({"serves": "m"})
    served = read_run(tmp_path / "r")
    x = images().numpy()
    probabilities = served.predict_proba(x)
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-6)
    np.testing.assert_allclose(probabilities, softmax(served.scores(x)), atol=1e-7)
    assert served.predict(x).tolist() == [CLASSES[i] for i in net(images()).argmax(1)]
    assert served.features(x, "source").shape == (8, 84)
    expected = net(images(), "source").detach().numpy()
    np.testing.assert_allclose(served.scores(x, "source"), expected, rtol=1e-5, atol=1e-6)


def test_softmax_of_large_scores():
    plain = np.array([[1.0, 2.0, 3.0]])
    np.testing.assert_allclose(softmax(plain), np.exp(plain) / np.exp(plain).sum(), rtol=1e-12)
    assert softmax(np.array([[1e4, -1e4]])).tolist() == [[1.0, 0.0]]


def test_serving_many_rows_in_parts_changes_nothing():
    data = table(rows=1203)
    net = build_network("mlp", torch.from_numpy(data.x), 2)
    served = Served(net, (4,), data.classes)
    whole = net.eval()(torch.from_numpy(data.x)).detach().numpy()
    np.testing.assert_allclose(served.scores(data), whole, atol=1e-5)
