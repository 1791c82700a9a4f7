"""A folder of images: class subfolders are labels, a flat one is unlabelled."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from juyi.data.domain import Domain
from juyi.data.images import Pictures, decode
from juyi.data.names import natural_key
from juyi.data.pixels import SUFFIXES
from juyi.errors import DataError

_SPLIT_WORDS = frozenset(["train", "training", "test", "testing", "val", "valid", "validation", "dev", "eval"])


def load_folder(
    folder: Path, choose: Callable[[int], np.ndarray], *, name: str, size: int | None = None, skip_bad: bool = False
) -> Domain:
    """Read a folder of images.

    Args:
        folder: the folder; its subfolders, if they hold images, are the classes.
        choose: given the number of images, gives the row numbers to decode.
        name: how the person refers to the folder.
        size: see `decode`.
        skip_bad: see `decode`.

    Raises:
        DataError: no image is there, the layout is SPLIT/CLASS, class names clash, or an image cannot be read.
    """
    listing = _Listing(folder, name)
    files, classes = listing.files, listing.classes
    chosen = choose(len(files))
    picked = [files[i] for i in chosen]
    stamps = [_stamp(folder / file) for file in picked]
    pictures = Pictures(
        name, picked, lambda i: (folder / picked[i]).read_bytes(), repr((str(folder.resolve()), stamps))
    )
    decoded = decode(pictures, size=size, skip_bad=skip_bad)
    picked = [picked[i] for i in decoded.good]
    notes = tuple(listing.notes) + decoded.notes
    if not classes:
        return Domain(decoded.x, name=name, row_names=picked, notes=notes)
    codes = {label: code for code, label in enumerate(classes)}
    of = [codes.get(file.split("/")[0]) if "/" in file else None for file in picked]
    labelled = np.array([code is not None for code in of])
    y = np.array([code or 0 for code in of], np.int64)
    return Domain(decoded.x, y, labelled, classes=classes, name=name, row_names=picked, notes=notes)


class _Listing:
    """The images under a folder, as relative paths with `/`, naturally sorted, and the classes among them."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self.ignored: Counter[str] = Counter()
        self.notes: list[str] = []
        top, subfolders = self._look(folder)
        inside = {sub: self._below(folder / sub, folder.resolve()) for sub in subfolders}
        self._refuse_splits(folder, inside)
        self.classes = tuple(sub for sub in subfolders if inside[sub])
        self._refuse_clashes()
        self.files = [f"{sub}/{file}" for sub in self.classes for file in inside[sub]] + top
        self._explain(top, [sub for sub in subfolders if not inside[sub]])
        if not self.files:
            raise DataError(f"{name}: holds no image{self._others(folder)}")

    def _look(self, folder: Path) -> tuple[list[str], list[str]]:
        """List the images and the subfolders directly in a folder; count what is ignored."""
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: natural_key(entry.name))
        except OSError as error:
            raise DataError(f"{folder}: cannot be listed ({error.strerror}); check its permissions") from error
        images, subfolders = [], []
        for entry in entries:
            hidden = entry.name.startswith(".") or entry.name == "__MACOSX"
            if _is_folder(entry):
                if hidden:
                    self.ignored["hidden folders"] += 1
                else:
                    subfolders.append(entry.name)
            elif hidden:
                self.ignored["hidden files"] += 1
            elif Path(entry.name).suffix.lower() in SUFFIXES:
                images.append(entry.name)
            else:
                self.ignored["files that are no images"] += 1
        return images, subfolders

    def _below(self, folder: Path, root: Path) -> list[str]:
        """List the images in a class folder and below it.

        A class folder may be a link, but no link further down is followed, so that no loop can arise and no
        image gets a second class.
        """
        if folder.is_symlink() and root.is_relative_to(folder.resolve()):
            self.ignored["links to a folder above"] += 1
            return []
        images, subfolders = self._look(folder)
        for sub in subfolders:
            if (folder / sub).is_symlink():
                self.ignored["links inside a class folder"] += 1
            else:
                images += [f"{sub}/{file}" for file in self._below(folder / sub, root)]
        return images

    def _refuse_splits(self, folder: Path, inside: dict[str, list[str]]) -> None:
        full = [sub for sub, files in inside.items() if files]
        nested = [sub for sub in full if all("/" in file for file in inside[sub])]
        words = full if all(sub.lower() in _SPLIT_WORDS for sub in full) else []
        if found := (nested or words):
            why = "holds further folders and no image" if nested else "is the name of a split and not of a class"
            raise DataError(
                f"{self.name}: its subfolder {found[0]} {why}; name the one you mean, such as {folder / found[0]}"
            )

    def _refuse_clashes(self) -> None:
        seen: dict[str, str] = {}
        for label in self.classes:
            plain = unicodedata.normalize("NFC", label).strip().casefold()
            if plain in seen:
                raise DataError(
                    f"{self.name}: the class folders {seen[plain]!r} and {label!r} differ only in case or spaces; "
                    "merge them or rename one"
                )
            seen[plain] = label

    def _explain(self, top: Sequence[str], empty: Sequence[str]) -> None:
        if self.classes and top:
            self.notes.append(f"unlabelled, since beside the class folders: {len(top):,} images")
        if len(self.classes) == 1:
            self.notes.append(f"there is only one class folder, {self.classes[0]}: nothing to tell apart")
        if deep := sum(file.count("/") > 1 for file in self.files):
            self.notes.append(f"taken from folders inside a class folder: {deep:,} images")
        if empty and self.classes:
            self.notes.append(f"ignored: {len(empty):,} folders without images, the first is {empty[0]}")
        for what, count in self.ignored.items():
            self.notes.append(f"ignored: {count:,} {what}")

    def _others(self, folder: Path) -> str:
        for suffix in (".parquet", ".csv", ".npz"):
            if found := sorted(folder.glob(f"*{suffix}")):
                return f", but {suffix} files: name one of them, such as {found[0]}"
        return "; name a folder of images (PNG, JPEG, ...)"


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _stamp(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return (0, 0)
    return status.st_size, status.st_mtime_ns
