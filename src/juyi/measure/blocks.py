"""A kernel's mean within two domains less that across them, in blocks: value, variance and permutation test."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from juyi.measure.estimate import Estimate
from juyi.measure.score_interval import largest_eigenvalue, score_interval
from juyi.measure.two_samples import check_positive, rows_note, two_samples

BLOCK = 1_000
"""Rows of a side in one block, at most: a block's matrix has (2 · 1,000)² entries."""
LEAST_BLOCK = 50
"""Rows that the smaller side has in each block, at least, where there is more than one."""


@dataclass(frozen=True)
class InBlocks:
    """What `in_blocks` found.

    Attributes:
        value: the mean of the blocks' statistics.
        parts: of its variance: the jackknife's, the second-order and the steepest.
        p_value: of the permutation test; None without one.
        used: rows of each side that were used.
        given: rows of each side that were given.
        blocks: how many blocks there were.
    """

    value: float
    parts: tuple[float, float, float]
    p_value: float | None
    used: tuple[int, int]
    given: tuple[int, int]
    blocks: int

    def estimate(self, name: str, note: str, confidence: float) -> Estimate:
        """Return it as an estimate with its interval; without one where a side has fewer than 4 rows."""
        jackknife, second, steepest = self.parts
        low, high = score_interval(self.value, jackknife - 2 * second, second, steepest, confidence)
        note = f"{note}; {rows_note(self.used, self.given)}" + (f", in {self.blocks} blocks" if self.blocks > 1 else "")
        if min(self.used) < 4:
            note += "; no interval with fewer than 4 rows a side"
            return Estimate(name, self.value, None, None, *self.used, confidence, self.p_value, note=note)
        return Estimate(name, self.value, low, high, *self.used, confidence, self.p_value, note=note)


def in_blocks(
    source: np.ndarray, target: np.ndarray, kernel: Callable[[np.ndarray], None], permutations: int, seed: int
) -> InBlocks:
    """Average `u_statistic` over blocks of rows.

    Args:
        source: float, N×d.
        target: float, M×d.
        kernel: turns squared distances, n×n, into its values, in place.
        permutations: for the p-value, at least 19; 0 for none.
        seed: decides blocks and permutations.

    Raises:
        DataError: see `two_samples`.
        SettingError: there are too few permutations.
    """
    if permutations:
        check_positive("permutations", permutations, 19)
    x, y = two_samples(source, target)
    rng = np.random.default_rng(seed)
    blocks = split_in_blocks(len(x), len(y), rng)
    values, parts, permuted = [], np.zeros(3), np.zeros(permutations + 1)
    with threadpool_limits(limits=1):
        for rows_x, rows_y in blocks:
            k = squared_distances(np.concatenate([x[rows_x], y[rows_y]]))
            kernel(k)
            np.fill_diagonal(k, 0.0)
            values.append(u_statistic(k, len(rows_x)))
            parts += variance_parts(k, len(rows_x))
            if permutations:
                permuted += permuted_statistics(k, len(rows_x), permutations, rng)
    p_value = None
    if permutations:
        slack = 1e-5 * permuted.std()  # equal arrangements must count as equal, whatever the order of sums
        p_value = float((permuted >= permuted[0] - slack).mean())
    count = len(blocks)
    jackknife, second, steepest = (float(part) / count**2 for part in parts)
    used = sum(len(a) for a, _ in blocks), sum(len(b) for _, b in blocks)
    value = float(np.mean(values))
    return InBlocks(value, (jackknife, second, steepest), p_value, used, (len(x), len(y)), count)


def u_statistic(k: np.ndarray, s: int) -> float:
    """Return the mean of k over pairs of the first s, plus that of the others, minus twice that across.

    Args:
        k: float, (s+t)×(s+t), symmetric, with a diagonal of 0.
        s: how many rows are of the source.

    Example:
        >>> k = np.array([[0.0, 3.0, 1.0, 1.0], [3.0, 0.0, 1.0, 1.0], [1.0, 1.0, 0.0, 5.0], [1.0, 1.0, 5.0, 0.0]])
        >>> u_statistic(k, 2)  # 3 + 5 − 2·1
        6.0
    """
    t = len(k) - s
    within = float(k[:s, :s].sum()) / (s * (s - 1)) + float(k[s:, s:].sum()) / (t * (t - 1))
    return within - 2 * float(k[:s, s:].mean())


def variance_parts(k: np.ndarray, s: int) -> np.ndarray:
    """Return three parts of the variance of `u_statistic`: the jackknife's, the second-order one, and the steepest.

    Args:
        k: float, (s+t)×(s+t), symmetric, with a diagonal of 0.
        s: how many rows are of the source.

    Returns:
        Float, 3.  The jackknife's is the first-order part and twice the second-order one; the third is the largest
        first-order part that there can be where the squared distance is 1 (see `score_interval`).

    Source: B. Efron and C. Stein, "The jackknife estimate of variance", Annals of Statistics 9 (1981): a part of
    order c is counted c times.
    """
    t = len(k) - s
    source, target, across = k[:s, :s], k[s:, s:], k[:s, s:]
    witness_source = source.sum(1) / (s - 1) - across.mean(1)
    witness_target = target.sum(1) / (t - 1) - across.mean(0)
    jackknife = 4 * (witness_source.var(ddof=1) / s + witness_target.var(ddof=1) / t)
    second, steepest = pair_parts(source, target, across, (s, t))
    return np.array([jackknife, second, steepest])


def pair_parts(
    source: np.ndarray, target: np.ndarray, across: np.ndarray, sizes: tuple[int, int]
) -> tuple[float, float]:
    """Return the second-order and the steepest part of the variance for `sizes` rows, from the pairs of some of them.

    Args:
        source: float, s×s, the kernel between rows of the source, with a diagonal of 0.
        target: float, t×t, the same for the target.
        across: float, s×t, the kernel between them.
        sizes: how many rows of each side the statistic has.
    """
    second, steepest = 4 / (sizes[0] * sizes[1]) * centred_square_across(across), 0.0
    for size, part in zip(sizes, (source, target), strict=True):
        second += 2 / (size * (size - 1)) * centred_square(part)
        steepest += 4 / size * largest_eigenvalue(part)
    return second, steepest


def centred_square(k: np.ndarray) -> float:
    """Estimate E k̃(x, x')² without bias, k̃ being k less both its conditional means; 0 of fewer than 4 rows.

    Source: G. Székely and M. Rizzo, "Partial distance correlation with methods for dissimilarities", Annals of
    Statistics 42 (2014), eq. 2.3 and Proposition 1.
    """
    n = len(k)
    if n < 4:
        return 0.0
    row = k.sum(1)
    square = float((k * k).sum() - 2 * (row * row).sum() / (n - 2) + row.sum() ** 2 / ((n - 1) * (n - 2)))
    return max(0.0, square) / (n * (n - 3))


def centred_square_across(k: np.ndarray) -> float:
    """Estimate E k̃(x, y)², for rows of two sides."""
    s, t = k.shape
    rows, columns = k.mean(1), k.mean(0)
    total = float((k * k).sum()) - t * float(rows @ rows) - s * float(columns @ columns) + s * t * float(k.mean()) ** 2
    unbiased: float = max(0.0, total) / ((s - 1) * (t - 1))
    return unbiased


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
    squared = np.einsum("ij,ij->i", x, x)
    result: np.ndarray = x @ x.T
    result *= -2
    result += squared[:, None]
    result += squared
    np.maximum(result, 0.0, out=result)
    np.fill_diagonal(result, 0.0)
    return result


def permuted_statistics(k: np.ndarray, s: int, permutations: int, rng: np.random.Generator) -> np.ndarray:
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
