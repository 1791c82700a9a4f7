"""None of these: rows that a run's model does not answer, since they may be of classes that the source lacks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from juyi.data import UNKNOWN
from juyi.errors import ForeignFileError, RunFolderError
from juyi.measure import certainty, rejection_threshold, wilson_interval
from juyi.runs import RunFolder, refuse_numbers
from juyi.runs.scores import read_scores
from juyi.training import read_run


def threshold_of(folder: RunFolder, model: str, rate: float = 0.05) -> float:
    """Return the certainty below which a model of a run rejects rows, from nothing but the run's folder.

    At most the share `rate` of rows like the source's held-out ones is then rejected wrongly (see
    `juyi.measure.rejection_threshold`).  On a shifted target it may be more: only labels can tell.

    Args:
        folder: the run.
        model: a name in its `models`.
        rate: the share, 0 to 1, both excluded.

    Raises:
        RunFolderError: the run has no scores of held-out source rows.
        ForeignFileError: they are damaged.
        SettingError: the rate is out of its range.
    """
    refuse_numbers(folder.read(), folder, "rejecting strangers")
    scores = read_scores(folder, model)
    if "source" not in scores:
        raise RunFolderError(f"{folder.path}: held out no source rows, so nothing can be rejected; train with data")
    source = scores["source"]
    if source.ndim != 2 or not len(source) or not np.isfinite(source).all():
        raise ForeignFileError(f"{folder.records}: the scores of {model} on held-out rows are damaged; train again")
    return rejection_threshold(certainty(source), rate)


def predict_unknown(
    run: RunFolder | Path | str,
    X: Any,
    rate: float = 0.05,
    model: str | None = None,
    net: nn.Module | str | None = None,
) -> np.ndarray:
    """Return the class of each target row, or `unknown` where a run's model is not certain enough.

    Args:
        run: the run, or its folder.
        X: rows of the target, a `Domain` or an array.
        rate: the share of the source's held-out rows that may be rejected wrongly, 0 to 1, both excluded.
        model: a name in the run's `models`; None is the one that serves.
        net: the network, if it is one of your own.

    Returns:
        N words.

    Raises:
        RunFolderError, ForeignFileError, SettingError: as `threshold_of` does.
    """
    folder = run if isinstance(run, RunFolder) else RunFolder.open(run)
    threshold = threshold_of(folder, model or str(folder.read().get("serves")), rate)
    served = read_run(folder, model, net)
    scores = served.scores(X)
    words = served.classes.astype(str)[scores.argmax(1)].astype(object)
    words[certainty(scores) < threshold] = UNKNOWN
    answers: np.ndarray = words.astype(str)
    return answers


def rejection_results(
    scores: np.ndarray, label: np.ndarray, classes: int, threshold: float
) -> dict[str, dict[str, Any]]:
    """Count on a test how many strangers are rejected, and how many known rows wrongly.

    Args:
        scores: float, N×C: logits.
        label: int, N: codes; that of a stranger is `classes`.
        classes: C.
        threshold: the certainty below which a row is rejected.

    Returns:
        `strangers_rejected` and `known_rejected`, each value, low, high and n; one of no rows is left out.

    Example:
        >>> found = rejection_results(np.array([[9.0, 0.0], [0.1, 0.0], [0.0, 0.2]]), np.array([0, 1, 2]), 2, -0.5)
        >>> {name: result["value"] for name, result in found.items()}
        {'strangers_rejected': 1.0, 'known_rejected': 0.5}
    """
    rejected = certainty(scores) < threshold
    found = {}
    for name, rows in (("strangers_rejected", label == classes), ("known_rejected", label < classes)):
        n, count = int(rows.sum()), int(rejected[rows].sum())
        if n:
            low, high = wilson_interval(count, n)
            found[name] = {"value": count / n, "low": low, "high": high, "n": n}
    return found
