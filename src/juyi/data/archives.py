"""Archives of NumPy arrays (`.npz`): keys `x`, `y` and `classes`; never a pickle."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from juyi.data.arrays import as_domain
from juyi.data.domain import Domain
from juyi.errors import DataError

_KEYS = ("x", "y", "classes")


def load_npz(path: Path, choose: Callable[[int], np.ndarray], *, name: str) -> Domain:
    """Read a `.npz` file with the arrays `x`, and `y` and `classes` if there are labels (see `as_domain`).

    The archive is not trusted: pickled objects are refused, and sizes are compared before anything is unpacked.

    Args:
        path: the file.
        choose: given the number of rows, gives the row numbers to keep.
        name: how the person refers to the file.

    Raises:
        DataError: the archive is damaged, holds objects, is far too large for this machine, or lacks `x`.
    """
    arrays = read_arrays(path, name)
    if "x" not in arrays:
        raise DataError(f"{name}: has no array x; save it with np.savez(file, x=..., y=..., classes=...)")
    classes = None
    if "classes" in arrays:
        if arrays["classes"].dtype.kind != "U" or arrays["classes"].ndim != 1:
            raise DataError(f"{name}: classes must be a list of texts, not {arrays['classes'].dtype}; save their names")
        classes = arrays["classes"].tolist()
    domain = as_domain(arrays["x"], arrays.get("y"), name=name, classes=classes)
    rows = choose(domain.size)
    return domain if len(rows) == domain.size else replace(domain.select(rows), name=name)


def read_arrays(path: Path, name: str) -> dict[str, np.ndarray]:
    """Read the arrays `x`, `y` and `classes` of a `.npz` file, those that are there.

    Raises:
        DataError: the archive is damaged, holds objects, or is far too large for this machine.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            wanted = [info for info in archive.infolist() if info.filename in {f"{key}.npy" for key in _KEYS}]
            total = sum(_declared_size(archive, info, name) for info in wanted)
            if total > memory_limit():
                raise DataError(
                    f"{name}: would unpack to {total / 1e9:.1f} GB from {path.stat().st_size / 1e6:.1f} MB, "
                    "more than this machine's memory can hold; save fewer rows, or images as a folder"
                )
        with np.load(path, allow_pickle=False) as opened:
            return {key: opened[key] for key in _KEYS if key in opened.files}
    except (OSError, ValueError, EOFError, KeyError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
        why = " ".join(str(error).split())[:200]
        raise DataError(f"{name}: cannot be read as .npz ({why}); save it anew with np.savez") from error


def memory_limit() -> int:
    """Return how many bytes may be unpacked: half of the machine's memory."""
    return int(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")) // 2


def _declared_size(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str) -> int:
    """Return the bytes that an array's own header declares; they must be those that the archive declares."""
    with archive.open(info) as member:
        version = np.lib.format.read_magic(member)
        read: Any = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(member)
        header = member.tell()
    if dtype.hasobject:
        raise DataError(
            f"{name}: {info.filename} holds Python objects, which may run code; save plain numbers or texts"
        )
    size = int(dtype.itemsize)
    for length in shape:
        size *= int(length)
    if size != info.file_size - header:
        raise DataError(
            f"{name}: {info.filename} declares {size} bytes but has {info.file_size - header}; save it anew"
        )
    return size
