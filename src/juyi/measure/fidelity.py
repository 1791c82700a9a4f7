"""How faithful a small model is to the one that it was made of, and how far its confidence can be believed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import log_softmax

from juyi.errors import DataError


def expected_calibration_error(scores: np.ndarray, label: np.ndarray, bins: int = 15) -> float:
    """Return Σ_b n_b / N |accuracy of bin b − mean confidence of bin b|, 0 to 1: how wrong "90 % sure" is on average.

    Rows are put into bins of equal width by the largest probability, (0, 1/B], …, ((B−1)/B, 1].

    Args:
        scores: logits, N×C.
        label: codes, N.
        bins: B.

    Raises:
        DataError: there are no rows.

    Example:
        >>> scores = np.log([[0.9, 0.1]] * 10)
        >>> round(expected_calibration_error(scores, np.array([0] * 7 + [1] * 3)), 3)  # .9 sure, .7 right
        0.2

    Source: Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks", ICML 2017, equation 3.
    """
    if not len(label):
        raise DataError("calibration error: needs labelled rows, and there is none")
    sure = np.exp(log_softmax(np.asarray(scores, np.float64), axis=1)).max(1)
    right = np.asarray(scores).argmax(1) == label
    place = np.clip(np.ceil(sure * bins).astype(int) - 1, 0, bins - 1)
    gaps = np.bincount(place, right, bins) - np.bincount(place, sure, bins)
    return float(np.abs(gaps).sum() / len(label))


def mean_divergence(scores: np.ndarray, teacher: np.ndarray) -> float:
    """Return mean KL(softmax(v) ‖ softmax(z)) in nats: how much of the teacher's probabilities v the scores z miss.

    Example:
        >>> mean_divergence(np.zeros((2, 2)), np.zeros((2, 2)))
        0.0
    """
    q, p = (log_softmax(np.asarray(s, np.float64), axis=1) for s in (scores, teacher))
    return float((np.exp(p) * (p - q)).sum(1).mean()) if len(q) else 0.0


class ClassAccuracy(NamedTuple):
    """The accuracy of one class: its code, how many of its rows are right, and how many there are."""

    code: int
    right: int
    n: int


def worst_class(answers: np.ndarray, label: np.ndarray) -> ClassAccuracy:
    """Return the class of which the smallest share is right; of equal ones the one with most rows.

    Args:
        answers: codes that a model tells, N.
        label: codes, N, at least one.

    Example:
        >>> worst_class(np.array([0, 0, 1, 0]), np.array([0, 0, 1, 1]))
        ClassAccuracy(code=1, right=1, n=2)
    """
    rows = np.bincount(label)
    right = np.bincount(label[answers == label], minlength=len(rows))
    there = np.flatnonzero(rows)
    code = min(there, key=lambda c: (right[c] / rows[c], -rows[c]))
    return ClassAccuracy(int(code), int(right[code]), int(rows[code]))
