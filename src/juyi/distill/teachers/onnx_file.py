"""Ask an ONNX file: predictions only, by onnxruntime (the optional extra `export`)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from juyi.errors import SettingError

NUMBER_TYPES = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(float16)": np.float16}
FLOATS = (1, 10, 11, 16)
"""What ONNX calls the kinds of numbers that weights are of: float, float16, double, bfloat16."""


class OnnxNet(nn.Module):
    """A classifier in an ONNX file: rows in, what it gives out, without gradients.

    Its weights may lie in other files, but only in the same folder; onnxruntime runs its own operators and no others.

    Args:
        path: of the file.
        where: what a person called it, for errors.

    Attributes:
        shape: of one row that it takes, channels first, None for a length that may vary.
        batch: the number of rows that it takes at once; None for any.
        last: whether the channels come last in the file.
        count: the number of its parameters.

    Raises:
        SettingError: the extra is missing, or the file is absent, damaged, or no such classifier.
    """

    digest: Tensor

    def __init__(self, path: str, where: str) -> None:
        super().__init__()
        try:
            import onnx
            import onnxruntime
        except ImportError as error:
            raise SettingError(f"{where}: needs onnx and onnxruntime; pip install 'juyi[export]'") from error
        place = Path(path)
        try:
            content = place.read_bytes()
            model = onnx.load_model_from_string(content)
        except FileNotFoundError as error:
            raise SettingError(f"{where}: there is no such file; restore it, or name another") from error
        except Exception as error:  # of protobuf, in many kinds
            raise SettingError(f"{where}: is damaged or no ONNX file ({_first(error)}); restore it") from error
        if not model.graph.node:
            raise SettingError(f"{where}: is damaged or no ONNX file (it computes nothing); restore it")
        beside = _check_files(model, place.parent, where)
        self.count = sum(int(np.prod(t.dims)) for t in model.graph.initializer if t.data_type in FLOATS)
        digest = hashlib.sha256(content)
        for name in beside:
            digest.update((place.parent / name).read_bytes())
        self.register_buffer("digest", torch.frombuffer(bytearray(digest.digest()), dtype=torch.uint8))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = torch.get_num_threads(), 1
        options.log_severity_level = 4
        try:
            self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise SettingError(f"{where}: cannot be run ({_first(error)}); export it again") from error
        self._read_shape(where)

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
                f"{where}: takes {inputs[0].type}, and no floating-point numbers; export it so that it does"
            )
        self._input, self._kind = inputs[0].name, NUMBER_TYPES[inputs[0].type]
        lengths = [length if isinstance(length, int) and length > 0 else None for length in inputs[0].shape]
        if len(lengths) not in (2, 4):
            raise SettingError(f"{where}: takes inputs of {len(lengths)} dimensions, and no N×C×H×W images or N×d rows")
        self.batch, shape = lengths[0], lengths[1:]
        self.last = len(shape) == 3 and shape[2] in (1, 3) and shape[0] not in (1, 3)
        self.shape = tuple([shape[2], *shape[:2]] if self.last else shape)

    def forward(self, x: Tensor) -> Tensor:
        """Return what the file gives of rows; where it takes a fixed number of them, the last ones are filled up."""
        rows = (x.permute(0, 2, 3, 1) if self.last else x).detach().cpu().numpy().astype(self._kind)
        step = self.batch or max(len(rows), 1)
        found = []
        for start in range(0, len(rows), step):
            part = rows[start : start + step]
            whole = np.concatenate([part, np.zeros((step - len(part), *part.shape[1:]), part.dtype)])
            found.append(self._session.run(None, {self._input: np.ascontiguousarray(whole)})[0][: len(part)])
        return torch.from_numpy(np.concatenate(found)).float().to(x.device)


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


def _first(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:160]}" if lines else type(error).__name__
