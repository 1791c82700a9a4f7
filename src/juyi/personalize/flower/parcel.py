"""What server and clients send each other: a note, tensors, and numbers; read without trusting who sent it."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from juyi.errors import ForeignFileError

if TYPE_CHECKING:
    from flwr.app import RecordDict

NOTE, TENSORS, FIGURES = "note", "tensors", "figures"
DTYPES = ("float32", "float64", "int64", "uint8")
MOST_NOTE = 1_000_000
"""Characters of a note, at most."""
MOST_HEADER = 10_000
"""Bytes of an array's header, at most."""


@dataclass(frozen=True)
class Parcel:
    """What is sent at once.

    Args:
        note: anything JSON.
        tensors: by name.
        figures: numbers by name.
    """

    note: Mapping[str, Any]
    tensors: Mapping[str, Tensor] = field(default_factory=dict)
    figures: Mapping[str, float] = field(default_factory=dict)


def to_records(parcel: Parcel) -> RecordDict:
    """Put a parcel into Flower's records; tensors become .npy bytes, which hold no pickles."""
    from flwr.app import Array, ArrayRecord, ConfigRecord, MetricRecord, RecordDict

    arrays = {name: Array(ndarray=value.detach().cpu().numpy()) for name, value in parcel.tensors.items()}
    return RecordDict(
        {
            NOTE: ConfigRecord({"json": json.dumps(parcel.note, allow_nan=False)}),
            TENSORS: ArrayRecord(arrays),
            FIGURES: MetricRecord({name: float(value) for name, value in parcel.figures.items()}),
        }
    )


def from_records(content: RecordDict, most: int) -> Parcel:
    """Read a parcel out of Flower's records.

    Args:
        content: what came.
        most: bytes that its tensors may have together.

    Raises:
        ForeignFileError: it is too large, or is no parcel.
    """
    try:
        text = content[NOTE]["json"]
        arrays, figures = content[TENSORS], content[FIGURES]
        if not isinstance(text, str) or len(text) > MOST_NOTE:
            raise ValueError("its note is no text of a sensible length")
        note = json.loads(text, parse_constant=_no_number)
        if not isinstance(note, dict):
            raise ValueError("its note is no table")
        size = sum(len(array.data) for array in arrays.values())
        if size > most + MOST_HEADER * len(arrays):
            raise ValueError(f"it has {size:,} bytes, and {most:,} are what it may have")
        tensors = {str(name): _tensor(str(name), array.stype, array.data) for name, array in arrays.items()}
        numbers = {str(name): _number(str(name), value) for name, value in figures.items()}
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ForeignFileError(f"message: is not one of Juyi's ({error})") from error
    return Parcel(note, tensors, numbers)


def _tensor(name: str, kind: str, data: bytes) -> Tensor:
    """Read an array; its header says how large it is, and is held against the bytes before memory is taken."""
    if kind != "numpy.ndarray":
        raise ValueError(f"array {name} is {kind!r}, no NumPy array")
    file = io.BytesIO(data)
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(file, max_header_size=MOST_HEADER)
    if dtype.name not in DTYPES or fortran:
        raise ValueError(f"array {name} holds {dtype}, or lies otherwise than it should")
    if math.prod(shape) * dtype.itemsize != len(data) - file.tell():
        raise ValueError(f"array {name} says that it has shape {shape}, and its bytes do not")
    return torch.from_numpy(np.frombuffer(data, dtype, offset=file.tell()).reshape(shape).copy())


def _number(name: str, value: Any) -> float:
    found = float(value)
    if not math.isfinite(found):
        raise ValueError(f"{name} is {found}")
    return found


def _no_number(word: str) -> Any:
    raise ValueError(f"{word} in its note")
