"""Match the items of two sets by how they stand to one another: Gromov-Wasserstein, and quadratic assignment."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import ot
from scipy.optimize import quadratic_assignment

STEPS = 200
"""Most steps of a solver."""
TOLERANCE = 1e-4
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


def outlines(relations: np.ndarray, points: int = 8) -> np.ndarray:
    """Return how strongly each item stands to others and they to it, without saying to whom: quantiles, n×2k.

    Args:
        relations: n×n.
        points: k, how many quantiles of each.

    Example:
        >>> outlines(np.array([[0.0, 1.0], [0.0, 0.0]]), 2).tolist()
        [[0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]]
    """
    at = np.linspace(0, 1, points)
    found: np.ndarray = np.vstack([np.quantile(relations, at, axis=1), np.quantile(relations, at, axis=0)]).T
    return found


def gromov_wasserstein(source: np.ndarray, target: np.ndarray, cost: np.ndarray, alone: float = 0.0) -> Match:
    """Find a plan T that minimises Σ_ijkl (A_ik − B_jl)² T_ij T_kl + Σ_ij M_ij T_ij, by conditional gradients.

    Every item weighs the same: T 1 = 1/n, Tᵀ 1 = 1/m.  That some may stay alone, a share u of each side, is an item
    more on both sides, which stands to nobody and weighs u.  The sum has many local minima; the better is kept of what
    is found from all matched to all, and from the match of the items' outlines.

    Args:
        source: A, n×n.
        target: B, m×m.
        cost: M, n×m.
        alone: u, 0 or more.

    Source: F. Mémoli, "Gromov-Wasserstein Distances and the Metric Approach to Object Matching", 2011; T. Vayer et al.,
    "Optimal Transport for Structured Data with Application on Graphs", ICML 2019 (with M).
    """
    (n, m), power = cost.shape, (source**2).mean() + (target**2).mean()
    p, q = (np.append(np.full(size, 1 / size), [alone] * (alone > 0)) / (1 + alone) for size in (n, m))
    if alone:
        source, target, cost = (np.pad(side, ((0, 1), (0, 1))) for side in (source, target, cost))
    found = []
    for start in (None, ot.emd(p, q, ot.dist(outlines(source), outlines(target)))):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what POT would warn of is measured below
            plan, log = ot.gromov.fused_gromov_wasserstein(
                cost, source, target, p, q, alpha=0.5, symmetric=False, G0=start, max_iter=STEPS, tol_rel=1e-7,
                tol_abs=1e-7, log=True,
            )  # fmt: skip
            found.append((float(log["fgw_dist"]), plan))
    _, plan = min(found, key=lambda one: one[0])
    slope = _slope(source, target, cost, plan)
    gap = float((slope * (plan - ot.emd(p, q, slope))).sum())
    residual = float(max(gap, 0.0) / power)
    plan = plan[:n, :m]
    return Match(plan, discrepancy(source[:n, :n], target[:m, :m], plan), residual, residual <= TOLERANCE)


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
        seed: of the order in which the solver breaks ties.

    Source: J. T. Vogelstein et al., "Fast Approximate Quadratic Programming for Graph Matching", PLOS ONE 2015; the
    filling: D. E. Fishkind et al., "Seeded graph matching", Pattern Recognition 2019, section 2.5 (centred).
    """
    n, m = len(source), len(target)
    size = max(n, m)
    a, b = np.zeros((2, size, size))
    a[:n, :n], b[:m, :m] = source - source.mean(), target - target.mean()
    options = {"maximize": True, "maxiter": STEPS, "tol": 1e-6, "rng": np.random.default_rng(seed)}
    order = quadratic_assignment(a, b, options=options).col_ind
    for _ in range(STEPS):
        gains = swap_gains(a, b[np.ix_(order, order)])
        i, j = np.unravel_index(gains.argmax(), gains.shape)
        residual = max(float(gains[i, j]), 0.0) / float(np.sqrt((a**2).sum() * (b**2).sum()) + 1e-300)
        if residual <= TOLERANCE:
            break
        order[[i, j]] = order[[j, i]]
    rows = np.flatnonzero(order[:n] < m)
    plan = np.zeros((n, m))
    plan[rows, order[rows]] = 1 / len(rows)
    return Match(plan, discrepancy(source, target, plan), residual, residual <= TOLERANCE)


def swap_gains(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return by how much Σ_ik A_ik B_ik grows if items i and j of B change places, for all i and j.

    Args:
        a: A, n×n.
        b: B, n×n.

    Example:
        >>> a = np.array([[0.0, 1.0], [0.0, 0.0]])
        >>> swap_gains(a, a.T).tolist()
        [[0.0, 1.0], [1.0, 0.0]]
    """
    both = a @ b.T + a.T @ b
    whole = both + both.T - np.diag(both)[:, None] - np.diag(both)
    p, q = np.diag(a)[:, None], np.diag(b)[:, None]
    twice = (p - a.T) * (b.T - q) + (a - p.T) * (q.T - b) + (p - a) * (b - q) + (a.T - p.T) * (q.T - b.T)
    gains: np.ndarray = whole - twice + (p - p.T) * (q.T - q) + (a - a.T) * (b.T - b)
    return gains
