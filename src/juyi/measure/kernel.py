"""Maximum mean discrepancy and energy distance: unbiased, with a permutation test, in time linear in the rows."""

from __future__ import annotations

import math

import numpy as np

from juyi.errors import SettingError
from juyi.measure.blocks import in_blocks
from juyi.measure.estimate import Estimate


def mmd(
    source: np.ndarray,
    target: np.ndarray,
    *,
    bandwidth: float | None = None,
    permutations: int = 199,
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
    rejects every difference in the end.  For the interval see `score_interval`; the parts of the variance are
    estimated within the blocks.

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
        (True, True, 0.005)

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

    found = in_blocks(source, target, gaussian, permutations, seed)
    how = "given" if bandwidth is not None else "the median distance"
    note = f"unbiased, so it may be below 0; Gaussian kernel of bandwidth {width:.4g} ({how})"
    return found.estimate("mmd", note, confidence)


def energy_distance(
    source: np.ndarray,
    target: np.ndarray,
    *,
    permutations: int = 199,
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

    found = in_blocks(source, target, minus_distance, permutations, seed)
    return found.estimate("energy_distance", "unbiased, so it may be below 0", confidence)


def _median_distance(squared: np.ndarray) -> float:
    """Return the median distance of different rows; where more than half coincide, the mean of the others' squares."""
    pairs = squared[np.triu_indices(len(squared), 1)]
    median = math.sqrt(float(np.median(pairs)))
    if median > 0:
        return median
    apart = pairs[pairs > 0]
    return math.sqrt(float(apart.mean())) if len(apart) else 1.0
