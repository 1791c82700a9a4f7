"""What theory says about error on the target: estimated bounds for a linear classifier of features.

The supremum over pairs of classifiers in these bounds is reached by a trained critic only from below, and a part of
each bound cannot be known without labels of the target.  So these are estimates of bounds, and no guarantees.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from juyi.errors import DataError
from juyi.measure.checked import check_delta, codes, matrix, same_columns
from juyi.measure.estimate import Estimate
from juyi.measure.linear import cross_validated_error, fit_linear, linear_classifier, linear_prediction, wrong_rows
from juyi.measure.regions import largest_difference


def ben_david_bound(
    features_source: np.ndarray,
    label_source: np.ndarray,
    features_target: np.ndarray,
    *,
    classifier: np.ndarray | None = None,
    label_target: np.ndarray | None = None,
    delta: float = 0.01,
    seed: int = 0,
) -> Estimate:
    """Estimate the bound of Ben-David et al. on the target error of a linear classifier h.

        ε_target(h) ≤ ε_source(h) + ½ d_HΔH + λ + sampling
        d_HΔH = 2 sup_{h, h′ ∈ H} |P_source(h ≠ h′) − P_target(h ≠ h′)|
        λ = min_{h ∈ H} ε_source(h) + ε_target(h)

    H are the linear classifiers of the features.  Where two of them differ is, for two classes, the exclusive-or of
    two half-spaces; a critic of that form is trained to tell the domains apart, from several starts, and judged on
    all rows, as the theorem has it.  With v = (d + 1)(C − 1), which is H's VC dimension for two classes, and m rows
    on the smaller side, the sampling term is

        4 √((2v ln 2m + ln(2/δ′)) / m) + √(ln(1/δ′) / 2n)      the latter for ε_source, on n held-out rows

    where δ′ shares δ out among the parts.  λ is known only by labels of the target: where `label_target` has some,
    a classifier is trained on both domains at once, its errors are cross-validated, and their own sampling term is
    added.  Without them λ is left out, and the note says so.

    Args:
        features_source: float, N×d: labelled source rows.
        label_source: int, N: their labels, from 0.
        features_target: float, M×d: target rows.
        classifier: float, (d + 1)×C, as `linear_classifier` returns it: h, which has not learnt from these rows.
            None: one is fitted on a half of the source rows, and its error is taken on the other.
        label_target: M labels, NaN where unknown; None: none is known.
        delta: δ, the share of samples in which the sampling term may be too small.
        seed: of halves, folds and the critic's starts.

    Returns:
        `value` is the bound, which may be above 1; the target error lies between `low`, 0, and `high`, if the
        assumptions hold.  The note has the parts, and says "vacuous" where the bound is no better than chance.

    Raises:
        DataError: NaN, fewer than two rows on a side, other columns, one class, labels that are no codes.
        SettingError: `delta` is out of its range.

    Example:
        >>> random = np.random.default_rng(0)
        >>> label = random.integers(0, 2, 4000)
        >>> x = 4.0 * label[:, None] + random.normal(size=(4000, 1))
        >>> bound = ben_david_bound(x[:2000], label[:2000], x[2000:] + 0.1)
        >>> 0 < bound.value < 1, bound.note[:67]
        (True, 'estimated bound on error, no guarantee: source error 0.025 + ½ d_HΔ')

    Source: Ben-David, Blitzer, Crammer, Kulesza, Pereira and Vaughan, "A theory of learning from different domains",
    Machine Learning 79 (2010), Theorem 2; Lemma 1 and section 4 for d_HΔH.
    """
    given = prepared(features_source, label_source, features_target, classifier, label_target, delta, seed)
    parts = 2 if given.known is None else 3
    share = delta / parts
    difference = largest_difference(given.source, given.target, seed)
    dimension = (given.source.shape[1] + 1) * (given.classes - 1)
    rows = min(len(given.source), len(given.target))
    sampling = 4 * math.sqrt((2 * dimension * math.log(2 * rows) + math.log(2 / share)) / rows)
    sampling += hoeffding(len(given.judged), share)
    value = given.error_source + difference + sampling
    words = f"source error {given.error_source:.3g} + ½ d_HΔH {difference:.3g} + sampling {sampling:.3g}"
    if given.known is None:
        words += " + λ, which labels of the target alone can tell, here left out: it must be small, so that one linear "
        words += "classifier serves both domains"
    else:
        least = _least_joint_error(given, seed)
        value += least + hoeffding(len(given.known), share)
        words += f" + λ {least:.3g} ± {hoeffding(len(given.known), share):.3g} from {len(given.known)} target labels"
    return bound("ben_david_bound", value, words, given, delta)


def mansour_bound(
    features_source: np.ndarray,
    label_source: np.ndarray,
    features_target: np.ndarray,
    *,
    classifier: np.ndarray | None = None,
    label_target: np.ndarray | None = None,
    delta: float = 0.01,
    seed: int = 0,
) -> Estimate:
    """Estimate the bound of Mansour, Mohri and Rostamizadeh on the target error of a linear classifier h.

    With h_s and h_t the best linear classifiers of the two domains, and L(h, h′) the share of rows where two differ:

        ε_target(h) ≤ L_source(h, h_s) + disc + ε_target(h_t) + L_target(h_s, h_t) + sampling
        disc = sup_{h, h′ ∈ H} |L_source(h, h′) − L_target(h, h′)|

    For this loss disc is ½ d_HΔH of `ben_david_bound`, and is estimated in the same way.  What differs: the
    best error is counted once and not in both domains, and the sampling term is measured on these very data by
    Rademacher complexity rather than read off a dimension.  Random signs cut the rows of a domain in two halves, so
    the complexity is how well the same critic tells random halves of one domain apart:

        disc ≤ disc^ + 2R_source + 2R_target + 3√(ln(4/δ′)/2n) + 3√(ln(4/δ′)/2m)
        2R^ = sup |mean_i σ_i 1[h(x_i) ≠ h′(x_i)]| · 2,   σ_i = ±1

    ε_target(h_t) and L_target(h_s, h_t) are known only by labels of the target.  Without them the former is taken to
    be the source's least error, the latter 0: as if both domains obeyed one rule, equally noisy.

    Args:
        features_source: float, N×d: labelled source rows.
        label_source: int, N: their labels, from 0.
        features_target: float, M×d: target rows.
        classifier: float, (d + 1)×C, as `linear_classifier` returns it: h, which has not learnt from these rows.
            None: one is fitted on a half of the source rows.
        label_target: M labels, NaN where unknown; None: none is known.
        delta: δ, the share of samples in which the sampling term may be too small.
        seed: of halves, folds, signs and the critic's starts.

    Returns:
        `value` is the bound, which may be above 1; the target error lies between `low`, 0, and `high`, if the
        assumptions hold.  The note has the parts, and says "vacuous" where the bound is no better than chance.

    Raises:
        DataError: NaN, fewer than two rows on a side, other columns, one class, labels that are no codes.
        SettingError: `delta` is out of its range.

    Example:
        >>> random = np.random.default_rng(0)
        >>> label = random.integers(0, 2, 4000)
        >>> x = 4.0 * label[:, None] + random.normal(size=(4000, 1))
        >>> bound = mansour_bound(x[:2000], label[:2000], x[2000:] + 0.1)
        >>> 0 < bound.value < 1
        True

    Source: Mansour, Mohri and Rostamizadeh, "Domain Adaptation: Learning Bounds and Algorithms", COLT 2009, Theorem 8
    (the bound) and Proposition 2 (the sampling term of each domain).
    """
    given = prepared(features_source, label_source, features_target, classifier, label_target, delta, seed)
    share = delta / (2 if given.known is None else 3)
    disc = largest_difference(given.source, given.target, seed)
    sampling = hoeffding(len(given.judged), share)
    random = np.random.default_rng(seed)
    for side in (given.source, given.target):
        sign = random.permutation(np.arange(len(side)) % 2).astype(bool)
        if min(sign.sum(), (~sign).sum()) >= 2:
            sampling += largest_difference(side[sign], side[~sign], seed)
        sampling += 3 * hoeffding(len(side), share / 4)
    best_source = linear_classifier(given.source, given.label)
    differs = float(
        (linear_prediction(given.classifier, given.judged) != linear_prediction(best_source, given.judged)).mean()
    )
    value = differs + disc + sampling
    words = f"difference from the source's best classifier {differs:.3g} + discrepancy {disc:.3g}"
    if given.known is None:
        least = cross_validated_error(given.source, given.label, given.classes, seed)
        value += least
        words += f" + least error {least:.3g} (the source's, for want of target labels: the target must obey the same "
        words += "rule and be no noisier)"
    else:
        best_target = linear_classifier(given.target[given.known], given.label_known, given.classes)
        apart = float(
            (linear_prediction(best_source, given.target) != linear_prediction(best_target, given.target)).mean()
        )
        least = cross_validated_error(given.target[given.known], given.label_known, given.classes, seed)
        sampling += hoeffding(len(given.known), share)
        value += apart + least + hoeffding(len(given.known), share)
        words += f" + difference of the best classifiers {apart:.3g} + target's least error {least:.3g}, both from "
        words += f"{len(given.known)} target labels"
    return bound("mansour_bound", value, f"{words} + sampling {sampling:.3g}", given, delta)


def hoeffding(rows: int, delta: float) -> float:
    """Return √(ln(1/δ)/2n): how far the mean of n numbers from 0 to 1 may be off, on one side."""
    return math.sqrt(math.log(1 / delta) / (2 * rows))


@dataclass(frozen=True)
class Given:
    """What a bound is computed from, checked."""

    source: np.ndarray
    label: np.ndarray
    target: np.ndarray
    classes: int
    classifier: np.ndarray
    judged: np.ndarray
    """Source rows from which the classifier has not learnt."""
    label_judged: np.ndarray
    error_source: float
    known: np.ndarray | None
    """Which target rows have labels."""
    label_known: np.ndarray


def prepared(
    features_source: np.ndarray,
    label_source: np.ndarray,
    features_target: np.ndarray,
    classifier: np.ndarray | None,
    label_target: np.ndarray | None,
    delta: float,
    seed: int,
) -> Given:
    """Check what was given; fit the classifier on a half of the source where none is given."""
    check_delta(delta)
    source, target = (
        matrix(features_source, "features of the source"),
        matrix(features_target, "features of the target"),
    )
    same_columns(source, target, "features")
    label = codes(label_source, len(source), "labels of the source")
    classes = int(label.max()) + 1
    if classifier is None:
        order = np.random.default_rng(seed).permutation(len(source))
        fitted, rows = order[: len(order) // 2], order[len(order) // 2 :]
        codes(label[fitted], len(fitted), "labels of the half of the source on which the classifier is fitted")
        w = fit_linear(source[fitted], label[fitted], classes)
    else:
        w, rows = matrix(classifier, "classifier", 2), np.arange(len(source))
        if w.shape != (source.shape[1] + 1, max(classes, w.shape[1])):
            raise DataError(
                f"classifier: {source.shape[1] + 1} rows and at least {classes} columns are needed, not {w.shape}"
            )
        classes = w.shape[1]
    known, label_known = known_labels(label_target, len(target), classes)
    error = float((linear_prediction(w, source[rows]) != label[rows]).mean())
    return Given(source, label, target, classes, w, source[rows], label[rows], error, known, label_known)


def known_labels(label_target: np.ndarray | None, rows: int, classes: int) -> tuple[np.ndarray | None, np.ndarray]:
    """Return which target rows have a label, or None, and these labels; NaN is none."""
    none = np.zeros(0, np.int64)
    if label_target is None:
        return None, none
    given = np.asarray(label_target, np.float64)
    if given.shape != (rows,):
        raise DataError(f"labels of the target: one a row is needed, {rows} in all, NaN where unknown")
    known = np.flatnonzero(~np.isnan(given))
    if not len(known):
        return None, none
    return known, codes(given[known], len(known), "labels of the target", classes)


def _least_joint_error(given: Given, seed: int) -> float:
    """Estimate λ from above: the cross-validated errors, on both sides, of a classifier that learns from both."""
    assert given.known is not None
    x = np.concatenate([given.source, given.target[given.known]])
    y = np.concatenate([given.label, given.label_known])
    side = np.arange(len(x)) >= len(given.source)
    weight = np.where(side, 0.5 / side.sum(), 0.5 / (~side).sum()) * len(x)
    wrong = wrong_rows(x, y, given.classes, seed, weight)
    return float(wrong[~side].mean() + wrong[side].mean())


def bound(name: str, value: float, words: str, given: Given, delta: float) -> Estimate:
    """Put a bound on error into words."""
    note = f"estimated bound on error, no guarantee: {words}"
    chance = 1 - 1 / given.classes
    if value >= chance:
        note += f"; vacuous: no better than chance, {chance:.3g}"
    high = min(1.0, value)
    return Estimate(name, value, 0.0, high, len(given.source), len(given.target), confidence=1 - delta, note=note)
