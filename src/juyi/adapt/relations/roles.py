"""Carry roles over by a match, and settle them by how each item stands to those of each role."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.linear_model import LogisticRegression

ROUNDS = 200
"""Most rounds."""
TOLERANCE = 1e-4
"""The roles are called settled if no probability moves by more."""


def carried(plan: np.ndarray, roles: np.ndarray) -> np.ndarray:
    """Return the roles that a plan carries over, S_jc = Σ_i T_ij Y_ic / Σ_ic T_ij Y_ic.

    Args:
        plan: T, n×m.
        roles: Y, n×c: whether source item i has role c; a row of zeros where it is not known.

    Returns:
        S, m×c, rows that sum to 1; all roles as often as in the source where nothing comes from an item with a role.

    Example:
        >>> carried(np.array([[0.5, 0.1], [0.0, 0.4]]), np.eye(2)).round(3).tolist()
        [[1.0, 0.0], [0.2, 0.8]]
    """
    found = plan.T @ roles
    whole = found.sum(1, keepdims=True)
    often = roles.sum(0) / roles.sum()
    shares: np.ndarray = np.where(whole > 0, found / np.where(whole > 0, whole, 1), often)
    return shares


def profiles(relations: np.ndarray, roles: np.ndarray) -> np.ndarray:
    """Return how each item stands to those of each role, and they to it: √ of the mean strengths, with their signs.

    Args:
        relations: A, n×n.
        roles: S, n×c, shares of each role.

    Returns:
        n×2c: of A S / (1ᵀ S) and Aᵀ S / (1ᵀ S), the root.

    Example:
        >>> profiles(np.array([[0.0, 4.0], [0.0, 0.0]]), np.eye(2)).tolist()
        [[0.0, 2.0, 0.0, 0.0], [0.0, 0.0, 2.0, 0.0]]
    """
    many = np.maximum(roles.sum(0), 1e-12)
    mean = np.hstack([relations @ roles / many, relations.T @ roles / many])
    rooted: np.ndarray = np.sign(mean) * np.sqrt(np.abs(mean))
    return rooted


def settle_roles(
    source: np.ndarray, roles: np.ndarray, target: np.ndarray, start: np.ndarray, given: np.ndarray, strength: float
) -> tuple[np.ndarray, float]:
    """Let the roles of the target and what follows from them agree.

    A classifier learns in the source to tell an item's role by its profile.  In the target profiles hang on the roles
    that are sought, so they are found in turn, S ← ½ S + ½ p(role | profiles(B, S)), from the roles that the match
    carried over, until they rest.

    Args:
        source: A, n×n.
        roles: Y, n×c; a row of zeros where the role is not known.
        target: B, m×m.
        start: S, m×c.
        given: m×c: the roles of the target that are known, which stay; a row of zeros where none is.
        strength: how freely the classifier fits, scikit-learn's C.

    Returns:
        S, m×c, and by how much the last round moved it.

    Source: Q. Lu and L. Getoor, "Link-based Classification", ICML 2003; J. Neville and D. Jensen, "Iterative
    Classification in Relational Data", 2000.  There both sides are one graph; here the target begins from the match.
    """
    known = np.asarray(roles.any(1))
    shares = np.where(known[:, None], roles, roles.sum(0) / roles.sum())
    there = profiles(source, shares)
    mean, spread = there[known].mean(0), there[known].std(0)
    spread[spread < 1e-9 * max(1.0, np.abs(there).max())] = 1.0
    learner = LogisticRegression(C=strength, max_iter=2_000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        learner.fit((there[known] - mean) / spread, roles[known].argmax(1))
    fixed, now, moved = np.asarray(given.any(1)), start.copy(), np.inf
    now[fixed] = given[fixed]
    for _ in range(ROUNDS):
        said = np.zeros_like(now)
        said[:, learner.classes_] = learner.predict_proba((profiles(target, now) - mean) / spread)
        said[fixed] = given[fixed]
        moved = float(np.abs(said - now).max())
        now = (now + said) / 2
        if moved <= TOLERANCE:
            break
    return now, moved
