"""A student for a budget: for each kind of network the widest one that keeps it, found by bisection."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from juyi.errors import SettingError
from juyi.nets import Network
from juyi.portable.latency import measure_latency
from juyi.portable.reading import open_session
from juyi.portable.sizes import count_sizes
from juyi.portable.writing import onnx_bytes
from juyi.training import Served
from juyi.training.models import blank_row

SCALES = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9}
TIMES = {"us": 1e-3, "µs": 1e-3, "ms": 1.0, "s": 1e3}
TIMED = 24
"""Widths that are tried where each has to be timed, from narrow to wide in equal ratios."""
MARGIN = 0.9
"""A network is taken for fast enough where it needs this share of the time that is allowed: time is never quiet."""


@dataclass(frozen=True)
class Budget:
    """What a student may cost at most; None for no limit.

    Attributes:
        parameters: numbers that it has learnt.
        bytes: of its ONNX file, float32.
        macs: multiplications for one row.
        latency: milliseconds for one row, on one thread of this machine, in onnxruntime.
    """

    parameters: int | None = None
    bytes: int | None = None
    macs: int | None = None
    latency: float | None = None

    @classmethod
    def read(
        cls,
        parameters: str | None = None,
        bytes: str | None = None,
        macs: str | None = None,
        latency: str | None = None,
    ) -> Budget:
        """Read the words of a command line.

        Raises:
            SettingError: one is no number above 0 with a unit that is known.

        Example:
            >>> Budget.read(parameters="50k", bytes="0.2MB", latency="5ms")
            Budget(parameters=50000, bytes=200000, macs=None, latency=5.0)
        """
        return cls(
            None if parameters is None else round(_number("max-params", parameters, SCALES, "50k")),
            None if bytes is None else round(_number("max-bytes", bytes, _with_b(SCALES), "200kB")),
            None if macs is None else round(_number("max-macs", macs, SCALES, "1M")),
            None if latency is None else _number("max-latency", latency, TIMES, "5ms"),
        )

    def __bool__(self) -> bool:
        """Whether anything is limited."""
        return any(value is not None for value in asdict(self).values())

    def kept_by(self, costs: Costs) -> bool:
        """Whether a network with these costs keeps the budget; what was not measured has no limit."""
        return all(
            limit is None or (cost := getattr(costs, name)) is None or cost <= limit
            for name, limit in asdict(self).items()
        )


@dataclass(frozen=True)
class Costs:
    """What a network costs; bytes and latency are None where nobody asked."""

    parameters: int
    macs: int
    bytes: int | None = None
    latency: float | None = None


@dataclass(frozen=True)
class Candidate:
    """A network that keeps the budget."""

    name: str
    costs: Costs


@dataclass(frozen=True)
class Family:
    """Networks that differ in width alone.

    Attributes:
        name: what their names have in common.
        widths: what comes in its place, from narrow to wide.
    """

    name: str
    widths: Sequence[str]

    def at(self, place: int) -> str:
        """The name of the network at a place."""
        return self.name.replace("WIDTH", self.widths[place])


FACTORS = tuple(f"{k / 100:g}" for k in range(1, 401))
UNITS = tuple(str(width) for width in range(1, 4097))
FOR_IMAGES = (Family("lenet5-WIDTH", FACTORS), Family("cnn_small-WIDTH", FACTORS), Family("mlp-WIDTH-WIDTH", UNITS))
FOR_FEATURES = (Family("mlp-WIDTH", UNITS), Family("mlp-WIDTH-WIDTH", UNITS), Family("linear", ("",)))


class Meter:
    """Says what networks cost.

    Args:
        build: from a name to a network of it, untrained.
        shape: of one row.
        classes: the names of the classes.
        budget: which costs are asked for.
    """

    def __init__(
        self, build: Callable[[str], Network], shape: Sequence[int], classes: Sequence[str], budget: Budget
    ) -> None:
        self.build, self.shape, self.classes, self.budget = build, tuple(shape), tuple(classes), budget
        self.row = blank_row(self.shape)
        self._measured: dict[str, Costs] = {}

    def count(self, name: str) -> Costs:
        """What can be counted without writing a file."""
        sizes = count_sizes(self.build(name), self.row)
        return Costs(sizes.parameters, sizes.macs)

    def numbers(self, name: str) -> int:
        """How many numbers the file of a network holds: what it has learnt, and running statistics."""
        return sum(value.numel() for value in self.build(name).state_dict().values())

    def measure(self, name: str) -> Costs:
        """Everything that the budget limits: for bytes and latency a file is written, once for each network."""
        if name not in self._measured:
            self._measured[name] = self._measure(name)
        return self._measured[name]

    def _measure(self, name: str) -> Costs:
        costs = self.count(name)
        if self.budget.bytes is None and self.budget.latency is None:
            return costs
        content = onnx_bytes(Served(self.build(name).eval(), self.shape, self.classes))
        latency = None if self.budget.latency is None else self._latency(content)
        return Costs(costs.parameters, costs.macs, len(content), latency)

    def _latency(self, content: bytes) -> float:
        ask = partial(open_session(content).run, None, {"rows": self.row.numpy()})
        with threadpool_limits(1):
            return measure_latency({"one": ask}, rounds=100)["one"].median


def candidates(
    families: Sequence[Family], meter: Meter, most_parameters: int | None = None
) -> tuple[list[Candidate], list[Candidate]]:
    """Find, for each family, the widest network that keeps the budget.

    A network's costs grow with its width, so the widest that fits is found by halving; parameters and multiplications
    are counted, bytes and latency measured on files that are written.

    Args:
        families: which there are.
        meter: says what they cost.
        most_parameters: those of the teacher: a student is no larger.

    Returns:
        The candidates, and the narrowest network of each family that has none.
    """
    found, missed = [], []
    for family in families:
        place = _widest(family, meter, most_parameters)
        if place is None:
            missed.append(Candidate(family.at(0), meter.measure(family.at(0))))
        else:
            found.append(Candidate(family.at(place), meter.measure(family.at(place))))
    return found, missed


def _widest(family: Family, meter: Meter, most_parameters: int | None) -> int | None:
    """The place of the widest network of a family that keeps the budget; None if none does."""
    budget = meter.budget

    def counts(place: int) -> bool:
        try:
            costs = meter.count(family.at(place))
        except SettingError:  # it does not fit such inputs
            return False
        return budget.kept_by(costs) and (most_parameters is None or costs.parameters <= most_parameters)

    place = _last(len(family.widths), counts)
    if place is not None and budget.bytes is not None:
        place = _within_bytes(family, meter, place, budget.bytes)
    if place is not None and budget.latency is not None:
        place = _within_latency(family, meter, place, MARGIN * budget.latency)
    return place


def _within_bytes(family: Family, meter: Meter, place: int, limit: int) -> int | None:
    """The widest network up to a place whose file is small enough.

    A file holds four bytes for each number and some for the rest, which are hardly others for another width: so two
    or three files are written, and not one for each step.
    """

    def size(place: int) -> int:
        return meter.measure(family.at(place)).bytes or 0

    rest = size(place) - 4 * meter.numbers(family.at(place))
    found = _last(place + 1, lambda p: 4 * meter.numbers(family.at(p)) + rest <= limit)
    while found is not None and size(found) > limit:
        found = found - 1 if found else None
    return found


def _within_latency(family: Family, meter: Meter, place: int, limit: float) -> int | None:
    """The widest of at most `TIMED` networks up to a place that is fast enough; each is written and timed."""
    steps = np.unique(np.geomspace(1, place + 1, min(TIMED, place + 1)).round().astype(int)) - 1
    found = _last(len(steps), lambda step: (meter.measure(family.at(int(steps[step]))).latency or 0.0) <= limit)
    return None if found is None else int(steps[found])


def _last(count: int, fits: Callable[[int], bool]) -> int | None:
    """The last of 0 … count − 1 that fits, where all before it do; None if not even the first does.

    >>> _last(10, lambda place: place < 7), _last(10, lambda place: True), _last(10, lambda place: False)
    (6, 9, None)
    """
    if not fits(0):
        return None
    low, high = 0, count
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def refuse_budget(budget: Budget, missed: Sequence[Candidate]) -> SettingError:
    """Return the error that no student keeps a budget, and which comes nearest.

    Example:
        >>> str(refuse_budget(Budget(parameters=10), [Candidate("lenet5-0.01", Costs(100, 900))]))
        '--max-params 10: no student is so small; the nearest is lenet5-0.01 with 100'
    """
    over = list(_overruns(budget, missed))
    if not over:
        return SettingError("no student fits such inputs; name one with --student")
    _, option, limit, name, cost = min(over)
    return SettingError(f"--{option} {limit:,}: no student is so small; the nearest is {name} with {cost:,}")


OPTIONS = {"parameters": "max-params", "bytes": "max-bytes", "macs": "max-macs", "latency": "max-latency"}


def _overruns(budget: Budget, missed: Sequence[Candidate]) -> Iterator[tuple[Any, ...]]:
    """Of each network the limit that it exceeds most: by how much, the option, the limit, its name, its cost."""
    for candidate in missed:
        worst = max(
            (
                (cost / limit, OPTIONS[field], limit, candidate.name, cost)
                for field, limit in asdict(budget).items()
                if limit is not None and (cost := getattr(candidate.costs, field)) is not None and cost > limit
            ),
            default=None,
        )
        if worst is not None:
            yield worst


def _with_b(scales: dict[str, float]) -> dict[str, float]:
    return {**scales, **{f"{unit}b": scale for unit, scale in scales.items()}}


def _number(option: str, text: str, units: dict[str, float], example: str) -> float:
    found = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?|\.[0-9]+)\s*([a-zµ]*)\s*", text.lower())
    value = float(found[1]) * units[found[2]] if found and found[2] in units else math.nan
    if not 0 < value < 1e15:
        raise SettingError(f"--{option} {text}: is no number above 0 with a unit that is known; give such as {example}")
    return value
