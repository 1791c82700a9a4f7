"""Linear classifiers of features, as bounds and scores need them: fitted, applied, cross-validated."""

from __future__ import annotations

import numpy as np
from scipy.special import logsumexp
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold

from juyi.measure.checked import codes, matrix

FOLDS = 5
STRENGTHS = tuple(10.0**power for power in range(-3, 5))


def linear_classifier(features: np.ndarray, label: np.ndarray, n: int | None = None) -> np.ndarray:
    """Fit a linear classifier by logistic regression on standardised features.

    Args:
        features: float, N×d.
        label: int, N: codes from 0.
        n: the number of classes; None: as many as the codes name.  A class without rows is never predicted.

    Returns:
        W, float64, (d + 1)×C: the scores of rows x are x W[:-1] + W[-1], and the class of the largest is predicted.

    Raises:
        DataError: NaN, fewer than two rows, one class, labels that are no codes.

    Example:
        >>> x = np.array([[0.0], [1.0], [4.0], [5.0]])
        >>> linear_prediction(linear_classifier(x, np.array([0, 0, 1, 1])), np.array([[0.5], [4.5]]))
        array([0, 1])
    """
    x = matrix(features, "features")
    y = codes(label, len(x), "labels", n)
    return fit_linear(x, y, int(y.max()) + 1 if n is None else n)


def linear_prediction(classifier: np.ndarray, features: np.ndarray) -> np.ndarray:
    """Return the class that a linear classifier gives each row.

    Args:
        classifier: float, (d + 1)×C, as `linear_classifier` returns it.
        features: float, N×d.

    Returns:
        int64, N.

    Example:
        >>> linear_prediction(np.array([[-1.0, 1.0], [3.0, 0.0]]), np.array([[0.0], [2.0]]))  # class 1 from 1.5 on
        array([0, 1])
    """
    found: np.ndarray = (features @ classifier[:-1] + classifier[-1]).argmax(1)
    return found


def fit_linear(
    x: np.ndarray, y: np.ndarray, classes: int, weight: np.ndarray | None = None, strength: float = 1.0
) -> np.ndarray:
    """Fit a linear classifier, (d + 1)×C, to checked rows.

    It is the minimum of Σ_i CE(y_i, W x_i) + strength / 2 ‖W‖², x standardised and the intercepts free; `weight` says
    how much each row counts.
    """
    mean, spread = x.mean(0), x.std(0)
    spread = np.where(spread > 0, spread, 1.0)
    model = LogisticRegression(C=1.0 / strength, max_iter=1_000).fit((x - mean) / spread, y, weight)
    w = np.concatenate([model.coef_.T, model.intercept_[None]]) / np.append(spread, 1.0)[:, None]
    w[-1] -= mean @ w[:-1]
    w = np.concatenate([-w / 2, w / 2], 1) if len(model.classes_) == 2 else w
    found = np.tile(w.mean(1, keepdims=True), (1, classes))
    found[-1] -= 1.0  # a class that was never seen: always below the mean of the others, hence below the largest
    found[:, model.classes_] = w
    return found


def cross_validated_strength(x: np.ndarray, y: np.ndarray, seed: int = 0) -> float:
    """Choose the strength of `fit_linear` by the cross-entropy of rows that were not fitted, in five folds.

    Folds keep the shares of the classes; there are fewer where a class has fewer rows than five, and with one row of a
    class there is nothing to compare: then it is 1.

    Args:
        x: float, N×d.
        y: int, N.
        seed: of the folds.

    Returns:
        One of 10⁻³, 10⁻², …, 10⁴.
    """
    folds = min(FOLDS, int(np.unique(y, return_counts=True)[1].min()))
    if folds < 2:
        return 1.0
    parts = list(StratifiedKFold(folds, shuffle=True, random_state=seed).split(x, y))
    classes = int(y.max()) + 1

    def cost(strength: float) -> float:
        total = 0.0
        for fitted, held in parts:
            w = fit_linear(x[fitted], y[fitted], classes, strength=strength)
            scores = x[held] @ w[:-1] + w[-1]
            total += float((logsumexp(scores, 1) - scores[np.arange(len(held)), y[held]]).sum())
        return total

    return min(STRENGTHS, key=cost)


def cross_validated_error(x: np.ndarray, y: np.ndarray, classes: int, seed: int) -> float:
    """Return the cross-validated error of a linear classifier."""
    return float(wrong_rows(x, y, classes, seed, np.ones(len(x))).mean())


def wrong_rows(x: np.ndarray, y: np.ndarray, classes: int, seed: int, weight: np.ndarray) -> np.ndarray:
    """Return which rows are wrong when a classifier is fitted on the other folds."""
    fold = np.random.default_rng(seed).permutation(np.arange(len(x)) % min(FOLDS, len(x)))
    wrong = np.zeros(len(x), bool)
    for k in range(min(FOLDS, len(x))):
        rest = fold != k
        if len(np.unique(y[rest])) < 2:  # nothing to be told apart: the one class is predicted
            wrong[~rest] = y[~rest] != y[rest][0]
        else:
            wrong[~rest] = linear_prediction(fit_linear(x[rest], y[rest], classes, weight[rest]), x[~rest]) != y[~rest]
    return wrong
