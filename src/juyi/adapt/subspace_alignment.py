"""Subspace alignment: turn the source's principal directions onto the target's."""

from __future__ import annotations

import numpy as np

from juyi.adapt.samples import Map, Samples, scale_of
from juyi.adapt.shallow import Shallow, Solved
from juyi.training import hyperparameter

KEPT = 0.95
"""The share of the source's variance that its principal directions keep where their number is not named."""


def principal(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the principal directions of centred rows, d×d, the largest first, and the variances along them, d."""
    values, vectors = np.linalg.eigh(x.T @ x / len(x))
    return vectors[:, ::-1], np.maximum(values[::-1], 0.0)


def dimensions_of(variances: np.ndarray, named: int | None, most: int) -> int:
    """How many directions are kept: as many as are named, or as keep most of the variance; at most `most`."""
    shares = np.cumsum(variances) / max(variances.sum(), np.finfo(float).tiny)
    found = int(np.searchsorted(shares, KEPT)) + 1 if named is None else named
    return max(1, min(found, most, len(variances)))


class SubspaceAlignment(Shallow):
    """Rows of each domain are told by its own principal directions, and the source's are turned onto the target's.

        source: x ↦ z(x) P_s P_sᵀ P_t,   target: x ↦ z(x) P_t

    P_s and P_t hold the k first principal directions of the domains, d×k, and z scales each domain by its own mean and
    spread.  P_sᵀ P_t is the k×k matrix M of the least ‖P_s M − P_t‖.

    Source: B. Fernando, A. Habrard, M. Sebban and T. Tuytelaars, "Unsupervised Visual Domain Adaptation Using Subspace
    Alignment", ICCV 2013, algorithm 1; that k keeps 95 % of the source's variance is this library's choice.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> y = rng.integers(0, 2, 400)
        >>> x = rng.normal(size=(400, 3)) * [1, 1, 0.1] + 4 * y[:, None]
        >>> moved = 3 * x + [5, -5, 0]
        >>> SubspaceAlignment(dimensions=2).fit(x, y, target=moved).score(moved, y) > 0.95
        True
    """

    dimensions: int | None = hyperparameter(
        default=None,
        help="k, principal directions; by default as many as keep 95 % of the variance",
        low=1,
        high=10_000,
    )

    def solve(self, given: Samples) -> Solved:
        """Find the directions of both, and turn."""
        scales = [scale_of(x) for x in (given.source, given.target)]
        rows = [(x - mean) / spread for x, (mean, spread) in zip((given.source, given.target), scales, strict=True)]
        (source, variances), (target, _) = map(principal, rows)
        k = dimensions_of(variances, self.dimensions, max(1, min(map(len, rows)) - 1))
        kept = 100 * variances[:k].sum() / max(variances.sum(), np.finfo(float).tiny)
        given.remark(f"{k:,} principal directions are kept, {kept:.0f} % of the source's variance")
        source, target = source[:, :k], target[:, :k]
        turned, zeros = source @ (source.T @ target), np.zeros(k)
        return self.solved(given, Map(turned, zeros).after(*scales[0]), Map(target, zeros).after(*scales[1]))
