"""Which source, which backbone: scores of features or predictions on a few labelled rows of the target.

Each says how well a linear classifier could do on what a network makes of the target, without training one.  Only the
order of several networks on the same rows means something; the figures of different scores, or of different rows,
cannot be compared.
"""

from __future__ import annotations

import numpy as np

from juyi.errors import DataError
from juyi.measure.checked import codes, labelled_features, matrix
from juyi.measure.estimate import Estimate
from juyi.measure.jackknife import with_interval

DECADES = 8
"""How far above and below the largest eigenvalue the ratio of precisions is sought."""


def log_me(features: np.ndarray, label: np.ndarray, *, seed: int = 0, confidence: float = 0.95) -> Estimate:
    """Return LogME: the logarithm of the evidence of a Bayesian linear model from features to labels, a row and class.

    For each class, y is 1 on its rows and 0 on the others, and y = F w + noise, with w ~ N(0, α⁻¹ I) and the noise
    N(0, β⁻¹).  The weights are integrated out; α and β are those of the largest evidence:

        LogME = 1/C Σ_y max_{α,β} 1/N ln p(y | F, α, β)

    With t = α/β, the eigenvalues s_i of FᵀF and z_i = y's share along them, β has a closed form, and what is left to
    maximise is a function of one number, which a grid does that is refined twice:

        ln p = N/2 ln(N / 2πQ) − N/2 − ½ Σ ln(1 + s_i/t),   Q = ‖y‖² − Σ s_i z_i² / (s_i + t)

    (The authors iterate α and β in turn; where the features say nothing or everything that runs off to infinity.)

    Args:
        features: float, N×d: what the network makes of labelled rows of the target.
        label: int, N: their labels, from 0.
        seed: of the groups of the interval.
        confidence: of the interval, strictly between 0 and 1.

    Returns:
        The score, higher is better, in nats a row.

    Raises:
        DataError: NaN, fewer than two rows, one class, constant features, labels that are no codes.

    Example:
        >>> random = np.random.default_rng(0)
        >>> label = np.arange(100) % 2
        >>> good = random.normal(size=(100, 3)) + 3 * label[:, None]
        >>> log_me(good, label).value > log_me(random.normal(size=(100, 3)), label).value
        True

    Source: You, Liu, Wang and Long, "LogME: Practical Assessment of Pre-trained Models for Transfer Learning", ICML
    2021, section 4.
    """
    x, y = labelled_features(features, label)
    x = _without_empty_directions(x)

    def score(rows: np.ndarray) -> float:
        return _evidence(x[rows], y[rows])

    return with_interval("log_me", score, y, seed=seed, confidence=confidence, unit="nats")


def leep(probabilities: np.ndarray, label: np.ndarray, *, seed: int = 0, confidence: float = 0.95) -> Estimate:
    """Return LEEP: how likely the labels are under what the source's head says, read through the joint frequencies.

    θ(x)_z is the network's probability of the source class z on a row of the target.  The rows give the joint
    frequencies of z and the label, and these an "expected empirical predictor", which is then judged on the rows:

        P(y, z) = 1/N Σ_{i: y_i = y} θ(x_i)_z,   P(y | z) = P(y, z) / Σ_y P(y, z)
        LEEP = 1/N Σ_i ln Σ_z P(y_i | z) θ(x_i)_z

    Args:
        probabilities: float, N×Z: the source classes' probabilities on labelled rows of the target.
        label: int, N: the labels, from 0.
        seed: of the groups of the interval.
        confidence: of the interval, strictly between 0 and 1.

    Returns:
        The score, at most 0, higher is better, in nats a row.

    Raises:
        DataError: NaN, no probabilities, fewer than two rows, one class, labels that are no codes.

    Example:
        >>> label = np.array([0, 0, 1, 1])
        >>> leep(np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]), label).value
        0.0
        >>> round(leep(np.full((4, 2), 0.5), label).value, 4)  # says nothing: −ln 2
        -0.6931

    Source: Nguyen, Hassner, Seeger and Archambeau, "LEEP: A New Measure to Evaluate Transferability of Learned
    Representations", ICML 2020, section 3.
    """
    p = matrix(probabilities, "probabilities of the source classes")
    y = codes(label, len(p), "labels")
    if (p < 0).any() or (np.abs(p.sum(1) - 1) > 1e-3).any():
        raise DataError("probabilities of the source classes: each row must be at least 0 and sum to 1")

    def score(rows: np.ndarray) -> float:
        joint = np.zeros((int(y.max()) + 1, p.shape[1]))
        np.add.at(joint, y[rows], p[rows])
        conditional = joint / np.maximum(joint.sum(0), 1e-300)
        likely = (conditional[y[rows]] * p[rows]).sum(1)
        return float(np.log(np.maximum(likely, 1e-300)).mean())

    return with_interval("leep", score, y, seed=seed, confidence=confidence, unit="nats")


def nce(prediction: np.ndarray, label: np.ndarray, *, seed: int = 0, confidence: float = 0.95) -> Estimate:
    """Return the negative conditional entropy of the labels, given what the source's head predicts: −H(Y | Z).

        NCE = Σ_{y,z} P(y, z) ln (P(y, z) / P(z))

    Args:
        prediction: int, N: the source class that the network predicts on labelled rows of the target.
        label: int, N: the labels, from 0.
        seed: of the groups of the interval.
        confidence: of the interval, strictly between 0 and 1.

    Returns:
        The score, at most 0, higher is better, in nats a row.

    Raises:
        DataError: fewer than two rows, one class, predictions or labels that are no codes.

    Example:
        >>> nce(np.array([3, 3, 5, 5]), np.array([0, 0, 1, 1])).value  # each prediction means one label
        0.0

    Source: Tran, Nguyen and Hassner, "Transferability and Hardness of Supervised Classification Tasks", ICCV 2019,
    equation 7 (there the source's labels of the same rows; here, as LEEP's authors do, what its network predicts).
    """
    z = codes(prediction, len(np.atleast_1d(prediction)), "predictions", least_classes=1)
    y = codes(label, len(z), "labels")

    def score(rows: np.ndarray) -> float:
        joint = np.zeros((int(y.max()) + 1, int(z.max()) + 1))
        np.add.at(joint, (y[rows], z[rows]), 1 / len(rows))
        there = joint > 0
        conditional = (joint / np.where(there.any(0), joint.sum(0), 1.0))[there]
        return float((joint[there] * np.log(conditional)).sum())

    return with_interval("nce", score, y, seed=seed, confidence=confidence, unit="nats")


def _without_empty_directions(x: np.ndarray) -> np.ndarray:
    """Turn rows of more columns than rows so that the empty directions can be left out; lengths and angles stay."""
    if x.shape[1] <= len(x):
        return x
    values, vectors = np.linalg.eigh(x @ x.T)
    found: np.ndarray = vectors * np.sqrt(np.maximum(values, 0.0))
    return found


def _evidence(x: np.ndarray, y: np.ndarray) -> float:
    """Return the largest evidence, a row, averaged over the classes that occur."""
    one_hot = (y[:, None] == np.unique(y)).astype(np.float64)
    s, vectors = np.linalg.eigh(x.T @ x)
    kept = s > 1e-12 * max(float(s[-1]), 1e-300)
    s = s[kept]
    along = (vectors[:, kept].T @ (x.T @ one_hot)) ** 2 / s[:, None]
    lengths = one_hot.sum(0)

    def log_evidence(t: np.ndarray) -> np.ndarray:
        """Of each class, T×C, at the ratios t, T×C."""
        ratio = s[:, None, None] / (s[:, None, None] + t)
        left = np.maximum(lengths - (ratio * along[:, None]).sum(0), 1e-12 * lengths)
        spread = -np.log1p(-ratio).sum(0)
        n = len(y)
        found: np.ndarray = (n * np.log(n / (2 * np.pi * left)) - n - spread) / 2
        return found

    centre, reach = np.full(len(lengths), np.log(s[-1])), DECADES * np.log(10)
    for _ in range(3):
        tried = centre + np.linspace(-reach, reach, 65)[:, None]
        value = log_evidence(np.exp(tried))
        best = value.argmax(0)
        centre, reach = tried[best, np.arange(len(lengths))], reach / 32
    return float(value.max(0).mean() / len(y))
