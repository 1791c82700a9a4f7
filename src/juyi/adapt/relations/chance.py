"""What chance would give: the same target with its relations laid anew, matched in the same way."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Lay = Callable[[np.ndarray, np.random.Generator], np.ndarray]
"""A way to lay relations anew."""


def shuffled(relations: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Lay all relations, with their strengths, between pairs drawn at random; those to oneself stay such.

    Args:
        relations: m×m.
        rng: draws.

    Example:
        >>> found = shuffled(np.array([[1.0, 2.0], [0.0, 0.0]]), np.random.default_rng(0))
        >>> sorted(found.diagonal().tolist()), sorted(found.ravel().tolist())
        ([0.0, 1.0], [0.0, 0.0, 1.0, 2.0])
    """
    found = relations.copy()
    apart = ~np.eye(len(found), dtype=bool)
    found[apart] = rng.permutation(found[apart])
    found[~apart] = rng.permutation(found[~apart])
    return found


def rewired(relations: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Let relations change their goals by pairs, a→b and c→d to a→d and c→b, ten times as often as there are relations.

    So each item stands to as many as before, by the same strengths, and as many to it.  An exchange that would give a
    relation to oneself or a second one between the same two is left out.

    Args:
        relations: m×m.
        rng: draws.

    Example:
        >>> ring = np.roll(np.eye(6), 1, axis=1)
        >>> found = rewired(ring, np.random.default_rng(0))
        >>> found.sum(0).tolist() == found.sum(1).tolist() == [1.0] * 6
        True

    Source: S. Maslov and K. Sneppen, "Specificity and Stability in Topology of Protein Networks", Science 2002.
    """
    found = relations.copy()
    origin, goal = (ends.tolist() for ends in np.nonzero(found * ~np.eye(len(found), dtype=bool)))
    taken = set(zip(origin, goal, strict=True))
    count = len(origin)
    for first, second in rng.integers(0, max(count, 1), (10 * count, 2)).tolist():
        a, b, c, d = origin[first], goal[first], origin[second], goal[second]
        if a == d or c == b or (a, d) in taken or (c, b) in taken:
            continue
        taken -= {(a, b), (c, d)}
        taken |= {(a, d), (c, b)}
        goal[first], goal[second] = d, b
    strengths = relations[np.nonzero(relations * ~np.eye(len(found), dtype=bool))]
    found[~np.eye(len(found), dtype=bool)] = 0
    found[origin, goal] = strengths
    return found


def p_value(value: float, by_chance: np.ndarray) -> float:
    """Return how often chance does as well: (1 + #{b : v_b ≤ v}) / (1 + B).

    Args:
        value: v, the smaller the better.
        by_chance: B values.

    Example:
        >>> p_value(0.1, np.array([0.2, 0.3, 0.05]))
        0.5

    Source: B. Phipson and G. K. Smyth, "Permutation P-values Should Never Be Zero", 2010.
    """
    tolerance = 1e-9 * max(1.0, abs(value))
    return float((1 + (by_chance <= value + tolerance).sum()) / (1 + len(by_chance)))


def lucky(told: np.ndarray, truth: np.ndarray, rng: np.random.Generator, draws: int = 9_999) -> float:
    """Return how often the same answers, dealt out to the items at random, are right as often: a permutation test.

    Args:
        told: n answers.
        truth: n truths.
        rng: draws.
        draws: how many.

    Example:
        >>> lucky(np.array(["a"] * 9 + ["b"] * 9), np.array(["a"] * 9 + ["b"] * 9), np.random.default_rng(0)) < 0.001
        True
    """
    codes = np.unique(np.concatenate([told, truth]).astype(str), return_inverse=True)[1]
    told, truth = codes[: len(told)], codes[len(told) :]
    right = np.array([(rng.permutation(told) == truth).sum() for _ in range(draws)])
    return p_value(-float((told == truth).sum()), -right.astype(float))
