"""What stays with a client between rounds, on its own disk: it survives that the node is stopped, or killed."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from juyi.errors import ForeignFileError
from juyi.runs.files import read_tensors, write_tensors


class Keep:
    """A client's folder for one federation and one method.

    What a client keeps is written anew in each round and not over the old: whether the server took its update it learns
    only in the next message, and till then either may be what it goes on from.

    Args:
        folder: the client's own.
        federation: which one, sixteen hexadecimal digits.
        name: of what learns.

    Raises:
        ForeignFileError: federation or name are no names that a folder may get.

    Example:
        >>> import tempfile, torch
        >>> keep = Keep(Path(tempfile.mkdtemp()), "0123456789abcdef", "fedrep")
        >>> for number in range(4):
        ...     keep.write(number, {"head": torch.tensor([float(number)])})
        >>> keep.forget_all_but({1, 3})
        >>> keep.read(1), keep.read(2)
        ({'head': tensor([1.])}, None)
    """

    def __init__(self, folder: Path, federation: Any, name: Any) -> None:
        if not re.fullmatch(r"[0-9a-f]{16}", str(federation)) or not re.fullmatch(r"[a-z_]{1,40}", str(name)):
            raise ForeignFileError(f"message: names federation {federation!r} and method {name!r}, which are no names")
        self.folder = Path(folder) / str(federation) / str(name)

    def write(self, number: int, own: Mapping[str, Tensor]) -> None:
        """Keep what is its own after its visit in a round."""
        write_tensors(self._file(number), own, {"round": number})

    def read(self, number: int) -> dict[str, Tensor] | None:
        """Return what it kept in a round; None if that is not there."""
        return read_tensors(self._file(number))[0] if self._file(number).exists() else None

    def forget_all_but(self, rounds: Collection[int]) -> None:
        """Remove what nobody will ask for again: the server stands at these rounds."""
        for path in self.folder.glob("own-*.safetensors"):
            number = path.stem.removeprefix("own-")
            if number.isdecimal() and int(number) not in rounds:
                path.unlink(missing_ok=True)

    def write_setup(self, tensors: Mapping[str, Tensor], note: Mapping[str, Any]) -> None:
        """Keep with what everything begins."""
        write_tensors(self.folder / "setup.safetensors", tensors, note)

    def read_setup(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Return with what everything began; None if it is not there."""
        path = self.folder / "setup.safetensors"
        return read_tensors(path) if path.exists() else None

    def _file(self, number: int) -> Path:
        return self.folder / f"own-{number:06d}.safetensors"
