"""How a learning rate goes with progress p, from 0 to 1: functions of p alone, so that nothing has to be stored."""

from __future__ import annotations

import math
from collections.abc import Callable


def constant(progress: float) -> float:
    """Always 1."""
    return 1.0


def inverse(progress: float) -> float:
    """(1 + 10p)^−.75, from 1 to .166: Ganin and Lempitsky 2015, section 4 (learning rate)."""
    return float((1.0 + 10.0 * progress) ** -0.75)


def cosine(progress: float) -> float:
    """(1 + cos πp) / 2, from 1 to 0: Loshchilov and Hutter 2017, equation 5."""
    return (1.0 + math.cos(math.pi * progress)) / 2.0


SCHEDULES: dict[str, Callable[[float], float]] = {"constant": constant, "inverse": inverse, "cosine": cosine}
