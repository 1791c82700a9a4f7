"""Eight-bit integers in the place of floats: a quarter of the bytes, calibrated with real rows or made ones."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from juyi.errors import DataError, SettingError
from juyi.portable.reading import OnnxModel, first_words
from juyi.portable.writing import quiet
from juyi.runs.files import write_bytes

CALIBRATION_ROWS = 500
"""Rows that suffice to find the range of every value; more of them are drawn from."""
FEWEST_ROWS = 20


def write_int8(source: Path | str, path: Path | str, rows: np.ndarray, seed: int = 0) -> Path:
    """Write an ONNX file whose weights and activations are eight-bit integers.

    Static quantisation: with scale s and zero point z a value x is stored as q = round(x / s) + z, uint8.  Weights have
    a scale for each output channel, and z = 128; activations one scale each, from the least and the largest value that
    calibration rows give.  (Signed weights would overflow in onnxruntime on x86 processors without VNNI, where sums of
    two products are kept in 16 bits: the answers would hang on the machine.)  The operations stay as they are, between
    pairs of (de)quantising ones (QDQ), which every runtime reads, and onnxruntime fuses.

    Args:
        source: a file that `write_onnx` wrote.
        path: the new file.
        rows: raw rows for calibration, without labels; of more than 500 a part is drawn.
        seed: of the drawing.

    Returns:
        The path.

    Raises:
        DataError: there are fewer than 20 rows, or they are not like those that the file takes.
        SettingError: the file cannot be quantised.
        WriteError: it cannot be written.

    Source: onnxruntime's `quantize_static`; Jacob et al., "Quantization and Training of Neural Networks for Efficient
    Integer-Arithmetic-Only Inference", CVPR 2018, section 2.1.

    Example:
        >>> import juyi
        >>> from juyi.portable import write_onnx
        >>> folder, digits = Path(tempfile.mkdtemp()), juyi.load("digits@train[:200]")
        >>> fitted = juyi.adapt.SourceOnly(net="lenet5", epochs=1).fit(digits)
        >>> large = write_onnx(fitted, folder / "model.onnx")
        >>> small = write_int8(large, folder / "model.int8.onnx", digits.x)
        >>> small.stat().st_size < large.stat().st_size / 2
        True
    """
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    path, model = Path(path), OnnxModel(source)
    if tuple(rows.shape[1:]) != model.shape:
        raise DataError(
            f"calibration: its rows are {'×'.join(map(str, rows.shape[1:]))}, but {source} takes "
            f"{'×'.join(map(str, model.shape))}; name data like those that the model was made for"
        )
    if len(rows) < FEWEST_ROWS:
        raise DataError(
            f"calibration: has {len(rows)} rows, and needs {FEWEST_ROWS}; give more, or leave it to impressions"
        )
    chosen = np.sort(np.random.default_rng(seed).permutation(len(rows))[:CALIBRATION_ROWS])
    with tempfile.TemporaryDirectory() as folder, quiet():
        plain, made = Path(folder) / "plain.onnx", Path(folder) / "made.onnx"
        try:
            quant_pre_process(str(source), str(plain), skip_symbolic_shape=True)
            quantize_static(
                str(plain), str(made), _Reader(rows[chosen].astype(model.kind, copy=False)), QuantFormat.QDQ,
                per_channel=True, activation_type=QuantType.QUInt8, weight_type=QuantType.QUInt8,
                extra_options={"WeightSymmetric": True},
            )  # fmt: skip
            OnnxModel(made)
        except Exception as error:  # of many kinds, from whatever the graph holds
            why = first_words(error)
            raise SettingError(f"{source}: cannot be made int8 ({why}); export without --int8") from error
        write_bytes(path, made.read_bytes())
    return path


class _Reader:
    """Hands out calibration rows, some at a time, as onnxruntime asks for them."""

    def __init__(self, rows: np.ndarray) -> None:
        self._parts: Iterator[np.ndarray] = iter(np.split(rows, range(100, len(rows), 100)))

    def get_next(self) -> dict[str, Any] | None:
        part = next(self._parts, None)
        return None if part is None else {"rows": part}
