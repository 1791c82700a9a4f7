"""A map of two domains' features in the plane, on which one sees whether they lie apart or together."""

from __future__ import annotations

from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from juyi.errors import DataError

DIMENSIONS = 50
PERPLEXITY = 30.0
EARLY, LATE = 120, 300


def joint_map(features: np.ndarray, seed: int) -> np.ndarray:
    """Lay features out in the plane so that neighbours stay neighbours (t-SNE).

    Features of source and target are given together, so that both lie on one map.  They are reduced to their first
    50 principal components, the map starts at the first two of them (so it keeps the large-scale layout and does
    not depend on luck), and t-SNE then minimises KL(P‖Q), with p a Gaussian and q a Student similarity, first with
    p exaggerated 12 times.  Distances between far groups mean little, and a map is no verdict.

    Args:
        features: float, N×d, N at least 5, finite.
        seed: decides the little noise that parts rows which coincide; the same seed gives the same bits.

    Returns:
        float32, N×2, centred.

    Raises:
        DataError: there are fewer than 5 rows, or a feature is not finite.

    Example:
        >>> two_groups = np.repeat([[0.0] * 8, [9.0] * 8], 20, axis=0) + np.random.default_rng(0).normal(size=(40, 8))
        >>> points = joint_map(two_groups, seed=0)
        >>> points.shape, str(points.dtype)
        ((40, 2), 'float32')
        >>> gap = np.linalg.norm(points[:20].mean(0) - points[20:].mean(0))
        >>> bool(gap > 2 * points[:20].std())
        True

    Source:
        L. van der Maaten and G. Hinton, "Visualizing data using t-SNE", JMLR 9 (2008), eq. 3-5.
        D. Kobak and P. Berens, "The art of using t-SNE for single-cell transcriptomics", Nature Communications 10
        (2019): start from principal components, learning rate N/12.
        P. Poličar et al., "openTSNE: a modular Python library for t-SNE", Journal of Statistical Software 109 (2024).
    """
    x = np.asarray(features, np.float64)
    if x.ndim != 2 or len(x) < 5:
        raise DataError(f"a map needs features N×d of at least 5 rows, not {x.shape}")
    if not np.isfinite(x).all():
        raise DataError("a feature is not finite, so there is no map; the network may have diverged")
    # One thread: with more, sums run in an order that changes, and on busy cores threads cost seconds of waiting.
    with threadpool_limits(limits=1):
        x = principal_components(x, min(DIMENSIONS, *x.shape))
        points = np.asarray(neighbour_embedding(x, seed), np.float64)
    return np.asarray(points - points.mean(0), np.float32)


def neighbour_embedding(x: np.ndarray, seed: int) -> Any:
    """Run t-SNE on components, N×k; rows fewer than 120 are exaggerated less, lest they fall into one point."""
    from openTSNE import TSNEEmbedding  # here, since it takes half a second to import
    from openTSNE.affinity import PerplexityBasedNN

    perplexity = min(PERPLEXITY, (len(x) - 1) / 3)
    exaggeration = min(12.0, max(1.0, len(x) / 10))
    affinities = PerplexityBasedNN(x, perplexity=perplexity, method="exact", n_jobs=1, random_state=seed)
    embedding = TSNEEmbedding(
        starting_points(x, seed), affinities, negative_gradient_method="bh", n_jobs=1, random_state=seed
    )
    embedding.optimize(n_iter=EARLY, exaggeration=exaggeration, momentum=0.5, inplace=True)
    embedding.optimize(n_iter=LATE, momentum=0.8, inplace=True)
    return embedding


def principal_components(x: np.ndarray, count: int) -> np.ndarray:
    """Project centred rows on their first principal directions, signs fixed by the largest loading.

    Args:
        x: float64, N×d.
        count: how many components, at most min(N, d).

    Returns:
        float64, N×count.

    Example:
        >>> principal_components(np.array([[0.0, 0.0], [3.0, 4.0]]), 1).round(3).tolist()
        [[-2.5], [2.5]]
    """
    centred = x - x.mean(0)
    if len(x) > x.shape[1]:
        _, vectors = np.linalg.eigh(centred.T @ centred)
        directions = vectors[:, ::-1][:, :count].T
    else:
        directions = np.linalg.svd(centred, full_matrices=False)[2][:count]
    signs = np.sign(directions[np.arange(len(directions)), np.abs(directions).argmax(1)])
    projected: np.ndarray = centred @ (directions * signs[:, None]).T
    return projected


def starting_points(components: np.ndarray, seed: int) -> np.ndarray:
    """Take the first two components, scaled to a spread of 1e-4, with a hundredth of that as noise.

    The noise parts rows that coincide, which t-SNE could not part by itself.
    """
    plane = np.zeros((len(components), 2))
    plane[:, : min(2, components.shape[1])] = components[:, :2]
    spread = plane[:, 0].std()
    plane /= spread if spread > 0 else 1.0
    noise = np.random.default_rng(seed).normal(size=plane.shape)
    scaled: np.ndarray = 1e-4 * (plane + 0.01 * noise)
    return scaled
