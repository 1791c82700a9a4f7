"""Which rows to label first: a typical one of each cluster."""

from __future__ import annotations

import numpy as np
from sklearn.cluster import KMeans, MiniBatchKMeans
from threadpoolctl import threadpool_limits

from juyi.errors import SettingError
from juyi.measure.checked import matrix
from juyi.measure.representation import unit

NEIGHBOURS = 20
LARGE = 20_000
"""From so many rows on, clusters are found from batches of them."""


def typical_rows(features: np.ndarray, count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Choose rows to label: of each of `count` clusters the most typical, those of the largest clusters first.

    Rows are brought to length 1 and parted by k-means.  A row's typicality is one over its mean distance to its nearest
    20 rows of the same cluster.

    Args:
        features: float, N×d.
        count: how many rows, from 1 to N.
        seed: of k-means.

    Returns:
        The numbers of the rows, int64, `count`; and how many rows the cluster of each has.

    Raises:
        DataError: NaN, fewer than two rows.
        SettingError: there are not so many rows.

    Source: Hacohen, Dekel and Weinshall, "Active Learning on a Budget: Opposite Strategies Suit High and Low Budgets",
    ICML 2022, section 3 (TypiClust), equation 4.

    Example:
        >>> rows = np.array([[9.0, 1.0], [9.0, 1.1], [9.0, 1.2], [1.0, 9.0], [1.0, 9.1]])
        >>> typical_rows(rows, 2)[0].tolist() in ([1, 3], [1, 4])
        True
    """
    x = unit(matrix(features, "features"))
    if not 1 <= count <= len(x):
        raise SettingError(f"--suggest {count}: give a number from 1 to {len(x):,}, the rows that there are")
    kind = MiniBatchKMeans if len(x) >= LARGE else KMeans
    with threadpool_limits(limits=1):  # sums in an order that does not change
        cluster = kind(count, n_init=3, random_state=seed % 2**32).fit_predict(x)
    chosen, sizes = [], []
    for number in range(count):
        rows = np.flatnonzero(cluster == number)
        if not len(rows):
            continue
        chosen.append(rows[_typicality(x[rows]).argmax()])
        sizes.append(len(rows))
    found, size = np.array(chosen, np.int64), np.array(sizes, np.int64)
    order = np.lexsort((found, -size))
    return found[order], size[order]


def _typicality(x: np.ndarray) -> np.ndarray:
    """One over the mean distance to the nearest rows, N; some rows at a time, since all pairs would fill the memory."""
    near = min(NEIGHBOURS, len(x) - 1)
    if not near:
        return np.ones(1)
    found = []
    for start in range(0, len(x), 1_000):
        distance = np.sqrt(np.clip(2.0 - 2.0 * x[start : start + 1_000] @ x.T, 0.0, None))
        nearest = np.partition(distance, near, axis=1)[:, : near + 1].sum(1) / near  # its own distance is 0
        found.append(1.0 / np.maximum(nearest, 1e-12))
    return np.concatenate(found)
