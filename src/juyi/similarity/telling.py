"""Which rows are most and least typical of their side, by a linear classifier of the two that has not seen the row."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from scipy.special import expit
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from juyi.data.domain import Domain
from juyi.measure.figures import clean, picture, rounded

SHOWN = 8
"""So many of each kind are shown."""
REASONS = 3
BINS = 20


def domain_scores(source: np.ndarray, target: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return for each row the log-odds of being of the target, by a logistic regression that has not seen it.

    Each side is cut in two halves; what is learnt on one half judges the other.  Both sides count as much as the other.

    Args:
        source: float, N×d.
        target: float, M×d.
        seed: of the halves.

    Returns:
        Log-odds of the source's rows, N, and of the target's, M, and the mean of the two halves' coefficients, d.

    Example:
        >>> random = np.random.default_rng(0)
        >>> source, target = random.normal(size=(100, 2)), random.normal(size=(100, 2)) + [4, 0]
        >>> scores = domain_scores(source, target, 0)
        >>> bool((scores[0] < 0).mean() > 0.9), bool((scores[1] > 0).mean() > 0.9)
        (True, True)
    """
    random = np.random.default_rng(seed)
    halves = [random.permutation(np.arange(len(side)) % 2) for side in (source, target)]
    scores = [np.zeros(len(source)), np.zeros(len(target))]
    coefficients = []
    for half in (0, 1):
        learnt = [side[which == half] for side, which in zip((source, target), halves, strict=True)]
        model = logistic(np.concatenate(learnt), np.repeat([0, 1], [len(part) for part in learnt]), balanced=True)
        for found, side, which in zip(scores, (source, target), halves, strict=True):
            if (which != half).any():
                found[which != half] = model.decision_function(side[which != half])
        coefficients.append(model.coef_[0])
    return scores[0], scores[1], np.mean(coefficients, axis=0)


def logistic(x: np.ndarray, y: np.ndarray, *, balanced: bool = False) -> LogisticRegression:
    """Fit a logistic regression with the usual ridge; that it might go on for long is no matter for a person."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model: LogisticRegression = LogisticRegression(max_iter=200, class_weight="balanced" if balanced else None).fit(
            x, y
        )
    return model


def typical_figure(
    sides: tuple[Domain, Domain],
    scores: tuple[np.ndarray, np.ndarray],
    features: tuple[np.ndarray, np.ndarray],
    names: tuple[str, ...] | None,
    coefficients: np.ndarray,
) -> dict[str, Any]:
    """Build what is shown of the most and least typical rows of each side: pictures, or rows with their reasons.

    Args:
        sides: source and target.
        scores: the log-odds of their rows of being of the target.
        features: float, N×d and M×d: what the classifier saw.
        names: d names, or None.
        coefficients: d, of the classifier.

    Returns:
        {"kind": "images" or "rows", "groups": [{"side", "most", "rows": [{"name", "probability", and "png" or
        "because"}]}]}; the probability is that of being of the target.
    """
    groups = []
    for side, domain, values, x, sign in zip(("source", "target"), sides, scores, features, (-1.0, 1.0), strict=True):
        order = np.argsort(-sign * values, kind="stable")
        count = min(SHOWN, max(1, domain.size // 2))
        for most, rows in ((True, order[:count]), (False, order[::-1][:count])):
            entries = [
                {
                    "name": clean(domain.row_name(int(row))),
                    "probability": round(float(expit(values[row])), 4),
                    **_shown(domain, int(row), x[row] * coefficients * np.sign(values[row] or 1.0), names),
                }
                for row in rows
            ]
            groups.append({"side": side, "most": most, "rows": entries})
    return {"kind": "images" if sides[0].is_images else "rows", "groups": groups}


def _shown(domain: Domain, row: int, toward: np.ndarray, names: tuple[str, ...] | None) -> dict[str, Any]:
    """Give a row's picture, or the columns that speak most for the side of which it is taken to be."""
    if domain.is_images:
        return {"png": picture(domain.x[row])}
    if names is None:
        return {"because": []}
    columns = list(domain.columns or [f"column {number}" for number in range(1, domain.x.shape[1] + 1)])
    strongest = [k for k in np.argsort(-toward, kind="stable")[:REASONS] if toward[k] > 0]
    values = [float(f"{domain.x[row, columns.index(names[k])]:.4g}") for k in strongest]
    return {"because": [[clean(names[k]), value] for k, value in zip(strongest, values, strict=True)]}


def overlap_figure(scores: tuple[np.ndarray, np.ndarray]) -> dict[str, Any]:
    """Build the histogram of what the classifier thinks of rows that it has not seen: the share of rows in each bin.

    Returns:
        {"edges": 21 probabilities of being of the target, "source": 20 shares, "target": 20 shares}.

    Example:
        >>> figure = overlap_figure((np.array([-9.0, -9.0]), np.array([9.0, -9.0])))
        >>> figure["source"][0], figure["target"][0], figure["target"][-1]
        (1.0, 0.5, 0.5)
    """
    edges = np.linspace(0, 1, BINS + 1)
    shares = [np.histogram(expit(values), edges)[0] / len(values) for values in scores]
    return {"edges": rounded(edges, 2), "source": rounded(shares[0], 5), "target": rounded(shares[1], 5)}
