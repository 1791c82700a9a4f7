"""What theory says of a classifier of the source on the target, and what is known of the classes there."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from juyi.data.splits import subset_rows
from juyi.errors import DataError
from juyi.measure import (
    Estimate,
    average_thresholded_confidence,
    ben_david_bound,
    confidence_transport,
    dis2_bound,
    estimate_label_shift,
    mansour_bound,
    margin_bound,
    shares_warning,
    total_variation,
    wilson_interval,
)
from juyi.measure.figures import clean, rounded
from juyi.measure.verdict import percent
from juyi.similarity.classifier import Classifier
from juyi.similarity.sides import Sides, Tell
from juyi.similarity.space import Space

BOUND_ROWS = 2_000
"""Of each side, at most so many rows go into a bound whose critic is trained for long."""
BOUNDS = ("ben_david_bound", "mansour_bound", "margin_bound", "dis2_bound")


def attempt(name: str, counts: tuple[int, int], function: Callable[[], Estimate]) -> Estimate:
    """Return an estimate, or an unknown one with the reason where the data do not allow it."""
    try:
        return function()
    except DataError as error:
        return Estimate(name, None, None, None, *counts, note=f"unknown: {error}")


def accuracies(classifier: Classifier, sides: Sides) -> list[Estimate]:
    """Judge the classifier where there are labels, and estimate it where there are none, unless it has adapted."""
    correct = classifier.scores_source.argmax(1) == classifier.label_source
    found = [_share("accuracy_source", correct, True, f"of {classifier.name}")]
    if (label := target_codes(classifier, sides)) is not None:
        given = ~np.isnan(label)
        right = classifier.scores_target[given].argmax(1) == label[given]
        found.append(_share("accuracy_target", right, False, "on the target rows whose labels were given"))
    if classifier.adapted:  # it is sure of what it has adapted to, right or wrong
        return found
    scores = classifier.on_drawn(sides)
    for function in (average_thresholded_confidence, confidence_transport):
        found.append(attempt(function.__name__, (len(scores[0]), len(scores[2])), partial(function, *scores)))
    return found


def below_chance(estimates: list[Estimate], classes: int) -> list[str]:
    """Warn where given labels show that the source's classifier is worse on the target than chance.

    Example:
        >>> below_chance([Estimate("accuracy_target", 0.22, 0.19, 0.25, 0, 700)], 2)[0][:67]
        "The source's classifier is right on 22.0 % of the target rows whose"
    """
    found = next((one for one in estimates if one.name == "accuracy_target"), None)
    if found is None or found.value is None or found.high is None or found.high >= 1 / classes:
        return []
    return [
        f"The source's classifier is right on {percent(found.value)} of the target rows whose labels were given, "
        f"which is below chance ({percent(1 / classes)}): the two obey different rules; what holds there is wrong here."
    ]


def _share(name: str, correct: np.ndarray, of_source: bool, note: str) -> Estimate:
    low, high = wilson_interval(int(correct.sum()), len(correct))
    counts = (len(correct), 0) if of_source else (0, len(correct))
    return Estimate(name, float(correct.mean()), low, high, *counts, note=note)


def target_codes(classifier: Classifier, sides: Sides) -> np.ndarray | None:
    """Return the given labels of the target as codes of the classifier's classes, NaN where there is none.

    None where no label was given, or its classes are others.
    """
    target = sides.target
    if not target.labelled.any() or target.classes is None:
        return None
    codes = {name: code for code, name in enumerate(classifier.classes)}
    if not all(target.classes[k] in codes for k in np.unique(target.y[target.labelled])):
        return None
    recoded = np.array([codes.get(name, 0) for name in target.classes], np.float64)
    return np.where(target.labelled, recoded[target.y], np.nan)


def bounds(classifier: Classifier, sides: Sides, space: Space, seed: int, tell: Tell) -> list[Estimate]:
    """Estimate the four bounds: three on the error of a linear classifier, and Dis² on the accuracy of this one."""
    some = subset_rows(len(classifier.rows), BOUND_ROWS, seed)
    there, label = space.source[classifier.rows[some]], classifier.label_source[some]
    goal = target_rows(sides, seed)
    given: dict[str, Any] = {"classifier": classifier.linear, "seed": seed}
    if (known := target_codes(classifier, sides)) is not None:
        given["label_target"] = known[goal]
    found = []
    for function in (ben_david_bound, mansour_bound, margin_bound):
        tell(f"bound: {function.__name__.replace('_', ' ')}")
        call = partial(function, there, label, space.target[goal], **given)
        found.append(attempt(function.__name__, (len(there), len(goal)), call))
    tell("bound: dis2 bound")
    scores = there_scores, _, here_scores = classifier.on_drawn(sides)
    call = partial(dis2_bound, *scores, seed=seed)
    return [*found, attempt("dis2_bound", (len(there_scores), len(here_scores)), call)]


def target_rows(sides: Sides, seed: int) -> np.ndarray:
    """Choose the target's rows for the bounds: those that stand for it, and labelled ones, for λ."""
    drawn, labelled = np.flatnonzero(sides.drawn), np.flatnonzero(sides.target.labelled)
    labelled = labelled[subset_rows(len(labelled), BOUND_ROWS // 2, seed)]
    left = drawn[subset_rows(len(drawn), BOUND_ROWS - len(labelled), seed)]
    return np.union1d(left, labelled)


def unknown_bounds(why: str) -> list[Estimate]:
    """Say of every bound that it is unknown, and why."""
    return [Estimate(name, None, None, None, 0, 0, note=f"unknown: {why}") for name in BOUNDS]


def label_shift(
    classifier: Classifier, sides: Sides, apart: Estimate | None, seed: int
) -> tuple[list[Estimate], dict[str, Any], list[str]]:
    """Estimate the classes' shares in the target; return the estimates, what is drawn of them, and warnings."""
    there, label, here = classifier.on_drawn(sides)
    seen = np.unique(label)
    if len(seen) < 2:
        return [], {}, []
    found = estimate_label_shift(there, label, here, classifier.classes, seed=seed)
    series: list[dict[str, Any]] = [_series("source, by its labels", classifier.shares, "@neutral")]
    predicted = np.bincount(here.argmax(1), minlength=len(classifier.classes)) / len(here)
    series.append(_series("target, as predicted", predicted, "@before"))
    for name, called, colour in (
        ("bbse", "target, by BBSE", "@class2"), ("mlls", "target, by maximum likelihood", "@after")
    ):  # fmt: skip
        part = [one for one in found if one.name.startswith(f"{name}[")]
        ends = [[end or 0.0 for end in ends] for ends in zip(*((one.low, one.high) for one in part), strict=True)]
        shares = np.array([one.value or 0.0 for one in part])
        series.append(
            _series(called, shares, colour)
            | {"low": rounded(np.array(ends[0]), 5), "high": rounded(np.array(ends[1]), 5)}
        )
    known = target_codes(classifier, sides)
    if known is not None and not np.isnan(known).any():
        counts = np.bincount(known[sides.drawn].astype(np.int64), minlength=len(classifier.classes))
        series.append(_series("target, by its labels", counts / counts.sum(), "@target"))
    likely = np.array([one.value or 0.0 for one in found if one.name.startswith("mlls[")])
    warnings = beyond_label_shift(classifier.shares, likely, apart) or shares_warning(
        classifier.shares, likely, classifier.classes, "read the distances with that in mind"
    )
    return found, {"classes": [clean(name) for name in classifier.classes], "series": series}, warnings


def beyond_label_shift(shares: np.ndarray, estimated: np.ndarray, apart: Estimate | None) -> list[str]:
    """Warn where other shares of the classes alone cannot explain how far apart the sides are.

    If the sides differed in the classes' shares p and q alone, no classifier could tell more of their rows apart than
    ½ + ½ TV(p, q), for mixing by class makes two distributions of classes no further apart.  The 𝒜-distance is
    4 × (share − ½), so it would be at most 2 TV.

    Example:
        >>> apart = Estimate("proxy_a_distance", 1.9, 1.8, 1.95, 500, 500)
        >>> beyond_label_shift(np.array([0.5, 0.5]), np.array([0.7, 0.3]), apart)[0][:94]
        'Other shares of the classes alone would let at most 60.0 % of the rows be told apart, and 97.5'
        >>> beyond_label_shift(np.array([0.5, 0.5]), np.array([1.0, 0.0]), Estimate("", 0.9, 0.8, 1.0, 9, 9))
        []
    """
    if apart is None or apart.value is None or apart.low is None:
        return []
    most = total_variation(shares, estimated)
    if apart.low / 2 <= most:
        return []
    return [
        f"Other shares of the classes alone would let at most {percent(0.5 + most / 2)} of the rows be told apart, and "
        f"{percent(0.5 + apart.value / 4)} are: within a class, too, the two look different. The estimated shares deny "
        "that, so do not rely on them."
    ]


def _series(name: str, shares: np.ndarray, colour: str) -> dict[str, Any]:
    return {"name": name, "shares": rounded(shares, 5), "colour": colour}
