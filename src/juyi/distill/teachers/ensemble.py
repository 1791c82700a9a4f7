"""Many teachers as one: what they say on average."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from juyi.data.classes import class_keys, listed
from juyi.distill.teacher import Teacher
from juyi.errors import ClassesDifferError, SettingError


class Ensemble(Teacher):
    """Teachers whose scores are averaged: softmax(mean z_m) is the geometric mean of their distributions, scaled to 1.

    It gives predictions only: methods that look inside a teacher need a single one.

    Source: Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", 2014, section 1.

    Args:
        members: teachers of rows of one shape and of the same classes, in any order.

    Raises:
        SettingError: there are fewer than two, or they take rows of different shapes.
        ClassesDifferError: they know different classes.

    Example:
        >>> members = [Teacher(nn.Linear(4, 2), (4,), ("a", "b")), Teacher(nn.Linear(4, 2), (4,), ("b", "a"))]
        >>> x = torch.ones(1, 4)
        >>> mean = (members[0].scores(x) + members[1].scores(x).flip(1)) / 2
        >>> torch.allclose(Ensemble(members).scores(x), mean)
        True
    """

    def __init__(self, members: Sequence[Teacher]) -> None:
        if len(members) < 2:
            raise SettingError("TEACHER: an ensemble has two teachers or more; name them, separated by commas")
        first = next((member for member in members if member.named), members[0])
        for member in members:
            if member.shape != first.shape or member.columns != first.columns:
                raise SettingError(
                    f"TEACHER {member.name}: takes rows of shape {_said(member.shape)}, and {first.name} of "
                    f"{_said(first.shape)} (or other columns); name teachers of the same rows"
                )
        order = [_order(member, first) for member in members]
        super().__init__(
            nn.ModuleList(member.net for member in members), first.shape, first.classes,
            name=",".join(member.name for member in members), scale=first.scale, columns=first.columns, gradients=False,
        )  # fmt: skip
        self.members, self.named = tuple(members), first.named
        self._order = [torch.tensor(places) for places in order]
        self.notes = tuple(note for member in members for note in member.notes)

    @property
    def parameters(self) -> int:
        """The number of parameters of all members."""
        return sum(member.parameters for member in self.members)

    def to(self, device: torch.device) -> Ensemble:
        """Move all members to a device, and return it."""
        for member in self.members:
            member.to(device)
        self._order = [places.to(device) for places in self._order]
        super().to(device)
        return self

    def scores(self, x: Tensor) -> Tensor:
        """Return the mean of the members' scores, N×C."""
        said = [member.scores(x)[:, places] for member, places in zip(self.members, self._order, strict=True)]
        return torch.stack(said).mean(0)

    @property
    def last(self) -> nn.Linear:
        """It has none.

        Raises:
            SettingError: always.
        """
        raise SettingError(
            f"TEACHER {self.name}: is {len(self.members)} models, and this method looks inside one; name a single "
            "teacher, or use hinton with DATA"
        )


def _order(member: Teacher, first: Teacher) -> list[int]:
    """The places of the first one's classes among a member's."""
    if not member.named and len(member.classes) == len(first.classes):
        return list(range(len(first.classes)))
    keys, wanted = class_keys(member.classes), class_keys(first.classes)
    if sorted(keys) != sorted(wanted):
        raise ClassesDifferError(
            f"TEACHER {member.name}: its classes ({listed(member.classes)}) are not those of {first.name} "
            f"({listed(first.classes)}); name teachers of the same classes"
        )
    return [keys.index(key) for key in wanted]


def _said(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape))
