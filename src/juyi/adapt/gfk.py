"""Geodesic flow kernel: compare rows along the whole way from the source's subspace to the target's."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from juyi.adapt.covariances import power
from juyi.adapt.samples import Map, Samples, scale_of
from juyi.adapt.shallow import Shallow, Solved
from juyi.adapt.subspace_alignment import SubspaceAlignment, dimensions_of, principal
from juyi.training import redeclare


def geodesic_kernel(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return G = ∫₀¹ Φ(t) Φ(t)ᵀ dt over the shortest way Φ(t) from one subspace to another, d×d.

    With the principal angles θ_i of the subspaces, P_sᵀP_t = U₁ cos Θ Vᵀ and R_sᵀP_t = −U₂ sin Θ Vᵀ,

        G = ½ [P_s U₁, R_s U₂] [Λ₁ Λ₂; Λ₂ Λ₃] [P_s U₁, R_s U₂]ᵀ

        λ₁ = 1 + sin 2θ / 2θ,   λ₂ = (cos 2θ − 1) / 2θ,   λ₃ = 1 − sin 2θ / 2θ

    Args:
        source: P_s, d×k, orthonormal columns.
        target: P_t, d×k, likewise.
    """
    u, cosines, vt = np.linalg.svd(source.T @ target)
    theta = np.arccos(np.clip(cosines, -1.0, 1.0))
    beside = target @ vt.T - source @ u * cosines  # −R_s U₂ sin Θ
    sines = np.linalg.norm(beside, axis=0)
    across = -beside / np.where(sines > 1e-12, sines, 1.0)
    twice = 2.0 * theta
    share = np.sinc(twice / np.pi)  # sin 2θ / 2θ, 1 at 0
    mixed = np.where(twice > 1e-12, (np.cos(twice) - 1.0) / np.where(twice > 1e-12, twice, 1.0), 0.0)
    along = source @ u
    cross = (along * mixed) @ across.T
    found: np.ndarray = ((along * (1.0 + share)) @ along.T + cross + cross.T + (across * (1.0 - share)) @ across.T) / 2
    return found


class GFK(Shallow):
    """Rows are compared by their inner products in all subspaces between the source's and the target's at once.

        xᵀ G x',   G = ∫₀¹ Φ(t) Φ(t)ᵀ dt,   both domains: x ↦ z(x) G^(½)

    Φ(t) leads from the source's k principal directions to the target's by the shortest way; z scales each domain by its
    own mean and spread.  The integral has a closed form in the principal angles.

    Source: B. Gong, Y. Shi, F. Sha and K. Grauman, "Geodesic Flow Kernel for Unsupervised Domain Adaptation", CVPR
    2012, equations 5 and 6.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> y = rng.integers(0, 2, 400)
        >>> x = rng.normal(size=(400, 4)) + 4 * y[:, None] * [1, 1, 0, 0]
        >>> moved = 3 * x + [5, -5, 0, 0]
        >>> GFK(dimensions=2).fit(x, y, target=moved).score(moved, y) > 0.95
        True
    """

    scikit_exempt: ClassVar[dict[str, str]] = Shallow.scikit_exempt | {
        "check_classifiers_train": "of two columns it keeps one direction, which may not tell the classes"
    }

    dimensions: int | None = redeclare(SubspaceAlignment, "dimensions", default=None)

    def solve(self, given: Samples) -> Solved:
        """Find the directions of both, and the kernel between them."""
        scales = [scale_of(x) for x in (given.source, given.target)]
        rows = [(x - mean) / spread for x, (mean, spread) in zip((given.source, given.target), scales, strict=True)]
        (source, variances), (target, _) = map(principal, rows)
        most = max(1, min(given.columns // 2, *(len(x) - 1 for x in rows)))
        k = dimensions_of(variances, self.dimensions, most)
        given.remark(f"{k:,} principal directions of each domain, of at most half the {given.columns:,} columns")
        root, zeros = power(geodesic_kernel(source[:, :k], target[:, :k]), 0.5), np.zeros(given.columns)
        return self.solved(given, Map(root, zeros).after(*scales[0]), Map(root, zeros).after(*scales[1]))
