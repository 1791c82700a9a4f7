"""Few labels decide: a test that may be looked at after each one, on rows drawn from where two models disagree."""

from __future__ import annotations

import functools
import math
import shlex
from dataclasses import dataclass

import numpy as np

from juyi.errors import DataError
from juyi.measure.betting import check_population, ends, labels_until, margin_rows

NEITHER = 0.25
"""Assumed where labels are counted beforehand: the share of the disagreeing rows on which neither model is right."""
CLEAR, CLOSE = 3 / 4, 3 / 5
"""Assumed likewise: on what share of the rows on which exactly one model is right the better one is."""
POWER = 0.8
"""A number of labels settles it if it does so in this share of the simulated orders."""
_SIMULATED, _CONTINUED = 300, 100


@dataclass(frozen=True)
class Settled:
    """What labels of randomly drawn disagreeing rows say of the difference of two accuracies.

    Attributes:
        answer: `helped`, `hurt`, `no_difference` or `undecided`.
        gain: the estimated gain in accuracy, -1 to 1; None without a label.
        low: lower end of the interval for the gain on exactly these rows.
        high: upper end of it.
        confidence: of the interval, at whatever label one stops: 0.95; 0.9 where the answer is `no_difference`.
        used: the number of labels.
        disagreeing: the number of rows on which the models disagree.
        total: the number of rows in all.
    """

    answer: str
    gain: float | None
    low: float
    high: float
    confidence: float
    used: int
    disagreeing: int
    total: int


def settle(z: np.ndarray, population: int, rows_total: int, margin: float = 0.02, alpha: float = 0.05) -> Settled:
    """Decide from labels whether one model is better than another; it may be asked again after every label.

    Where two models agree, both are right or both are wrong.  So the gain in accuracy on N rows rests on the N_D rows
    on which they disagree alone.  With zᵢ = 1[first is right] − 1[second is right] ∈ {−1, 0, 1},

        gain = N_D/N · mean_D(z) = S/N,    S = Σ_D z, a whole number

    exactly on these rows.  Rows of D are drawn at random without replacement.  To test "S ≤ s", money is bet on z
    being larger than that hypothesis lets one expect.  Before label t it expects at most m_t = (s − Σ_{i<t} zᵢ)/(N_D −
    t + 1), and with λ ≥ 0, chosen before the label is seen, the capital

        K_t = Σⱼ wⱼ Π_{i≤t} (1 + λᵢⱼ (zᵢ − mᵢ)),   λᵢⱼ = min(λⱼ N_D/(N_D − i + 1), 0.95/(1 + mᵢ)),   K₀ = 1

    is a supermartingale wherever the hypothesis is true.  By Ville's inequality it ever reaches 1/a with probability a
    at most, whenever one stops and whatever made one stop.  Five fixed bets λⱼ share the capital, since nobody knows
    beforehand how large the difference is; they grow as the rows that are left become fewer, and known better.  K_t
    falls with s, so that all s which are rejected lie below an end, found by bisection; "S ≥ s" is the mirror image.
    Besides, Σ zᵢ ± (rows not labelled) holds whatever the labels are, so all labels give the exact answer.

    `helped` if the lower end, at level α/2, is above 0, `hurt` if the upper end is below: if the models are equally
    good both are wrong, so they share α.  `no_difference` if both ends at level α are within ±`margin`: only one of
    these two tests can be wrong, and its capital is never below that of the wrong one of the other two, so that a
    wrong answer of any kind has probability α at most.

    A row on which neither model is right changes the capital only through the number of rows left.  With N_D → ∞ this
    is the sequential sign test on rows on which exactly one model is right: knowing N_D spares labels (bench/settle.py
    has how many), and the sign test alone could not say that a difference is too small to matter.

    Args:
        z: int, t: of the labelled rows in the order in which they were drawn, 1 where only the first model is right,
            −1 where only the second is, 0 where neither is.
        population: N_D, 0 or more.
        rows_total: N, at least N_D and 1.
        margin: the largest difference in accuracy that does not matter, 0 to 1; 0.02 is two points.
        alpha: the largest probability of a wrong answer, 0 to 1, both excluded; 0.05 by default.

    Returns:
        The answer, the estimated gain and an interval that holds at every moment.

    Raises:
        DataError: the numbers do not fit together, or z holds something else.
        SettingError: `margin` or `alpha` is out of its range.

    Example:
        >>> settle(np.ones(10), 400, 2000).answer, settle(np.ones(5), 400, 2000).answer
        ('helped', 'undecided')
        >>> settle(np.array([1, -1, 0, 1]), 4, 20).gain
        0.05

    Source:
        I. Waudby-Smith and A. Ramdas, "Estimating means of bounded random variables by betting", Journal of the Royal
        Statistical Society B 86 (2024), the section on sampling without replacement.  Mixed bets instead of
        plugged-in ones, as in their section on mixtures; the bets and their growth are ours.
    """
    z = np.asarray(z)
    check_population(population, rows_total, margin, alpha)
    if z.ndim != 1 or len(z) > population or not np.isin(z, (-1, 0, 1)).all():
        raise DataError(f"z holds -1, 0 or 1 for at most {population:,} rows, not {z.shape} of {np.unique(z)[:5]}")
    z = z.astype(np.int64)
    bound = margin_rows(margin, rows_total)
    low, high = ends(z, population, alpha / 2)
    narrow = ends(z, population, alpha)
    answer, confidence = "undecided", 1 - alpha
    if low > 0:
        answer = "helped"
    elif high < 0:
        answer = "hurt"
    elif -bound <= narrow[0] and narrow[1] <= bound:
        answer, confidence = "no_difference", 1 - 2 * alpha
        low, high = narrow
    gain = float(population * z.sum() / (rows_total * len(z))) if len(z) else None
    gain = 0.0 if population == 0 else gain
    return Settled(answer, gain, low / rows_total, high / rows_total, confidence, len(z), population, rows_total)


@functools.lru_cache(maxsize=256)
def labels_to_settle(disagreeing: int, total: int, margin: float = 0.02, alpha: float = 0.05) -> tuple[int, int]:
    """Estimate how many labels will settle which of two models is better.

    The test itself is run on 300 simulated orders of a population in which neither model is right on a quarter of the
    disagreeing rows, and the better one on 3 of 4 (then 3 of 5) of those on which exactly one is.

    Args:
        disagreeing: on how many rows the models disagree.
        total: how many rows there are.
        margin: as in `settle`.
        alpha: as in `settle`.

    Returns:
        The number of labels with which four orders in five are settled: if the difference is clear (3 of 4), and if
        it is close (3 of 5); never more than `disagreeing`.

    Raises:
        DataError, SettingError: as `settle` does.

    Example:
        >>> labels_to_settle(400, 2000), labels_to_settle(30, 2000)
        ((60, 230), (0, 0))
    """
    check_population(disagreeing, total, margin, alpha)
    if disagreeing <= margin_rows(margin, total):
        return 0, 0
    rng = np.random.default_rng(disagreeing)
    z = np.empty(0, np.int64)
    needed = [_enough(z, _population(disagreeing, p), total, margin, alpha, rng) for p in (CLEAR, CLOSE)]
    likely, worst = (two_digits(labels, disagreeing) for labels in needed)
    return min(likely, worst), max(likely, worst)


def two_digits(number: int, most: int) -> int:
    """Round up to two digits, as simulated numbers deserve, but to no more than `most`.

    Example:
        >>> two_digits(227, 400), two_digits(391, 395)
        (230, 395)
    """
    unit = int(10 ** max(0, len(str(number)) - 2))
    return min(-(-number // unit) * unit, most)


def labels_left(z: np.ndarray, population: int, rows_total: int, margin: float = 0.02, alpha: float = 0.05) -> int:
    """Estimate how many more labels will settle it, after some that have not.

    What the rows without a label show is drawn from what the labels make likely: shares of −1, 0 and 1 from a Dirichlet
    distribution (their counts, one added to each), then the rest of the population by these shares.

    Args:
        z: int, t: the labels so far, as in `settle`.
        population: N_D.
        rows_total: N.
        margin: as in `settle`.
        alpha: as in `settle`.

    Returns:
        With so many more, four in five of 100 simulated continuations are settled; at most N_D − t.

    Example:
        >>> labels_left(np.ones(5, int), 400, 2000) < labels_left(np.array([1, -1, 1, -1, 1]), 400, 2000)
        True
    """
    check_population(population, rows_total, margin, alpha)
    z = np.asarray(z, np.int64)
    rng = np.random.default_rng(population)
    counts = np.array([(z == value).sum() for value in (-1, 0, 1)])
    shares = rng.dirichlet(counts + 1.0, _CONTINUED)
    left = population - len(z)
    rest = np.stack([np.repeat((-1, 0, 1), rng.multinomial(left, row)) for row in shares])
    return two_digits(max(0, _enough(z, rest, rows_total, margin, alpha, rng) - len(z)), left)


def _population(disagreeing: int, share: float) -> np.ndarray:
    """Make a population in which the first model is right on `share` of the rows on which exactly one is."""
    decisive = max(1, round(disagreeing * (1 - NEITHER)))
    better = round(decisive * share)
    return np.repeat((1, -1, 0), (better, decisive - better, disagreeing - decisive))[None].repeat(_SIMULATED, 0)


def _enough(
    z: np.ndarray, rest: np.ndarray, rows_total: int, margin: float, alpha: float, rng: np.random.Generator
) -> int:
    """Count the labels with which four orders in five are settled, those that are there included."""
    population = len(z) + rest.shape[1]
    rest = rng.permuted(rest.astype(np.int8), axis=1)
    orders = np.hstack([np.broadcast_to(z.astype(np.int8), (len(rest), len(z))), rest])
    steps, open_ = min(len(z) + 64, population), np.ones(len(rest), bool)
    found = np.full(len(rest), population)
    while True:  # most are settled early, so that few columns suffice
        now = labels_until(orders[open_, :steps], population, rows_total, margin, alpha)
        found[open_] = np.where(now > steps, population, now)
        open_[open_] = now > steps
        if steps == population or open_.mean() <= 1 - POWER:
            return int(np.sort(found)[math.ceil(POWER * len(found)) - 1])
        steps = min(2 * steps, population)


def settle_hint(disagreeing: int, total: int, run: object = None, *, rows: str = "images") -> str:
    """Say how many labels would settle which of two models is better, and the command that asks for them.

    Args:
        disagreeing: on how many rows the models disagree.
        total: how many rows there are.
        run: the run's folder; None where it is not known.
        rows: what a row is, in the plural.

    Returns:
        A sentence; empty where no label is needed.

    Example:
        >>> settle_hint(400, 2000, "here")
        'About 60 labels of images drawn at random from those 400 settle it (230 if it is close): juyi settle here'
    """
    likely, worst = labels_to_settle(disagreeing, total)
    if not worst:
        return ""
    close = f" ({worst:,} if it is close)" if worst > likely else ""
    about = f"About {likely:,} labels" if likely > 1 else "One label"
    return (
        f"{about} of {rows} drawn at random from those {disagreeing:,} settle it{close}: "
        f"juyi settle {'RUN' if run is None else shlex.quote(str(run))}"
    )
