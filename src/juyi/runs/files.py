"""Write files so that a reader sees the old one or the new one, never a half; read them without trusting them."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch

from juyi.errors import ForeignFileError, WriteError


def write_bytes(path: Path, data: bytes, check: Callable[[Path], None] | None = None) -> None:
    """Write a file beside its place, flush it to the disk, and rename it into its place.

    Args:
        path: the file.
        data: what it holds.
        check: looks at the written file before it gets its name, and raises an error if it must not.

    Raises:
        WriteError: the disk is full or the folder cannot be written; an earlier file of that name is intact.
    """
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with beside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if check is not None:
            check(beside)
        beside.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise WriteError(
            f"{path}: cannot be written ({error.strerror or error}); free some space, or name another folder"
        ) from error
    finally:
        with contextlib.suppress(OSError):  # it is gone where all went well, or where its folder is a file
            beside.unlink()


def write_text(path: Path, text: str) -> None:
    """Write a text file, UTF-8, in one piece (see `write_bytes`); of a file name that is no UTF-8, as `\\udc..`."""
    write_bytes(path, text.encode("utf-8", "backslashreplace"))


def write_json(path: Path, content: Any) -> None:
    """Write JSON, UTF-8, in one piece (see `write_bytes`); NaN is refused, since JSON has none."""
    write_text(path, json.dumps(content, ensure_ascii=False, indent=1, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read JSON.

    Raises:
        ForeignFileError: the file is absent, cannot be read, or is not JSON.
    """
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise ForeignFileError(f"{path}: there is no such file; the run is incomplete") from error
    except (OSError, ValueError, RecursionError) as error:
        raise ForeignFileError(f"{path}: is not a JSON file that Juyi wrote ({error})") from error


class Lines:
    """A file of JSON lines that grows; on resuming, what a killed run wrote too far is cut off.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._rewound: int | None = None

    @property
    def size(self) -> int:
        """The bytes that are there, or will be when what was written too far is cut off."""
        if self._rewound is not None:
            return self._rewound
        return self.path.stat().st_size if self.path.exists() else 0

    def rewind(self, size: int) -> None:
        """Take note of the size that the file had; `cut` brings it back to that."""
        self._rewound = size

    def cut(self) -> None:
        """Cut off what was written too far, if that was noted."""
        if self._rewound is not None and self.path.exists():
            os.truncate(self.path, min(self._rewound, self.path.stat().st_size))
        self._rewound = None

    def add(self, line: Mapping[str, Any]) -> None:
        """Write a line behind the others.

        Raises:
            WriteError: the disk is full, or the file cannot be written.
        """
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        except OSError as error:
            raise WriteError(
                f"{self.path}: cannot be written ({error.strerror}); free some space, then juyi resume"
            ) from error


def write_tensors(path: Path, tensors: Mapping[str, torch.Tensor], note: Mapping[str, Any] | None = None) -> None:
    """Write tensors as safetensors, in one piece, with a note (anything JSON) in the same file's header.

    Tensors that share memory are written each for itself; strides are not kept.
    """
    plain = {
        name: torch.empty(tensor.shape, dtype=tensor.dtype).copy_(tensor.detach()) for name, tensor in tensors.items()
    }
    write_bytes(path, safetensors.torch.save(plain, {"juyi": json.dumps(note or {})}))


def read_tensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Read what `write_tensors` wrote: the tensors and the note.

    Raises:
        ForeignFileError: the file is absent, damaged, or was not written by Juyi.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            # cloned, so that they lie in memory as they did: some products' last bits hang on where rows begin
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 (not a mapping)
    except FileNotFoundError as error:
        raise ForeignFileError(f"{path}: there is no such file; the run is incomplete") from error
    except (OSError, safetensors.SafetensorError, ValueError) as error:
        raise ForeignFileError(f"{path}: is damaged or is no safetensors file ({error})") from error
    try:
        note = json.loads(header["juyi"])
    except (KeyError, ValueError, RecursionError) as error:
        raise ForeignFileError(f"{path}: was not written by Juyi (its header lacks the note)") from error
    if not isinstance(note, dict):
        raise ForeignFileError(f"{path}: was not written by Juyi (its note is no table)")
    return tensors, note
