"""What a person has to say about a teacher that does not say so itself: shape, scale, classes, weights."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from juyi.errors import SettingError
from juyi.nets import Standardise

LARGEST = 10**6
"""Of a length, or of the number of classes."""


@dataclass(frozen=True)
class TeacherOptions:
    """What a person says about a teacher; a run says it all itself.

    Args:
        weights: a file with the weights of `module:factory`: `.safetensors`, or `.pt` with a state dict.
        shape: of a row, C×H×W or d.
        mean: what was subtracted from a row, a channel each (or one for all), where pixels go from 0 to 1.
        spread: what it was divided by then, likewise.
        classes: their names in the order of the scores, or how many there are.
        net: the network of a run, if it is one of your own.
    """

    weights: str | None = None
    shape: tuple[int, ...] | None = None
    mean: tuple[float, ...] | None = None
    spread: tuple[float, ...] | None = None
    classes: tuple[str, ...] | int | None = None
    net: Any = None

    @classmethod
    def read(
        cls, *, weights: str | None = None, shape: str = "", mean: str = "", spread: str = "", classes: str = "",
        net: Any = None,
    ) -> TeacherOptions:  # fmt: skip
        """Read them from the words of a command line; empty ones say nothing.

        Raises:
            SettingError: one cannot be understood.

        Example:
            >>> said = TeacherOptions.read(shape="1x28x28", mean="0.1307", classes="cat,dog")
            >>> said.shape, said.mean, said.spread, said.classes
            ((1, 28, 28), (0.1307,), None, ('cat', 'dog'))
        """
        return cls(
            weights or None, read_shape(shape) if shape.strip() else None,
            read_numbers(mean, "mean") if mean.strip() else None,
            read_numbers(spread, "spread", above=0.0) if spread.strip() else None,
            read_classes(classes) if classes.strip() else None, net,
        )  # fmt: skip

    @property
    def class_count(self) -> int | None:
        """How many classes there are; None where nothing is said."""
        return len(self.classes) if isinstance(self.classes, tuple) else self.classes

    def refuse(self, *names: str, where: str, why: str) -> None:
        """Raise a `SettingError` if one of these was said."""
        for name in names:
            if getattr(self, name) is not None:
                raise SettingError(f"--teacher-{name}: {where} {why}; leave it out")

    def scale(self, shape: Sequence[int]) -> Standardise:
        """Return the layer that brings raw rows of this shape to the teacher's scale.

        Pixels, 0 to 255, become (x / 255 − mean) / spread; features become (x − mean) / spread.

        Raises:
            SettingError: mean or spread are neither one number nor one a channel.
        """
        channels, unit = shape[0], 255.0 if len(shape) == 3 else 1.0
        found = []
        for name, default in (("mean", 0.0), ("spread", 1.0)):
            said = getattr(self, name) or (default,)
            if len(said) not in (1, channels):
                raise SettingError(
                    f"--teacher-{name}: has {len(said)} numbers, but a row has {channels} "
                    f"{'channels' if len(shape) == 3 else 'features'}; give one number, or one for each"
                )
            found.append(torch.tensor(said, dtype=torch.float64).expand(channels) * unit)
        return Standardise(found[0], found[1])


def read_shape(text: str) -> tuple[int, ...]:
    """Read the shape of a row, C×H×W or d.

    Raises:
        SettingError: it is none.

    Example:
        >>> read_shape("3x32x32"), read_shape("20")
        ((3, 32, 32), (20,))
    """
    words = [word.strip() for word in re.split("[x×,]", text.strip())]
    good = len(words) in (1, 3) and all(re.fullmatch("[0-9]{1,7}", word) for word in words)
    lengths = tuple(map(int, words)) if good else ()
    if not lengths or not all(0 < length <= LARGEST for length in lengths):
        raise SettingError(
            f"--teacher-shape {text}: is no shape of a row; give CxHxW, such as 1x28x28, or d, such as 20"
        )
    return lengths


def read_numbers(text: str, name: str, above: float = -math.inf) -> tuple[float, ...]:
    """Read numbers, separated by commas, each finite and above a bound.

    Raises:
        SettingError: one is none.

    Example:
        >>> read_numbers("0.485, 0.456,0.406", "mean")
        (0.485, 0.456, 0.406)
    """
    try:
        found = tuple(float(word) for word in text.split(","))
    except ValueError:
        found = (math.nan,)
    if not all(math.isfinite(value) and value > above for value in found):
        bound = " above 0" if above == 0 else ""
        raise SettingError(
            f"--teacher-{name} {text}: are no numbers{bound}; give one a channel, such as 0.1307 or 0.5,0.5,0.5"
        )
    return found


def read_classes(text: str) -> tuple[str, ...] | int:
    """Read the names of the classes, separated by commas, or how many there are.

    Raises:
        SettingError: there are fewer than two, one has no name, or two have the same.

    Example:
        >>> read_classes("cat, dog"), read_classes("10")
        (('cat', 'dog'), 10)
    """
    if re.fullmatch(r"\s*[0-9]{1,7}\s*", text):
        if not 2 <= int(text) <= LARGEST:
            raise SettingError(f"--teacher-classes {text}: a classifier has two classes or more; give their names")
        return int(text)
    names = tuple(name.strip() for name in text.split(","))
    if len(names) < 2 or not all(names) or len(set(names)) < len(names):
        raise SettingError(
            f"--teacher-classes {text}: give two names or more, all different, separated by commas, in the order of "
            "the teacher's scores; or their number"
        )
    return names
