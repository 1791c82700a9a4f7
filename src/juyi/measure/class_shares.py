"""Label shift with intervals: how often each class occurs in the target, by two estimators."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import nnls
from scipy.special import log_softmax, softmax

from juyi.errors import DataError
from juyi.measure.estimate import Estimate
from juyi.measure.label_shift import bbse, fit_temperature, mlls
from juyi.measure.two_samples import check_positive

TEMPERATURES = np.exp(np.linspace(np.log(0.05), np.log(20.0), 121))
STEPS = 300
ASSUMPTION = "holds if each class looks alike in both domains, p(x|y) equal, and only the shares differ"


def estimate_label_shift(
    scores_source: np.ndarray,
    label_source: np.ndarray,
    scores_target: np.ndarray,
    classes: Sequence[str],
    *,
    resamplings: int = 200,
    confidence: float = 0.95,
    seed: int = 0,
) -> list[Estimate]:
    """Estimate the target's share of each class by `bbse` and by `mlls`, with bootstrap intervals.

    `bbse` goes by the predictions, `mlls` by the scores after temperature scaling on the source rows.  Where the two
    disagree by more than their intervals, what both assume does not hold.  Rows of both sides are drawn again, the
    temperature and the confusions estimated anew in each draw, and the interval is between quantiles of the draws.

    Args:
        scores_source: float, N×C: logits of source rows that the model has not learnt from, drawn as its training
            rows were.
        label_source: int, N: their labels.
        scores_target: float, M×C: logits of target rows.
        classes: C names.
        resamplings: how often rows are drawn, at least 100.
        confidence: of each interval, between 0 and 1.
        seed: decides the draws.

    Returns:
        2 C estimates named `bbse[CLASS]` and `mlls[CLASS]`, each between 0 and 1.  A class without a source row has
        no value, and the shares are those among the other classes.

    Raises:
        DataError: a side has no rows, a score is not finite, shapes do not fit, or a label is not one of the classes.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> def draw(share, n):
        ...     y = (rng.random(n) < share).astype(int)
        ...     x = rng.normal(2.0 * y - 1.0)
        ...     return np.stack([-x, x], 1), y
        >>> (source, label), (target, _) = draw(0.5, 1000), draw(0.2, 1000)
        >>> found = estimate_label_shift(source, label, target, ["cat", "dog"])
        >>> [(e.name, e.low < truth < e.high) for e, truth in zip(found, (0.8, 0.2, 0.8, 0.2))]
        [('bbse[cat]', True), ('bbse[dog]', True), ('mlls[cat]', True), ('mlls[dog]', True)]

    Source: see `bbse`, `mlls` and `fit_temperature`.
    """
    check_positive("resamplings", resamplings, 100)
    source, label, target = _checked(scores_source, label_source, scores_target, len(classes))
    seen = np.flatnonzero(np.bincount(label, minlength=len(classes)))
    source, target, label = source[:, seen], target[:, seen], np.searchsorted(seen, label)
    n, m, count = len(source), len(target), len(seen)
    shares = np.bincount(label) / n
    predicted_source, predicted_target = source.argmax(1), target.argmax(1)
    values = {
        "bbse": bbse(predicted_source, label, predicted_target, count),
        "mlls": mlls(softmax(target / fit_temperature(source, label), axis=1), shares),
    }
    rng = np.random.default_rng(seed)
    draws = {
        "bbse": _bbse_draws(predicted_source, label, predicted_target, count, resamplings, rng),
        "mlls": _mlls_draws(source, label, target, values["mlls"], resamplings, rng),
    }
    tail = (1 - confidence) / 2
    found = []
    for name in ("bbse", "mlls"):
        low, high = np.quantile(draws[name], [tail, 1 - tail], axis=0)
        for code, called in enumerate(classes):
            if code not in seen:
                note = f"no source row of {called}, so its share is unknown; those of the others leave it out"
                found.append(Estimate(f"{name}[{called}]", None, None, None, n, m, confidence, note=note))
                continue
            k = int(np.searchsorted(seen, code))
            figures = (float(values[name][k]), float(low[k]), float(high[k]))
            found.append(Estimate(f"{name}[{called}]", *figures, n, m, confidence, note=ASSUMPTION))
    return found


def _checked(
    scores_source: np.ndarray, label_source: np.ndarray, scores_target: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return scores as float64 and labels as integers, or say what does not fit."""
    source, target = np.asarray(scores_source, np.float64), np.asarray(scores_target, np.float64)
    label = np.asarray(label_source)
    for which, scores in (("source", source), ("target", target)):
        if scores.ndim != 2 or not len(scores) or scores.shape[1] != count:
            raise DataError(f"scores of the {which} must be rows×{count} classes, not of shape {scores.shape}")
        if not np.isfinite(scores).all():
            raise DataError(f"a score of the {which} is not finite; the network may have diverged")
    if label.shape != (len(source),):
        raise DataError(f"{len(source)} source rows need as many labels, not an array of shape {label.shape}")
    if (label < 0).any() or (label >= count).any() or (label != label.astype(int)).any():
        raise DataError(f"a source label is not one of the codes 0 to {count - 1}; leave unlabelled rows out")
    return source, label.astype(int), target


def _bbse_draws(
    predicted: np.ndarray, label: np.ndarray, predicted_target: np.ndarray, n: int, resamplings: int,
    rng: np.random.Generator,
) -> np.ndarray:  # fmt: skip
    """Return `bbse` of rows drawn again, resamplings×n: counts are all that it needs."""
    cells = np.bincount(predicted * n + label, minlength=n * n) / len(label)
    seen = np.bincount(predicted_target, minlength=n) / len(predicted_target)
    confusions = rng.multinomial(len(label), cells, resamplings).reshape(-1, n, n) / len(label)
    targets = rng.multinomial(len(predicted_target), seen, resamplings) / len(predicted_target)
    found = np.array([nnls(c, t)[0] * c.sum(0) for c, t in zip(confusions, targets, strict=True)])
    total = found.sum(1, keepdims=True)
    result: np.ndarray = np.where(total > 0, found / np.where(total > 0, total, 1.0), 1.0 / n)
    return result


def _mlls_draws(
    source: np.ndarray, label: np.ndarray, target: np.ndarray, start: np.ndarray, resamplings: int,
    rng: np.random.Generator,
) -> np.ndarray:  # fmt: skip
    """Return `mlls` of rows drawn again, resamplings×C, each from `start`."""
    n, m, count = len(source), len(target), source.shape[1]
    rows = np.arange(n)
    losses = np.stack([-log_softmax(source / t, axis=1)[rows, label] for t in TEMPERATURES], axis=1)
    found = np.empty((resamplings, count))
    for draw in range(resamplings):
        of_source = rng.multinomial(n, np.full(n, 1 / n))
        temperature = TEMPERATURES[int((of_source @ losses).argmin())]
        shares = np.maximum(np.bincount(label, of_source, count), 0.5) / n
        of_target = rng.multinomial(m, np.full(m, 1 / m)) / m
        drawn = of_target > 0
        likelihood = np.maximum(softmax(target[drawn] / temperature, axis=1), 1e-12) / shares
        found[draw] = _weighted_maximum(likelihood, of_target[drawn], start)
    return found


def _weighted_maximum(likelihood: np.ndarray, weights: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Return the shares q that maximise Σ_i w_i log Σ_k likelihood_ik q_k, by expectation and maximisation."""
    q = np.maximum(start, 1e-4)
    q /= q.sum()
    for _ in range(STEPS):
        moved = q * (likelihood.T @ (weights / (likelihood @ q)))
        done = np.abs(moved - q).max() <= 1e-5
        q = moved
        if done:
            break
    result: np.ndarray = q / q.sum()
    return result
