"""A sheet of pictures a class: the quickest way to see that data are what one thinks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from juyi.data import cache
from juyi.data.domain import Domain
from juyi.errors import DataError, SettingError

_CELL, _GAP, _MARGIN, _LINE = 64, 4, 12, 20
_MOST_CLASSES = 60


def contact_sheet(domain: Domain, path: str | Path, per_class: int = 8) -> Path:
    """Write a PNG with some pictures of each class, a row a class, the rows spread evenly over the data.

    Args:
        domain: images.
        path: the file to write.
        per_class: pictures a class, 1 to 100.

    Returns:
        The file.

    Raises:
        DataError: the domain holds features.
        SettingError: `per_class` is out of range.
        WriteError: the file cannot be written.
    """
    if not domain.is_images:
        raise DataError(f"{domain.name}: holds features and no images, so there is nothing to show; give images")
    if not 1 <= per_class <= 100:
        raise SettingError(f"per_class is {per_class}; give 1 to 100 pictures a class")
    rows = _rows(domain, per_class)
    font = ImageFont.load_default(13)
    names = max(font.getlength(name) for name, _ in rows)
    left = _MARGIN + int(names) + _MARGIN
    width = max(left + per_class * (_CELL + _GAP), int(font.getlength(domain.name)) + 2 * _MARGIN) + _MARGIN
    sheet = Image.new("RGB", (width, _MARGIN + _LINE + len(rows) * (_CELL + _GAP) + _MARGIN), "white")
    draw = ImageDraw.Draw(sheet)
    draw.text((_MARGIN, _MARGIN - 2), domain.name, fill="black", font=font)
    for i, (name, numbers) in enumerate(rows):
        top = _MARGIN + _LINE + i * (_CELL + _GAP)
        draw.text((_MARGIN, top + _CELL // 2), name, fill="black", font=font, anchor="lm")
        for j, number in enumerate(numbers):
            picture = _thumbnail(domain.x[number])
            offset = ((_CELL - picture.width) // 2, (_CELL - picture.height) // 2)
            sheet.paste(picture, (left + j * (_CELL + _GAP) + offset[0], top + offset[1]))
    cache.write_whole(Path(path), lambda file: sheet.save(file, "PNG"))
    return Path(path)


def _rows(domain: Domain, per_class: int) -> list[tuple[str, np.ndarray]]:
    """List the rows of the sheet: a name, and which pictures stand beside it."""
    found: list[tuple[str, np.ndarray]] = []
    if domain.classes is not None:
        for code, name in enumerate(domain.classes[:_MOST_CLASSES]):
            found.append((_short(name), np.flatnonzero(domain.labelled & (domain.y == code))))
        if len(domain.classes) > _MOST_CLASSES:
            found.append((f"and {len(domain.classes) - _MOST_CLASSES:,} more classes", np.array([], int)))
        rest = np.flatnonzero(~domain.labelled)
    else:
        rest = np.arange(domain.size)
    if len(rest):
        found.append(("no label" if domain.classes is not None else "all", rest))
    return [(name, _spread(numbers, per_class)) for name, numbers in found]


def _spread(numbers: np.ndarray, count: int) -> np.ndarray:
    if len(numbers) <= count:
        return numbers
    return np.asarray(numbers[np.linspace(0, len(numbers) - 1, count).astype(int)])


def _short(name: str) -> str:
    return name if len(name) <= 24 else name[:23] + "…"


def _thumbnail(image: np.ndarray) -> Image.Image:
    """Bring one image C×H×W to the size of a cell; small ones are enlarged in blocks, so that pixels show."""
    pixels = np.ascontiguousarray(image.transpose(1, 2, 0))
    picture = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    scale = _CELL / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return picture.resize(size, Image.Resampling.NEAREST if scale > 1 else Image.Resampling.BILINEAR)
