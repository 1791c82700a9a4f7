"""The verdict: did transferring help?  One of four answers, with its evidence, in a sentence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from juyi.errors import DataError
from juyi.measure.intervals import paired_difference

if TYPE_CHECKING:
    from juyi.measure.evidence import Evidence

NO_MATERIAL_CHANGE = 0.02
"""Without labels, two models that differ on at most this share of the images are called the same."""
_OPENINGS = {
    "helped": "Adapting seems to have helped",
    "hurt": "Adapting seems to have hurt",
    "no_difference": "No material change",
    "cannot_tell": "Without labels nobody can tell whether adapting helped",
}
MISSED = 0.1
"""A class counts as missed if its predictions are fewer than this share of what the source leads one to expect."""


def verdict_from_test(
    correct: np.ndarray,
    correct_floor: np.ndarray,
    method: str,
    floor: str = "source_only",
    margin: float = 0.02,
    *,
    rows: str = "images",
    warnings: Sequence[str] = (),
    subject: str = "Adapting",
    without: str = "not transferring",
) -> dict[str, Any]:
    """Judge a method by labels that nobody has seen before.

    `helped` if the 95 % interval of the gain lies above 0, `hurt` if below, `no_difference` if it holds 0 and lies
    within ±`margin`, else `cannot_tell`.

    Args:
        correct: bool, N: whether the method's model is right on each test row.
        correct_floor: bool, N: whether the model without transfer is right on it.
        method: what the method's model is called.
        floor: what the model without transfer is called.
        margin: the largest difference in accuracy that does not matter, 0 to 1; 0.02 is two points.
        rows: what a row is, in the plural.
        warnings: sentences to add (see `collapse_warnings`).
        subject: what was done, as a sentence begins with it.
        without: what the floor does instead.

    Returns:
        What run.json holds under "verdict": answer, gain, low, high (all in accuracy, -1 to 1), evidence,
        sentence, warnings, p_value.

    Raises:
        DataError: there are no rows, or the two do not have equally many.

    Example:
        >>> right = np.arange(100) < 84
        >>> verdict = verdict_from_test(right, np.arange(100) < 52, "dann")
        >>> verdict["answer"], round(verdict["gain"], 2)
        ('helped', 0.32)
        >>> verdict["sentence"].split(":")[0]
        'Adapting helped'

    Source:
        `paired_difference` (Bonett and Price 2012).
    """
    difference = paired_difference(correct, correct_floor)
    low, high = difference.low, difference.high
    if low > 0:
        answer, opening = "helped", f"{subject} helped"
    elif high < 0:
        answer, opening = "hurt", f"{subject} hurt ({method} is worse than {floor}, that is, than {without})"
    elif -margin <= low and high <= margin:
        answer, opening = "no_difference", f"{subject} made no difference that matters"
    else:
        answer, opening = "cannot_tell", f"This test cannot tell whether {subject.lower()} helped"
    points = abs(difference.gain) * 100
    compared = f"{points:.1f} points {'more' if difference.gain > 0 else 'fewer'}" if points else "no difference"
    sentence = (
        f"{opening}: {method} is right on {percent(np.mean(correct))} of the {difference.n:,} test {rows}, "
        f"{floor} on {percent(np.mean(correct_floor))}: {compared} "
        f"(95 % interval {number(low)} to {number(high)})."
    )
    if answer == "cannot_tell":
        sentence += f" More labelled test {rows} would narrow the interval."
    sentence += f" The interval covers the choice of test {rows}, not the choice of seed."
    verdict = {"answer": answer, "gain": difference.gain, "low": low, "high": high, "evidence": "test_labels"}
    return {**verdict, **with_warnings(sentence, warnings), "p_value": difference.p_value}


def verdict_without_labels(
    prediction: np.ndarray,
    prediction_floor: np.ndarray,
    method: str,
    floor: str = "source_only",
    *,
    rows: str = "images",
    warnings: Sequence[str] = (),
    evidence: Evidence | None = None,
    rehearsal: Mapping[str, Any] | None = None,
    hint: str = "",
) -> dict[str, Any]:
    """Say what is known of a method without a single label of the target.

    Where two models agree, both are right or both are wrong.  So, on exactly these rows,

        |accuracy(method) − accuracy(floor)| ≤ share of rows on which they disagree

    whatever the labels are; and nothing narrower holds without assumptions.  A share of at most 2 % is
    `no_difference`, any other `cannot_tell`, unless there is `evidence`, whose answer is then taken.  A dress rehearsal
    in which the method lost speaks against `helped`, and does no more: on the development pairs of bench/verdicts, a
    gain in it was followed by a gain on the target in less than half of the cases.

    Args:
        prediction: N: the method's prediction for each target row.
        prediction_floor: N: the prediction of the model without transfer, for the same rows.
        method: what the method's model is called.
        floor: what the model without transfer is called.
        rows: what a row is, in the plural.
        warnings: sentences to add (see `collapse_warnings`).
        evidence: what `weigh_evidence` made of the scores of these and of other models.
        rehearsal: `gain`, `low`, `high` (accuracy) and `n` of the same method on a pseudo-target.
        hint: how it could be settled, a sentence without its full stop; added where nothing can be told.

    Returns:
        What run.json holds under "verdict": answer, gain (None), low and high (− and + the share of disagreement),
        evidence, sentence, warnings, disagreeing (a count).

    Raises:
        DataError: there are no rows, or the two do not have equally many.

    Example:
        >>> verdict = verdict_without_labels(np.array([0, 1, 2, 2]), np.array([0, 1, 2, 0]), "dann")
        >>> verdict["answer"], verdict["low"], verdict["high"]
        ('cannot_tell', -0.25, 0.25)

    Source:
        The bound is elementary.  That accuracy cannot be identified without assumptions: S. Garg et al., "Leveraging
        unlabeled data to predict out-of-distribution performance", ICLR 2022, section 3.
    """
    first, second = np.asarray(prediction), np.asarray(prediction_floor)
    if first.ndim != 1 or first.shape != second.shape or not len(first):
        raise DataError(
            f"two models are compared on the same rows, at least one, not on {first.shape} and {second.shape}"
        )
    n, disagreeing = len(first), int((first != second).sum())
    share = disagreeing / n
    answer = "no_difference" if share <= NO_MATERIAL_CHANGE else "cannot_tell" if evidence is None else evidence.answer
    lost = rehearsal is not None and rehearsal["high"] < 0
    if answer == "helped" and lost:
        answer = "cannot_tell"
    if disagreeing == 0:
        sentence = f"No material change: {method} and {floor} answer alike on all of the {n:,} target {rows}."
    else:
        sentence = (
            f"{_OPENINGS[answer]}: {method} and {floor} answer differently on {disagreeing:,} of the {n:,} target "
            f"{rows}, so their accuracies on these differ by at most {share * 100:.1f} points, either way."
        )
    if share > NO_MATERIAL_CHANGE:
        sentence += "".join(f" {told}" for told in _told(method, floor, evidence, rehearsal))
    if answer in ("helped", "hurt"):
        sentence += " That is evidence and no proof, since no label of the target was read."
    if answer == "cannot_tell":
        sentence += f" {hint or f'Labels for a random part of those {disagreeing:,} {rows} would settle it'}."
    verdict = {"answer": answer, "gain": None, "low": -share, "high": share, "evidence": "label_free"}
    return {**verdict, **with_warnings(sentence, warnings), "disagreeing": disagreeing}


def _told(method: str, floor: str, evidence: Evidence | None, rehearsal: Mapping[str, Any] | None) -> Iterator[str]:
    """Say in sentences what the evidence is."""
    gain = None if evidence is None or evidence.jury is None else evidence.jury.value
    if evidence is not None and gain is not None:
        side, points = (method if gain > 0 else floor), abs(gain) * 100
        agree = "" if evidence.coherence is None else f" (two of them agree on {percent(evidence.coherence)})"
        yield f"Where they differ, the other models{agree} side with {side}, by {points:.1f} points."
    for flag in evidence.flags if evidence is not None else ():
        yield f"Against {method}: it {flag}."
    if rehearsal is not None:
        yield (
            f"In a dress rehearsal on {rehearsal['n']:,} rows of the source in the target's look {method} changed the "
            f"accuracy by {number(rehearsal['gain'])} points ({number(rehearsal['low'])} to "
            f"{number(rehearsal['high'])})."
        )


def collapse_warnings(
    prediction: np.ndarray, class_shares: np.ndarray, classes: Sequence[str], model: str = "The model"
) -> list[str]:
    """Warn where a model hardly ever predicts classes that the source leads one to expect.

    A model that has collapsed gives its few favourite answers with great confidence, so entropy and confidence
    take it for the best; what it never answers gives it away.  A class counts as missed if its share of the
    predictions is below a tenth of its share in the source, and if at least five rows of it were expected (with
    fewer, chance alone may leave it out).

    Args:
        prediction: int, N: a model's predictions on the target, codes into `classes`.
        class_shares: float, C: the classes' shares in the source; they sum to 1.
        classes: C names.
        model: what the model is called, to begin the sentence with.

    Returns:
        No sentence, or one that names the classes.

    Raises:
        DataError: a code is outside `classes`, or shares and names are not equally many.

    Example:
        >>> print(*collapse_warnings(np.array([0] * 99 + [1]), np.array([0.5, 0.5]), ["cat", "dog"], "dann"))
        dann hardly ever predicts dog (1 of 100, 50 expected): it may have collapsed, or the target has few of them.
    """
    prediction, shares = np.asarray(prediction), np.asarray(class_shares, float)
    if len(shares) != len(classes):
        raise DataError(f"there are {len(shares)} class shares for {len(classes)} classes")
    if len(prediction) and not (prediction.min() >= 0 and prediction.max() < len(classes)):
        raise DataError(f"a prediction is outside the codes 0 to {len(classes) - 1}")
    n = len(prediction)
    counts = np.bincount(prediction, minlength=len(classes))
    missed = [i for i in range(len(classes)) if n * shares[i] >= 5 and counts[i] < MISSED * n * shares[i]]
    if not missed:
        return []
    named = ", ".join(f"{classes[i]} ({counts[i]:,} of {n:,}, {n * shares[i]:,.0f} expected)" for i in missed[:3])
    more = f" and {len(missed) - 3} more classes" if len(missed) > 3 else ""
    return [f"{model} hardly ever predicts {named}{more}: it may have collapsed, or the target has few of them."]


def with_warnings(sentence: str, warnings: Sequence[str]) -> dict[str, Any]:
    """Join warnings to a verdict's sentence, and keep them apart as well.

    Example:
        >>> with_warnings("All is well.", ["It is not."])
        {'sentence': 'All is well. Warning: It is not.', 'warnings': ['It is not.']}
    """
    return {"sentence": " ".join([sentence, *(f"Warning: {w}" for w in warnings)]), "warnings": list(warnings)}


def percent(share: float | np.floating[Any]) -> str:
    """Write a share in percent.

    Example:
        >>> percent(0.842)
        '84.2 %'
    """
    return f"{share * 100:.1f} %"


def number(share: float) -> str:
    """Write a difference of shares in points, with a true minus sign.

    Example:
        >>> number(-0.021), number(0.3)
        ('−2.1', '30.0')
    """
    return f"{share * 100:.1f}".replace("-", "−").replace("−0.0", "0.0")
