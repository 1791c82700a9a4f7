"""The verdict where labels are numbers: did transferring bring the answers nearer to the truth, and by how much?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from juyi.errors import DataError, SettingError
from juyi.measure.bootstrap import bootstrap_interval
from juyi.measure.estimate import Estimate
from juyi.measure.verdict import with_warnings

MATERIAL = 0.02
"""A difference of less than this share of the labels' standard deviation does not matter, unless another is named."""


def mean_absolute_error(prediction: np.ndarray, label: np.ndarray, unit: str = "") -> Estimate:
    """Return by how much predictions are off on average, mean |ŷ − y|, with its bootstrap interval.

    Rows that follow one another may be alike: today's weather is much like yesterday's.  So blocks of ⌊√(n/10)⌋ rows,
    in their order, are drawn, not single rows; where the rows are independent this costs nothing but a little width.

    Args:
        prediction: ŷ, N.
        label: y, N, in the same unit.
        unit: what both are counted in.

    Returns:
        The estimate; without an interval where there is one row.

    Raises:
        DataError: there are no rows, the two do not fit, or a number is not finite.

    Example:
        >>> found = mean_absolute_error(np.array([1.0, 2.0, 6.0]), np.array([1.0, 4.0, 5.0]), "°C")
        >>> found.value, found.unit
        (1.0, '°C')

    Source: the blocks: E. Carlstein, "The use of subseries values for estimating the variance of a general statistic
    from a stationary sequence", Annals of Statistics 14 (1986); the interval: `juyi.measure.bootstrap_interval`.
    """
    return _mean("mean_absolute_error", np.abs(_pair(prediction, label)), unit)


def error_reduction(error: np.ndarray, error_floor: np.ndarray, unit: str = "") -> Estimate:
    """Return by how much the mean absolute error falls from one model to another on the same rows: the gain.

        gain = mean (|e_floor| − |e|),  above 0 where the second model is nearer to the truth

    The rows are paired: what is drawn, in blocks (see `mean_absolute_error`), are the differences row by row.

    Args:
        error: e = ŷ − y of the model, N.
        error_floor: that of the model it is compared with, N, on the same rows in the same order.
        unit: what they are counted in.

    Raises:
        DataError: there are no rows, the two do not fit, or a number is not finite.

    Example:
        >>> error_reduction(np.array([1.0, -1.0]), np.array([2.0, 4.0])).value
        2.0

    Source: that errors of two models are compared by their difference, row by row: F. X. Diebold and R. S. Mariano,
    "Comparing Predictive Accuracy", Journal of Business & Economic Statistics 13 (1995).
    """
    _pair(error, error_floor)
    return _mean("gain", np.abs(error_floor) - np.abs(error), unit)


def verdict_from_numbers(
    error: np.ndarray,
    error_floor: np.ndarray,
    method: str,
    floor: str = "source_only",
    *,
    margin: float,
    unit: str = "",
    rows: str = "rows",
    warnings: Sequence[str] = (),
) -> dict[str, Any]:
    """Judge a method by labels, numbers, that nobody has seen before.

    `helped` if the 95 % interval of the gain (`error_reduction`) lies above 0, `hurt` if below, `no_difference` if it
    holds 0 and lies within ±`margin`, else `cannot_tell`.

    Args:
        error: ŷ − y of the method's model on each test row, N.
        error_floor: that of the model without transfer, on the same rows.
        method: what the method's model is called.
        floor: what the model without transfer is called.
        margin: the largest difference that does not matter, in the labels' unit, 0 or more.
        unit: what the labels are counted in.
        rows: what a row is, in the plural.
        warnings: sentences to add.

    Returns:
        What run.json holds under "verdict": answer, gain, low, high, margin (in the labels' unit), name
        (`mean_absolute_error`), unit, evidence, sentence, warnings.  low and high are None where there is one row.

    Raises:
        DataError: there are no rows, the two do not fit, or a number is not finite.
        SettingError: the margin is below 0.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> verdict = verdict_from_numbers(rng.normal(size=99), 5 * rng.normal(size=99), "mine", margin=0.1, unit="°C")
        >>> verdict["answer"], verdict["sentence"].split(":")[0]
        ('helped', 'Adapting helped')
    """
    check_margin(margin)
    gain = error_reduction(error, error_floor, unit)
    low, high, value = gain.low, gain.high, float(gain.value or 0.0)
    if low is None or high is None:
        answer, opening = "cannot_tell", "One row cannot tell whether adapting helped"
    elif low > 0:
        answer, opening = "helped", "Adapting helped"
    elif high < 0:
        answer, opening = "hurt", f"Adapting hurt ({method} is worse than {floor}, that is, than not transferring)"
    elif -margin <= low and high <= margin:
        answer, opening = "no_difference", "Adapting made no difference that matters"
    else:
        answer, opening = "cannot_tell", "This test cannot tell whether adapting helped"
    compared = f"{measured(abs(value), unit)} {'less' if value > 0 else 'more'}" if value else "no difference"
    ends = None if low is None or high is None else (low, high) if value >= 0 else (-high, -low)
    reach = f" (95 % interval {measured(ends[0])} to {measured(ends[1])})" if ends else ""
    sentence = (
        f"{opening}: {method} is off by {measured(float(np.abs(error).mean()), unit)} on average over the "
        f"{len(np.asarray(error)):,} test {rows}, {floor} by {measured(float(np.abs(error_floor).mean()), unit)}: "
        f"{compared}{reach}."
    )
    if answer == "cannot_tell":
        sentence += f" More labelled test {rows} would narrow the interval."
    if answer == "no_difference":
        sentence += f" Less than {measured(margin, unit)} is taken not to matter."
    sentence += f" The interval covers the choice of test {rows}, not the choice of the target's labels or of seed."
    return _verdict(answer, value, low, high, margin, unit, "test_labels", with_warnings(sentence, warnings))


def verdict_without_numbers(
    prediction: np.ndarray,
    prediction_floor: np.ndarray,
    method: str,
    floor: str = "source_only",
    *,
    margin: float,
    unit: str = "",
    rows: str = "rows",
    warnings: Sequence[str] = (),
) -> dict[str, Any]:
    """Say what is known of a method that tells numbers without a single label to judge it by.

    Whatever the labels are, by the triangle inequality, on exactly these rows,

        |mean absolute error(method) − mean absolute error(floor)| ≤ mean |ŷ − ŷ_floor|

    and nothing narrower holds without assumptions: labels on the far side of either model reach it.  A bound of at
    most `margin` is `no_difference`, any other `cannot_tell`.

    Args:
        prediction: ŷ of the method for each target row, N.
        prediction_floor: that of the model without transfer, for the same rows.
        method: what the method's model is called.
        floor: what the model without transfer is called.
        margin: the largest difference that does not matter, in the labels' unit, 0 or more.
        unit: what the labels are counted in.
        rows: what a row is, in the plural.
        warnings: sentences to add.

    Returns:
        What run.json holds under "verdict", as `verdict_from_numbers` does; gain is None, low and high are − and +
        the bound.

    Raises:
        DataError: there are no rows, the two do not fit, or a number is not finite.
        SettingError: the margin is below 0.

    Example:
        >>> verdict = verdict_without_numbers(np.array([1.0, 2.0]), np.array([1.0, 4.0]), "mine", margin=0.1)
        >>> verdict["answer"], verdict["low"], verdict["high"]
        ('cannot_tell', -1.0, 1.0)
    """
    check_margin(margin)
    apart = float(np.abs(_pair(prediction, prediction_floor)).mean())
    same = apart <= margin
    opening = "No material change" if same else "Without labels nobody can tell whether adapting helped"
    sentence = (
        f"{opening}: the answers of {method} and {floor} for the {len(np.asarray(prediction)):,} target {rows} lie "
        f"{measured(apart, unit)} apart on average, so their mean errors on these differ by at most that, either way."
    )
    if not same:
        sentence += f" Labels of some {rows} on which they lie far apart would settle it."
    answer = "no_difference" if same else "cannot_tell"
    return _verdict(answer, None, -apart, apart, margin, unit, "label_free", with_warnings(sentence, warnings))


def material_margin(label: np.ndarray) -> float:
    """Return the difference that does not matter, where nobody names one: 2 % of the labels' standard deviation.

    Example:
        >>> material_margin(np.array([0.0, 10.0]))
        0.1
    """
    return MATERIAL * float(np.std(np.asarray(label, np.float64)))


def check_margin(margin: float) -> None:
    """Raise a `SettingError` unless a margin is a finite number, 0 or more."""
    if not (math.isfinite(margin) and margin >= 0):
        raise SettingError(f"margin: {margin} is out of range; give 0 or more, in the labels' unit")


def measured(value: float, unit: str = "") -> str:
    """Write a number with three digits that count, a true minus sign, and its unit.

    Example:
        >>> measured(4.4149, "°C"), measured(-0.01234), measured(1234.5), measured(0.0)
        ('4.41 °C', '−0.0123', '1,230', '0')
    """
    rounded = float(f"{value:.3g}")
    decimals = max(0, 2 - math.floor(math.log10(abs(rounded)))) if rounded else 0
    return f"{rounded:,.{decimals}f} {unit}".strip().replace("-", "−")


def _verdict(
    answer: str, gain: float | None, low: float | None, high: float | None, margin: float, unit: str, evidence: str,
    words: dict[str, Any],
) -> dict[str, Any]:  # fmt: skip
    found = {"answer": answer, "gain": gain, "low": low, "high": high, "margin": margin}
    return {**found, "name": "mean_absolute_error", "unit": unit, "evidence": evidence, **words}


def _pair(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The difference of two arrays of numbers of the same rows, float64, N."""
    one, other = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if one.ndim != 1 or one.shape != other.shape or not len(one):
        raise DataError(f"two columns of numbers of the same rows are compared, at least one, not {one.shape} and "
                        f"{other.shape}")  # fmt: skip
    if not (np.isfinite(one).all() and np.isfinite(other).all()):
        raise DataError("a number that is to be compared is not finite; leave such rows out")
    difference: np.ndarray = one - other
    return difference


def _mean(name: str, values: np.ndarray, unit: str) -> Estimate:
    """The mean of numbers, with an interval by drawing blocks of neighbouring rows."""
    n = len(values)
    length = max(1, math.isqrt(n // 10))
    starts = np.arange(0, n, length)
    sums, counts = np.add.reduceat(values, starts), np.diff(np.append(starts, n))
    value = float(values.mean())
    note = (
        f"bootstrap (BCa) of {len(starts):,} blocks of {length} neighbouring rows" if n > 1 else "one row: no interval"
    )
    low: float | None = value if n > 1 else None
    high = low
    if n > 1 and np.ptp(values) > 0:
        found = bootstrap_interval(lambda s, c: float(s.sum() / c.sum()), sums, counts, paired=True)
        low, high = found.low, found.high
    return Estimate(name, value, low, high, 0, n, unit=unit, note=note)
