"""Match the items of two sets by how they stand to one another: Gromov-Wasserstein, and quadratic assignment."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import ot
from scipy.optimize import quadratic_assignment

STEPS = 1_000
"""Most steps of a solver."""
TOLERANCE = 1e-6
"""A plan is called settled if no other is better by more than this share, to first order."""


@dataclass(frozen=True, eq=False)
class Match:
    """A plan of who in the target takes the place of whom in the source.

    Attributes:
        plan: float, n×m: which share of source item i goes to target item j; all of it sums to 1 at most.
        discrepancy: by how much matched pairs stand otherwise to each other, 0 (all alike) to about 1.
        residual: how much better another plan could be, to first order, as a share of the relations' power; 0 where the
            solver has come to rest.
        settled: whether it has.
    """

    plan: np.ndarray
    discrepancy: float
    residual: float
    settled: bool


def scaled(weights: np.ndarray, form: str) -> np.ndarray:
    """Bring relations to a form in which two sets can be compared, whatever their unit, with mean square 1.

    Args:
        weights: n×n.
        form: `weight`, as they are; `logarithm`, sign(w) log(1 + |w| / w̄), w̄ the mean of |w| over those that are not
            0; `binary`, the sign.

    Example:
        >>> scaled(np.array([[0.0, 5.0], [-5.0, 0.0]]), "binary").round(3).tolist()
        [[0.0, 1.414], [-1.414, 0.0]]
    """
    size = np.abs(weights)
    unit = size / size[size > 0].mean()
    form_of = {"weight": lambda: unit, "logarithm": lambda: np.log1p(unit), "binary": lambda: np.ceil(unit > 0)}
    found = np.sign(weights) * form_of[form]()
    scale: np.ndarray = found / np.sqrt((found**2).mean())
    return scale


def discrepancy(source: np.ndarray, target: np.ndarray, plan: np.ndarray) -> float:
    """Return Σ_ijkl (A_ik − B_jl)² T_ij T_kl, divided by what it is if no matched pair has anything in common.

    Args:
        source: A, n×n.
        target: B, m×m.
        plan: T, n×m.

    Example:
        >>> a = np.array([[0.0, 1.0], [0.0, 0.0]])
        >>> discrepancy(a, a, np.eye(2) / 2), discrepancy(a, a.T, np.eye(2) / 2)
        (0.0, 1.0)
    """
    p, q = plan.sum(1), plan.sum(0)
    power = p @ source**2 @ p + q @ target**2 @ q
    return float(max(power - 2 * (source @ plan @ target.T * plan).sum(), 0.0) / power)


def gromov_wasserstein(
    source: np.ndarray, target: np.ndarray, cost: np.ndarray, start: np.ndarray | None = None
) -> Match:
    """Find a plan T that minimises Σ_ijkl (A_ik − B_jl)² T_ij T_kl + Σ_ij M_ij T_ij, by conditional gradients.

    Every item weighs the same: T 1 = 1/n, Tᵀ 1 = 1/m.  The sum has many local minima; the one that is found depends on
    the start.

    Args:
        source: A, n×n.
        target: B, m×m.
        cost: M, n×m.
        start: the plan to begin from; None for all to all.

    Source: F. Mémoli, "Gromov-Wasserstein Distances and the Metric Approach to Object Matching", 2011; T. Vayer et al.,
    "Optimal Transport for Structured Data with Application on Graphs", ICML 2019 (with M).
    """
    p, q = (np.full(size, 1 / size) for size in cost.shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what POT would warn of is measured below
        plan = ot.gromov.fused_gromov_wasserstein(
            cost, source, target, p, q, alpha=0.5, symmetric=False, G0=start, max_iter=STEPS, tol_rel=1e-9, tol_abs=1e-9
        )
        slope = _slope(source, target, cost, plan)
        gap = float((slope * (plan - ot.emd(p, q, slope))).sum())
    residual = max(gap, 0.0) / ((source**2).mean() + (target**2).mean())
    return Match(plan, discrepancy(source, target, plan), residual, residual <= TOLERANCE)


def _slope(source: np.ndarray, target: np.ndarray, cost: np.ndarray, plan: np.ndarray) -> np.ndarray:
    """The gradient of the fused sum in T, n×m."""
    p, q = plan.sum(1), plan.sum(0)
    there, here = (source**2 + source.T**2) @ p, (target**2 + target.T**2) @ q
    found: np.ndarray = there[:, None] + here - 2 * (source @ plan @ target.T + source.T @ plan @ target) + cost
    return found


def assignment(source: np.ndarray, target: np.ndarray, seed: int) -> Match:
    """Match one to one, so that Σ_ik A_ik B_π(i)π(k) is largest: FAQ, then swaps of two until none is better.

    The smaller side is filled up with items that stand to each other as all do on average; whoever is matched to such a
    one stays alone.

    Args:
        source: A, n×n.
        target: B, m×m.
        seed: of the order in which ties are broken and swaps are tried.

    Source: J. T. Vogelstein et al., "Fast Approximate Quadratic Programming for Graph Matching", PLOS ONE 2015; the
    filling: D. E. Fishkind et al., "Seeded graph matching", Pattern Recognition 2019, section 2.5 (centred).
    """
    n, m = len(source), len(target)
    size = max(n, m)
    a, b = np.zeros((2, size, size))
    a[:n, :n], b[:m, :m] = source - source.mean(), target - target.mean()
    rng = np.random.default_rng(seed)
    found = quadratic_assignment(a, b, options={"maximize": True, "maxiter": STEPS, "tol": 1e-6, "rng": rng})
    guess = np.stack([np.arange(size), found.col_ind], 1)
    found = quadratic_assignment(a, b, method="2opt", options={"maximize": True, "partial_guess": guess, "rng": rng})
    plan = np.zeros((n, m))
    pairs = [(i, j) for i, j in enumerate(found.col_ind) if i < n and j < m]
    plan[tuple(np.array(pairs).T)] = 1 / len(pairs)
    return Match(plan, discrepancy(source, target, plan), 0.0, True)
