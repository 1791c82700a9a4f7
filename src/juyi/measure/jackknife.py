"""Intervals for scores that fit a model to the very rows they judge: leave a group of rows out, again and again."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import stdtrit

from juyi.measure.estimate import Estimate

GROUPS = 20


def with_interval(
    name: str,
    score: Callable[[np.ndarray], float],
    label: np.ndarray,
    *,
    seed: int,
    confidence: float,
    unit: str = "",
    note: str = "",
) -> Estimate:
    """Return a score of all rows with its interval by the delete-a-group jackknife.

    The rows are dealt to g = 20 groups, each class evenly; θ_j is the score without group j:

        θ̂ ± t · √((g − 1)/g Σ_j (θ_j − θ̄)²),   t of Student's distribution with g − 1 degrees of freedom

    Drawing rows with replacement, the usual bootstrap, would not do: it repeats rows, and a score that fits a model
    takes each repetition for evidence.

    Args:
        name: of the estimate.
        score: row numbers → score.
        label: int, N: the class of each row.
        seed: of the groups.
        confidence: strictly between 0 and 1.
        unit: of the estimate.
        note: of the estimate; how the interval was made is added.

    Returns:
        The estimate.  With fewer than four rows it has no interval.

    Example:
        >>> x = np.random.default_rng(1).normal(size=400)
        >>> found = with_interval("mean", lambda rows: float(x[rows].mean()), np.zeros(400), seed=0, confidence=0.95)
        >>> 0.07 < found.high - found.value < 0.14  # 1.96 standard errors are 0.1
        True

    Source: Kott, "The Delete-a-Group Jackknife", Journal of Official Statistics 17 (2001).
    """
    n = len(label)
    rows, value = np.arange(n), score(np.arange(n))
    groups = min(GROUPS, n // 2)
    if groups < 2:
        return Estimate(
            name, value, None, None, 0, n, confidence, unit=unit, note=f"{note}; too few rows for an interval"
        )
    shuffled = np.random.default_rng(seed).permutation(n)
    dealt = np.empty(n, np.int64)
    dealt[shuffled[np.argsort(label[shuffled], kind="stable")]] = rows % groups
    left = np.array([score(rows[dealt != group]) for group in range(groups)])
    if not np.isfinite(left).all():  # the rows that remain are all alike, say
        return Estimate(
            name, value, None, None, 0, n, confidence, unit=unit, note=f"{note}; too few different rows for an interval"
        )
    error = float(np.sqrt((groups - 1) / groups * ((left - left.mean()) ** 2).sum()))
    reach = float(stdtrit(groups - 1, 0.5 + confidence / 2)) * error
    said = f"interval by leaving out each of {groups} groups of rows"
    note = f"{note}; {said}" if note else said
    return Estimate(name, value, value - reach, value + reach, 0, n, confidence, unit=unit, note=note)
