"""The user's cache folder: large decoded sets and what the recipes make, each file whole or absent."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import platformdirs

from juyi.errors import WriteError

MEMORY_LIMIT = 256 << 20
"""Bytes up to which decoded images are held in memory; larger sets are mapped from a file."""


def cache_folder() -> Path:
    """Return the folder for what can be made again: `$JUYI_CACHE`, or the user's cache folder."""
    chosen = os.environ.get("JUYI_CACHE")
    return Path(chosen) if chosen else platformdirs.user_cache_path("juyi")


def write_whole(path: Path, write: Callable[[BinaryIO], None]) -> None:
    """Let `write` fill a file beside `path`, then rename it: a reader sees the old file or the new one.

    Raises:
        WriteError: the disk is full or the folder cannot be written; an earlier file is intact.
    """
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with beside.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        raise WriteError(
            f"{path}: cannot be written ({error.strerror or error}); free space, or set JUYI_CACHE to another folder"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)


def scratch(shape: Sequence[int], dtype: Any = np.uint8) -> np.ndarray:
    """Return an uninitialised array: in memory if small, else mapped from a nameless file of the cache folder.

    The file has no name, so the space is free again as soon as the array is gone, even after `kill -9`.

    Raises:
        WriteError: the disk is too full for it.
    """
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    if size <= MEMORY_LIMIT:
        return np.empty(shape, dtype)
    folder = check_room(size)
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            return np.memmap(file, dtype, mode="w+", shape=tuple(shape))
    except OSError as error:
        raise _no_room(folder, size, error) from error


def check_room(size: int) -> Path:
    """Return the cache folder, made if need be, after a look whether so many bytes fit.

    A mapped file that outgrows its disk would end the process without a word.

    Raises:
        WriteError: they do not fit, or the folder cannot be made.
    """
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise _no_room(folder, size, error) from error
    if free < size:
        raise _no_room(folder, size, f"{free / 1e9:.1f} GB are free")
    return folder


def _no_room(folder: Path, size: int, why: object) -> WriteError:
    return WriteError(
        f"{folder}: no room for {size / 1e9:.1f} GB of images ({why}); "
        "free some space, set JUYI_CACHE to another folder, or make the images smaller with --size"
    )


def cache_key(*parts: Any) -> str:
    """Return 32 hexadecimal digits that name this combination of parts (anything with a stable `repr`)."""
    return hashlib.sha256(repr(parts).encode("utf-8", "surrogateescape")).hexdigest()[:32]


def read_decoded(key: str) -> tuple[np.ndarray, dict[str, Any]] | None:
    """Map a decoded set from the cache, N×H×W×C read-only, with its record; None if absent or damaged."""
    path = cache_folder() / "decoded" / f"{key}.npy"
    try:
        record = json.loads(path.with_suffix(".json").read_bytes())
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        whole = array.dtype == np.uint8 and list(array.shape) == record["shape"]
        return (array, record) if whole and _spot_check(array) == record["check"] else None
    except (OSError, ValueError, KeyError, TypeError, EOFError):
        return None


def write_decoded(key: str, blocks: Iterable[np.ndarray], row_shape: tuple[int, int, int]) -> Path:
    """Write blocks of rows k×H×W×C one after the other as one `.npy` file, and return it.

    Plain writes and no mapping: a full disk is then an error that can be caught and not a dead process.
    """
    path = cache_folder() / "decoded" / f"{key}.npy"
    rows = 0

    def write(file: BinaryIO) -> None:
        nonlocal rows
        _write_header(file, 0, row_shape)
        start = file.tell()
        for block in blocks:
            file.write(np.ascontiguousarray(block).data)
            rows += len(block)
        file.seek(0)
        _write_header(file, rows, row_shape)
        assert file.tell() == start, "the header's length must not depend on the number of rows"

    write_whole(path, write)
    return path


def write_record(path: Path, record: dict[str, Any]) -> np.ndarray:
    """Write the record that makes a decoded file valid, and map the file."""
    array: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    record = {**record, "shape": list(array.shape), "check": _spot_check(array)}
    write_whole(path.with_suffix(".json"), lambda file: _write_json(file, record))
    return array


def _write_json(file: BinaryIO, record: dict[str, Any]) -> None:
    file.write(json.dumps(record, ensure_ascii=True).encode())


def _write_header(file: BinaryIO, rows: int, row_shape: tuple[int, int, int]) -> None:
    header = {"descr": "|u1", "fortran_order": False, "shape": (rows, *row_shape)}
    np.lib.format.write_array_header_1_0(file, header)


def _spot_check(array: np.ndarray) -> int:
    """Sum up to 256 rows, evenly spread: a look at every byte would cost a pass over the disk at each start."""
    check = 0
    for row in np.unique(np.linspace(0, max(len(array) - 1, 0), 256).astype(int)):
        check = zlib.crc32(np.ascontiguousarray(array[row]).data, check)
    return check
