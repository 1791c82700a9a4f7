"""How long one row takes: candidates by turns, so that whatever else the machine does falls on all of them alike."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

SECONDS, LEAST, MOST = 2.0, 20, 5_000
"""How long a measurement takes, and the rounds of a series, where nothing is said."""


@dataclass(frozen=True)
class Latency:
    """How long one call takes, in milliseconds.

    Attributes:
        median: the median over series of their medians.
        tenth: what 9 calls of 10 stay below (the 90th percentile of all calls).
        spread: the largest less the least median of a series, in shares of the median.
        calls: how many were measured.
    """

    median: float
    tenth: float
    spread: float
    calls: int


def measure_latency(
    calls: Mapping[str, Callable[[], object]],
    series: int = 5,
    rounds: int | None = None,
    warm_up: int = 20,
    clock: Callable[[], int] = time.perf_counter_ns,
) -> dict[str, Latency]:
    """Time calls that stand beside one another: in each round every one is called once.

    Args:
        calls: by name, each without arguments.
        series: how often everything is measured again; the medians of the series show how far a figure can be relied
            on.
        rounds: of a series; None: as many as take two seconds in all, from 20 to 5,000.  A machine that does much else
            is slower for some tenths of a second and faster for others, and shorter series would be one or the other.
        warm_up: rounds that are not counted.
        clock: nanoseconds.

    Example:
        >>> from itertools import count
        >>> ticks = count(0, 10**6)  # a clock that goes on by a millisecond whenever it is looked at
        >>> measure_latency({"a": int}, rounds=100, clock=lambda: next(ticks))
        {'a': Latency(median=1.0, tenth=1.0, spread=0.0, calls=500)}
    """
    running = gc.isenabled()
    gc.disable()
    try:
        started = clock()
        for _ in range(warm_up):
            for call in calls.values():
                call()
        if rounds is None:
            one = max(1, clock() - started) / max(1, warm_up)
            rounds = int(min(MOST, max(LEAST, SECONDS * 1e9 / series / one)))
        found = {name: np.empty((series, rounds)) for name in calls}
        for number in range(series * rounds):
            for name, call in calls.items():
                began = clock()
                call()
                found[name][divmod(number, rounds)] = (clock() - began) / 1e6
    finally:
        if running:
            gc.enable()
    return {name: _summed_up(times) for name, times in found.items()}


def _summed_up(times: np.ndarray) -> Latency:
    medians = np.median(times, axis=1)
    middle = float(np.median(medians))
    return Latency(middle, float(np.quantile(times, 0.9)), float(np.ptp(medians)) / max(middle, 1e-12), times.size)
