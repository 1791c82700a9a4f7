"""Accuracy without labels: estimates for a model as it was trained, and what bounds that of one that has adapted."""

from __future__ import annotations

import numpy as np
from scipy.special import softmax

from juyi.errors import DataError
from juyi.measure.estimate import Estimate
from juyi.measure.intervals import normal_quantile
from juyi.measure.label_shift import fit_temperature

_TRANSPORT_ROWS = 5_000
_ASSUMES = "the interval covers the drawing of rows, not the assumption that confidence means there what it means here"


def average_thresholded_confidence(
    scores_source: np.ndarray, label_source: np.ndarray, scores_target: np.ndarray, confidence: float = 0.95
) -> Estimate:
    """Estimate a model's accuracy on unlabelled rows by the share of them on which it is sure enough (ATC).

    The threshold t is such that on held-out source rows the share above it is the accuracy there; with the negative
    entropy of the temperature-scaled probabilities as certainty s,

        P_source(s > t) = accuracy on the source,   estimate = P_target(s > t)

    It is made for a model that has learnt from the source alone.  An adapted model is sure of what it has adapted to,
    right or wrong, and this takes it for right.

    Args:
        scores_source: float, N×C: logits of labelled source rows that the model has not learnt from.
        label_source: int, N: their labels.
        scores_target: float, M×C: logits of the target's rows.
        confidence: of the interval, strictly between 0 and 1.

    Returns:
        The accuracy, 0 to 1.  The interval has the binomial error of the target's share and that of the source's
        accuracy, which sets the threshold.

    Raises:
        DataError: a side has no rows, the classes are not equally many, or a score is not finite.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> y = rng.integers(2, size=4000)
        >>> scores = np.outer(2 * y - 1 + rng.normal(size=4000), [-1, 1])  # one feature, classes 2 apart
        >>> nearer = scores * 0.5  # rows that lie nearer to the boundary
        >>> [round(average_thresholded_confidence(scores, y, z).value, 2) for z in (scores, nearer)]
        [0.85, 0.69]

    Source: Garg, Balakrishnan, Lipton, Neyshabur and Sedghi, "Leveraging Unlabeled Data to Predict
    Out-of-Distribution Performance", ICLR 2022, equation 3.
    """
    source, label, target = _checked(scores_source, label_source, scores_target)
    accuracy = float((source.argmax(1) == label).mean())
    temperature = fit_temperature(source, label)
    sure_source, sure_target = (_certainty(z / temperature) for z in (source, target))
    value = float((sure_target > _threshold(sure_source, accuracy)).mean())
    # How much the share moves where the accuracy at the source, and so the threshold, is off by its own error.
    error = np.sqrt(accuracy * (1 - accuracy) / len(source))
    moved = [(sure_target > _threshold(sure_source, min(1.0, max(0.0, accuracy + s * error)))).mean() for s in (-1, 1)]
    spread = np.hypot(np.sqrt(value * (1 - value) / len(target)), abs(moved[1] - moved[0]) / 2)
    note = f"by the share of rows on which the model is sure enough; {_ASSUMES}"
    return _estimate("average_thresholded_confidence", value, spread, len(source), len(target), confidence, note)


def confidence_transport(
    scores_source: np.ndarray,
    label_source: np.ndarray,
    scores_target: np.ndarray,
    confidence: float = 0.95,
    seed: int = 0,
) -> Estimate:
    """Estimate a model's accuracy on unlabelled rows by optimal transport of its predictions to labels (COT).

    The error is what it costs to move the predicted distributions p_i onto labels that occur as often as in the
    source, at the cost ½‖p_i − e_y‖₁ = 1 − p_iy, less what the same model is too sure by on the source:

        accuracy = 1 − min_γ Σ_iy γ_iy (1 − p_iy) − (mean max p − accuracy)_source,   γ 1 = 1/M,  γᵀ1 = shares

    Probabilities are temperature-scaled on the source.  A model that answers all with one class is found out, which
    confidence alone does not; but the shares of the classes are taken to be the source's.

    Args:
        scores_source: float, N×C: logits of labelled source rows that the model has not learnt from.
        label_source: int, N: their labels.
        scores_target: float, M×C: logits of the target's rows; of more than 5,000 a seeded 5,000 are used.
        confidence: of the interval, strictly between 0 and 1.
        seed: which rows, if there are too many.

    Returns:
        The accuracy, cut to 0 … 1.  The interval is by the delta method: the plan's dual potentials say how much each
        row, and each class share, moves the cost.

    Raises:
        DataError: a side has no rows, the classes are not equally many, or a score is not finite.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> y = rng.integers(2, size=4000)
        >>> scores = np.outer(2 * y - 1 + rng.normal(size=4000), [-1, 1])
        >>> found = confidence_transport(scores, y, scores)
        >>> bool(found.low < (scores.argmax(1) == y).mean() < found.high)
        True

    Source: Lu, Wang, Zhai, Kolouri, Campbell and Sycara, "Predicting Out-of-Distribution Error with Confidence
    Optimal Transport", 2023, equation 5; the calibration on the source is theirs too.
    """
    import ot  # here, since it takes a second to load

    source, label, target = _checked(scores_source, label_source, scores_target)
    if len(target) > _TRANSPORT_ROWS:
        target = target[np.random.default_rng(seed).choice(len(target), _TRANSPORT_ROWS, replace=False)]
    n, m, classes = len(source), len(target), source.shape[1]
    temperature = fit_temperature(source, label)
    p_source, p = (softmax(z / temperature, axis=1) for z in (source, target))
    shares = np.bincount(label, minlength=classes) / n
    _, log = ot.emd(np.full(m, 1 / m), shares, 1 - p, numItermax=1_000_000, log=True)
    excess = p_source.max(1) - (source.argmax(1) == label)
    value = 1 - float(log["cost"]) - float(excess.mean())
    rows, columns = np.asarray(log["u"]), np.asarray(log["v"])
    spread = np.sqrt(rows.var() / m + columns[label].var() / n + excess.var() / n)
    note = f"by optimal transport of predictions to labels in the source's shares; {_ASSUMES}"
    return _estimate("confidence_transport", value, float(spread), n, m, confidence, note)


def accuracy_of_adapted(
    floor: Estimate, disagreement: float, others: tuple[Estimate, ...] = (), lower: Estimate | None = None
) -> Estimate:
    """Bound the accuracy of an adapted model, without labels: an interval, never a figure.

    Where two models agree, both are right or both are wrong, so |accuracy of the adapted − of source only| is at most
    the share of rows on which they differ, whatever the labels.  With the interval of source only this gives

        max(0, low − disagreement, lower bound)  to  min(1, high + disagreement, estimates of the adapted model)

    The estimates that confidence gives of an adapted model are too high as a rule, and so may only lower the end.

    Args:
        floor: an estimate of the accuracy of source only.
        disagreement: share of rows on which the two models differ, 0 to 1.
        others: estimates of the adapted model itself; the lowest of their upper ends is used.
        lower: a lower bound on the accuracy of the adapted model, such as Dis²; its value is used.

    Returns:
        An estimate without a value.

    Raises:
        DataError: the disagreement is not a share.

    Example:
        >>> known = Estimate("confidence_transport", 0.6, 0.55, 0.65, 500, 500)
        >>> found = accuracy_of_adapted(known, 0.2)
        >>> found.value, round(found.low, 2), round(found.high, 2)
        (None, 0.35, 0.85)

    Source: The bound is elementary.  That confidence overestimates after adversarial adaptation: Rosenfeld and Garg,
    "(Almost) Provable Error Bounds Under Distribution Shift via Disagreement Discrepancy", NeurIPS 2023, section 5.
    """
    if not 0 <= disagreement <= 1:
        raise DataError(f"a disagreement of {disagreement} is not a share of rows; give 0 to 1")
    low = max(0.0, (floor.low or 0.0) - disagreement)
    high = min(1.0, (1.0 if floor.high is None else floor.high) + disagreement)
    high = max(low, min([high, *(one.high for one in others if one.high is not None)]))
    if lower is not None and lower.value is not None:
        low = min(high, max(low, lower.value))
    note = (
        f"the two models differ on {disagreement:.1%} of the rows, so their accuracies differ by at most that; "
        f"that of source only is itself estimated ({floor.name})"
    )
    return Estimate("accuracy_of_adapted", None, low, high, floor.n_source, floor.n_target, floor.confidence, note=note)


def _certainty(logits: np.ndarray) -> np.ndarray:
    """The negative entropy of each row."""
    p = softmax(logits, axis=1)
    certainty: np.ndarray = (p * np.log(np.maximum(p, 1e-300))).sum(1)
    return certainty


def _threshold(certainty: np.ndarray, share: float) -> float:
    """The certainty above which this share of the rows lies."""
    above = round(share * len(certainty))
    ordered = np.sort(certainty)[::-1]
    return float(ordered[above]) if above < len(ordered) else -np.inf


def _estimate(name: str, value: float, spread: float, n: int, m: int, confidence: float, note: str) -> Estimate:
    reach = normal_quantile(confidence) * float(spread)
    value = min(1.0, max(0.0, value))
    return Estimate(name, value, max(0.0, value - reach), min(1.0, value + reach), n, m, confidence, note=note)


def _checked(
    scores_source: np.ndarray, label_source: np.ndarray, scores_target: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    source, target = np.asarray(scores_source, np.float64), np.asarray(scores_target, np.float64)
    label = np.asarray(label_source)
    if source.ndim != 2 or target.ndim != 2 or source.shape[1] != target.shape[1] or source.shape[1] < 2:
        raise DataError(f"scores of shape {source.shape} and {target.shape} are not of the same two or more classes")
    if not len(source) or not len(target) or label.shape != (len(source),):
        raise DataError(f"accuracy needs rows of both sides, not {len(label)} labels, {len(source)} and {len(target)}")
    if not (np.isfinite(source).all() and np.isfinite(target).all()):
        raise DataError("a score is not finite; the model that gave it has not learnt, so train it again")
    if (label < 0).any() or (label >= source.shape[1]).any():
        raise DataError(f"a label is outside the codes 0 to {source.shape[1] - 1}")
    return source, label, target
