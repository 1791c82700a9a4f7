"""The proxy 𝒜-distance: how well a linear classifier tells two domains apart, on rows that it has not learnt from."""

from __future__ import annotations

import math
import warnings

import numpy as np
from threadpoolctl import threadpool_limits

from juyi.measure.estimate import Estimate
from juyi.measure.intervals import wilson_interval
from juyi.measure.two_samples import draw_rows, rows_note, two_samples

MOST_ROWS = 10_000
FOLDS = 5
INVERSE_PENALTY = 0.1


def proxy_a_distance(source: np.ndarray, target: np.ndarray, *, seed: int = 0, confidence: float = 0.95) -> Estimate:
    """Estimate the 𝒜-distance by a domain classifier on held-out rows.

        d_𝒜 = 2 (1 − 2 ε),   ε = (ε_s + ε_t)/2,   cut to 0 … 2

    ε_s and ε_t are the shares of source and target rows that a logistic regression (features scaled to mean 0 and
    deviation 1, squared penalty, the sides weighted to count equally) takes for the other domain's.  Each row is
    judged by a classifier that has learnt from the other four fifths (cross-fitting).  0 means that the classifier
    tells nothing, 2 that it is never wrong.  Learnt from a finite number of rows it is not the best one: the figure is
    of this classifier, and a linear one at that, and thus from below.

    The interval counts the errors of each side as independent, which in the limit they are although the classifiers
    share rows, and joins the two Wilson intervals [l, u] by the distances of their ends:

        ε − ½ √((ε_s − l_s)² + (ε_t − l_t)²)   to   ε + ½ √((u_s − ε_s)² + (u_t − ε_t)²)

    Args:
        source: float, N×d; of more than 10,000 rows as many are drawn.
        target: float, M×d; the same.
        seed: decides which rows, and the folds.
        confidence: of the interval, between 0 and 1.

    Returns:
        The distance, 0 to 2.

    Raises:
        DataError: see `two_samples`.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> x, y = rng.normal(size=(200, 3)), rng.normal(size=(200, 3))
        >>> proxy_a_distance(x, y).value < 0.3, proxy_a_distance(x, y + 20).value
        (True, 2.0)

    Source: S. Ben-David et al., "Analysis of Representations for Domain Adaptation", NIPS 2006, section 4 (eq. for
    d_𝒜); P. Bayle et al., "Cross-validation Confidence Intervals for Test Error", NeurIPS 2020, Theorem 1;
    G. Y. Zou and A. Donner, "Construction of confidence limits about effect measures: a general approach",
    Statistics in Medicine 27 (2008) (the joining).
    """
    x, y = two_samples(source, target)
    given = len(x), len(y)
    rng = np.random.default_rng(seed)
    x, y = draw_rows(x, MOST_ROWS, rng), draw_rows(y, MOST_ROWS, rng)
    wrong = cross_fitted(x, y, rng)[:2]
    error = [side.mean() for side in wrong]
    ends = [wilson_interval(int(side.sum()), len(side), confidence) for side in wrong]
    middle = sum(error) / 2
    below = math.hypot(*(e - low for e, (low, _) in zip(error, ends, strict=True))) / 2
    above = math.hypot(*(high - e for e, (_, high) in zip(error, ends, strict=True))) / 2
    note = f"held-out error {middle:.4g} of a linear domain classifier, {rows_note((len(x), len(y)), given)}"
    value, low, high = (float(min(2.0, max(0.0, 2 - 4 * e))) for e in (middle, middle + above, middle - below))
    return Estimate("proxy_a_distance", value, low, high, len(x), len(y), confidence, note=note)


def cross_fitted(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Say of each row whether a classifier that has not learnt from it takes it for the other domain's.

    Args:
        x: float, N×d, the source.
        y: float, M×d, the target.
        rng: decides the folds.

    Returns:
        Bool, N and M; and the classifiers, float, folds×(d+1): target is where the weights' product with a row, plus
        the last number, is above 0.
    """
    from sklearn.exceptions import ConvergenceWarning  # here, since it takes half a second to import
    from sklearn.linear_model import LogisticRegression

    folds = min(FOLDS, len(x), len(y))
    both, domain = np.concatenate([x, y]), np.repeat([0, 1], [len(x), len(y)])
    fold = np.concatenate([rng.permutation(np.arange(len(side)) % folds) for side in (x, y)])
    wrong, classifiers = np.zeros(len(both), bool), np.zeros((folds, both.shape[1] + 1))
    with threadpool_limits(limits=1):
        for number in range(folds):
            learnt = fold != number
            middle, spread = both[learnt].mean(0), both[learnt].std(0)
            spread[spread == 0] = 1.0
            scaled = (both - middle) / spread
            classifier = LogisticRegression(C=INVERSE_PENALTY, class_weight="balanced", max_iter=200)
            with warnings.catch_warnings():  # one that is not quite at its optimum is a classifier as well
                warnings.simplefilter("ignore", ConvergenceWarning)
                classifier.fit(scaled[learnt], domain[learnt])
            wrong[~learnt] = classifier.predict(scaled[~learnt]) != domain[~learnt]
            weights = classifier.coef_[0] / spread
            classifiers[number] = np.append(weights, classifier.intercept_[0] - weights @ middle)
    return wrong[: len(x)], wrong[len(x) :], classifiers
