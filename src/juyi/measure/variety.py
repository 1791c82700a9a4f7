"""How varied rows are within a class, and whether their soft answers relate the classes as those of real rows do."""

from __future__ import annotations

import numpy as np
from scipy.special import softmax

from juyi.errors import DataError, SettingError
from juyi.measure.bootstrap import bootstrap_interval
from juyi.measure.estimate import Estimate
from juyi.measure.representation import unit

ROWS = 500
"""So many rows of a class are compared at most: every two of them are."""


def pairwise_distance(features: np.ndarray) -> float:
    """Return the mean cosine distance, 1 − cos, of every two rows of N×d features, N ≥ 2: 0 where all are alike.

    >>> round(pairwise_distance(np.array([[1.0, 0.0], [2.0, 0.0], [0.0, 3.0]])), 3)
    0.667
    """
    rows = unit(features)
    n = len(rows)
    total = np.square(rows.sum(0)).sum() - np.square(rows).sum()  # Σ_{i≠j} cos
    return float(1 - total / (n * (n - 1)))


def vendi_score(features: np.ndarray) -> float:
    """Return exp(−Σ λ log λ), λ the eigenvalues of K / N, K the cosines of N×d features: how many rows there are truly.

    It is 1 where all rows are alike, and N where they are all at right angles.

    Source: Friedman and Dieng, "The Vendi Score: A Diversity Evaluation Metric for Machine Learning", TMLR 2023,
    definition 3.1.

    >>> round(vendi_score(np.eye(4)), 6), round(vendi_score(np.ones((4, 2))), 6)
    (4.0, 1.0)
    """
    rows = unit(features)
    # K and the d×d product of the rows have the same eigenvalues but for zeros.
    product = rows @ rows.T if len(rows) < rows.shape[1] else rows.T @ rows
    values = np.clip(np.linalg.eigvalsh(product) / len(rows), 0.0, None)
    kept = values[values > 1e-12]
    return float(np.exp(-(kept * np.log(kept)).sum()))


def variety_within(
    features: np.ndarray, label: np.ndarray, classes: int, *, rows: int = ROWS, confidence: float = 0.95, seed: int = 0
) -> dict[str, Estimate]:
    """Measure how varied the rows of a class are, on average over the classes that have two or more.

    Args:
        features: N×d, such as a teacher's: what differs in them differs for it.
        label: int, N: the class of each row.
        classes: C.
        rows: of each class at most so many are compared, drawn by the seed.  The Vendi score grows with their number,
            so compare sets at the same.
        confidence: of the intervals, which come from drawing classes anew (of few classes they are wide).
        seed: which rows, and the draws.

    Returns:
        `distance`, the mean cosine distance of every two rows of a class, 0 to 2, and `vendi`, their effective number.

    Raises:
        DataError: the arrays do not fit each other, or fewer than two classes have two rows.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> label = np.repeat([0, 1], 50)
        >>> tight, loose = (np.eye(2)[label] * 5 + s * rng.normal(size=(100, 2)) for s in (0.1, 2.0))
        >>> one, other = (variety_within(f, label, 2)["distance"].value for f in (tight, loose))
        >>> one < 0.01 < other
        True
    """
    features, label = np.asarray(features, np.float64), np.asarray(label)
    if features.ndim != 2 or label.shape != (len(features),):
        raise DataError(f"variety: features {features.shape} and labels {label.shape} do not fit; give N×d and N")
    if rows < 2:
        raise SettingError(f"rows: {rows} is fewer than 2, and variety is between rows; give more")
    rng = np.random.default_rng(seed)
    found = []
    for code in range(classes):
        own = np.flatnonzero(label == code)
        if len(own) > 1:
            own = rng.choice(own, min(rows, len(own)), replace=False)
            found.append((pairwise_distance(features[own]), vendi_score(features[own])))
    if len(found) < 2:
        raise DataError("variety: fewer than two classes have two rows; make more rows")
    return {
        name: bootstrap_interval(np.mean, np.array(values), name=f"variety_{name}", confidence=confidence, seed=seed)
        for name, values in zip(("distance", "vendi"), zip(*found, strict=True), strict=True)
    }


def mean_answers(scores: np.ndarray, temperature: float = 20.0) -> np.ndarray:
    """Return the mean softened answer to the rows of each class, C×C; a class that is never answered gives NaN.

    Args:
        scores: logits of a teacher, N×C; a row's class is the largest.
        temperature: T, above 0.

    >>> mean_answers(np.array([[2.0, 0.0], [0.0, 2.0]]), 2.0).round(3).tolist()
    [[0.731, 0.269], [0.269, 0.731]]
    """
    scores = np.asarray(scores, np.float64)
    if scores.ndim != 2 or scores.shape[1] < 2:
        raise DataError(f"scores of shape {scores.shape} are not of two or more classes; give N×C")
    if not temperature > 0:
        raise SettingError(f"temperature: {temperature} is not above 0; 20 is usual here")
    answers, label = softmax(scores / temperature, axis=1), scores.argmax(1)
    found = np.full((scores.shape[1],) * 2, np.nan)
    for code in np.unique(label):
        found[code] = answers[label == code].mean(0)
    return found


def class_relation(
    scores: np.ndarray, reference: np.ndarray, temperature: float = 20.0, confidence: float = 0.95, seed: int = 0
) -> Estimate:
    """Measure whether rows relate the classes as real ones do: the correlation of both mean answers, off the diagonal.

    Within each class its mean is taken away first, so that only which other class is how near counts, and not how sure
    the teacher is of a class.

    Args:
        scores: logits of a teacher for the rows, N×C.
        reference: the same teacher's for real rows, M×C.
        temperature: T, above 0, at which answers are softened.
        confidence: of the interval, which comes from drawing whole classes anew.
        seed: the draws.

    Returns:
        Pearson's correlation, −1 to 1: 1 where every class is related to the others as in real rows, 0 where nothing
        is.

    Raises:
        DataError: there are fewer than three classes that both hold, or the classes are not equally many.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> relation = rng.normal(size=(5, 5)) + 9 * np.eye(5)
        >>> real, made = (relation[rng.integers(5, size=400)] + rng.normal(size=(400, 5)) for _ in range(2))
        >>> class_relation(made, real).value > 0.9
        True
    """
    one, other = mean_answers(scores, temperature), mean_answers(reference, temperature)
    if one.shape != other.shape:
        raise DataError(
            f"class_relation: {one.shape[0]} classes and {other.shape[0]}; give one teacher's scores of both"
        )
    held = ~(np.isnan(one[:, 0]) | np.isnan(other[:, 0]))
    count = len(one)
    if held.sum() < 3 or count < 3:
        raise DataError("class_relation: needs three classes that both sets hold; make more rows")
    others = ~np.eye(count, dtype=bool)
    pairs = np.stack([[_centred(m[code][others[code]]) for code in np.flatnonzero(held)] for m in (one, other)], axis=2)
    return bootstrap_interval(
        _correlation, pairs, name="class_relation", confidence=confidence, seed=seed, resamplings=1_000
    )


def _centred(row: np.ndarray) -> np.ndarray:
    centred: np.ndarray = row - row.mean()
    return centred


def _correlation(pairs: np.ndarray) -> float:
    one, other = pairs[..., 0].ravel(), pairs[..., 1].ravel()
    size = np.sqrt(np.square(one).sum() * np.square(other).sum())
    return float((one * other).sum() / size) if size > 0 else 0.0
