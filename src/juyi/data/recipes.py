"""Data made by a published recipe: MNIST-M, digits laid on photographs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from juyi.data import cache
from juyi.data.archives import read_arrays
from juyi.data.domain import Domain
from juyi.data.names import parse_name
from juyi.data.parquet import encoded_images
from juyi.data.pixels import decode_alone
from juyi.data.places import data_folder, sets_in, splits_in
from juyi.data.shapes import to_rgb
from juyi.errors import DataError, nearest

_PROGRESS_STEP = 1000
_TRAINING_PHOTOGRAPHS = 0.75
_CACHE_VERSION = 1


def blend_with_photographs(
    images: np.ndarray,
    photographs: Sequence[np.ndarray],
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """Lay grey images on photographs, as MNIST-M is made: |patch − image| in each channel.

    Each image gets a random patch of a random photograph, of its own size.

    Args:
        images: uint8, N×H×W.
        photographs: uint8, h×w×3 each, with h ≥ H and w ≥ W; at least one.
        seed: the same seed gives the same patches.
        progress: called now and then with (images done, images in all); None for silence.

    Returns:
        uint8, N×H×W×3.

    Raises:
        DataError: there is no photograph, or one is smaller than the images.

    Example:
        >>> white = np.full((1, 2, 2), 255, np.uint8)
        >>> blend_with_photographs(white, [np.full((3, 3, 3), 200, np.uint8)], seed=0)[0, 0, 0].tolist()
        [55, 55, 55]

    Source: Ganin and Lempitsky, Unsupervised Domain Adaptation by Backpropagation, ICML 2015, section 4.
    """
    height, width = images.shape[1:]
    if not photographs:
        raise DataError("there is no photograph to lay the images on; give at least one")
    for photograph in photographs:
        if photograph.shape[0] < height or photograph.shape[1] < width:
            found = f"{photograph.shape[0]}×{photograph.shape[1]}"
            raise DataError(
                f"a photograph of {found} pixels is smaller than the images ({height}×{width}); leave it out"
            )
    rng = np.random.default_rng(seed)
    blended = np.empty((*images.shape, 3), np.uint8)
    for i, image in enumerate(images):
        photograph = photographs[int(rng.integers(len(photographs)))]
        top = rng.integers(photograph.shape[0] - height + 1)
        left = rng.integers(photograph.shape[1] - width + 1)
        patch = photograph[top : top + height, left : left + width].astype(np.int16)
        blended[i] = np.abs(patch - image[:, :, None].astype(np.int16))
        if progress is not None and (i + 1 == len(images) or (i + 1) % _PROGRESS_STEP == 0):
            progress(i + 1, len(images))
    return blended


def mnist_m(
    split: str,
    *,
    digits: str = "mnist",
    photographs: str = "bsds500@train",
    progress: Callable[[int, int], None] | None = None,
) -> Domain:
    """Return MNIST-M, RGB, 28×28: from the user's cache folder, or made by the paper's recipe.

    The training digits lie on the first three quarters of the photographs, the test digits on the others, so
    that no background of the one is seen in the other.

    Args:
        split: "train" or "test".
        digits: the data with the digits, without the split.
        photographs: the data with the photographs.
        progress: see `blend_with_photographs`.

    Raises:
        DataError: the digits or the photographs cannot be found.
    """
    path = cache_path("mnist_m", split, digits, photographs)
    kept = _kept(path)
    if kept is None:
        kept = _make_mnist_m(split, digits, photographs, progress)
        arrays = {"x": kept.x.transpose(0, 2, 3, 1), "y": kept.y, "classes": np.array(kept.classes)}
        cache.write_whole(path, lambda file: np.savez(file, **arrays))  # type: ignore[arg-type]
    return Domain(kept.x, kept.y, classes=kept.classes, name=f"mnist_m@{split}", row_names=kept.row_names)


def cache_path(name: str, split: str, digits: str, photographs: str) -> Path:
    """Return where a made split is kept: each choice of ingredients has a file of its own."""
    key = cache.cache_key(_CACHE_VERSION, digits, photographs)[:8]
    return cache.cache_folder() / "made" / f"{name}-{split}-{key}.npz"


def _kept(path: Path) -> Domain | None:
    """Read what was made before; None if it is absent or damaged."""
    if not path.is_file():
        return None
    try:
        arrays = read_arrays(path, str(path))
        x, classes = arrays["x"], tuple(arrays["classes"].tolist())
        return Domain(x.transpose(0, 3, 1, 2), arrays["y"], classes=classes)
    except (DataError, KeyError, ValueError):
        return None


def _make_mnist_m(split: str, digits: str, photographs: str, progress: Callable[[int, int], None] | None) -> Domain:
    from juyi.data.loading import load  # here, since loading knows the recipes

    try:
        plain, held = load(f"{digits}@{split}"), _photographs(photographs)
    except DataError as error:
        raise DataError(
            f"mnist_m@{split}: is made from {digits} and {photographs}, which are not all there ({error}); "
            "set JUYI_DATA to a folder that holds both, "
            "or name others with juyi.data.make('mnist_m', digits=..., photographs=...)"
        ) from error
    if not plain.is_images or plain.x.shape[1] != 1:
        raise DataError(f"mnist_m@{split}: {digits} holds no grey images; name grey digits")
    cut = round(_TRAINING_PHOTOGRAPHS * len(held))
    held = held[:cut] if split == "train" else held[cut:]
    blended = blend_with_photographs(plain.x[:, 0], held, seed=0 if split == "train" else 1, progress=progress)
    return Domain(blended.transpose(0, 3, 1, 2), plain.y, classes=plain.classes)


def _photographs(name: str) -> list[np.ndarray]:
    """Read photographs h×w×3; from parquet each in its own size, since stretching would change textures."""
    from juyi.data.loading import load

    wanted, folder = parse_name(name), data_folder()
    files = []
    if folder is not None and wanted.place in sets_in(folder) and len(wanted.splits) == 1 and wanted.limit is None:
        files = splits_in(sets_in(folder)[wanted.place]).get(wanted.splits[0], [])
    if files and all(file.suffix == ".parquet" for file in files):
        return [decode_alone(data) for data in encoded_images(files)]
    domain = to_rgb(load(name))
    return [np.ascontiguousarray(domain.x[i].transpose(1, 2, 0)) for i in range(domain.size)]


RECIPES: dict[str, Callable[..., Domain]] = {"mnist_m": mnist_m}
"""Data that are made on first use; each has the splits train and test."""


def make(
    name: str,
    *,
    digits: str = "mnist",
    photographs: str = "bsds500@train",
    progress: Callable[[str, int, int], None] | None = None,
) -> list[Path]:
    """Make all splits of a recipe now, if they are not there yet, and return the files that hold them.

    Args:
        name: the recipe: "mnist_m".
        digits: the data with the digits, without the split; `hub/ylecun/mnist`, say.  `load("mnist_m@train")`
            finds only what was made from the default ones.
        photographs: the data with the photographs: colour, each at least as large as a digit.
        progress: called with (split, images done, images in all); None for silence.

    Raises:
        DataError: there is no such recipe, or what it needs cannot be found.
    """
    if name not in RECIPES:
        raise DataError(f"{name}: is no recipe; {nearest(name, RECIPES)}")
    paths = []
    for split in ("train", "test"):
        tell = None if progress is None else _telling(progress, split)
        RECIPES[name](split, digits=digits, photographs=photographs, progress=tell)
        paths.append(cache_path(name, split, digits, photographs))
    return paths


def _telling(progress: Callable[[str, int, int], None], split: str) -> Callable[[int, int], None]:
    return lambda done, total: progress(split, done, total)
