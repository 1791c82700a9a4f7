"""Which backbone: scores of how far the classes lie apart in its features, on a few labelled rows of the target."""

from __future__ import annotations

import numpy as np

from juyi.measure.checked import labelled_features
from juyi.measure.estimate import Estimate
from juyi.measure.jackknife import with_interval

COMPONENTS = 64
"""Principal components that GBC keeps, as its authors do."""
EPSILON = 1e-4
"""TransRate's distortion, as its authors set it, of features whose mean squared length is 1."""


def h_score(
    features: np.ndarray, label: np.ndarray, *, shrink: bool = True, seed: int = 0, confidence: float = 0.95
) -> Estimate:
    """Return the H-score: the share of the features' spread, over all directions, that is spread between classes.

    With Σ the covariance of the features and Σ_z that of their class means (each row replaced by its class's):

        H = tr(Σ⁻¹ Σ_z)                 H_α = (1 − α) tr(Σ_α⁻¹ Σ_z),   Σ_α = (1 − α) Σ + α (tr Σ / d) I

    It lies between 0 and C − 1.  With few rows and many features Σ cannot be inverted, or its inverse is noise: hence
    `shrink`, where α is Ledoit and Wolf's.

    Args:
        features: float, N×d: what the network makes of labelled rows of the target.
        label: int, N: their labels, from 0.
        shrink: H_α; otherwise H, with the pseudo-inverse.
        seed: of the groups of the interval.
        confidence: of the interval, strictly between 0 and 1.

    Returns:
        The score, higher is better.

    Raises:
        DataError: NaN, fewer than two rows, one class, constant features, labels that are no codes.

    Example:
        >>> x = np.array([[0.0], [1.0], [10.0], [11.0]])
        >>> round(h_score(x, np.array([0, 0, 1, 1]), shrink=False).value, 3)  # between: 25 of 25.25
        0.99

    Source: Bao et al., "An Information-Theoretic Approach to Transferability in Task Transfer Learning", ICIP 2019,
    definition 2; Ibrahim, Ponomareva and Mazumder, "Newer is not always better: Rethinking transferability metrics,
    their peculiarities, stability and performance", ECML PKDD 2022, definition 1 (H_α); Ledoit and Wolf, "A
    well-conditioned estimator for large-dimensional covariance matrices", Journal of Multivariate Analysis 88 (2004).
    """
    x, y = labelled_features(features, label)
    columns = x.shape[1]
    x = _turned(x)

    def score(rows: np.ndarray) -> float:
        return _h_score(x[rows], y[rows], columns, shrink)

    return with_interval("h_score", score, y, seed=seed, confidence=confidence)


def gbc(features: np.ndarray, label: np.ndarray, *, seed: int = 0, confidence: float = 0.95) -> Estimate:
    """Return the Gaussian Bhattacharyya coefficient: how much the classes overlap, as round normal clouds.

    Each class c becomes N(μ_c, σ_c² I) in the first 64 principal components, m of them:

        D_ij = ‖μ_i − μ_j‖² / 8σ² + m/2 ln(σ² / σ_i σ_j),   σ² = (σ_i² + σ_j²)/2
        GBC = −Σ_{i≠j} exp(−D_ij)

    From −C(C − 1), all classes alike, to 0, all apart.  A class of one row takes the spread that the others have on
    average.

    Args:
        features: float, N×d: what the network makes of labelled rows of the target.
        label: int, N: their labels, from 0.
        seed: of the groups of the interval.
        confidence: of the interval, strictly between 0 and 1.

    Returns:
        The score, higher is better.

    Raises:
        DataError: NaN, fewer than two rows, one class, constant features, labels that are no codes.

    Example:
        >>> x = np.array([[0.0], [2.0], [4.0], [6.0]])  # variances 1, means 1 and 5: exp(−16/8), counted twice
        >>> round(gbc(x, np.array([0, 0, 1, 1])).value, 4), round(-2 * float(np.exp(-2)), 4)
        (-0.2707, -0.2707)

    Source: Pándy, Agostinelli, Uijlings, Ferrari and Mensink, "Transferability Estimation using Bhattacharyya Class
    Separability", CVPR 2022, section 3 (spherical covariance, which they found best).
    """
    x, y = labelled_features(features, label)
    x = _turned(x)[:, -COMPONENTS:]

    def score(rows: np.ndarray) -> float:
        return _gbc(x[rows], y[rows])

    return with_interval("gbc", score, y, seed=seed, confidence=confidence)


def trans_rate(features: np.ndarray, label: np.ndarray, *, seed: int = 0, confidence: float = 0.95) -> Estimate:
    """Return TransRate: how many nats of code the classes save, an estimate of the features' information on labels.

    With Z the centred features, brought to a mean squared length of 1 (so that their unit does not matter), and R the
    rate of a code that may be off by ε:

        R(Z) = ½ ln det(I + ZᵀZ / nε),   TransRate = R(Z) − Σ_c n_c/n R(Z_c),   ε = 10⁻⁴

    Z_c are the rows of a class, not centred anew.  So two classes of equal size and shape score 0 however far apart
    they lie, each being the mirror image of the other: compare networks by another score where there are two classes.

    Args:
        features: float, N×d: what the network makes of labelled rows of the target.
        label: int, N: their labels, from 0.
        seed: of the groups of the interval.
        confidence: of the interval, strictly between 0 and 1.

    Returns:
        The score, at least 0, higher is better, in nats.

    Raises:
        DataError: NaN, fewer than two rows, one class, constant features, labels that are no codes.

    Example:
        >>> random = np.random.default_rng(0)
        >>> label = np.arange(90) % 3
        >>> good = random.normal(size=(90, 3)) + 5 * np.eye(3)[label]
        >>> trans_rate(good, label).value > trans_rate(random.normal(size=(90, 3)), label).value
        True

    Source: Huang, Huang, Rong, Yang and Wei, "Frustratingly Easy Transferability Estimation", ICML 2022, section 4 and
    the listing of its appendix.
    """
    x, y = labelled_features(features, label)
    x = _turned(x)

    def score(rows: np.ndarray) -> float:
        z = x[rows] - x[rows].mean(0)
        z = z / np.sqrt((z * z).sum() / len(z))
        parts = [z[y[rows] == k] for k in np.unique(y[rows])]
        return _rate(z) - sum(len(part) / len(z) * _rate(part) for part in parts)

    return with_interval("trans_rate", score, y, seed=seed, confidence=confidence, unit="nats")


def _turned(x: np.ndarray) -> np.ndarray:
    """Centre rows and turn them to their principal components, the largest last; empty ones are left out."""
    x = x - x.mean(0)
    if x.shape[1] <= len(x):
        values, vectors = np.linalg.eigh(x.T @ x)
        found = x @ vectors
    else:
        values, vectors = np.linalg.eigh(x @ x.T)
        found = vectors * np.sqrt(np.maximum(values, 0.0))
    kept: np.ndarray = found[:, values > 1e-12 * values[-1]]
    return kept


def _h_score(x: np.ndarray, y: np.ndarray, columns: int, shrink: bool) -> float:
    """Return the H-score of rows, given in as many columns as they fill; `columns` is how many they had."""
    n = len(x)
    x = x - x.mean(0)
    covariance = x.T @ x / n
    means = np.stack([x[y == k].mean(0) * np.sqrt((y == k).mean()) for k in np.unique(y)])
    if not shrink:
        return float((means @ np.linalg.pinv(covariance, hermitian=True) * means).sum())
    mean_variance = np.trace(covariance) / columns
    apart = float((covariance**2).sum()) - columns * mean_variance**2
    noise = float(((x * x).sum(1) ** 2).sum() / n - (covariance**2).sum()) / n
    alpha = 0.0 if noise <= 0 else min(1.0, noise / max(apart, 1e-300))
    shrunk = (1 - alpha) * covariance + alpha * mean_variance * np.eye(len(covariance))
    return float((1 - alpha) * (means @ np.linalg.pinv(shrunk, hermitian=True) * means).sum())


def _gbc(x: np.ndarray, y: np.ndarray) -> float:
    """Return minus the sum of the Bhattacharyya coefficients of all ordered pairs of classes."""
    classes, count = np.unique(y, return_counts=True)
    means = np.stack([x[y == k].mean(0) for k in classes])
    variance = np.array([x[y == k].var(0).mean() for k in classes])
    several = count > 1
    usual = float(variance[several].mean()) if several.any() else 0.0
    variance = np.where(several, variance, usual)
    variance = np.maximum(variance, 1e-9 * float((x * x).mean()))
    shared = (variance[:, None] + variance) / 2
    squares = ((means[:, None] - means) ** 2).sum(2)
    overlap = x.shape[1] / 2 * (np.log(shared) - np.log(variance[:, None] * variance) / 2)
    coefficient = np.exp(-squares / (8 * shared) - overlap)
    return -float(coefficient.sum() - len(classes))


def _rate(z: np.ndarray) -> float:
    """Return ½ ln det(I + ZᵀZ / nε), through the smaller of ZᵀZ and ZZᵀ."""
    gram = z @ z.T if len(z) < z.shape[1] else z.T @ z
    return float(np.linalg.slogdet(np.eye(len(gram)) + gram / (len(z) * EPSILON))[1]) / 2
