"""Files from elsewhere: what they say of themselves is checked, and rows come to the numbers that they take."""

import numpy as np
import pytest
import torch
from torch import nn

from juyi.distill import read_teacher
from juyi.errors import NoClassesError, SettingError
from juyi.nets import Network, Standardise
from juyi.nets.heads import NoHead
from juyi.portable import OnnxModel, write_onnx
from juyi.training import Served

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    scale = Standardise(torch.tensor([99.0]), torch.tensor([51.0]))
    net = Network(scale, nn.Flatten(), nn.Linear(64, 3), 64, 3, "own").eval()
    return write_onnx(Served(net, (1, 8, 8), ("ant", "bee", "cat")), tmp_path_factory.mktemp("file") / "model.onnx")


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    scale = Standardise(torch.tensor([99.0]), torch.tensor([51.0]))
    net = Network(scale, nn.Flatten(), NoHead(), 64, 2, "own").eval()
    return write_onnx(Served(net, (1, 8, 8), ()), tmp_path_factory.mktemp("backbone") / "model.onnx")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"classes": 3, "columns": []}', '{"classes": ["a"], "columns": []}', '{"columns": []}',
             '{"classes": ["a", "b", 3], "columns": []}', '{"classes": "abc", "columns": []}']
)  # fmt: skip
def test_a_damaged_description_is_one_line(written, tmp_path, text):
    model = onnx.load(written)
    model.metadata_props[0].value = text
    onnx.save_model(model, tmp_path / "model.onnx")
    with pytest.raises(SettingError, match=r"its description is damaged \(.*\); export it again"):
        OnnxModel(tmp_path / "model.onnx")


def test_a_file_without_description_has_no_classes(written, tmp_path):
    model = onnx.load(written)
    del model.metadata_props[:]
    onnx.save_model(model, tmp_path / "model.onnx")
    found = OnnxModel(tmp_path / "model.onnx")
    assert found.classes is None and not found.tells_numbers and found.columns == ()


def test_a_backbone_has_features_and_no_classes(backbone, written, tmp_path):
    file, x = OnnxModel(backbone), np.random.default_rng(0).integers(0, 256, (3, 1, 8, 8), dtype=np.uint8)
    assert np.allclose(file.features(x), (x.reshape(3, 64) - 99.0) / 51.0, atol=1e-5)
    assert np.array_equal(file.features(x), file.scores(x)) and file.classes is None and not file.tells_numbers
    with pytest.raises(NoClassesError, match=r"TEACHER .*: the model is a backbone, .* with juyi finetune"):
        read_teacher(str(backbone))
    with pytest.raises(SettingError, match=r"model\.onnx: gives scores alone"):
        OnnxModel(written).features(x)
    model = onnx.load(backbone)
    model.metadata_props[0].value = '{"classes": ["a", "b"], "columns": []}'
    onnx.save_model(model, tmp_path / "model.onnx")
    with pytest.raises(SettingError, match=r"damaged \(2 names of classes for features\)"):
        OnnxModel(tmp_path / "model.onnx")


def test_pixels_are_whole_numbers_and_features_are_not(written):
    file, x = OnnxModel(written), np.random.default_rng(0).integers(0, 256, (700, 1, 8, 8), dtype=np.uint8)
    whole = file.scores(x)
    assert whole.shape == (700, 3) and whole.dtype == np.float32
    assert np.array_equal(file.scores(x + 0.25), whole) and np.array_equal(file.scores(x[3:4]), whole[3:4])
    assert file.scores(x[:0]).shape == (0, 3)


def test_a_file_that_juyi_wrote_is_a_teacher_that_knows_its_classes(written):
    teacher = read_teacher(str(written))
    assert teacher.classes == ("ant", "bee", "cat") and teacher.shape == (1, 8, 8)
    x = np.random.default_rng(0).integers(0, 256, (5, 1, 8, 8), dtype=np.uint8)
    assert np.allclose(teacher.scores(torch.from_numpy(x)).numpy(), OnnxModel(written).scores(x))
