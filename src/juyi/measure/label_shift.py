"""Label shift: how often each class occurs where there are no labels, estimated from a model's predictions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import minimize_scalar, nnls
from scipy.special import log_softmax, softmax

from juyi.errors import DataError
from juyi.measure.verdict import percent

OTHER_SHARES = 0.2
"""Shares whose total variation is larger than this are called other shares."""


def bbse(prediction_source: np.ndarray, label_source: np.ndarray, prediction_target: np.ndarray, n: int) -> np.ndarray:
    """Estimate the target's class shares from hard predictions: black box shift estimation.

    With the confusions C_ij = P_source(prediction i, label j) and the target's share μ_i of each prediction, the
    weights w = q / p of the classes solve

        C w = μ,   w ≥ 0   (by non-negative least squares),   q_j ∝ w_j p_j

    It assumes that within a class the two domains look alike, p(x | y) equal; only the shares differ.

    Args:
        prediction_source: int, N: predictions on source rows that the model has not learnt from.
        label_source: int, N: their labels.
        prediction_target: int, M: predictions on target rows.
        n: the number of classes.

    Returns:
        The shares q, float64, n, which sum to 1.

    Raises:
        DataError: a side has no rows, predictions and labels are not equally many, or a code is outside 0 to n − 1.

    Example:
        >>> label = np.repeat([0, 1], 100)
        >>> prediction = np.where(np.arange(200) % 10 == 0, 1 - label, label)  # one in ten is wrong
        >>> target = np.repeat([0, 1], [820, 180])  # that is what 90 % and 10 % of the classes would look like
        >>> bbse(prediction, label, target, 2).round(3)
        array([0.9, 0.1])

    Source: Lipton, Wang and Smola, "Detecting and Correcting for Label Shift with Black Box Predictors", ICML 2018,
    section 4; the solution is kept non-negative, as its section 6 advises.
    """
    codes = [np.asarray(part) for part in (prediction_source, label_source, prediction_target)]
    if len(codes[0]) != len(codes[1]) or not len(codes[0]) or not len(codes[2]):
        raise DataError(f"shares need rows of both sides, not {len(codes[0])}, {len(codes[1])} and {len(codes[2])}")
    if any((part < 0).any() or (part >= n).any() for part in codes):
        raise DataError(f"a prediction or label is outside the codes 0 to {n - 1}")
    confusions = np.zeros((n, n))
    np.add.at(confusions, (codes[0], codes[1]), 1.0 / len(codes[0]))
    seen = np.bincount(codes[2], minlength=n) / len(codes[2])
    weights, _ = nnls(confusions, seen)
    return _normalised(weights * confusions.sum(0))


def mlls(probabilities: np.ndarray, shares: np.ndarray, iterations: int = 1_000, tolerance: float = 1e-6) -> np.ndarray:
    """Estimate the target's class shares by maximum likelihood, with expectation and maximisation.

    From q = π, what the model was trained under, until no share moves by more than `tolerance`:

        q_k ← mean_i  (q_k p_ik / π_k) / Σ_j (q_j p_ij / π_j)

    The likelihood is concave in q, so there is one answer.  It assumes, as `bbse` does, that p(x | y) is the same
    in both domains, and besides that the probabilities are calibrated (see `fit_temperature`).  Since π is divided
    out, it does not matter under which shares the model was trained, as long as they are told.

    Args:
        probabilities: float, M×C: p(y | x) of target rows, as the model gives them.
        shares: float, C: π, the shares under which the model was trained, each above 0.
        iterations: at most so many steps.
        tolerance: when to stop.

    Returns:
        The shares q, float64, C, which sum to 1.

    Raises:
        DataError: there are no rows, the classes are not equally many, or a share is not above 0.

    Example:
        >>> p = np.array([[0.9, 0.1]] * 82 + [[0.1, 0.9]] * 18)  # a model that is right on nine rows in ten
        >>> mlls(p, np.array([0.5, 0.5])).round(3)
        array([0.9, 0.1])

    Source: Saerens, Latinne and Decaestecker, "Adjusting the Outputs of a Classifier to New a Priori
    Probabilities", Neural Computation 14 (2002), equation 2.9; that it is the most accurate with calibrated
    probabilities: Alexandari, Kundaje and Shrikumar, "Maximum Likelihood with Bias-Corrected Calibration is
    Hard-To-Beat at Label Shift Adaptation", ICML 2020.
    """
    p, prior = np.asarray(probabilities, np.float64), np.asarray(shares, np.float64)
    if p.ndim != 2 or not len(p) or prior.shape != p.shape[1:]:
        raise DataError(f"shares of {prior.shape} classes do not fit probabilities of shape {p.shape}")
    if not (prior > 0).all():
        raise DataError(f"class {int(prior.argmin())} has a share of {prior.min():g}; each must be above 0")
    prior = prior / prior.sum()
    likelihood = np.maximum(p, 1e-12) / prior
    q = prior
    for _ in range(iterations):
        posterior = likelihood * q
        moved = (posterior / posterior.sum(1, keepdims=True)).mean(0)
        done = np.abs(moved - q).max() <= tolerance
        q = moved
        if done:
            break
    return _normalised(q)


def fit_temperature(scores: np.ndarray, label: np.ndarray) -> float:
    """Find the temperature T that makes softmax(scores / T) as likely as can be on labelled rows: calibration.

    Args:
        scores: float, N×C: logits of rows that the model has not learnt from.
        label: int, N: their labels.

    Returns:
        T, from 0.05 to 20; above 1 where the model is too sure.

    Raises:
        DataError: there are no rows, or not equally many of both.

    Example:
        >>> scores = np.array([[5.0, 0.0]] * 9 + [[5.0, 0.0]])  # as sure as .993, right on nine in ten
        >>> temperature = fit_temperature(scores, np.array([0] * 9 + [1]))
        >>> softmax(scores[0] / temperature).round(2)
        array([0.9, 0.1])

    Source: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, section 4.2.
    """
    logits, codes = np.asarray(scores, np.float64), np.asarray(label)
    if logits.ndim != 2 or not len(logits) or len(codes) != len(logits):
        raise DataError(f"{len(codes)} labels do not fit scores of shape {logits.shape}")
    rows = np.arange(len(codes))

    def loss(log_temperature: float) -> float:
        return float(-log_softmax(logits / np.exp(log_temperature), axis=1)[rows, codes].mean())

    found = minimize_scalar(loss, bounds=(np.log(0.05), np.log(20.0)), method="bounded")
    return float(np.exp(found.x))


def mean_prediction(scores: np.ndarray) -> np.ndarray:
    """Estimate the class shares of rows by the mean of what the model says of them, 1/M Σ_i softmax(scores_i).

    It is one step of `mlls` from the shares under which the model was trained.  Where the domains also look
    different, a model is wrong about many rows, and the likelihood takes each such mistake for a truth about the
    shares: going on to its maximum then leads further away than stopping here.  (On USPS → MNIST with the digits
    5-9 absent, after the first epoch of `dann`: total variation from the truth .83 by `mlls`, .44 by the mean.)

    Args:
        scores: float, M×C: logits.

    Returns:
        The shares, float64, C, which sum to 1.

    Raises:
        DataError: there are no rows.

    Example:
        >>> mean_prediction(np.array([[9.0, 0.0]] * 3 + [[0.0, 9.0]])).round(2)
        array([0.75, 0.25])

    Source: Bella et al., "Quantification via Probability Estimators", ICDM 2010 (there "probability average").
    """
    logits = np.asarray(scores, np.float64)
    if logits.ndim != 2 or not len(logits):
        raise DataError(f"shares need scores of at least one row, not of shape {logits.shape}")
    return _normalised(softmax(logits, axis=1).mean(0))


def total_variation(p: np.ndarray, q: np.ndarray) -> float:
    """Return the total variation ½ Σ |p_k − q_k| of two distributions: the share that would have to change class.

    Example:
        >>> total_variation(np.array([0.5, 0.5]), np.array([0.9, 0.1]))
        0.4
    """
    return float(np.abs(np.asarray(p, np.float64) - np.asarray(q, np.float64)).sum() / 2)


def shares_warning(source: np.ndarray, estimated: np.ndarray, classes: Sequence[str], mend: str) -> list[str]:
    """Warn where the target's estimated class shares are far from the source's.

    Args:
        source: float, C: the source's shares.
        estimated: float, C: the target's.
        classes: C names.
        mend: what to do then.

    Returns:
        One sentence, or none where the total variation is at most 0.2.

    Example:
        >>> warning, = shares_warning(np.array([0.5, 0.5]), np.array([0.9, 0.1]), ["cat", "dog"], "mend it")
        >>> warning[:101]
        'The target seems to have other shares of the classes than the source (cat 90.0 %, not 50.0 %; dog 10.'
    """
    if total_variation(source, estimated) <= OTHER_SHARES:
        return []
    most = np.argsort(-np.abs(estimated - source), kind="stable")[:3]
    named = "; ".join(f"{classes[k]} {percent(estimated[k])}, not {percent(source[k])}" for k in most)
    return [
        f"The target seems to have other shares of the classes than the source ({named}), or the model is wrong about "
        f"many rows: {mend}."
    ]


def _normalised(shares: np.ndarray) -> np.ndarray:
    """Bring shares to a sum of 1; even ones where there is nothing to go by."""
    total = shares.sum()
    result: np.ndarray = shares / total if total > 0 else np.full(len(shares), 1.0 / len(shares))
    return result
