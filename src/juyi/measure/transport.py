"""Optimal transport: the 2-Wasserstein distance, exact on some rows, and sliced on all of them."""

from __future__ import annotations

import math

import numpy as np

from juyi.errors import DataError
from juyi.measure.estimate import Estimate
from juyi.measure.intervals import normal_quantile
from juyi.measure.two_samples import check_positive, rows_note, two_samples

CHUNK = 64
"""Directions that are sorted at the same time."""
LEAST_BASES = 8
"""From so many bases on, what the choice of directions adds is judged by the bases, and else by single directions."""
PAIRS = ((0, 2, 0.5), (1, 3, 0.5), (0, 1, -0.5), (2, 3, -0.5))
"""Which two of the halves x₁, x₂, y₁, y₂ are compared, and with what weight."""


def wasserstein(
    source: np.ndarray, target: np.ndarray, *, rows: int = 2_000, seed: int = 0, confidence: float = 0.95
) -> Estimate:
    """Estimate the 2-Wasserstein distance by exact optimal transport on at most `rows` rows a side.

        W₂² = min over plans γ of  Σ_ij γ_ij ‖x_i − y_j‖²,   γ with even row and column sums

    Two samples of one domain lie apart as well, and by very much where there are many features.  So each side is cut
    at random into halves, and what the halves of a side are apart is taken off:

        ½ (W₂²(x₁, y₁) + W₂²(x₂, y₂)) − ½ (W₂²(x₁, x₂) + W₂²(y₁, y₂))

    This is 0 on average where the domains are equal, and right on average where one is the other, moved.  Where their
    shapes differ and features are many it falls short of the truth, and the first half of it exceeds the truth on
    average (W₂² is convex).  So the interval goes from the lower end of the whole to the upper end of its first half,
    z standard errors from the dual potentials: it holds the truth at least as often as it says, and it is wide
    where transport between samples cannot tell.  `frechet_distance` is a lower bound of W₂² that needs fewer rows.

    Args:
        source: float, N×d.
        target: float, M×d.
        rows: of a side, at most; at least 4.  The time grows with its cube.
        seed: decides which rows, and the halves.
        confidence: of the interval, between 0 and 1.

    Returns:
        W₂, in the unit of the features; 0 where the whole is below 0.

    Raises:
        DataError: see `two_samples`.
        SettingError: `rows` is below 4.

    Example:
        >>> x = np.random.default_rng(0).uniform(size=(400, 1))
        >>> found = wasserstein(x[:200], x[200:] + 3.0)
        >>> found.low < 3 < found.high, round(found.value, 1)
        (True, 3.0)

    Source: N. Papp and C. Sherlock, "A new and asymptotically exact estimator of Wasserstein distances" (the halves);
    E. del Barrio and J.-M. Loubes, "Central limit theorems for empirical transportation cost in general
    dimension", Annals of Probability 47 (2019), Theorem 4.1 (the potentials).
    """
    check_positive("rows", rows, 4)
    x, y = two_samples(source, target)
    groups = _halves(x, y, rows, np.random.default_rng(seed))
    apart = _Apart(groups)
    for i, j, weight in PAIRS:
        apart.add(i, j, weight, *transport_cost(groups[i], groups[j]))
    note = "W₂ by exact transport " + rows_note(apart.used, (len(x), len(y)))
    return apart.estimate("wasserstein", note, confidence, bound=True)


def sliced_wasserstein(
    source: np.ndarray, target: np.ndarray, *, projections: int = 256, seed: int = 0, confidence: float = 0.95
) -> Estimate:
    """Estimate the sliced 2-Wasserstein distance on all rows.

        SW₂² = mean over directions θ of  ∫₀¹ (F_θ⁻¹(t) − G_θ⁻¹(t))² dt

    F_θ and G_θ are how the rows are distributed along θ, where transport is sorting.  Directions are drawn in
    orthonormal bases, so that a shift of the means, ‖μ_s − μ_t‖²/d, is met exactly by each full basis.  As in
    `wasserstein`, each side is halved at random and what its halves are apart is taken off; along a line this
    leaves a bias of order 1/N of the distance itself, so the interval is value ± z standard errors.  The standard
    error counts the rows (by the potentials) and the choice of directions.

    Args:
        source: float, N×d.
        target: float, M×d.
        projections: how many directions, at least 1; of one feature there is only one.
        seed: decides the halves and the directions.
        confidence: of the interval, between 0 and 1.

    Returns:
        SW₂, in the unit of the features; 0 where the corrected square is below 0.

    Raises:
        DataError: see `two_samples`.
        SettingError: there are no projections.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(4000, 4))
        >>> found = sliced_wasserstein(x[:2000], x[2000:] + [3.0, 0.0, 0.0, 0.0])  # 3/√4
        >>> found.low < 1.5 < found.high, round(found.value, 1)
        (True, 1.5)

    Source: N. Bonneel et al., "Sliced and Radon Wasserstein Barycenters of Measures", Journal of Mathematical Imaging
    and Vision 51 (2015); M. Rowland et al., "Orthogonal Estimation of Wasserstein Distances", AISTATS 2019.
    """
    check_positive("projections", projections, 1)
    x, y = two_samples(source, target)
    rng = np.random.default_rng(seed)
    groups = _halves(x, y, max(len(x), len(y)), rng)
    directions = orthonormal_directions(x.shape[1], projections, rng)
    apart = _Apart(groups)
    for start in range(0, directions.shape[1], CHUNK):
        chunk = directions[:, start : start + CHUNK]
        along = [group @ chunk for group in groups]
        order = [np.argsort(part, axis=0) for part in along]
        ordered = [np.take_along_axis(part, which, axis=0) for part, which in zip(along, order, strict=True)]
        for i, j, weight in PAIRS:
            value, u, v = cost_along_lines(ordered[i], ordered[j])
            apart.add(i, j, weight, value, _unsorted(u, order[i]), _unsorted(v, order[j]))
    apart.average(directions.shape[1], x.shape[1])
    note = f"SW₂ of {directions.shape[1]} directions, on all rows"
    return apart.estimate("sliced_wasserstein", note, confidence, bound=False)


def transport_cost(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return W₂² of two sets of rows, in an array of one, and the dual potentials of their rows.

    Args:
        x: float, N×d.
        y: float, M×d.

    Returns:
        The cost, 1; u, N; v, M; mean u + mean v is the cost.

    Raises:
        DataError: the solver did not finish.
    """
    import ot  # here, since it takes half a second to import

    cost = ot.dist(x, y)
    scale = float(cost.max()) or 1.0
    _, log = ot.emd(ot.unif(len(x)), ot.unif(len(y)), cost / scale, numItermax=10_000_000, log=True)
    if log["warning"]:
        raise DataError(
            f"exact transport of {len(x)} + {len(y)} rows did not finish: {log['warning']}; take fewer rows"
        )
    return np.array([scale * log["cost"]]), scale * log["u"], scale * log["v"]


def cost_along_lines(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return W₂² along each of k lines, and the dual potentials of the rows.

    With T_i the mean of y over the share of it that x_i is sent to, ∫ (F⁻¹ − G⁻¹)² = mean x² + mean y² − 2 mean x T,
    and the potential u grows from x_i to x_(i+1) by (x_(i+1) − x_i)(x_i + x_(i+1) − T_i − T_(i+1)).

    Args:
        x: float, N×k, each column in ascending order.
        y: float, M×k, each column in ascending order.

    Returns:
        The costs, k; u, N×k, and v, M×k, each column with mean 0.
    """
    to_y, to_x = _sent_to(y, len(x)), _sent_to(x, len(y))
    value = (x * x).mean(0) + (y * y).mean(0) - 2 * (x * to_y).mean(0)
    return np.maximum(value, 0.0), _potential(x, to_y), _potential(y, to_x)


def orthonormal_directions(d: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """Draw directions evenly from the sphere, orthonormal in groups of d.

    Returns:
        Float64, d×k, k being `count`; for d below `count`, the next multiple of d; 1 where d is 1.

    Example:
        >>> q = orthonormal_directions(3, 4, np.random.default_rng(0))
        >>> q.shape, bool(np.allclose(q[:, :3].T @ q[:, :3], np.eye(3)))
        ((3, 6), True)
    """
    if d == 1:
        return np.ones((1, 1))
    bases = []
    for _ in range(-(-count // d)):
        q, r = np.linalg.qr(rng.normal(size=(d, min(d, count))))
        bases.append(q * np.where(np.diag(r) < 0, -1.0, 1.0))
    return np.concatenate(bases, axis=1)


class _Apart:
    """How far halves of two domains are apart, and what each row adds."""

    def __init__(self, groups: list[np.ndarray]):
        self.used = (len(groups[0]) + len(groups[1]), len(groups[2]) + len(groups[3]))
        self.values: dict[tuple[int, int], list[np.ndarray]] = {(i, j): [] for i, j, _ in PAIRS}
        self.whole = [np.zeros(len(group)) for group in groups]
        self.across = [np.zeros(len(group)) for group in groups]
        self.extra = 0.0

    def add(self, i: int, j: int, weight: float, value: np.ndarray, u: np.ndarray, v: np.ndarray) -> None:
        """Take in the cost of a pair of groups, along one or more lines, and the sums of its potentials."""
        self.values[i, j].append(value)
        for group, potential in ((i, u), (j, v)):
            self.whole[group] += weight * potential
            if weight > 0:
                self.across[group] += weight * potential

    def average(self, lines: int, d: int) -> None:
        """Turn sums over lines into means, and count what another choice of lines would have changed."""
        for part in (*self.whole, *self.across):
            part /= lines
        by_line = self._weighted(self._by_line())
        bases = lines // d
        if bases >= LEAST_BASES:
            by_line = by_line.reshape(bases, d).mean(1)
        self.extra = float(by_line.var(ddof=1)) / len(by_line) if len(by_line) > 1 else 0.0

    def estimate(self, name: str, note: str, confidence: float, bound: bool) -> Estimate:
        """Return the root of the whole with its interval; with `bound`, the upper end is that of the first half."""
        by_line = self._by_line()
        whole = float(self._weighted(by_line).mean())
        plain = sum(float(by_line[i, j].mean()) * weight for i, j, weight in PAIRS if weight > 0)
        note += f"; what two halves of one domain are apart is taken off ({_root(plain):.4g} with it)"
        if min(self.used) < 4:
            return Estimate(name, _root(whole), None, None, *self.used, confidence, note=note + "; too few rows")
        z = normal_quantile(confidence)
        reach, reach_plain = (
            z * math.sqrt(sum(part.var(ddof=1) / len(part) for part in parts) + self.extra)
            for parts in (self.whole, self.across)
        )
        high = plain + reach_plain if bound else whole + reach
        return Estimate(name, _root(whole), _root(whole - reach), _root(high), *self.used, confidence, note=note)

    def _by_line(self) -> dict[tuple[int, int], np.ndarray]:
        return {pair: np.concatenate(values) for pair, values in self.values.items()}

    @staticmethod
    def _weighted(by_line: dict[tuple[int, int], np.ndarray]) -> np.ndarray:
        result: np.ndarray = np.sum([weight * by_line[i, j] for i, j, weight in PAIRS], axis=0)
        return result


def _halves(x: np.ndarray, y: np.ndarray, rows: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Return two halves of x and two of y, drawn at random, of at most `rows` rows a side."""
    return [half for side in (x, y) for half in np.array_split(side[rng.permutation(len(side))[:rows]], 2)]


def _sent_to(y: np.ndarray, n: int) -> np.ndarray:
    """Return, n×k, the mean of each n-th part of the sorted columns y, M×k."""
    m = len(y)
    if m == n:
        return y
    summed = np.concatenate([np.zeros((1, y.shape[1])), np.cumsum(y, axis=0)])
    knot = np.arange(n + 1) * m / n
    below = np.minimum(knot.astype(int), m - 1)
    at_knots = summed[below] + (knot - below)[:, None] * y[below]
    result: np.ndarray = np.diff(at_knots, axis=0) * n / m
    return result


def _potential(x: np.ndarray, sent: np.ndarray) -> np.ndarray:
    """Return the dual potential of sorted columns, with mean 0, given where each row is sent."""
    gap = x - sent
    u = np.zeros_like(x)
    np.cumsum(np.diff(x, axis=0) * (gap[1:] + gap[:-1]), axis=0, out=u[1:])
    u -= u.mean(0)
    return u


def _unsorted(u: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Sum over columns that were sorted by `order`, each row's own entries."""
    back = np.empty_like(u)
    np.put_along_axis(back, order, u, axis=0)
    result: np.ndarray = back.sum(1)
    return result


def _root(square: float) -> float:
    return math.sqrt(max(0.0, square))
