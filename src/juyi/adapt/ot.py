"""OT: carry the source's rows onto the target's by the cheapest plan that keeps the classes apart."""

from __future__ import annotations

import warnings
from typing import ClassVar

import numpy as np

from juyi.adapt.kernels import squared_distances
from juyi.adapt.samples import Map, Samples
from juyi.adapt.shallow import Shallow, Solved
from juyi.training import hyperparameter

SETTLED = 0.01
"""By so much of its weight a row may be off."""


def how_far_off(plan: np.ndarray) -> float:
    """By how much of its weight the worst row, of either side, is off; infinite where a number of the plan is none.

    Example:
        >>> how_far_off(np.eye(2) / 2), how_far_off(np.array([[0.5, 0.0], [0.25, 0.25]]))
        (0.0, 0.5)
    """
    if not np.isfinite(plan).all():
        return float("inf")
    return max(float(np.abs(plan.sum(axis) * plan.shape[1 - axis] - 1.0).max()) for axis in (0, 1))


def transport_plan(
    cost: np.ndarray, labels: np.ndarray, entropy: float, classes: float, rounds: int
) -> tuple[np.ndarray, float]:
    """Return the plan γ of the least ⟨γ, C⟩ + ε Σ γ (log γ − 1) + η Σ_j Σ_c ‖γ(I_c, j)‖₁^½, and how far rows are off.

    The last term, over what a target row j gets from the rows I_c of each class, is not convex; it is made linear at
    the plan of the round before, so that each round is a transport with entropy alone.

    Args:
        cost: C, n×m.
        labels: codes of the n rows.
        entropy: ε.
        classes: η; 0 for none.
        rounds: how often it is made linear.
    """
    import ot  # here, since it takes half a second to import

    n, m = cost.shape
    one_hot = np.eye(int(labels.max()) + 1)[labels]
    added, plan, error = np.zeros_like(cost), np.full((n, m), 1.0 / (n * m)), np.inf
    for _ in range(rounds if classes > 0 else 1):
        told = cost + classes * added
        told -= told.min(1, keepdims=True)  # what a whole row or column costs more changes no plan,
        told -= told.min(0)  # and without it fewer numbers are too small to be held
        sides, options = (ot.unif(n), ot.unif(m), told, entropy), {"numItermax": 500, "stopThr": 1e-5, "warn": False}
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            plan = ot.bregman.sinkhorn_knopp(*sides, **options)
            error = how_far_off(plan)
        if error > SETTLED:  # far rows; in logarithms it is slower, and nothing is too small
            plan = ot.bregman.sinkhorn_log(*sides, **options)
            error = how_far_off(plan)
        mass = np.maximum(one_hot.T @ plan, 1e-12 / m) * m
        added = one_hot @ (0.5 / np.sqrt(mass))
    return plan, error


class OT(Shallow):
    """Optimal transport: each source row goes where the plan carries it, and a model learns from these places.

        x_i ↦ n Σ_j γ_ij x_j,   γ = argmin ⟨γ, C⟩ + ε Σ γ (log γ − 1) + η Σ_j Σ_c ‖γ(I_c, j)‖₁^½

    C_ij = ‖x_i − x_j‖² in units of its median, rows of the target scaled as the source's.  The plan lets no target row
    be given to several classes, if it can: that is the last term.  The model serves target rows as they are.  Plans
    have n×m numbers, so of large domains some rows are drawn.

    Source: N. Courty, R. Flamary, D. Tuia and A. Rakotomamonjy, "Optimal Transport for Domain Adaptation", IEEE
    Transactions on Pattern Analysis and Machine Intelligence 39 (2017), equations 14 and 15 with p = ½.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> y = rng.integers(0, 2, 200)
        >>> x = rng.normal(size=(200, 2)) + 6 * y[:, None]
        >>> moved = x @ np.array([[0.7, -0.7], [0.7, 0.7]]) + 3
        >>> OT().fit(x, y, target=moved).score(moved, y) > 0.95
        True
    """

    regression: ClassVar[bool] = False
    costs: ClassVar[str] = "seconds; grows with the square of the rows, of which some are drawn"
    scikit_exempt: ClassVar[dict[str, str]] = {}

    entropy: float = hyperparameter(default=0.05, help="ε, in units of the median cost", low=1e-4, high=1e3)
    class_penalty: float = hyperparameter(default=0.1, help="η, keeps classes apart; 0 for none", low=0.0, high=1e3)
    rounds: int = hyperparameter(default=5, help="in which that penalty is made linear", low=1, high=1_000)
    rows: int = hyperparameter(default=2_000, help="rows of a domain in a plan, at most", low=2, high=20_000)

    def solve(self, given: Samples) -> Solved:
        """Transport some rows, and learn from where they come to lie."""
        source, target = drawn(given, self.rows)
        x, y = given.source[source], given.labels[source]
        cost = median_cost(x, given.target[target])
        plan, error = transport_plan(cost, y, self.entropy, self.class_penalty, self.rounds)
        if error > SETTLED:
            given.remark(f"the plan is not settled: weights of rows are off by up to {error:.0%}", alarm=True)
        carried = plan @ given.target[target] / np.maximum(plan.sum(1, keepdims=True), 1e-300)
        same = Map.identity(given.columns)
        model = self.model_of(given, carried, y, np.ones(len(y)), same)
        counts = np.zeros(len(given.source))
        counts[source] = 1.0
        return Solved(model, same, same, counts)


def drawn(given: Samples, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of rows of both domains, at most so many, in their order; a remark where not all are there."""
    draws, found = given.draws(), []
    for x, name in ((given.source, "source"), (given.target, "target")):
        found.append(np.sort(draws.permutation(len(x))[:most]))
        if len(x) > most:
            given.remark(f"{most:,} of {len(x):,} rows of the {name} are drawn")
    return found[0], found[1]


def median_cost(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Squared distances in units of their median, n×m; as they are where that is 0."""
    cost = squared_distances(source, target)
    median = float(np.median(cost))
    return cost / (median if median > 0 else 1.0)
