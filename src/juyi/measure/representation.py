"""What features are worth, with few labels or none: neighbours, effective ranks, alignment and uniformity."""

from __future__ import annotations

import numpy as np

from juyi.errors import DataError, SettingError
from juyi.measure.checked import codes, matrix

AT_ONCE = 1_000
"""So many rows are compared with all neighbours at a time."""


def neighbour_scores(
    features: np.ndarray,
    label: np.ndarray,
    queries: np.ndarray,
    classes: int,
    *,
    k: int = 200,
    temperature: float = 0.1,
) -> np.ndarray:
    """Let the k nearest known rows vote for the class of each query, by their cosine c with it: Σ exp(c / τ).

    Args:
        features: of rows whose class is known, float, N×d.
        label: their codes, int, N.
        queries: features of other rows, float, M×d.
        classes: C.
        k: how many neighbours vote, at least 1; all where there are fewer.
        temperature: τ, above 0.

    Returns:
        The votes as shares, float64, M×C; the class of the largest is the answer.

    Raises:
        DataError: NaN, labels that are no codes, rows of another length.
        SettingError: k or τ is out of its range.

    Source: Wu et al., "Unsupervised Feature Learning via Non-Parametric Instance Discrimination", CVPR 2018,
    section 3.4; k = 200 and τ = .1 are those of Ye et al. 2019 for CIFAR-10.

    Example:
        >>> features = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]])
        >>> neighbour_scores(features, np.array([0, 0, 1]), np.array([[2.0, 0.1]]), 2, k=2).argmax(1)
        array([0])
    """
    if k < 1 or not temperature > 0:
        raise SettingError(f"k {k}, temperature {temperature:g}: give k from 1 on, and a temperature above 0")
    known, asked = matrix(features, "features"), np.atleast_2d(np.asarray(queries, np.float64))
    y = codes(label, len(known), "labels", classes, least_classes=1)
    if asked.shape[1] != known.shape[1] or not np.isfinite(asked).all():
        raise DataError(f"queries: rows of {known.shape[1]} finite numbers are needed, as the features have")
    known, asked = unit(known).astype(np.float32), unit(asked).astype(np.float32)
    k = min(k, len(known))
    votes = np.zeros((len(asked), classes))
    for start in range(0, len(asked), AT_ONCE):
        cosine = asked[start : start + AT_ONCE] @ known.T
        near = np.argpartition(-cosine, k - 1, axis=1)[:, :k]
        weight = np.exp((np.take_along_axis(cosine, near, 1).astype(np.float64) - 1.0) / temperature)
        for code in range(classes):
            votes[start : start + AT_ONCE, code] = (weight * (y[near] == code)).sum(1)
    shares: np.ndarray = votes / votes.sum(1, keepdims=True)
    return shares


def rank_me(features: np.ndarray) -> float:
    """Return RankMe, the effective rank of features: exp(−Σ p log p), p_k = σ_k / Σ σ + ε, of the singular values σ.

    It goes from 1, where all rows are multiples of one, to d.  It compares runs of one method; between methods it says
    little.

    Args:
        features: float, N×d, N ≥ 2; they are not centred.

    Source: Garrido et al., "RankMe: Assessing the Downstream Performance of Pretrained Self-Supervised Representations
    by Their Rank", ICML 2023, equation 1.

    Example:
        >>> round(rank_me(np.eye(4)), 3), round(rank_me(np.ones((4, 4))), 3)
        (4.0, 1.0)
    """
    x = matrix(features, "features")
    square = x.T @ x if len(x) > x.shape[1] else x @ x.T
    return _effective_rank(np.sqrt(np.clip(np.linalg.eigvalsh(square), 0.0, None)))


def lidar(views: np.ndarray, damping: float = 1e-4) -> float:
    """Return LiDAR: the effective rank of the directions in which images differ more than views of one image do.

    With the covariance S_b of the images' means and S_w, the mean covariance of the views about them (plus δ on its
    diagonal), it is the effective rank of S_w^−½ S_b S_w^−½.

    Args:
        views: float, N×q×d: q ≥ 2 views of each of N ≥ 2 images.
        damping: δ.

    Source: Thilak et al., "LiDAR: Sensing Linear Probing Performance in Joint Embedding SSL Architectures", ICLR 2024,
    section 4.

    Example:
        >>> images = np.repeat(np.array([[3.0, 0.0], [-3.0, 0.0], [0.0, 3.0], [0.0, -3.0]])[:, None], 2, 1)
        >>> round(lidar(images), 2)
        2.0
    """
    x = np.asarray(views, np.float64)
    if x.ndim != 3 or min(x.shape[:2]) < 2 or not np.isfinite(x).all():
        raise DataError(f"views: N×q×d finite numbers are needed, two images and two views at least, not {x.shape}")
    if x[..., 0].size < x.shape[2]:  # more features than rows: nothing differs outside the space that the rows span
        flat = x.reshape(-1, x.shape[2])
        x = (flat @ np.linalg.qr(flat.T)[0]).reshape(*x.shape[:2], -1)
    means = x.mean(1)
    between = np.cov(means, rowvar=False).reshape(x.shape[2], -1)
    apart = (x - means[:, None]).reshape(-1, x.shape[2])
    within = apart.T @ apart / (len(x) * (x.shape[1] - 1)) + damping * np.eye(x.shape[2])
    values, vectors = np.linalg.eigh(within)
    whitening = vectors / np.sqrt(values)
    return _effective_rank(np.clip(np.linalg.eigvalsh(whitening.T @ between @ whitening), 0.0, None))


def _effective_rank(values: np.ndarray) -> float:
    total = values.sum()
    if total <= 0:
        return 1.0
    p = values / total + 1e-7
    return float(np.exp(-(p * np.log(p)).sum()))


def alignment(first: np.ndarray, second: np.ndarray) -> float:
    """Return mean ‖f − f'‖² of two views of each image, of length 1: 0 where they are told alike, 2 where at random.

    Source: Wang and Isola, "Understanding Contrastive Representation Learning through Alignment and Uniformity on the
    Hypersphere", ICML 2020, equation 1 with α = 2.

    >>> alignment(np.array([[2.0, 0.0]]), np.array([[0.0, 5.0]]))
    2.0
    """
    return float(np.square(unit(first) - unit(second)).sum(1).mean())


def uniformity(features: np.ndarray) -> float:
    """Return log mean exp(−2 ‖f_i − f_j‖²) over every two rows, of length 1: 0 where all are alike, lower where spread.

    Source: Wang and Isola 2020, equation 2 with t = 2.

    >>> round(uniformity(np.array([[1.0, 0.0], [-1.0, 0.0]])), 3), abs(round(uniformity(np.ones((3, 2))), 6))
    (-8.0, 0.0)
    """
    x = unit(matrix(features, "features"))
    distance = np.clip(2.0 - 2.0 * x @ x.T, 0.0, None)[~np.eye(len(x), dtype=bool)]
    return float(np.log(np.exp(-2.0 * distance).mean()))


def cosine_agreement(first: np.ndarray, second: np.ndarray) -> float:
    """Return how alike two models' features of the same rows are: the mean over rows of cos(f − m, g − m).

    m is the mean of the first model's rows f.  Without it, features that all have a large part in common would be
    alike whatever rows they are of.

    Args:
        first: float, N×d.
        second: float, N×d, row by row of the same rows.

    Returns:
        1 where each row keeps its direction from the mean; about 0 where rows were swapped for others.

    Raises:
        DataError: NaN, or another shape.

    Example:
        >>> features = np.array([[9.0, 1.0], [9.0, -1.0]])
        >>> cosine_agreement(features, features), cosine_agreement(features, features[::-1])
        (1.0, -1.0)
    """
    one, other = matrix(first, "first"), matrix(second, "second")
    if one.shape != other.shape:
        raise DataError(f"second: has shape {other.shape}, but first {one.shape}; give features of the same rows")
    middle = one.mean(0)
    return float((unit(one - middle) * unit(other - middle)).sum(1).mean())


def unit(features: np.ndarray) -> np.ndarray:
    """Give each row the length 1; a row of zeros stays.

    >>> unit(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist()
    [[0.6, 0.8], [0.0, 0.0]]
    """
    length = np.linalg.norm(features, axis=-1, keepdims=True)
    found: np.ndarray = features / np.where(length > 0, length, 1.0)
    return found
