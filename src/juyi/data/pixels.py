"""One encoded image: its header, and its pixels as uint8 H×W×C."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps, TiffImagePlugin, UnidentifiedImageError, WebPImagePlugin

from juyi.errors import DataError

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM")
"""What Pillow may try: formats that only hold pixels (EPS, for one, would start a program)."""
# Pillow knows the others from the start; these two must be there before threads ask for them.
assert {"TIFF", "WEBP"} == {TiffImagePlugin.TiffImageFile.format, WebPImagePlugin.WebPImageFile.format}

SUFFIXES = frozenset(
    [
        ".png",
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".gif",
        ".bmp",
        ".dib",
        ".tif",
        ".tiff",
        ".webp",
        ".ppm",
        ".pgm",
        ".pbm",
        ".pnm",
    ],
)
_GREY = frozenset({"1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "I;16N"})
_ALPHA = frozenset({"LA", "La", "PA", "RGBA", "RGBa"})
_ORIENTATION = 0x0112


@dataclass(frozen=True)
class Header:
    """What an image is before it is decoded: height and width in pixels (upright), and 1 or 3 channels."""

    height: int
    width: int
    channels: int


def read_header(data: bytes) -> Header:
    """Read the header of an encoded image without decoding it.

    Raises:
        ValueError: these are no bytes of an image, or the image is absurdly large, or its pixels are floats.
    """
    if (plain := _plain_png(data)) is not None:
        return plain
    with _open(data) as image:
        height, width = image.height, image.width
        if _orientation(image) >= 5:
            height, width = width, height
        return Header(height, width, 1 if image.mode in _GREY else 3)


def decode_one(data: bytes, shape: tuple[int, int, int]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Decode one image to H×W×C, uint8, and name the conversions that this took.

    Args:
        data: the encoded image.
        shape: height, width (at least 1) and channels (1 or 3) of the result.

    Raises:
        OSError, ValueError, SyntaxError: the image is truncated, damaged, absurdly large, or has float pixels.
    """
    height, width, channels = shape
    done: list[str] = []
    with _open(data) as opened:
        if (height, width) != (opened.height, opened.width):
            # A JPEG far too large is decoded at an eighth, a quarter or a half, never below twice the wanted size.
            opened.draft(None, (2 * width, 2 * height))
        opened.load()
        image: Image.Image = opened
        if _orientation(opened) != 1:
            image = ImageOps.exif_transpose(opened)
            done.append("upright")
        image = _eight_bits(image, channels, done)
        if image.size != (width, height):
            image = image.resize((width, height), Image.Resampling.BILINEAR)
            done.append("resized")
        return np.asarray(image).reshape(shape), tuple(done)


def decode_alone(data: bytes) -> np.ndarray:
    """Decode one image to RGB in its own size, uint8, H×W×3.

    Raises:
        DataError: it cannot be read.
    """
    try:
        header = read_header(data)
        return decode_one(data, (header.height, header.width, 3))[0]
    except (OSError, ValueError, SyntaxError) as error:
        raise DataError(f"an image cannot be read ({error}); mend or remove it") from error


def _open(data: bytes) -> Image.Image:
    if not data:
        raise ValueError("the file is empty")
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError:
        raise ValueError("not an image") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ValueError("a decompression bomb: more pixels than Pillow's limit") from None
    except (SyntaxError, TypeError, KeyError, IndexError, OverflowError) as error:
        raise ValueError(f"damaged ({error})") from None
    if Image.MAX_IMAGE_PIXELS is not None and image.width * image.height > Image.MAX_IMAGE_PIXELS:
        raise ValueError(f"a decompression bomb: {image.width}×{image.height} pixels are more than Pillow's limit")
    if image.mode == "F":
        raise ValueError("its pixels are floating-point numbers; convert it to 8 bits first")
    return image


def _plain_png(data: bytes) -> Header | None:
    """Read the header of the commonest kind of small image by hand, which is thirty times faster."""
    if data[:8] != b"\x89PNG\r\n\x1a\n" or data[12:16] != b"IHDR" or b"eXIf" in data or b"exif" in data:
        return None
    width, height = int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    if not 0 < width * height <= 1 << 22 or len(data) < 26:
        return None
    return Header(height, width, 1 if data[25] in (0, 4) else 3)


def _orientation(image: Image.Image) -> int:
    if image.format in ("PNG", "JPEG", "MPO", "WEBP") and not {"exif", "Raw profile type exif"} & image.info.keys():
        return 1
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:
        # EXIF is written by cameras of all ages; damage in it is no damage to the picture.
        return 1
    return value if value in range(1, 9) else 1


def _eight_bits(image: Image.Image, channels: int, done: list[str]) -> Image.Image:
    mode, wanted = image.mode, "L" if channels == 1 else "RGB"
    if mode == wanted and "transparency" not in image.info:
        return image
    if mode in _ALPHA or "transparency" in image.info:
        done.append("alpha")
        colour = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", colour.size, "white"), colour)
    elif mode == "P":
        done.append("palette")
    elif mode == "CMYK":
        done.append("cmyk")
    elif mode.startswith("I"):
        image = _scaled(image)
        done.append("16-bit")
    elif mode not in ("1", "L", "RGB", "RGBX"):
        done.append("colour space")
    if mode in _GREY and channels == 3:
        done.append("grey")
    return image.convert(wanted)


def _scaled(image: Image.Image) -> Image.Image:
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise ValueError("its pixels have 32 bits; convert it to 8 bits first")
    return Image.fromarray(((values + 128) // 257).astype(np.uint8))
