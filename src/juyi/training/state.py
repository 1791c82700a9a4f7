"""Everything that changes while a method learns, by its owners, so that it can be stored and put back in place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from juyi.errors import ForeignFileError


class State:
    """The owners of what changes (modules, tensors, things with a state dict), in order of first sight.

    A method that is replayed shows the same owners in the same order, so their positions are names.  Modules and
    tensors keep their shapes; a thing with a state dict may hold more, or larger tensors, than when it was made.
    """

    def __init__(self) -> None:
        self.owners: list[Any] = []

    def see(self, owners: Iterable[Any]) -> None:
        """Take note of owners that are not known yet."""
        for owner in owners:
            if not any(owner is known for known in self.owners):
                self.owners.append(owner)

    def modules(self) -> list[nn.Module]:
        """The owners that are modules."""
        return [owner for owner in self.owners if isinstance(owner, nn.Module)]

    def tensors(self) -> dict[str, Tensor]:
        """Every tensor by name; one that several modules share stands once, under the first."""
        found = self._fixed()
        for position, owner in enumerate(self.owners):
            if not isinstance(owner, nn.Module | Tensor):
                entries = _entries(owner).items()
                found |= {f"{position}.{name}": value for name, value in entries if isinstance(value, Tensor)}
        return found

    def _fixed(self) -> dict[str, Tensor]:
        """The tensors of modules, and bare ones."""
        found: dict[str, Tensor] = {}
        seen: set[tuple[int, tuple[int, ...], tuple[int, ...]]] = set()
        for position, owner in enumerate(self.owners):
            if isinstance(owner, nn.Module | Tensor):
                for name, value in _entries(owner).items():
                    if isinstance(value, Tensor):
                        place = (value.data_ptr(), tuple(value.shape), value.stride())
                        if place not in seen or value.numel() == 0:
                            seen.add(place)
                            found[f"{position}.{name}"] = value
        return found

    def plain(self) -> dict[str, Any]:
        """Every value that is no tensor (counters, names), by name; JSON can hold it."""
        return {
            f"{position}.{name}": value
            for position, owner in enumerate(self.owners)
            for name, value in _entries(owner).items()
            if not isinstance(value, Tensor)
        }

    def load(self, tensors: Mapping[str, Tensor], plain: Mapping[str, Any]) -> None:
        """Put stored values back where they were: in place, so that whoever holds a parameter keeps it.

        A thing with a state dict is given its own stored one, and decides itself.

        Raises:
            ForeignFileError: a tensor is missing, or has another shape.
        """
        with torch.no_grad():
            for name, value in self._fixed().items():
                copy_into(value, tensors, name)
        for position, owner in enumerate(self.owners):
            if not isinstance(owner, nn.Module | Tensor):
                prefix, present = f"{position}.", _entries(owner)
                stored = {k.removeprefix(prefix): v for k, v in {**tensors, **plain}.items() if k.startswith(prefix)}
                owner.load_state_dict({name: _beside(present.get(name), value) for name, value in stored.items()})


def copy_into(value: Tensor, tensors: Mapping[str, Tensor], name: str) -> None:
    """Copy the stored tensor of this name into `value`; an absent one, or another shape, is a `ForeignFileError`."""
    stored = tensors.get(name)
    if stored is None or stored.shape != value.shape:
        found = "is missing" if stored is None else f"has shape {tuple(stored.shape)}, not {tuple(value.shape)}"
        raise ForeignFileError(f"checkpoint: tensor {name} {found}; it belongs to another method, network or version")
    value.copy_(stored)


def _beside(present: Any, stored: Any) -> Any:
    """A stored tensor on the device of the one that it replaces."""
    both = isinstance(present, Tensor) and isinstance(stored, Tensor)
    return stored.to(present.device) if both else stored


def _entries(owner: Any) -> Mapping[str, Any]:
    if isinstance(owner, Tensor):
        return {"tensor": owner}
    entries: Mapping[str, Any] = owner.state_dict()
    return entries
