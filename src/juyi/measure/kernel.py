"""Maximum mean discrepancy and energy distance: unbiased, with a permutation test, in time linear in the rows."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from juyi.errors import SettingError
from juyi.measure.estimate import Estimate
from juyi.measure.intervals import normal_quantile
from juyi.measure.two_samples import check_positive, rows_note, two_samples

BLOCK = 1_000
"""Rows of a side in one block, at most: a block's matrix has (2 · 1,000)² entries."""
LEAST_BLOCK = 50
"""Rows that the smaller side has in each block, at least, where there is more than one."""


def mmd(
    source: np.ndarray,
    target: np.ndarray,
    *,
    bandwidth: float | None = None,
    permutations: int = 499,
    seed: int = 0,
    confidence: float = 0.95,
) -> Estimate:
    """Estimate the squared maximum mean discrepancy with a Gaussian kernel.

    It is the squared distance of the two domains' mean embeddings, 0 only where the domains are equal:

        MMD² = E k(x, x') + E k(y, y') − 2 E k(x, y),   k(a, b) = exp(−‖a − b‖² / 2σ²)

    The means leave out each row with itself, so the estimate is unbiased, and falls below 0 about as often as above
    where the domains are equal.  More than 1,000 rows a side are cut at random into blocks of at most 1,000 + 1,000,
    and the figure is the mean of the blocks' (a B-test): all rows count, and time and memory grow linearly.  Rows of
    a block are permuted across the sides for the p-value, so the test holds its level exactly at any size, and
    rejects every difference in the end.  The interval is value ± z·√variance.  The variance of the estimate has a
    first-order part, which vanishes where the domains are equal, and a second-order one, which does not; the
    jackknife, from row means, counts the second twice, and it is taken off once (see `block_variance`).

    Args:
        source: float, N×d.
        target: float, M×d.
        bandwidth: σ, above 0; the median distance of the first block's rows, both sides together, by default.
        permutations: for the p-value, at least 19; 0 for none.
        seed: decides blocks and permutations.
        confidence: of the interval, between 0 and 1.

    Returns:
        MMD², from about 0 to 2, with interval and p-value.

    Raises:
        DataError: see `two_samples`.
        SettingError: the bandwidth is not above 0, or there are too few permutations.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> near = mmd(rng.normal(size=(300, 5)), rng.normal(size=(300, 5)))
        >>> far = mmd(rng.normal(size=(300, 5)), rng.normal(1.0, 1.0, size=(300, 5)))
        >>> near.low < 0 < near.high, far.low > 0.1, far.p_value
        (True, True, 0.002)

    Source: A. Gretton et al., "A Kernel Two-Sample Test", JMLR 13 (2012), Lemma 6; W. Zaremba, A. Gretton and
    M. Blaschko, "B-test: A Non-parametric, Low Variance Kernel Two-sample Test", NIPS 2013 (the blocks).
    """
    if bandwidth is not None and not (math.isfinite(bandwidth) and bandwidth > 0):
        raise SettingError(f"bandwidth: {bandwidth} is not a finite number above 0; leave it out for the median")
    width = 0.0 if bandwidth is None else bandwidth

    def gaussian(squared: np.ndarray) -> None:
        nonlocal width
        width = width or _median_distance(squared)
        np.multiply(squared, -0.5 / width**2, out=squared)
        np.exp(squared, out=squared)

    found = _in_blocks(source, target, gaussian, permutations, seed)
    how = "given" if bandwidth is not None else "the median distance"
    note = f"unbiased, so it may be below 0; Gaussian kernel of bandwidth {width:.4g} ({how})"
    return found.estimate("mmd", note, confidence)


def energy_distance(
    source: np.ndarray,
    target: np.ndarray,
    *,
    permutations: int = 499,
    seed: int = 0,
    confidence: float = 0.95,
) -> Estimate:
    """Estimate the energy distance, which needs no kernel and no bandwidth.

        D² = 2 E ‖x − y‖ − E ‖x − x'‖ − E ‖y − y'‖

    It is 0 only where the domains are equal.  (It is the squared discrepancy of `mmd` with the kernel −‖a − b‖, and
    estimated and tested in the same way: unbiased, in blocks, permuted within them.  In one dimension it is
    2 ∫ (F − G)², the square of what `scipy.stats.energy_distance` gives.)

    Args:
        source: float, N×d.
        target: float, M×d.
        permutations: for the p-value, at least 19; 0 for none.
        seed: decides blocks and permutations.
        confidence: of the interval, between 0 and 1.

    Returns:
        D², in the unit of the features, with interval and p-value.

    Raises:
        DataError: see `two_samples`.
        SettingError: there are too few permutations.

    Example:
        >>> at_0_or_1 = np.repeat([[0.0], [1.0]], 500, axis=0)
        >>> found = energy_distance(at_0_or_1, at_0_or_1 + 1.0)  # 2·1 − ½ − ½
        >>> round(found.value, 2), found.low < 1 < found.high
        (1.0, True)

    Source: G. Székely and M. Rizzo, "Energy statistics: A class of statistics based on distances", Journal of
    Statistical Planning and Inference 143 (2013), eq. 5.
    """

    def minus_distance(squared: np.ndarray) -> None:
        np.sqrt(squared, out=squared)
        np.negative(squared, out=squared)

    found = _in_blocks(source, target, minus_distance, permutations, seed)
    return found.estimate("energy_distance", "unbiased, so it may be below 0", confidence)


def u_statistic(k: np.ndarray, s: int) -> float:
    """Return the mean of k over pairs of the first s, plus that of the others, minus twice that across.

    Args:
        k: float, (s+t)×(s+t), symmetric, with a diagonal of 0.
        s: how many rows are of the source.
    """
    t = len(k) - s
    return float(k[:s, :s].sum() / (s * (s - 1)) + k[s:, s:].sum() / (t * (t - 1)) - 2 * k[:s, s:].sum() / (s * t))


def block_variance(k: np.ndarray, s: int) -> tuple[float, float]:
    """Return the jackknife's variance of `u_statistic`, and the second-order part that it counts twice.

    Args:
        k: float, (s+t)×(s+t), symmetric, with a diagonal of 0.
        s: how many rows are of the source.

    Returns:
        The two; the variance is the first minus the second.

    Source: B. Efron and C. Stein, "The jackknife estimate of variance", Annals of Statistics 9 (1981): a part of
    order c is counted c times.  G. Székely and M. Rizzo, "Partial distance correlation with methods for
    dissimilarities", Annals of Statistics 42 (2014), eq. 2.3: unbiased means of doubly centred squares.
    """
    t = len(k) - s
    witness_source = k[:s, :s].sum(1) / (s - 1) - k[:s, s:].mean(1)
    witness_target = k[s:, s:].sum(1) / (t - 1) - k[:s, s:].mean(0)
    jackknife = 4 * (witness_source.var(ddof=1) / s + witness_target.var(ddof=1) / t)
    within = sum(2 / (n * (n - 1)) * centred_square(part) for n, part in ((s, k[:s, :s]), (t, k[s:, s:])))
    return float(jackknife), within + 4 / (s * t) * centred_square_across(k[:s, s:])


def centred_square(k: np.ndarray) -> float:
    """Estimate E k̃(x, x')² without bias, k̃ being k less both its conditional means; 0 of fewer than 4 rows."""
    n = len(k)
    if n < 4:
        return 0.0
    row = k.sum(1)
    square = (k * k).sum() - 2 * (row * row).sum() / (n - 2) + row.sum() ** 2 / ((n - 1) * (n - 2))
    return max(0.0, float(square) / (n * (n - 3)))


def centred_square_across(k: np.ndarray) -> float:
    """Estimate E k̃(x, y)², for rows of two sides."""
    s, t = k.shape
    total = (k * k).sum() - t * (k.mean(1) ** 2).sum() - s * (k.mean(0) ** 2).sum() + s * t * k.mean() ** 2
    return max(0.0, float(total) / ((s - 1) * (t - 1)))


@dataclass(frozen=True)
class _Found:
    """What `_in_blocks` found."""

    value: float
    variance: float
    p_value: float | None
    used: tuple[int, int]
    given: tuple[int, int]
    blocks: int

    def estimate(self, name: str, note: str, confidence: float) -> Estimate:
        reach = normal_quantile(confidence) * math.sqrt(self.variance)
        where = rows_note(self.used, self.given)
        if self.blocks > 1:
            where += f", in {self.blocks} blocks"
        return Estimate(
            name, self.value, self.value - reach, self.value + reach, *self.used,
            confidence=confidence, p_value=self.p_value, note=f"{note}; {where}",
        )  # fmt: skip


def _in_blocks(
    source: np.ndarray, target: np.ndarray, kernel: Callable[[np.ndarray], None], permutations: int, seed: int
) -> _Found:
    """Average the statistic of a kernel (which turns squared distances into its values in place) over blocks."""
    if permutations:
        check_positive("permutations", permutations, 19)
    x, y = two_samples(source, target)
    rng = np.random.default_rng(seed)
    blocks = split_in_blocks(len(x), len(y), rng)
    values, jackknifes, seconds, permuted = [], 0.0, 0.0, np.zeros(permutations + 1)
    for rows_x, rows_y in blocks:
        k = squared_distances(np.concatenate([x[rows_x], y[rows_y]]))
        kernel(k)
        np.fill_diagonal(k, 0.0)
        values.append(u_statistic(k, len(rows_x)))
        jackknife, second = block_variance(k, len(rows_x))
        jackknifes, seconds = jackknifes + jackknife, seconds + second
        if permutations:
            permuted += _permuted(k, len(rows_x), permutations, rng)
    value, count = float(np.mean(values)), len(blocks)
    used = sum(len(a) for a, _ in blocks), sum(len(b) for _, b in blocks)
    variance = max(jackknifes - seconds, seconds) / count**2
    p_value = None
    if permutations:
        slack = 1e-5 * permuted.std()  # equal arrangements must count as equal, whatever the order of sums
        p_value = float((permuted >= permuted[0] - slack).mean())
    return _Found(value, variance, p_value, used, (len(x), len(y)), count)


def split_in_blocks(n: int, m: int, rng: np.random.Generator) -> list[tuple[np.ndarray, np.ndarray]]:
    """Cut n and m rows at random into equally many blocks of at most 1,000 rows a side.

    Where one side has so few rows that a block would get fewer than 50 of them, there are fewer blocks, and rows of
    the other side are left out.

    Example:
        >>> [(len(a), len(b)) for a, b in split_in_blocks(2500, 1500, np.random.default_rng(0))]
        [(834, 500), (833, 500), (833, 500)]
    """
    count = max(1, min(math.ceil(max(n, m) / BLOCK), min(n, m) // LEAST_BLOCK))
    sides = [np.array_split(rng.permutation(size)[: count * BLOCK], count) for size in (n, m)]
    return list(zip(*sides, strict=True))


def squared_distances(x: np.ndarray) -> np.ndarray:
    """Return ‖x_i − x_j‖², N×N, for rows of N×d around 0."""
    squared = (x * x).sum(1)
    result: np.ndarray = x @ x.T
    result *= -2
    result += squared[:, None]
    result += squared
    np.maximum(result, 0.0, out=result)
    np.fill_diagonal(result, 0.0)
    return result


def _median_distance(squared: np.ndarray) -> float:
    """Return the median distance of different rows; where more than half coincide, the mean of the others' squares."""
    pairs = squared[np.triu_indices(len(squared), 1)]
    median = math.sqrt(float(np.median(pairs)))
    if median > 0:
        return median
    apart = pairs[pairs > 0]
    return math.sqrt(float(apart.mean())) if len(apart) else 1.0


def _permuted(k: np.ndarray, s: int, permutations: int, rng: np.random.Generator) -> np.ndarray:
    """Return `u_statistic` for the sides as they are, first, and then with rows permuted across the sides."""
    n = len(k)
    t = n - s
    of_source = np.zeros((n, permutations + 1), np.float32)
    of_source[:s, 0] = 1
    for column in range(1, permutations + 1):
        of_source[rng.permutation(n)[:s], column] = 1
    centred = (k - k.sum() / (n * (n - 1))).astype(
        np.float32
    )  # a constant changes no statistic, and small sums round less
    np.fill_diagonal(centred, 0.0)
    rows = centred.sum(1, dtype=np.float64)
    within = (of_source * (centred @ of_source)).sum(0, dtype=np.float64)
    with_all = rows @ of_source
    across = with_all - within
    others = rows.sum() - 2 * with_all + within
    result: np.ndarray = within / (s * (s - 1)) + others / (t * (t - 1)) - 2 * across / (s * t)
    return result
