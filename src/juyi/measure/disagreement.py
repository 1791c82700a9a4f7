"""A lower bound on the target's accuracy from how far a critic can disagree there while it agrees on the source."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, logsumexp

from juyi.errors import DataError, SettingError
from juyi.measure.checked import check_delta, codes, matrix, same_columns
from juyi.measure.estimate import Estimate

WEIGHTS = {"convex": (0.25, 0.5, 1.0, 2.0), "consistent": (0.5, 1.0, 2.0)}
"""How much disagreeing on the target counts against agreeing on the source, one critic each; the best is taken."""
RIDGE = 1e-4
STEPS = 100


def dis2_bound(
    scores_source: np.ndarray,
    label_source: np.ndarray,
    scores_target: np.ndarray,
    *,
    delta: float = 0.01,
    features_source: np.ndarray | None = None,
    features_target: np.ndarray | None = None,
    critic: Literal["convex", "consistent"] = "convex",
    held_out: bool = False,
    seed: int = 0,
) -> Estimate:
    """Estimate a lower bound on a classifier's accuracy on the target, from unlabelled target rows: Dis².

    A critic h′ is sought that agrees with the classifier ĥ on the source and disagrees with it on the target.  The
    largest difference of the two rates of agreement is the disagreement discrepancy:

        Δ(h′) = P_source(h′ = ĥ) − P_target(h′ = ĥ)

    The truth y* is a function too.  If it is no worse for ĥ than the worst critic, Δ(y*) ≤ max_h′ Δ(h′), then with
    probability at least 1 − δ

        accuracy_target ≥ accuracy_source − max_h′ Δ̂(h′) − ε,   ε = √((n_s + 4 n_t) ln(1/δ) / (2 n_s n_t))

    Critics are linear in the scores (or in the features).  Rates of agreement cannot be climbed, so the critic
    minimises a loss, with z the critic's scores and ŷ the classifier's prediction:

        mean_source CE(z, ŷ) + w · mean_target ln(1 + exp(z_ŷ − other(z)))

    `critic="convex"` is the paper's: other(z) = mean_{k≠ŷ} z_k.  The loss is convex, so it has one minimum, the same
    from every start: restarts would change nothing, and L-BFGS starts at 0.  `critic="consistent"` has
    other(z) = ln Σ_{k≠ŷ} exp z_k, that is −ln(1 − softmax(z)_ŷ).  It is not convex with three classes or more, but its
    least value is where the discrepancy is largest, which cannot be said of the other; it starts where the convex
    one ended.  It finds much worse critics, and so gives a bound that fails less often and tells less.

    What also changes the critic is w; several are tried (the paper has 1), and of all critics passed on the way the
    one of the largest Δ̂ is taken.  A critic that disagreed more may still exist, so this is an estimate of the bound
    and no guarantee.

    By default Δ̂ is taken on the rows that the critic was fitted on.  For a maximum this is the safe side: Δ̂ of the
    best critic on these rows is at least Δ̂ of the truly best one, to which ε applies.  With few rows or many features
    it makes the bound low; `held_out` fits on one half of the rows and takes Δ̂, the accuracy and ε from the other, as
    the authors do.

    Args:
        scores_source: float, N×C: logits on labelled source rows that the model has not learnt from.
        label_source: int, N: their labels, codes from 0 to C − 1.
        scores_target: float, M×C: logits on target rows.
        delta: δ, the share of samples in which the bound may fail by chance, strictly between 0 and 1.
        features_source: float, N×d: what critics look at instead of the scores; both sides or none.
        features_target: float, M×d.
        critic: by which loss critics are found, "convex" or "consistent".
        held_out: whether the bound is taken on rows that the critic was not fitted on.
        seed: of the halves of `held_out`; without it nothing is random.

    Returns:
        `value` and `low` are the bound, from 0; `high` is 1: between them is the target's accuracy, if the
        assumption holds.  The note has the parts of the bound, and says "vacuous" where it is no better than chance.

    Raises:
        DataError: a side has fewer than two rows, NaN, or other classes; a label is outside the classes, or all rows
            are of one class.
        SettingError: `delta` is out of its range, `critic` is unknown, or features of one side only are given.

    Example:
        >>> random = np.random.default_rng(0)
        >>> label = random.integers(0, 2, 2000)
        >>> def scores(x):  # the classifier: positive means class 1
        ...     return np.stack([-x, x], 1)
        >>> source = 2.0 * (2 * label - 1) + random.normal(size=2000)
        >>> target = 1.5 * (2 * label - 1) + random.normal(size=2000)  # the classes are nearer to each other
        >>> bound = dis2_bound(scores(source), label, scores(target))
        >>> bound.value < np.mean((target > 0) == label), round(bound.value, 1)
        (np.True_, 0.9)

    Source: Rosenfeld and Garg, "(Almost) Provable Error Bounds Under Distribution Shift via Disagreement Discrepancy",
    NeurIPS 2023: the bound, and the convex loss.  Marchant, Cullen, Liu and Erfani, "On the Bayes Inconsistency of
    Disagreement Discrepancy Surrogates", 2025: why not the convex one, and the other.
    """
    source, target = matrix(scores_source, "scores of the source", 2), matrix(scores_target, "scores of the target", 2)
    same_columns(source, target, "scores")
    classes = source.shape[1]
    label = codes(label_source, len(source), "labels of the source", classes)
    check_delta(delta)
    if critic not in WEIGHTS:
        raise SettingError(f"critic: {critic!r} is unknown; known are {', '.join(WEIGHTS)}")
    seen_source, seen_target = _what_critics_see(source, target, features_source, features_target)
    said_source, said_target = source.argmax(1), target.argmax(1)
    fitted: tuple[np.ndarray | slice, np.ndarray | slice] = (slice(None), slice(None))
    judged = fitted
    if held_out:
        random = np.random.default_rng(seed)
        halves = [np.array_split(random.permutation(len(side)), 2) for side in (source, target)]
        fitted, judged = (halves[0][1], halves[1][1]), (halves[0][0], halves[1][0])
    found = largest_discrepancy(
        (seen_source[fitted[0]], said_source[fitted[0]], seen_target[fitted[1]], said_target[fitted[1]]),
        (seen_source[judged[0]], said_source[judged[0]], seen_target[judged[1]], said_target[judged[1]]),
        classes,
        critic,
    )
    n, m = len(label[judged[0]]), len(said_target[judged[1]])
    accuracy = float((said_source == label)[judged[0]].mean())
    epsilon = math.sqrt((n + 4 * m) * math.log(1 / delta) / (2 * n * m))
    bound = max(0.0, accuracy - found - epsilon)
    note = (
        f"estimated lower bound on accuracy, no guarantee: source accuracy {accuracy:.3f} − disagreement discrepancy "
        f"{found:.3f} (linear critic) − sampling term {epsilon:.3f}; it holds if no labelling rule of the target is "
        "worse for the model than the worst critic found"
    )
    if bound <= 1 / classes:
        note += f"; vacuous: no better than chance, {1 / classes:.3f}"
    return Estimate("dis2_bound", bound, bound, 1.0, n, m, confidence=1 - delta, note=note)


def _what_critics_see(
    source: np.ndarray, target: np.ndarray, features_source: np.ndarray | None, features_target: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the scores, or the features where they are given: standardised together, a column of ones added."""
    if (features_source is None) != (features_target is None):
        raise SettingError("features: those of both sides are needed, or of neither")
    if features_source is not None and features_target is not None:
        rows = len(source), len(target)
        source, target = (
            matrix(features_source, "features of the source"),
            matrix(features_target, "features of the target"),
        )
        same_columns(source, target, "features")
        if (len(source), len(target)) != rows:
            raise DataError(f"features: {len(source)} and {len(target)} rows do not fit {rows[0]} and {rows[1]} scores")
    both = np.concatenate([source, target])
    spread = both.std(0)
    both = (both - both.mean(0)) / np.where(spread > 0, spread, 1.0)
    both = np.concatenate([both, np.ones((len(both), 1))], 1)
    return both[: len(source)], both[len(source) :]


Sides = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""What critics see of the source, what the classifier says of it; the same of the target."""


def largest_discrepancy(fitted: Sides, judged: Sides, classes: int, critic: str) -> float:
    """Return the largest disagreement discrepancy that a linear critic reaches, at least 0, which is ĥ's own.

    Args:
        fitted: the rows on which critics learn.
        judged: the rows on which the discrepancy is taken.
        classes: C.
        critic: by which loss.
    """
    best = 0.0

    def judge(weights: np.ndarray) -> None:
        nonlocal best
        w = weights.reshape(classes, -1).T
        agree = [float(((judged[i] @ w).argmax(1) == judged[i + 1]).mean()) for i in (0, 2)]
        best = max(best, agree[0] - agree[1])

    def descend(start: np.ndarray, weight: float, convex: bool) -> np.ndarray:
        given = (*fitted, classes, weight, convex)
        result = minimize(critic_loss, start, given, "L-BFGS-B", True, callback=judge, options={"maxiter": STEPS})
        judge(result.x)
        end: np.ndarray = result.x
        return end

    at = np.zeros(classes * fitted[0].shape[1])
    if critic == "consistent":
        at = descend(at, 1.0, True)
    for weight in WEIGHTS[critic]:
        at = descend(at, weight, critic == "convex")
    return best


def critic_loss(
    weights: np.ndarray,
    source: np.ndarray,
    said_source: np.ndarray,
    target: np.ndarray,
    said_target: np.ndarray,
    classes: int,
    weight: float,
    convex: bool,
) -> tuple[float, np.ndarray]:
    """Return the loss of a linear critic and its gradient.

    Cross-entropy to what the classifier says on the source + `weight` × the disagreement loss on the target
    + a ridge of 10⁻⁴ ‖W‖², without which nothing would keep the weights finite.
    """
    w = weights.reshape(classes, -1).T
    z, rows = source @ w, np.arange(len(source))
    normal = logsumexp(z, axis=1)
    loss = float((normal - z[rows, said_source]).mean())
    pull = np.exp(z - normal[:, None])
    pull[rows, said_source] -= 1
    gradient = source.T @ pull / len(source)

    z, rows = target @ w, np.arange(len(target))
    said = z[rows, said_target]
    if convex:
        other, share = (z.sum(1) - said) / (classes - 1), np.full_like(z, 1 / (classes - 1))
    else:
        z[rows, said_target] = -np.inf
        other = logsumexp(z, axis=1)
        share = np.exp(z - other[:, None])
    slope = expit(said - other)
    loss += weight * float(np.logaddexp(0, said - other).mean())
    pull = -slope[:, None] * share
    pull[rows, said_target] = slope
    gradient += weight * (target.T @ pull) / len(target)
    return loss + RIDGE * float((w * w).sum()), (gradient + 2 * RIDGE * w).T.ravel()
