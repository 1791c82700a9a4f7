"""How far two domains are apart beyond what two halves of one are: the estimate that both transport distances share."""

from __future__ import annotations

import math

import numpy as np

from juyi.measure.estimate import Estimate
from juyi.measure.intervals import normal_quantile
from juyi.measure.score_interval import score_interval

LEAST_BASES = 8
"""From so many bases on, what the choice of directions adds is judged by the bases, and else by single directions."""
PAIRS = ((0, 2, 0.5), (1, 3, 0.5), (0, 1, -0.5), (2, 3, -0.5))
"""Which two of the halves x₁, x₂, y₁, y₂ are compared, and with what weight."""


class HalvesApart:
    """How far halves of two domains are apart, and what each row adds."""

    def __init__(self, groups: list[np.ndarray]):
        self.used = (len(groups[0]) + len(groups[1]), len(groups[2]) + len(groups[3]))
        self.values: dict[tuple[int, int], list[np.ndarray]] = {(i, j): [] for i, j, _ in PAIRS}
        self.whole = [np.zeros(len(group)) for group in groups]
        self.across = [np.zeros(len(group)) for group in groups]
        self.extra = 0.0
        self.steepest = 4 * sum(widest_variance(np.concatenate(groups[k : k + 2])) / self.used[k // 2] for k in (0, 2))

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
        self.steepest /= d
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
        low, high = score_interval(whole, *self._variance_parts(), confidence)
        if bound:
            high = plain + normal_quantile(confidence) * math.sqrt(_variance(self.across))
        return Estimate(name, _root(whole), _root(low), _root(high), *self.used, confidence, note=note)

    def _variance_parts(self) -> tuple[float, float, float]:
        """Return the first-order, second-order and steepest part of the variance (see `score_interval`).

        What the halves of a domain are apart has no first-order part, and its jackknife's variance, in which the
        second-order part is counted twice, is about twice that of the whole.
        """
        apart = [whole - across for whole, across in zip(self.whole, self.across, strict=True)]
        second = _variance(apart) / 2
        return _variance(self.whole) - 2 * second + self.extra, second, self.steepest

    def _by_line(self) -> dict[tuple[int, int], np.ndarray]:
        return {pair: np.concatenate(values) for pair, values in self.values.items()}

    @staticmethod
    def _weighted(by_line: dict[tuple[int, int], np.ndarray]) -> np.ndarray:
        result: np.ndarray = np.sum([weight * by_line[i, j] for i, j, weight in PAIRS], axis=0)
        return result


def halves(x: np.ndarray, y: np.ndarray, rows: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Return two halves of x and two of y, drawn at random, of at most `rows` rows a side."""
    return [half for side in (x, y) for half in np.array_split(side[rng.permutation(len(side))[:rows]], 2)]


def widest_variance(x: np.ndarray) -> float:
    """Return the variance of rows along the direction in which they vary most.

    Example:
        >>> round(widest_variance(np.array([[0.0, 0.0], [2.0, 2.0]])), 3)
        4.0
    """
    centred = x - x.mean(0)
    small = centred @ centred.T if len(x) < x.shape[1] else centred.T @ centred
    return float(np.linalg.eigvalsh(small)[-1]) / (len(x) - 1)


def _variance(influence: list[np.ndarray]) -> float:
    """Return the variance of a sum of means over groups of rows."""
    return sum(float(part.var(ddof=1)) / len(part) for part in influence)


def _root(square: float) -> float:
    return math.sqrt(max(0.0, square))
