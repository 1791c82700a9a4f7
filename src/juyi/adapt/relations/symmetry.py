"""Items that no relation tells apart."""

from __future__ import annotations

import numpy as np


def alike(relations: np.ndarray, parted: np.ndarray | None = None) -> np.ndarray:
    """Return the groups of items that stand alike to groups that stand alike, and so on: colour refinement.

    Items that some symmetry exchanges are in one group; almost always the converse holds too.

    Args:
        relations: n×n.
        parted: n numbers that tell items apart from the start, or None.

    Returns:
        The number of each item's group, int64, n.

    Example:
        >>> star = np.zeros((4, 4)); star[1, [0, 2, 3]] = 1
        >>> alike(star).tolist()
        [0, 1, 0, 0]

    Source: B. Weisfeiler and A. Lehman, "The reduction of a graph to canonical form and the algebra which appears
    therein", 1968, in one dimension.
    """
    n = len(relations)
    kinds = np.unique(relations, return_inverse=True)[1].reshape(n, n)
    begin = np.stack([np.diag(kinds), np.zeros(n) if parted is None else parted], 1)
    group, count = np.unique(begin, axis=0, return_inverse=True)[1].ravel(), 0
    rng = np.random.default_rng(0)
    while count < (count := len(np.unique(group))):
        # sums of words stand for multisets
        words = rng.integers(0, 2**63, (2, kinds.max() + 1, count), dtype=np.uint64)
        signs = np.stack([group.astype(np.uint64), *(
            words[way][side, group[None]].sum(1, dtype=np.uint64) for way, side in enumerate((kinds, kinds.T))
        )], 1)  # fmt: skip
        first = np.unique(signs, axis=0, return_index=True, return_inverse=True)
        group = np.argsort(np.argsort(first[1]))[first[2].ravel()]  # numbered in the order of the items
    return np.asarray(group, np.int64)


def shared_out(shares: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Give each item the mean of the shares of its group, since which of them a match has chosen is an accident.

    >>> shared_out(np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]]), np.array([0, 0, 1])).tolist()
    [[0.5, 0.5], [0.5, 0.5], [0.5, 0.5]]
    """
    members = np.eye(group.max() + 1)[group]
    means: np.ndarray = members @ ((members.T @ shares) / members.sum(0)[:, None])
    return means
