"""The account: how often each model is right, how faithful it is to the teacher, how far its confidence is believed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from juyi.data.domain import Domain
from juyi.measure import (
    expected_calibration_error,
    fit_temperature,
    mean_divergence,
    share,
    wilson_interval,
    worst_class,
)

Scorer = Callable[[Domain], np.ndarray]
"""From rows to scores, N×C."""


def account(
    models: Mapping[str, Scorer], data: Domain, *, reference: str | None = None, held_out: Domain | None = None
) -> list[dict[str, Any]]:
    """Ask several models the same rows, and say of each what can be known.

    Args:
        models: from rows to scores, by name.
        data: the rows; figures that need labels are left out where there are none.
        reference: the model that the others are compared with, the teacher say.
        held_out: labelled rows, others than `data`, on which the temperature is fitted that makes probabilities fit.

    Returns:
        A table for each model: `model`, `accuracy`, `agreement` and `agreement_on_mistakes` (with the reference, on
        all rows and where that is wrong; each `value`, `low`, `high`, `n`), `divergence` and
        `divergence_on_mistakes` (nats), `worst_class` (with `class`), `calibration_error`, `temperature`,
        `calibration_error_after`.

    Example:
        >>> import juyi
        >>> digits = juyi.load("digits@test")
        >>> sure = lambda data: np.eye(10)[data.y] * 9.0
        >>> found = account({"teacher": sure, "student": sure}, digits, reference="teacher")
        >>> found[1]["accuracy"]["value"], found[1]["agreement"]["value"], found[1]["divergence"]
        (1.0, 1.0, 0.0)
    """
    told = {name: score(data) for name, score in models.items()}
    known = data.labelled
    classes = data.classes or ()
    mistakes = np.zeros(data.size, bool)
    if reference is not None:
        mistakes = known & (told[reference].argmax(1) != data.y)
    found = []
    for name, scores in told.items():
        answers = scores.argmax(1)
        entry: dict[str, Any] = {"model": name}
        if known.any():
            entry["accuracy"] = share(answers[known] == data.y[known])
            worst = worst_class(answers[known], data.y[known])
            low, high = wilson_interval(worst.right, worst.n)
            entry["worst_class"] = {
                "class": classes[worst.code], "value": worst.right / worst.n, "low": low, "high": high, "n": worst.n
            }  # fmt: skip
            entry["calibration_error"] = expected_calibration_error(scores[known], data.y[known])
            if held_out is not None:
                temperature = fit_temperature(models[name](held_out), held_out.y)
                after = expected_calibration_error(scores[known] / temperature, data.y[known])
                entry |= {"temperature": temperature, "calibration_error_after": after}
        if reference is not None and name != reference:
            same = answers == told[reference].argmax(1)
            entry |= {"agreement": share(same), "divergence": mean_divergence(scores, told[reference])}
            if mistakes.any():
                apart = mean_divergence(scores[mistakes], told[reference][mistakes])
                entry |= {"agreement_on_mistakes": share(same[mistakes]), "divergence_on_mistakes": apart}
        found.append(entry)
    return found
