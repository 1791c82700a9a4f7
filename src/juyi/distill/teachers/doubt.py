"""Doubt a teacher that knows labelled rows no better than chance: its scale, or the order of its classes, is wrong."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

FEWEST = 20
"""Of fewer labelled rows nothing is said."""
GAIN = 0.25
"""Another order of classes is named where it would be right this much oftener."""


def doubt_teacher(scores: np.ndarray, y: np.ndarray, classes: Sequence[str]) -> str:
    """Return a remark where a teacher is hardly better than chance on labelled rows; else nothing.

    Chance is Σ_c p_c q_c, the share of rows on which answers that know nothing of the row would be right, with p the
    shares of the labels and q those of the answers; hardly better is within two standard errors of it.  If another
    order of the classes would make it right far oftener, that is what is wrong.

    Args:
        scores: of labelled rows, N×C.
        y: their labels, N.
        classes: their names.

    Example:
        >>> y = np.arange(100) % 5
        >>> doubt_teacher(np.eye(5)[y], y, "abcde")
        ''
        >>> doubt_teacher(np.eye(5)[(y + 1) % 5], y, "abcde")[:69]
        'the teacher is right on 0.0% of the labelled rows, but would be right'
    """
    count = len(classes)
    if len(y) < FEWEST:
        return ""
    said = scores.argmax(1)
    table = np.zeros((count, count))
    np.add.at(table, (y, said), 1)
    right = float(np.trace(table)) / len(y)
    chance = float(table.sum(0) @ table.sum(1)) / len(y) ** 2
    true, called = linear_sum_assignment(-table)
    best = float(table[true, called].sum()) / len(y)
    if best - right > GAIN and len(y) >= 5 * count:
        wrong = [place for place in np.argsort(-table[true, called]) if true[place] != called[place]][:3]
        pairs = ", ".join(f"{classes[true[place]]!r} is called {classes[called[place]]!r}" for place in wrong)
        return (
            f"the teacher is right on {right:.1%} of the labelled rows, but would be right on {best:.1%} were its "
            f"classes in another order ({pairs}): give the right one with --teacher-classes"
        )
    if right <= chance + 2 * (chance * (1 - chance) / len(y)) ** 0.5:
        return (
            f"the teacher is right on {right:.1%} of the labelled rows, by chance on {chance:.1%}: look at its scale "
            "(--teacher-mean, --teacher-spread) and at the order of its classes (--teacher-classes)"
        )
    return ""
