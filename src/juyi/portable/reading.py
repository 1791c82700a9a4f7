"""Ask an ONNX file: rows in, what it gives out, by onnxruntime alone; the file is data, and nothing in it is code."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from juyi.errors import NoClassesError, SettingError

NUMBER_TYPES = {
    "tensor(uint8)": np.uint8, "tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(float16)": np.float16
}  # fmt: skip
FLOATS = (1, 10, 11, 16)
"""What ONNX calls the kinds of numbers that weights are of: float, float16, double, bfloat16."""
DESCRIPTION = "juyi"
"""The key under which a file that Juyi wrote says what its rows and its answers are."""
SCORES, FEATURES = "scores", "features"
"""What a file that Juyi wrote calls what it gives: scores (or a number), or the features of a backbone."""


class OnnxModel:
    """A model in an ONNX file.

    Its weights may lie in other files, but only in the same folder; onnxruntime runs its own operators and no others.

    Args:
        path: of the file.
        where: what a person called it, for errors.
        threads: how many compute one call.

    Attributes:
        shape: of one row that it takes, channels first, None for a length that may vary.
        kind: the type of numbers that it takes: uint8 for pixels as they are stored.
        batch: the number of rows that it takes at once; None for any.
        last: whether the channels come last in the file.
        count: the number of its parameters.
        name: of the file.
        digest: 32 bytes that change with any byte of the file, and of those beside it.
        classes: the names of its classes, in the order of its scores, if Juyi wrote it and it tells classes.
        columns: the names of the features of a table, likewise.
        tells_numbers: whether Juyi wrote it, and it tells numbers.
        is_backbone: whether Juyi wrote it, and it gives features.

    Raises:
        SettingError: the extra is missing, or the file is absent, damaged, or of another form.

    Example:
        >>> import tempfile, juyi
        >>> from juyi.portable import write_onnx
        >>> digits = juyi.load("digits@train[:200]")
        >>> fitted = juyi.adapt.SourceOnly(net="lenet5", epochs=1).fit(digits)
        >>> path = write_onnx(fitted, Path(tempfile.mkdtemp()) / "model.onnx")
        >>> model = OnnxModel(path)
        >>> model.shape, model.scores(digits.x[:3]).shape, model.classes[:3]
        ((1, 28, 28), (3, 10), ('0', '1', '2'))
    """

    def __init__(self, path: Path | str, where: str | None = None, threads: int = 1) -> None:
        where = where or str(path)
        try:
            import onnx
            import onnxruntime  # noqa: F401 (whether it is there)
        except ImportError as error:
            raise SettingError(f"{where}: needs onnx and onnxruntime; pip install 'juyi[export]'") from error
        place = Path(path)
        try:
            content = place.read_bytes()
            model = onnx.load_model_from_string(content)
        except FileNotFoundError as error:
            raise SettingError(f"{where}: there is no such file; restore it, or name another") from error
        except Exception as error:  # of protobuf, in many kinds
            raise SettingError(f"{where}: is damaged or no ONNX file ({first_words(error)}); restore it") from error
        if not model.graph.node:
            raise SettingError(f"{where}: is damaged or no ONNX file (it computes nothing); restore it")
        beside = _check_files(model, place.parent, where)
        self.count = sum(int(np.prod(t.dims)) for t in model.graph.initializer if t.data_type in FLOATS)
        digest = hashlib.sha256(content)
        for name in beside:
            digest.update((place.parent / name).read_bytes())
        self.digest = digest.digest()
        self.name = place.name
        try:
            self._session = open_session(str(path), threads)
        except Exception as error:
            raise SettingError(f"{where}: cannot be run ({first_words(error)}); export it again") from error
        self._read_shape(where)
        self._read_description(where)

    def _read_shape(self, where: str) -> None:
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        if len(inputs) != 1 or len(outputs) != 1:
            names = ", ".join(output.name for output in outputs)
            raise SettingError(
                f"{where}: has {len(inputs)} inputs and {len(outputs)} outputs ({names}); export one that takes one "
                "tensor of rows and gives the scores alone"
            )
        if inputs[0].type not in NUMBER_TYPES:
            raise SettingError(
                f"{where}: takes {inputs[0].type}, and no pixels or floating-point numbers; export it so that it does"
            )
        self._input, self.kind = inputs[0].name, NUMBER_TYPES[inputs[0].type]
        lengths = [length if isinstance(length, int) and length > 0 else None for length in inputs[0].shape]
        if len(lengths) not in (2, 4):
            raise SettingError(f"{where}: takes inputs of {len(lengths)} dimensions, and no N×C×H×W images or N×d rows")
        self.batch, shape = lengths[0], lengths[1:]
        self.last = len(shape) == 3 and shape[2] in (1, 3) and shape[0] not in (1, 3)
        self.shape = tuple([shape[2], *shape[:2]] if self.last else shape)

    def _read_description(self, where: str) -> None:
        self.classes: tuple[str, ...] | None = None
        self.columns: tuple[str, ...] = ()
        self.tells_numbers = self.is_backbone = False
        text = self._session.get_modelmeta().custom_metadata_map.get(DESCRIPTION)
        if text is None:
            return
        output = self._session.get_outputs()[0]
        self.is_backbone = output.name == FEATURES
        try:
            said = json.loads(text)
            classes, columns = said["classes"], said["columns"]
            if not _words(columns) or not (classes is None or _words(classes)):
                raise ValueError("its names are no words")
            if self.is_backbone and classes is not None:
                raise ValueError(f"{len(classes)} names of classes for features")
            if not self.is_backbone and len(classes or (None,)) != output.shape[-1]:
                raise ValueError(f"{len(classes or (None,))} names for {output.shape[-1]} scores")
        except (ValueError, KeyError, TypeError) as error:
            raise SettingError(f"{where}: its description is damaged ({error}); export it again") from error
        self.tells_numbers, self.columns = classes is None and not self.is_backbone, tuple(columns)
        self.classes = None if classes is None else tuple(classes)

    def check_classifier(self, where: str | None = None) -> None:
        """Raise a `NoClassesError` if it is a backbone; `where` says what asks for classes."""
        if self.is_backbone:
            raise NoClassesError(where)

    def features(self, rows: np.ndarray) -> np.ndarray:
        """Return the features of raw rows, N×width, float32.

        Args:
            rows: N×C×H×W, or N×d.

        Raises:
            SettingError: it is no backbone that Juyi wrote.
        """
        if not self.is_backbone:
            raise SettingError(f"{self.name}: gives scores alone; export the backbone itself to have features")
        return self.scores(rows)

    def scores(self, rows: np.ndarray) -> np.ndarray:
        """Return what the file gives of raw rows, float32: scores, N×C, numbers, N×1, or a backbone's features.

        Where it takes a fixed number of rows, the last ones are filled up.

        Args:
            rows: N×C×H×W, or N×d.
        """
        rows = rows.transpose(0, 2, 3, 1) if self.last else rows
        if self.kind is np.uint8 and rows.dtype != np.uint8:
            rows = rows.round().clip(0, 255)
        rows = rows.astype(self.kind, copy=False)
        step = self.batch or 500
        found = []
        for start in range(0, max(len(rows), 1), step):
            part = rows[start : start + step]
            short = (self.batch or len(part)) - len(part)
            whole = np.concatenate([part, np.zeros((short, *part.shape[1:]), part.dtype)]) if short else part
            found.append(self._session.run(None, {self._input: np.ascontiguousarray(whole)})[0][: len(part)])
        scores: np.ndarray = np.concatenate(found).astype(np.float32, copy=False)
        return scores


def open_session(model: str | bytes, threads: int = 1) -> Any:
    """Open a file, by its path or as bytes, in onnxruntime: on the processor, on so many threads, quietly."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _words(names: Any) -> bool:
    return isinstance(names, Sequence) and not isinstance(names, str) and all(isinstance(n, str) for n in names)


def _check_files(model: Any, folder: Path, where: str) -> list[str]:
    """Return the names of the files with weights beside the model.

    Raises:
        SettingError: one is in another folder, or is not there.
    """
    named = set()
    for tensor in _tensors(model):
        if tensor.data_location == tensor.EXTERNAL:
            named |= {entry.value for entry in tensor.external_data if entry.key == "location"}
    for name in sorted(named):
        file = folder / name
        if Path(name).name != name or "\\" in name or file.is_symlink():
            raise SettingError(
                f"{where}: wants to read {name[:80]!r}, which is outside its folder; export it as one file"
            )
        if not file.is_file():
            raise SettingError(f"{where}: its weights are in {name[:80]!r}, which is not beside it; put it there")
    return sorted(named)


def _tensors(message: Any) -> Iterator[Any]:
    """Every tensor within a message of protobuf, however deep."""
    if message.DESCRIPTOR.name == "TensorProto":
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is not None:
            repeated = not hasattr(value, "DESCRIPTOR")
            for part in value if repeated else (value,):
                yield from _tensors(part)


def first_words(error: Exception) -> str:
    """Return the kind of an error, and the first line of what it says."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:160]}" if lines else type(error).__name__
