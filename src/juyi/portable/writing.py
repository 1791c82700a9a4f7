"""Write a network as one ONNX file that answers the same: the file is run, and compared, before it gets its name."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from juyi.errors import SettingError
from juyi.nets import Network, portable
from juyi.portable.reading import DESCRIPTION, FEATURES, SCORES, OnnxModel
from juyi.portable.sizes import count_sizes
from juyi.runs.files import write_bytes
from juyi.training import Served, read_run

OPSET = 20
TRIED, TRIED_MACS = 1_000, 5e10
"""Rows of noise on which a file is compared with its network: so many, or of a large network as many as that many
multiplications are enough for."""
CLOSE = 1e-3
"""By how much scores may differ, in shares of the largest; and the features of a row, in shares of their length."""


@dataclass(frozen=True)
class Comparison:
    """How an ONNX file answers beside the network that it was made of.

    Attributes:
        rows: how many were asked.
        differ: of how many the answer differs: the class, the number, or the features of a backbone.
        largest: the largest difference of two scores, or features.
        size: the largest of them.
    """

    rows: int
    differ: int
    largest: float
    size: float


def served_of(model: Any) -> Served:
    """Return what a person names as a model: a `Served`, a fitted method, or the folder of a run."""
    if isinstance(model, Served):
        return model
    if hasattr(model, "_served"):
        found: Served = model._served()
        return found
    return read_run(model)


def write_onnx(model: Any, path: Path | str, rows: np.ndarray | None = None) -> Path:
    """Write a trained model as one ONNX file, after checking that it answers the same.

    The file takes raw rows: pixels as uint8, N×C×H×W, for any N, or float32 features, N×d; scaling and resizing are
    inside.  It gives `scores` (logits), or a number in the labels' unit, or of a backbone `features`, N×width.  Classes
    and columns are named in it.

    Args:
        model: a run's folder, a fitted method, or a `Served`.
        path: the file; its folder is made.
        rows: real rows on which it is compared as well; noise always is.

    Returns:
        The path.

    Raises:
        SettingError: the extra `export` is missing, something in the network cannot be exported (it is named), or
            the file answers differently.
        WriteError: it cannot be written.

    Example:
        >>> import tempfile, juyi
        >>> digits = juyi.load("digits@train[:200]")
        >>> fitted = juyi.adapt.SourceOnly(net="lenet5", epochs=1).fit(digits)
        >>> path = write_onnx(fitted, Path(tempfile.mkdtemp()) / "model.onnx", digits.x)
        >>> (OnnxModel(path).scores(digits.x).argmax(1) == fitted.scores(digits).argmax(1)).all()
        np.True_
    """
    served, path = served_of(model), Path(path)

    def check_file(beside: Path) -> None:
        written = OnnxModel(beside, str(path))
        for some in (tried_rows(served), rows):
            if some is not None:
                check(compare(served, written, some), str(path))

    write_bytes(path, onnx_bytes(served), check_file)
    return path


def onnx_bytes(served: Served) -> bytes:
    """Return the ONNX file of a model, unchecked."""
    missing = [name for name in ("onnx", "onnxscript", "onnxruntime") if importlib.util.find_spec(name) is None]
    if missing:
        raise SettingError(f"exporting needs {' and '.join(missing)}; pip install 'juyi[export]'")
    x = torch.from_numpy(noise(served, 2))
    net = portable(served.net, x[:1])
    with quiet():
        program = _translated(net, _traced(net, x))
    program.model.metadata_props[DESCRIPTION] = json.dumps(
        {
            "classes": None if served.tells_numbers or net.is_backbone else [str(label) for label in served.classes],
            "columns": list(served.columns),
        },
        ensure_ascii=False,
    )
    program.model.producer_name = "juyi"
    for node in program.model.graph:  # where the code of each operation lies is nobody's business
        node.metadata_props.clear()
        node.doc_string = None
    content: bytes = program.model_proto.SerializeToString()
    return content


def _traced(net: Network, x: torch.Tensor) -> Any:
    try:
        return torch.export.export(net, (x,), dynamic_shapes=({0: torch.export.Dim("rows")},))
    except Exception as error:  # of many kinds, from whatever the network does
        raise SettingError(
            f"the network {net.name} cannot be exported: {_told(error)}; what it computes must not hang on the values "
            "of its rows, or on their number"
        ) from error


def _translated(net: Network, program: Any) -> Any:
    try:
        return torch.onnx.export(
            program, (), dynamo=True, opset_version=OPSET, input_names=["rows"],
            output_names=[FEATURES if net.is_backbone else SCORES], verbose=False,
        )  # fmt: skip
    except Exception as error:
        operator = _operator(error)
        layers = [
            name
            for node in program.graph.nodes
            if str(node.target).startswith(f"{operator}.") and (name := _layer(node))
        ]
        if operator is None:
            raise SettingError(f"the network cannot be exported: {_told(error)}") from error
        where = f" (in its layer {layers[0]})" if layers else ""
        raise SettingError(
            f"the network cannot be exported: ONNX has no operator {operator}{where}; replace that layer by another, "
            "train again, and export"
        ) from error


def _operator(error: BaseException | None) -> str | None:
    """The name of the operator for which there is no translation, from an error or from what caused it."""
    while error is not None:
        text = str(error)
        if "No ONNX function found for" in text and "op='" in text:
            return text.split("op='", 1)[1].split("'", 1)[0]
        error = error.__cause__
    return None


def _layer(node: Any) -> str | None:
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    return str(stack[-1][0]) if stack else None


def _told(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:200] if lines else type(error).__name__


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep what an exporter says of itself from a person's screen."""
    said = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(said)


def tried_rows(served: Served) -> np.ndarray:
    """Return the rows of noise on which a file is compared with its network."""
    macs = count_sizes(served.net, torch.from_numpy(noise(served, 1))).macs
    return noise(served, round(min(TRIED, max(50, TRIED_MACS / max(macs, 1)))))


def noise(served: Served, rows: int) -> np.ndarray:
    """Rows that no one has seen: uniform pixels, or features of the spread that the network expects."""
    random = np.random.default_rng(0)
    if len(served.shape) == 3:
        return random.integers(0, 256, (rows, *served.shape), dtype=np.uint8)
    drawn = random.standard_normal((rows, *served.shape))
    scale = served.net.standardise
    mean, spread = (getattr(scale, name).cpu().numpy() for name in ("mean", "spread"))
    return np.asarray(mean + spread * drawn, np.float32)


def compare(served: Served, written: OnnxModel, rows: np.ndarray) -> Comparison:
    """Ask both the same rows.

    Classes are the same or not; numbers differ where they do by more than a thousandth of the largest, the features of
    a row where their distance is more than a thousandth of their length.
    """
    one, other = served.scores(rows), written.scores(rows)
    gaps = np.abs(one - other)
    gaps[~np.isfinite(gaps)] = np.inf
    size = float(np.abs(one).max(initial=0.0))
    if served.net.is_backbone:
        differ = np.linalg.norm(gaps, axis=1) > CLOSE * np.linalg.norm(one, axis=1)
    elif served.tells_numbers:
        differ = gaps.max(1) > CLOSE * size
    else:
        differ = one.argmax(1) != other.argmax(1)
    return Comparison(len(rows), int(differ.sum()), float(gaps.max(initial=0.0)), size)


def check(found: Comparison, where: str) -> None:
    """Raise a `SettingError` unless the file answers as its network does."""
    if found.differ or not found.largest <= CLOSE * found.size:
        raise SettingError(
            f"{where}: was not written, since the exported network answers {found.differ:,} of {found.rows:,} rows "
            f"otherwise (values of up to {found.size:.2g} differ by up to {found.largest:.2g}); something in it is "
            "exported wrongly, or its answers hang on more than its rows"
        )
