"""Read the arguments and results of an exported program's calls, as plain data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch

from juyi.errors import SettingError

NUMBER_TYPES = {
    1: torch.uint8, 2: torch.int8, 3: torch.int16, 4: torch.int32, 5: torch.int64, 6: torch.float16, 7: torch.float32,
    8: torch.float64, 12: torch.bool, 13: torch.bfloat16,
}  # fmt: skip
MEMORY_FORMATS = {1: torch.contiguous_format, 2: torch.channels_last, 4: torch.preserve_format}
AGAIN = "export it again with torch.export.export and torch.export.save of torch 2.9 or newer"


class Name(NamedTuple):
    """A value that a program computes, by its name."""

    name: str


def argument_of(argument: Any, where: str) -> Any:
    """Read an argument: a value by name, a number, a type, or a list of these."""
    ((kind, value),) = argument.items()
    if kind in ("as_tensor", "as_sym_int", "as_sym_float", "as_sym_bool", "as_optional_tensor"):
        return _one(value)
    if kind in ("as_tensors", "as_sym_ints", "as_sym_floats", "as_sym_bools", "as_optional_tensors"):
        return [_one(part) for part in value]
    if kind in ("as_float", "as_floats"):  # torch writes those that are not finite as words
        return [float(part) for part in value] if isinstance(value, list) else float(value)
    if kind in ("as_int", "as_bool", "as_string", "as_ints", "as_bools"):
        return _number(value)
    if kind == "as_none":
        return None
    if kind == "as_scalar_type":
        return NUMBER_TYPES[value]
    if kind == "as_memory_format":
        return MEMORY_FORMATS[value]
    if kind == "as_layout" and value == 7:
        return torch.strided
    if kind == "as_device":
        return torch.device("cpu")  # the device of the rows takes its place
    raise SettingError(f"{where}: gives an operator {str(kind)[:40]}, which is not read; {AGAIN}")


def _one(value: Any) -> Any:
    """Read `{"name": …}`, `{"as_name": …}`, `{"as_int": 3}`, `{"as_tensor": {"name": …}}` and the like."""
    for key in ("name", "as_name"):
        if key in value:
            return Name(str(value[key]))
    ((kind, content),) = value.items()
    return None if kind == "as_none" else _one(content) if kind == "as_tensor" else _number(content)


def _number(value: Any) -> Any:
    """Return a plain value, or a list of such."""
    if isinstance(value, list):
        return [_number(part) for part in value]
    if isinstance(value, int | float | str | bool):
        return value
    raise TypeError(f"{type(value).__name__} is no plain value")


def result_of(output: Any) -> Any:
    """Read what a result is called: a name, a list of names, or None for nothing."""
    ((kind, value),) = output.items()
    if kind == "as_none":
        return None
    if kind == "as_tensors":
        return [str(part["name"]) for part in value]
    found = _one(value)
    return str(found.name)


def names_of(arguments: Any) -> Iterator[str]:
    """The names of the values within arguments."""
    if isinstance(arguments, Name):
        yield arguments.name
    elif isinstance(arguments, list | tuple):
        for part in arguments:
            yield from names_of(part)
    elif isinstance(arguments, dict):
        yield from names_of(list(arguments.values()))
