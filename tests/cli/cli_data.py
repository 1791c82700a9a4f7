"""Tiny data for the tests of the command, written on the spot."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

QUICK = ("--epochs", "1", "--batch", "16", "--precision", "float32")
"""A run of a moment."""


def tree(folder="."):
    """Every path below a folder, with the bytes of the files."""
    return {str(p): p.read_bytes() if p.is_file() else None for p in sorted(Path(folder).rglob("*"))}


def encoded(array, form="PNG", **options):
    buffer = io.BytesIO()
    (array if isinstance(array, Image.Image) else Image.fromarray(array)).save(buffer, form, **options)
    return buffer.getvalue()


def pictures(n, seed=0, size=28):
    """Grey pictures of two classes, n×size×size: bright on the left, or on the right."""
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 100, (n, size, size), dtype=np.uint8)
    for i in range(n):
        x[i, :, : size // 2] += np.uint8(100 * (i % 2 == 0))
        x[i, :, size // 2 :] += np.uint8(100 * (i % 2))
    return x


def image_folder(path, classes=("cat", "dog"), n=12, seed=0, size=28):
    """Write a folder of class folders with n pictures each; with no classes, a flat one."""
    x = pictures(n * 2, seed, size)
    for code, name in enumerate(classes or ("",)):
        (Path(path) / name).mkdir(parents=True, exist_ok=True)
        for i in range(n):
            (Path(path) / name / f"{i}.png").write_bytes(encoded(x[2 * i + code % 2]))
    return Path(path)


def table(path, n=40, seed=0, columns=("length", "width"), label="kind", classes=("cat", "dog"), cells=None):
    """Write a CSV file of two classes that differ in every column; `cells` replaces some, {(row, column): text}."""
    rng = np.random.default_rng(seed)
    lines = [",".join([*columns, *([label] if label else [])])]
    for i in range(n):
        code = i % len(classes)
        row = [f"{value:.4f}" for value in rng.normal(size=len(columns)) + 4 * code]
        row += [classes[code]] if label else []
        for (at, column), text in (cells or {}).items():
            if at == i:
                row[column] = text
        lines.append(",".join(row))
    Path(path).write_text("\n".join(lines) + "\n")
    return Path(path)


def arrays(path, n=80, seed=0, shift=0.0, labels=True, width=3, classes=2):
    """Write an archive of features of two classes."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % classes
    x = (rng.normal(size=(n, width)) + 3 * y[:, None] + shift).astype(np.float32)
    np.savez(path, x=x, **({"y": y} if labels else {}))
    return Path(path)
