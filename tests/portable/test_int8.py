"""Eight-bit integers: nearly the same answers, a quarter of the bytes, calibrated by rows like the model's."""

import numpy as np
import pytest

import juyi
from juyi.adapt import SourceOnly
from juyi.errors import DataError, SettingError
from juyi.portable import OnnxModel, write_int8, write_onnx

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    folder, digits = tmp_path_factory.mktemp("int8"), juyi.load("digits@train")
    model = SourceOnly(net="lenet5", epochs=3, precision="float32", device="cpu", random_state=0).fit(digits)
    return write_onnx(model, folder / "model.onnx", digits.x[:100]), digits


def test_weights_are_integers_by_channel_and_answers_are_nearly_the_same(fitted, tmp_path):
    path, digits = fitted
    made = write_int8(path, tmp_path / "model.int8.onnx", digits.x)
    large, small = (OnnxModel(p).scores(digits.x).argmax(1) for p in (path, made))
    assert (large == small).mean() > 0.98
    assert made.stat().st_size < path.stat().st_size / 3
    assert OnnxModel(made).classes == OnnxModel(path).classes
    graph = onnx.load(made).graph
    stored = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    kinds = {value.dtype.kind + str(value.dtype.itemsize) for value in stored.values() if value.size > 1}
    assert "u1" in kinds and "i1" not in kinds  # signed ones overflow where the processor has no VNNI
    maps = [value for name, value in stored.items() if name.endswith("weight_zero_point")]
    assert maps and all((value == 128).all() for value in maps)
    scales = [t for t in graph.initializer if t.name.endswith("_scale") and len(t.dims) == 1]
    assert {t.dims[0] for t in scales} >= {6, 16}  # a scale for each of the maps of both convolutions


def test_the_same_rows_give_the_same_bytes(fitted, tmp_path):
    path, digits = fitted
    one, other = (write_int8(path, tmp_path / name, digits.x[:200]).read_bytes() for name in ("a.onnx", "b.onnx"))
    assert one == other


def test_rows_of_a_narrow_range_make_it_worse(fitted, tmp_path):
    """Calibration counts: activations beyond the range that calibration rows gave are cut off."""
    path, digits = fitted
    dark = write_int8(path, tmp_path / "dark.onnx", (digits.x // 16).astype(np.uint8))
    good = write_int8(path, tmp_path / "good.onnx", digits.x)
    large = OnnxModel(path).scores(digits.x)
    off = [np.abs(OnnxModel(p).scores(digits.x) - large).mean() for p in (dark, good)]
    assert off[0] > 2 * off[1]


def test_wrong_calibration_data_are_refused(fitted, tmp_path):
    path, digits = fitted
    with pytest.raises(DataError, match=r"its rows are 1×20×28, but .* takes 1×28×28"):
        write_int8(path, tmp_path / "a.onnx", digits.x[:50, :, :20])
    with pytest.raises(DataError, match="has 19 rows, and needs 20"):
        write_int8(path, tmp_path / "a.onnx", digits.x[:19])
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(SettingError, match="is damaged"):
        write_int8(damaged, tmp_path / "a.onnx", digits.x)
    assert not (tmp_path / "a.onnx").exists()
