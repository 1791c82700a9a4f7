"""The bootstrap: an interval for any figure of rows, drawn again with replacement, also by whole clusters."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri
from scipy.stats import t as student

from juyi.errors import DataError, SettingError
from juyi.measure.estimate import Estimate
from juyi.measure.two_samples import check_positive

JACKKNIFE_GROUPS = 200
"""The jackknife leaves out single units up to so many, and else so many groups of them."""


def bootstrap_interval(
    statistic: Callable[..., float],
    *samples: np.ndarray,
    paired: bool = False,
    cluster: np.ndarray | Sequence[np.ndarray] | None = None,
    resamplings: int = 2_000,
    confidence: float = 0.95,
    seed: int = 0,
    name: str = "bootstrap_interval",
    unit: str = "",
) -> Estimate:
    """Return a figure of rows with its bootstrap interval.

    The rows are drawn again with replacement, as many as there are, and the statistic computed of each such draw.
    The interval is between two quantiles of these figures, which are corrected for bias and skewness (BCa):

        α₁ = Φ(z₀ + (z₀ + z) / (1 − a (z₀ + z))),   z₀ = Φ⁻¹(share of the draws below the figure)

    with a the skewness of the jackknife's differences over six, and likewise α₂.  z is not the normal quantile but
    √(k/(k − 1)) times Student's with k − 1 degrees of freedom, k the number of units that are drawn, since of few
    units the draws vary too little.

    Rows that belong together (images of one pair of domains, verdicts of one run) are not independent: `cluster`
    says which, and whole clusters are drawn.  Their number then matters more than the number of rows; below about 10
    no interval can be trusted.

    For a share, `wilson_interval` is better, and for two models on the same rows `paired_difference`.  A statistic that
    is biased by few rows, as a distance of domains is, is biased once more in each draw; the distances of
    `juyi.measure` have intervals of their own.

    Args:
        statistic: takes as many arrays as there are samples, and returns a number.
        samples: arrays of rows, at least 2 rows each (at least 2 clusters); drawn independently of each other.
        paired: the samples have the same rows, in the same order, and are drawn together.
        cluster: for each row the cluster that it belongs to: one array where there is one sample or they are paired,
            else one for each sample.
        resamplings: how often rows are drawn, at least 100.
        confidence: of the interval, between 0 and 1.
        seed: decides the draws.
        name: the name of the estimate.
        unit: the unit of the estimate.

    Returns:
        The figure of the rows as they are, with its interval; `n_source` and `n_target` are the rows of the first and
        the second sample (0 where there is none).

    Raises:
        DataError: there are too few rows or clusters, paired samples are not equally long, clusters do not fit, or
            the statistic is not finite.
        SettingError: a setting is out of its range.

    Example:
        >>> correct = np.repeat([1.0, 0.0], [80, 20])
        >>> found = bootstrap_interval(np.mean, correct)
        >>> found.value, round(found.low, 2), round(found.high, 2)
        (0.8, 0.71, 0.87)
        >>> by_four = bootstrap_interval(np.mean, correct, cluster=np.arange(100) // 4)  # alike within a cluster
        >>> by_four.low < found.low
        True

    Source: B. Efron, "Better bootstrap confidence intervals", JASA 82 (1987), eq. 2.3 and 6.6; T. C. Hesterberg,
    "What Teachers Should Know About the Bootstrap", The American Statistician 69 (2015), section 5.2 (Student's
    quantile).
    """
    check_positive("resamplings", resamplings, 100)
    if not 0 < confidence < 1:
        raise SettingError(f"confidence: {confidence} is not between 0 and 1; 0.95 is usual")
    arrays = [np.asarray(sample) for sample in samples]
    units = _units(arrays, paired, cluster)
    value = float(statistic(*arrays))
    if not math.isfinite(value):
        raise DataError(f"the statistic of the rows as they are is {value}, so there is no interval")
    rng = np.random.default_rng(seed)
    draws = np.array([_of_draw(statistic, arrays, units, rng) for _ in range(resamplings)])
    draws = draws[np.isfinite(draws)]
    if len(draws) < 0.9 * resamplings:
        raise DataError(f"the statistic is not finite in {resamplings - len(draws)} of {resamplings} draws of the rows")
    low, high = _ends(draws, value, _acceleration(statistic, arrays, units), min(map(len, units)), confidence)
    count = "clusters" if cluster is not None else "rows"
    note = f"bootstrap (BCa), {resamplings:,} draws of {' and '.join(f'{len(part):,}' for part in units)} {count}"
    sizes = [len(array) for array in arrays] + [0]
    return Estimate(name, value, low, high, sizes[0], sizes[1], confidence, unit=unit, note=note)


def _units(arrays: list[np.ndarray], paired: bool, cluster: Any) -> list[list[np.ndarray]]:
    """Return, for each sample that is drawn by itself, the row numbers of each unit that is drawn as a whole."""
    if not arrays or any(array.ndim == 0 for array in arrays):
        raise DataError("the bootstrap needs at least one array of rows")
    sizes = [len(array) for array in arrays]
    if paired and len(set(sizes)) > 1:
        raise DataError(f"paired samples have the same rows, not {' and '.join(map(str, sizes))}")
    drawn = sizes[:1] if paired else sizes
    if cluster is None:
        units = [[np.array([k]) for k in range(size)] for size in drawn]
    else:
        labels = [cluster] if len(drawn) == 1 else list(cluster)
        if [np.shape(part) for part in labels] != [(size,) for size in drawn]:
            raise DataError(
                f"the clusters of {', '.join(str(np.shape(part)) for part in labels)} rows do not fit samples of "
                f"{', '.join(map(str, drawn))}; give one label for each row"
            )
        units = [_members(np.asarray(part)) for part in labels]
    if min(map(len, units)) < 2:
        raise DataError(f"the bootstrap needs at least 2 {'rows' if cluster is None else 'clusters'} in each sample")
    return units


def _members(labels: np.ndarray) -> list[np.ndarray]:
    """Return the row numbers of each cluster."""
    _, code = np.unique(labels, return_inverse=True)
    order = np.argsort(code, kind="stable")
    return np.split(order, np.cumsum(np.bincount(code))[:-1])


def _take(arrays: list[np.ndarray], rows: list[np.ndarray]) -> list[np.ndarray]:
    """Return these rows of each array; of all arrays the same where they are paired."""
    return [array[rows[min(k, len(rows) - 1)]] for k, array in enumerate(arrays)]


def _of_draw(
    statistic: Callable[..., float], arrays: list[np.ndarray], units: list[list[np.ndarray]], rng: np.random.Generator
) -> float:
    """Return the statistic of one draw."""
    rows = []
    for part in units:
        chosen = rng.integers(len(part), size=len(part))
        single = len(part) == sum(map(len, part))
        rows.append(chosen if single else np.concatenate([part[k] for k in chosen]))
    return float(statistic(*_take(arrays, rows)))


def _acceleration(statistic: Callable[..., float], arrays: list[np.ndarray], units: list[list[np.ndarray]]) -> float:
    """Return a sixth of the skewness of the statistic, from the jackknife."""
    cubes = squares = 0.0
    whole = [np.concatenate(part) for part in units]
    for which, part in enumerate(units):
        groups = [part[start :: min(len(part), JACKKNIFE_GROUPS)] for start in range(min(len(part), JACKKNIFE_GROUPS))]
        left = []
        for group in groups:
            rows = list(whole)
            rows[which] = np.setdiff1d(whole[which], np.concatenate(group), assume_unique=True)
            left.append(float(statistic(*_take(arrays, rows))))
        difference = np.mean(left) - np.array(left)
        if not np.isfinite(difference).all():
            return 0.0
        cubes += float((difference**3).sum())
        squares += float((difference**2).sum())
    return cubes / (6 * squares**1.5) if squares > 0 else 0.0


def _ends(draws: np.ndarray, value: float, acceleration: float, units: int, confidence: float) -> tuple[float, float]:
    """Return the two corrected quantiles of the draws."""
    below = ((draws < value).mean() + (draws <= value).mean()) / 2
    shift = float(ndtri(np.clip(below, 1 / len(draws), 1 - 1 / len(draws))))
    reach = math.sqrt(units / (units - 1)) * float(student.ppf(0.5 + confidence / 2, units - 1))
    levels = []
    for z in (-reach, reach):
        moved = shift + z
        slope = 1 - acceleration * moved
        levels.append(float(ndtr(shift + moved / slope)) if slope > 0 else float(z > 0))
    low, high = np.quantile(draws, levels)
    return float(low), float(high)
