"""CCA: directions of either side that go together, in pairs of rows or in the means of the classes."""

from __future__ import annotations

import numpy as np

from juyi.adapt.covariances import power, shrunk
from juyi.adapt.heterogeneous.base import Heterogeneous, Space, TwoKinds
from juyi.errors import DataError
from juyi.training.hyperparameters import hyperparameter


def canonical_directions(
    c_source: np.ndarray, c_target: np.ndarray, c_both: np.ndarray, shrinkage: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return directions A, B and correlations ρ with Aᵀ C̃_s A = Bᵀ C̃_t B = 1 and Aᵀ C_st B = diag ρ, ρ falling.

    C̃ = (1 − κ) C + κ tr(C)/d · 1.  With C̃^(−½) C_st C̃^(−½) = U diag ρ Vᵀ they are A = C̃_s^(−½) U, B = C̃_t^(−½) V.

    Args:
        c_source: covariance of the source, d×d.
        c_target: covariance of the target, e×e.
        c_both: covariance between the two, d×e.
        shrinkage: κ, 0 to 1.

    Example:
        >>> c = np.diag([4.0, 1.0])
        >>> canonical_directions(c, c, c, 0.0)[2].round(6).tolist()
        [1.0, 1.0]

    Source: H. Hotelling, "Relations between two sets of variates", Biometrika 1936; shrunk: H. D. Vinod, 1976.
    """
    root_source, root_target = (power(shrunk(c, shrinkage), -0.5, least=1e-10) for c in (c_source, c_target))
    u, correlation, v = np.linalg.svd(root_source @ c_both @ root_target, full_matrices=False)
    return root_source @ u, root_target @ v.T, correlation


class CCA(Heterogeneous):
    """Canonical correlation analysis, guided by labels or by pairs: the directions of both sides that go together.

    Of pairs the rows' own products are averaged, C_st = mean x zᵀ over pairs; without pairs those of the means of the
    classes, C_st = Σ_c p_c x̄_c z̄_cᵀ, over the classes with target labels, p_c the source's shares.  C_s and C_t are
    of all rows, so unlabelled target rows help.  Each direction counts by its correlation.

    H. Hotelling, "Relations between two sets of variates", 1936; by classes: N. Rasiwasia et al., "Cluster Canonical
    Correlation Analysis", AISTATS 2014.

    Example:
        >>> from juyi.data import as_domain
        >>> rng = np.random.default_rng(0)
        >>> y = np.arange(90) % 3
        >>> there, here = (3 * np.eye(3)[y] @ rng.normal(size=(3, d)) + rng.normal(size=(90, d)) for d in (5, 8))
        >>> few = [label if row < 9 else None for row, label in enumerate(y)]
        >>> CCA().fit(there, y, target=as_domain(here, few)).score(here, y) > 0.9
        True
    """

    shrinkage: float = hyperparameter(
        default=0.6, help="of covariances towards a multiple of the identity, 0 to 1", low=0.0, high=1.0
    )

    def spaces(self, given: TwoKinds) -> tuple[np.ndarray, Space]:
        """Canonical variates, each times its correlation."""
        x, z = given.source, given.target
        x_mean, z_mean = x.mean(0), z.mean(0)
        if len(given.pairs):
            left, right = x[given.pairs[:, 0]] - x_mean, z[given.pairs[:, 1]] - z_mean
            both, most = left.T @ right / len(left), min(len(left), x.shape[1], z.shape[1])
        else:
            known = [c for c in np.unique(given.target_labels[given.labelled]) if (given.labels == c).any()]
            share = np.array([(given.labels == c).mean() for c in known])
            left = np.stack([x[given.labels == c].mean(0) for c in known]) - x_mean
            right = np.stack([z[given.labelled & (given.target_labels == c)].mean(0) for c in known]) - z_mean
            both, most = (left * share[:, None]).T @ right, min(len(known), x.shape[1], z.shape[1])
        c_source, c_target = (np.cov(side.T, bias=True).reshape(side.shape[1], -1) for side in (x, z))
        a, b, correlation = canonical_directions(c_source, c_target, both, self.shrinkage)
        kept = correlation[:most] > 1e-9 * max(correlation[0], 1e-300)
        if not kept.any():
            raise DataError(
                "no direction of the source goes together with one of the target; give more labels, or pairs"
            )
        a, b = (part[:, :most][:, kept] * correlation[:most][kept] for part in (a, b))
        given.remarks.append(f"{kept.sum()} directions go together")
        return (x - x_mean) @ a, (b, -z_mean @ b)
