"""Decode images, each once, into one array; say what had to be converted, and refuse what cannot be read."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from juyi.data import cache
from juyi.data.pixels import Header, decode_one, read_header
from juyi.errors import DataError

_CACHE_VERSION = 1
_BLOCK_BYTES = 64 << 20
_WORTH_A_THREAD = 48 * 48
"""Pixels from which threads help: below, they only wait for one another to hold the interpreter."""

_SENTENCES = {
    "upright": "{} turned upright, as the EXIF orientation says",
    "palette": "{} converted from palette to RGB",
    "alpha": "{} with transparency laid on white",
    "cmyk": "{} converted from CMYK to RGB",
    "colour space": "{} converted from another colour space to RGB",
    "16-bit": "{} scaled from 16 to 8 bits",
    "grey": "{} repeated from grey to RGB, since others have colour",
    "resized": "{} resized to {height}×{width}",
}


@dataclass(frozen=True)
class Pictures:
    """Encoded images which are still to be decoded.

    Args:
        place: what errors call the whole, such as a folder.
        names: a name an image.
        read: gives the bytes of image number i; may raise OSError or ValueError.
        stamp: a text that changes when the files change (paths, sizes, times).
    """

    place: str
    names: Sequence[str]
    read: Callable[[int], bytes]
    stamp: str


@dataclass(frozen=True)
class Decoded:
    """Decoded images.

    Args:
        x: uint8, a view n×C×H×W on memory that runs n×H×W×C.
        good: int64, n: which of the pictures these are.
        notes: what was converted or skipped.
    """

    x: np.ndarray
    good: np.ndarray
    notes: tuple[str, ...]


@dataclass
class _Tally:
    """What happened while decoding."""

    conversions: Counter[str] = field(default_factory=Counter)
    bad: dict[int, str] = field(default_factory=dict)


def decode(pictures: Pictures, *, size: int | None = None, skip_bad: bool = False) -> Decoded:
    """Decode all pictures to one size and one number of channels.

    All stay grey if all are grey; else all become RGB.  Without `size` they get the commonest size among them (of
    several equally common, the middle one).
    More than `cache.MEMORY_LIMIT` bytes go to a memory-mapped file of the user's cache folder, once.

    Args:
        pictures: what to decode, at least one.
        size: height and width in pixels, at least 1; None for the commonest size.
        skip_bad: leave out what cannot be read, and say so, instead of refusing the whole.

    Raises:
        DataError: `size` is not positive, an image cannot be read, or none can.
    """
    if size is not None and size < 1:
        raise DataError(f"{pictures.place}: size is {size}; give a number of pixels, at least 1")
    key = cache.cache_key(_CACHE_VERSION, pictures.stamp, list(pictures.names), size, skip_bad)
    if (found := cache.read_decoded(key)) is not None:
        array, record = found
        return Decoded(array.transpose(0, 3, 1, 2), np.array(record["good"], np.int64), tuple(record["notes"]))
    tally = _Tally()
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool, warnings.catch_warnings():
        # Pillow warns of large images, odd palettes and broken EXIF; what matters of that is an error below.
        warnings.simplefilter("ignore")
        headers = _read_headers(pool, pictures, tally)
        shape = _common_shape([header for header in headers if header], size)
        if shape is None:
            raise _refusal(pictures, tally)
        todo = [i for i, header in enumerate(headers) if header]
        blocks = _decode_blocks(pool, pictures, todo, shape, skip_bad, tally)
        if len(todo) * shape[0] * shape[1] * shape[2] > cache.MEMORY_LIMIT:
            return _into_file(pictures, key, blocks, shape, skip_bad, tally)
        array = np.empty((len(todo), *shape), np.uint8)
        rows = 0
        for block in blocks:
            array[rows : rows + len(block)] = block
            rows += len(block)
    good, notes = _close(pictures, shape, skip_bad, tally)
    return Decoded(array[:rows].transpose(0, 3, 1, 2), good, notes)


def _into_file(
    pictures: Pictures,
    key: str,
    blocks: Iterator[np.ndarray],
    shape: tuple[int, int, int],
    skip_bad: bool,
    tally: _Tally,
) -> Decoded:
    cache.check_room(len(pictures.names) * shape[0] * shape[1] * shape[2])
    path = cache.write_decoded(key, blocks, shape)
    try:
        good, notes = _close(pictures, shape, skip_bad, tally)
    except DataError:
        path.unlink(missing_ok=True)
        raise
    array = cache.write_record(path, {"good": good.tolist(), "notes": list(notes)})
    return Decoded(array.transpose(0, 3, 1, 2), good, notes)


def _read_headers(pool: ThreadPoolExecutor, pictures: Pictures, tally: _Tally) -> list[Header | None]:
    def look(i: int) -> Header | str:
        try:
            return read_header(pictures.read(i))
        except (OSError, ValueError) as error:
            return _reason(error)

    headers: list[Header | None] = []
    for part in pool.map(lambda rows: [look(i) for i in rows], _cut(range(len(pictures.names)), 256)):
        for header in part:
            if isinstance(header, str):
                tally.bad[len(headers)] = header
            headers.append(None if isinstance(header, str) else header)
    return headers


def _common_shape(headers: Sequence[Header], size: int | None) -> tuple[int, int, int] | None:
    if not headers:
        return None
    channels = max(header.channels for header in headers)
    if size is not None:
        return size, size, channels
    counts = Counter((header.height, header.width) for header in headers)
    most = max(counts.values())
    tied = sorted((pair for pair in counts if counts[pair] == most), key=lambda pair: (pair[0] * pair[1], pair))
    # Where no size is commonest, neither the smallest nor the largest (which may be damaged) may decide for all.
    height, width = tied[len(tied) // 2]
    return height, width, channels


def _decode_blocks(
    pool: ThreadPoolExecutor,
    pictures: Pictures,
    todo: Sequence[int],
    shape: tuple[int, int, int],
    skip_bad: bool,
    tally: _Tally,
) -> Iterator[np.ndarray]:
    """Yield blocks k×H×W×C of readable images, in order; after a bad one that may not be skipped, only count."""

    def work(i: int) -> tuple[np.ndarray, tuple[str, ...]] | str:
        try:
            return decode_one(pictures.read(i), shape)
        except (OSError, ValueError, SyntaxError) as error:
            return _reason(error)

    step = max(16, min(2048, _BLOCK_BYTES // (shape[0] * shape[1] * shape[2])))
    for part in _cut(todo, step):
        results = list(pool.map(work, part) if shape[0] * shape[1] >= _WORTH_A_THREAD else map(work, part))
        arrays = []
        for i, result in zip(part, results, strict=True):
            if isinstance(result, str):
                tally.bad[i] = result
            else:
                arrays.append(result[0])
                tally.conversions.update(result[1])
        if arrays and (skip_bad or not tally.bad):
            yield np.stack(arrays)


def _close(
    pictures: Pictures, shape: tuple[int, int, int], skip_bad: bool, tally: _Tally
) -> tuple[np.ndarray, tuple[str, ...]]:
    total = len(pictures.names)
    if tally.bad and (not skip_bad or len(tally.bad) == total):
        raise _refusal(pictures, tally)
    notes = []
    for what, sentence in _SENTENCES.items():
        if count := tally.conversions[what]:
            images = f"{count:,} of {total:,} images" if count < total else f"all {total:,} images"
            notes.append(sentence.format(images, height=shape[0], width=shape[1]))
    if tally.bad:
        first = min(tally.bad)
        notes.append(
            f"{len(tally.bad):,} of {total:,} images skipped, since they cannot be read; "
            f"the first is {pictures.names[first]} ({tally.bad[first]})"
        )
    good = np.array([i for i in range(total) if i not in tally.bad], np.int64)
    return good, tuple(notes)


def _refusal(pictures: Pictures, tally: _Tally) -> DataError:
    first, total = min(tally.bad), len(pictures.names)
    mend = "give other images"
    if len(tally.bad) < total:
        mend = "mend or remove them, or leave them out with --skip-bad"
    return DataError(
        f"{pictures.place}: {len(tally.bad):,} of {total:,} images cannot be read; "
        f"the first is {pictures.names[first]} ({tally.bad[first]}); {mend}"
    )


def _reason(error: Exception) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split())[:160] or type(error).__name__


def _cut(rows: Sequence[int], step: int) -> list[Sequence[int]]:
    return [rows[start : start + step] for start in range(0, len(rows), step)]
