"""An estimate with its interval: what every measure of `juyi.measure` returns."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Estimate:
    """One figure, how far it may be off, and what it was computed on.

    Attributes:
        name: what it is, as the function is called: `proxy_a_distance`.
        value: the figure; None where it is unknown (the note says why).
        low: lower end of the interval; None where there is none (the note says why).
        high: upper end of the interval; None where there is none.
        n_source: rows of the source that were used.
        n_target: rows of the target that were used.
        confidence: the share of such intervals that hold the truth.
        p_value: of the test of "no difference" where there is one, 0 to 1.
        unit: what the figure is counted in; empty for a pure number.
        note: in a sentence: on what it was computed, under which assumption, whether it says nothing (vacuous).

    Example:
        >>> Estimate("coral_distance", 0.25, 0.2, 0.31, 100, 80).as_json()["value"]
        0.25
    """

    name: str
    value: float | None
    low: float | None
    high: float | None
    n_source: int
    n_target: int
    confidence: float = 0.95
    p_value: float | None = None
    unit: str = ""
    note: str = ""

    def as_json(self) -> dict[str, Any]:
        """What a file or a program is given: the same fields; a number that is not finite becomes None."""
        found = dataclasses.asdict(self)
        return {
            key: None if isinstance(value, float) and not math.isfinite(value) else value
            for key, value in found.items()
        }
