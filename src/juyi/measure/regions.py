"""The region where two linear classifiers differ that one domain fills most and the other least."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

STEPS = 100
STARTS = 4
"""Random starts of the critic, besides the best half-space."""
RIDGE = 1e-4


def largest_difference(first: np.ndarray, second: np.ndarray, seed: int) -> float:
    """Return sup |P_first(h ≠ h′) − P_second(h ≠ h′)| over pairs of half-spaces, as far as it is found.

    h and h′ differ where the product s(x) = (u·x + a)(v·x + b) is positive (or negative, with h′ turned over).  The
    product is trained to be positive on the first side and negative on the second, by logistic loss with both sides
    weighing the same.  That is not convex: it starts from the best half-space (v = 0, b = 1) and from random ones,
    and of all regions passed on the way the best counts.

    Args:
        first: float, N×d.
        second: float, M×d.
        seed: of the random starts.

    Returns:
        The difference, 0 to 1.

    Example:
        >>> first = np.linspace(-1, 1, 201)[:, None]  # the second lies on both sides of the first
        >>> second = np.concatenate([first[:100] - 2, first[100:] + 2])
        >>> largest_difference(first, second, 0) > 0.98
        True
    """
    both = np.concatenate([first, second])
    spread = both.std(0)
    both = (both - both.mean(0)) / np.where(spread > 0, spread, 1.0)
    x = np.concatenate([both, np.ones((len(both), 1))], 1)
    sign = np.where(np.arange(len(x)) < len(first), 1.0, -1.0)
    weight = np.where(sign > 0, 0.5 / len(first), 0.5 / len(second))
    best = 0.0

    def judge(weights: np.ndarray) -> None:
        nonlocal best
        inside = product(weights, x) > 0
        best = max(best, abs(float(inside[: len(first)].mean() - inside[len(first) :].mean())))

    random = np.random.default_rng(seed)
    starts = [np.zeros(2 * x.shape[1]), *random.normal(size=(STARTS, 2 * x.shape[1]))]
    starts[0][-1] = 1.0
    for start in starts:
        found = minimize(
            region_loss, start, (x, sign, weight), "L-BFGS-B", True, callback=judge, options={"maxiter": STEPS}
        )
        judge(found.x)
    return best


def product(weights: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return (u·x)(v·x) for each row; the last column of x is ones."""
    u, v = np.split(weights, 2)
    found: np.ndarray = (x @ u) * (x @ v)
    return found


def region_loss(weights: np.ndarray, x: np.ndarray, sign: np.ndarray, weight: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the logistic loss of a product of two linear functions, with a small ridge, and its gradient."""
    u, v = np.split(weights, 2)
    first, second = x @ u, x @ v
    margin = sign * first * second
    loss = float((weight * np.logaddexp(0, -margin)).sum()) + RIDGE * float(weights @ weights)
    slope = -weight * sign * expit(-margin)
    gradient = np.concatenate([x.T @ (slope * second), x.T @ (slope * first)])
    return loss, gradient + 2 * RIDGE * weights
