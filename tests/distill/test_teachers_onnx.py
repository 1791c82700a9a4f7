"""Teachers in ONNX files and of the Hugging Face hub."""

import builtins
import json

import numpy as np
import pytest
import torch
from foreign_nets import refusal
from hub_models import prepared, saved

from juyi.data.domain import Domain
from juyi.distill import Hinton, TeacherOptions, read_teacher
from juyi.errors import SettingError

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
SHAPE = (1, 8, 8)


def write(path, net=None, *, last=False, rows="N", shape=SHAPE, softmax=False, outputs=1):
    """Write a linear classifier by hand: rows to N×3 scores, by a matrix and a bias."""
    net = net or linear()
    weight, bias = (value.detach().numpy() for value in net.parameters())
    h, tensor = onnx.helper, onnx.numpy_helper.from_array
    dims = [rows, *([*shape[1:], shape[0]] if last else shape)]
    nodes, enter = [], "x"
    if last:
        nodes, enter = [h.make_node("Transpose", ["x"], ["turned"], perm=[0, 3, 1, 2])], "turned"
    nodes.append(h.make_node("Flatten", [enter], ["flat"]))
    nodes.append(h.make_node("Gemm", ["flat", "w", "b"], ["s"], transB=1))
    nodes.append(h.make_node("Softmax", ["s"], ["y"], axis=1) if softmax else h.make_node("Identity", ["s"], ["y"]))
    graph = h.make_graph(
        nodes, "net", [h.make_tensor_value_info("x", 1, dims)],
        [h.make_tensor_value_info(name, 1, [rows, 3]) for name in ("y", "s")[:outputs]],
        [tensor(weight, "w"), tensor(bias, "b")],
    )  # fmt: skip
    model = h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8)
    onnx.save_model(model, path)
    return model


def linear(seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return torch.nn.Linear(64, 3)


def rows(count=5, shape=SHAPE):
    return torch.randint(0, 256, (count, *shape), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def refused(path, *words, options=None):
    refusal(lambda: read_teacher(str(path), options), *words)


@pytest.mark.parametrize("kind", ["plain", "channels last", "two rows at once", "softmax"])
def test_an_onnx_file_answers_as_its_model_and_gives_predictions_only(tmp_path, kind):
    path = tmp_path / "net.onnx"
    number = 2 if kind == "two rows at once" else "N"
    write(path, last=kind == "channels last", rows=number, softmax=kind == "softmax")
    teacher = read_teacher(str(path), TeacherOptions(mean=(0.5,), spread=(0.25,)))
    x = rows()
    wanted = linear()(((x / 255 - 0.5) / 0.25).flatten(1))
    found = teacher.scores(x)
    if kind == "softmax":
        assert "ends in a softmax; the logarithms of its probabilities are used" in teacher.notes[0]
        found, wanted = found.softmax(1), wanted.softmax(1)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)
    assert teacher.shape == SHAPE and teacher.parameters == 195 and "predictions only" in teacher.notes[-1]
    with pytest.raises(SettingError, match=r"gives predictions only, so nothing can be made of what is inside it"):
        _ = teacher.last


def test_a_student_learns_from_an_onnx_file(tmp_path):
    path = tmp_path / "net.onnx"
    write(path)
    x = rows(256)
    teacher = read_teacher(str(path))
    said = teacher.scores(x).argmax(1).numpy()
    student = Hinton(teacher=str(path), student="linear", epochs=30, learning_rate=0.03).fit(Domain(x.numpy()))
    assert (student.predict(Domain(x.numpy())) == np.array(teacher.classes)[said]).mean() > 0.8


def test_weights_of_an_onnx_file_may_lie_beside_it_and_nowhere_else(tmp_path):
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / "net.onnx"
    model = write(path)
    onnx.save_model(model, path, save_as_external_data=True, location="net.data", size_threshold=0)
    before = read_teacher(str(path))
    torch.testing.assert_close(before.scores(rows()), linear()((rows() / 255).flatten(1)), atol=1e-5, rtol=1e-4)
    data = (tmp_path / "in" / "net.data").read_bytes()
    (tmp_path / "in" / "net.data").write_bytes(data[:-4] + bytes(4))
    assert read_teacher(str(path)).fingerprint() != before.fingerprint()
    (tmp_path / "secret").write_bytes(data)
    for place in ("../secret", str(tmp_path / "secret"), "../in/net.data", "..", "a\\b"):
        changed = onnx.load(path, load_external_data=False)
        for tensor in changed.graph.initializer:
            next(entry for entry in tensor.external_data if entry.key == "location").value = place
        path.write_bytes(changed.SerializeToString())
        refused(path, "which is outside its folder" if place != ".." else "which is not beside it")
    (tmp_path / "in" / "link").symlink_to(tmp_path / "secret")
    for tensor in changed.graph.initializer:
        next(entry for entry in tensor.external_data if entry.key == "location").value = "link"
    path.write_bytes(changed.SerializeToString())
    refused(path, "which is outside its folder")


def test_onnx_files_that_are_no_teachers(tmp_path):
    path = tmp_path / "net.onnx"
    write(path)
    whole = path.read_bytes()
    for kept in (0, 3, len(whole) // 2, len(whole) - 5):
        path.write_bytes(whole[:kept])
        refused(path, "TEACHER", "net.onnx")
    path.write_bytes(b"hello there")
    refused(path, "is damaged or no ONNX file")
    path.unlink()
    refused(path, "there is no such file")
    write(path, outputs=2)
    refused(path, "1 inputs and 2 outputs (y, s)", "the scores alone")
    bad = linear()
    bad.weight.data[0, 0] = torch.nan
    write(path, bad)
    refused(path, "gives scores that are not finite")
    model = write(path)
    model.graph.node[1].op_type = "Unknown"
    onnx.save_model(model, path)
    refused(path, "cannot be run")
    write(path)
    refused(path, "--teacher-shape 3×8×8", options=TeacherOptions(shape=(3, 8, 8)))


def test_a_missing_extra_is_told_in_one_line(tmp_path, monkeypatch):
    write(tmp_path / "net.onnx")
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("onnx"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    refused(tmp_path / "net.onnx", "needs onnx and onnxruntime; pip install 'juyi[export]'")


def test_several_kinds_of_teachers_answer_together(tmp_path):
    write(tmp_path / "one.onnx", linear(0))
    write(tmp_path / "two.onnx", linear(1))
    teacher = read_teacher(f"{tmp_path / 'one.onnx'}, {tmp_path / 'two.onnx'}")
    x = (rows() / 255).flatten(1)
    torch.testing.assert_close(teacher.scores(rows()), (linear(0)(x) + linear(1)(x)) / 2, atol=1e-5, rtol=1e-4)
    assert teacher.parameters == 390


@pytest.mark.parametrize("kind", ["resnet", "vit"])
def test_a_classifier_of_the_hub_keeps_its_head_its_scale_and_its_classes(tmp_path, kind):
    pytest.importorskip("transformers")
    names = {str(code): name for code, name in enumerate(["cat", "dog", "crane", "crane", "owl", "fox", "hen"])}
    model = saved(tmp_path, kind, size=32)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "id2label": names, "label2id": {}}))
    teacher = read_teacher(str(tmp_path), TeacherOptions(shape=(3, 32, 32)))
    x = rows(4, (3, 32, 32))
    with torch.no_grad():
        wanted = model(pixel_values=prepared(x)).logits
        torch.testing.assert_close(teacher.scores(x), wanted, atol=1e-5, rtol=1e-4)
    assert teacher.classes == ("cat", "dog", "crane (2)", "crane (3)", "owl", "fox", "hen")
    assert teacher.look(x).features.shape == (4, teacher.last.in_features) and "head kept" in teacher.notes[0]
    alone = read_teacher(str(tmp_path))  # of the size that it was made for
    assert alone.shape == (3, 32, 32) and torch.equal(alone.scores(x), teacher.scores(x))
    grey = read_teacher(str(tmp_path), data=Domain(rows(4).numpy(), name="grey"))
    assert grey.shape == SHAPE and grey.scores(rows(4)).shape == (4, 7) and len(grey.scale.mean) == 1
    assert "grey repeated to 3 channels, resized 8×8→32×32" in grey.notes[0]


def test_what_of_the_hub_is_no_teacher(tmp_path):
    pytest.importorskip("transformers")
    saved(tmp_path / "bare", "vit", size=32, whole=False)
    refused(tmp_path / "bare", "TEACHER", "lack", options=TeacherOptions(shape=(3, 32, 32)))
    refused(tmp_path / "bare", "holds its own", options=TeacherOptions(weights="w.pt"))
    model = saved(tmp_path / "whole", "vit")
    plain = read_teacher(str(tmp_path / "whole"), TeacherOptions(shape=(3, 32, 32)))
    assert plain.classes == tuple("0123456") and "does not say how pixels were scaled" in plain.notes[-1]
    x = rows(4, (3, 32, 32))
    with torch.no_grad():
        torch.testing.assert_close(plain.scores(x), model(pixel_values=x / 255).logits, atol=1e-5, rtol=1e-4)
