"""The margin-based bound: how far a scorer of bounded norm can disagree with a classifier, counted by margins."""

from __future__ import annotations

import math

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from juyi.measure.bounds import Given, bound, hoeffding, prepared
from juyi.measure.disagreement import critic_loss
from juyi.measure.estimate import Estimate
from juyi.measure.linear import fit_linear, linear_prediction

MARGINS = 2.0 ** np.arange(-6, 1)
"""ρ is tried at these shares of ‖f‖ times the root mean square of the rows' lengths."""
STEPS = 40
ROUNDED = 0.1
"""Over what share of ρ the corners of the ramp are rounded while a critic climbs."""


def margin_bound(
    features_source: np.ndarray,
    label_source: np.ndarray,
    features_target: np.ndarray,
    *,
    classifier: np.ndarray | None = None,
    label_target: np.ndarray | None = None,
    delta: float = 0.01,
    seed: int = 0,
) -> Estimate:
    """Estimate the bound of Zhang et al. on the target error of a linear classifier f: margin disparity discrepancy.

    The margin of a scorer f′ at class y is ½(f′_y − max_{k≠y} f′_k), and Φ_ρ turns it into a loss: 1 at a margin of 0
    or less, 0 from ρ on, straight between.  disp(f′) is that loss at the class that f predicts, err^ρ(f) that of f at
    the true class; ŷ = argmax f:

        ε_target(f) ≤ err^ρ_source(f) + sup_{f′} (disp_target(f′) − disp_source(f′)) + λ + sampling
        λ = min_{f′} err^ρ_source(f′) + err^ρ_target(f′)

    f′ are linear scorers of the standardised features and 1 whose norm (Frobenius) is at most that of f, Λ.  Only
    one supremum is left, and f stays in it, so this is smaller than a discrepancy over all pairs of classifiers.
    Critics of Dis² are brought to the norm Λ and climb the difference itself from there, with the corners of Φ_ρ
    rounded.  ρ is tried at seven values, among which δ is shared, and the least bound counts.

    The sampling term is Theorem 3.7's, with the Rademacher complexity of such scorers: the margin is a
    1/√2-Lipschitz function of C scores, so by the vector contraction inequality, on n rows x

        R_n ≤ (Λ/ρ) √(C mean‖x‖² / n)
        sampling = 2R_n + 2R_m + √(ln(1/δ′)/2n) + √(ln(1/δ′)/2m) + √(ln(1/δ′)/2n′)

    with n′ the held-out source rows.  It grows with the norm of the classifier, not with the number of features.

    Args:
        features_source: float, N×d: labelled source rows.
        label_source: int, N: their labels, from 0.
        features_target: float, M×d: target rows.
        classifier: float, (d + 1)×C, as `linear_classifier` returns it: f, which has not learnt from these rows.
            None: one is fitted on a half of the source rows.
        label_target: M labels, NaN where unknown; None: none is known, and λ is left out.
        delta: δ, the share of samples in which the sampling term may be too small.
        seed: of the halves.

    Returns:
        `value` is the bound, which may be above 1; the target error lies between `low`, 0, and `high`, if the
        assumptions hold.  The note has the parts, and says "vacuous" where the bound is no better than chance.

    Raises:
        DataError: NaN, fewer than two rows on a side, other columns, one class, labels that are no codes.
        SettingError: `delta` is out of its range.

    Example:
        >>> random = np.random.default_rng(0)
        >>> label = random.integers(0, 2, 40000)
        >>> x = 6.0 * label[:, None] + random.normal(size=(40000, 1))
        >>> bound = margin_bound(x[:20000], label[:20000], x[20000:] + 0.1)
        >>> 0 < bound.value < 0.5
        True

    Source: Zhang, Liu, Long and Jordan, "Bridging Theory and Algorithm for Domain Adaptation", ICML 2019, Proposition
    3.3 and Theorem 3.7.  Maurer, "A vector-contraction inequality for Rademacher complexities", ALT 2016, Corollary 1.
    """
    given = prepared(features_source, label_source, features_target, classifier, label_target, delta, seed)
    source, judged, target, w = _standardised(given)
    said = linear_prediction(given.classifier, given.source), linear_prediction(given.classifier, given.target)
    norm = float(np.sqrt((w * w).sum()))
    squares = [float((side * side).sum(1).mean()) for side in (source, target)]
    share = delta / (len(MARGINS) * (3 if given.known is None else 4))
    sure = sum(hoeffding(len(side), share) for side in (judged, source, target))
    candidates, critic = _candidates(source, said[0], target, said[1], w), w
    right = given.label_judged
    parts = []
    for rho in (MARGINS * norm * math.sqrt(sum(squares) / 2)).tolist():
        lengths = [given.classes * square / len(side) for square, side in zip(squares, (source, target), strict=True)]
        sampling = 2 * norm / rho * sum(map(math.sqrt, lengths)) + sure
        parts.append((rho, float(ramp(margins(judged @ w, right), rho).mean()), sampling))
    least = (math.inf, 0.0, 0.0, 0.0)
    for rho, error, sampling in sorted(parts, key=lambda part: part[1] + part[2]):
        if error + sampling >= sum(least[1:]) and math.isfinite(least[0]):
            break  # no discrepancy, which is at least 0, could make up for it
        found, critic = _largest_disparity((source, said[0], target, said[1]), [*candidates, critic], norm, rho)
        if error + found + sampling < sum(least[1:]) or math.isinf(least[0]):
            least = rho, error, found, sampling
    rho, error, found, sampling = least
    value = error + found + sampling
    words = f"source margin error {error:.3g} + margin disparity discrepancy {found:.3g} + sampling {sampling:.3g}"
    if given.known is None:
        words += " + λ, which labels of the target alone can tell, here left out: it must be small, so that one linear "
        words += "scorer serves both domains with a margin"
    else:
        joint = _joint_margin_error(given, source, target, norm, rho)
        value += joint + hoeffding(len(given.known), share)
        words += f" + λ {joint:.3g} ± {hoeffding(len(given.known), share):.3g} from {len(given.known)} target labels"
    return bound("margin_bound", value, words, given, delta)


def margins(scores: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Return ½(score of the label − largest other score) for each row."""
    rows = np.arange(len(scores))
    others = scores.copy()
    others[rows, label] = -np.inf
    found: np.ndarray = (scores[rows, label] - others.max(1)) / 2
    return found


def ramp(margin: np.ndarray, rho: float) -> np.ndarray:
    """Return Φ_ρ: 1 at a margin of 0 or less, 0 from ρ on, straight between."""
    return np.clip(1 - margin / rho, 0.0, 1.0)


def _standardised(given: Given) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return source, held-out source and target with columns of mean 0 and spread 1 and ones; f for these columns."""
    both = np.concatenate([given.source, given.target])
    mean, spread = both.mean(0), both.std(0)
    spread = np.where(spread > 0, spread, 1.0)
    sides = [
        np.concatenate([(x - mean) / spread, np.ones((len(x), 1))], 1)
        for x in (given.source, given.judged, given.target)
    ]
    w = np.concatenate([given.classifier[:-1] * spread[:, None], given.classifier[-1:] + mean @ given.classifier[:-1]])
    w = w - w.mean(1, keepdims=True)  # what all classes have in common moves no margin
    return sides[0], sides[1], sides[2], w


def _candidates(
    source: np.ndarray, said_source: np.ndarray, target: np.ndarray, said_target: np.ndarray, w: np.ndarray
) -> list[np.ndarray]:
    """Return critics that agree with the classifier on the source and disagree on the target."""
    classes = w.shape[1]
    at, found = np.zeros(w.size), []
    for weight, convex in ((0.5, True), (1.0, True), (2.0, True), (1.0, False)):
        given = (source, said_source, target, said_target, classes, weight, convex)
        at = minimize(critic_loss, at, given, "L-BFGS-B", True, options={"maxiter": STEPS}).x
        found.append(at.reshape(classes, -1).T)
    return found


SidesSaid = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""Source rows and what the classifier says of them; the same of the target."""


def _largest_disparity(sides: SidesSaid, starts: list[np.ndarray], norm: float, rho: float) -> tuple[float, np.ndarray]:
    """Climb disp_target − disp_source on the sphere of the norm, from each of the starts.

    Returns:
        The difference, at least 0, and the scorer that reached it.
    """
    shape = starts[0].shape

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        v = flat.reshape(shape)
        length = max(1e-12, float(np.sqrt((v * v).sum())))
        value, slope = _smooth_disparity(v * (norm / length), sides, rho)
        slope = (slope - v * ((slope * v).sum() / length**2)) * (norm / length)
        return -value, -slope.ravel()

    best, at = 0.0, starts[-1]
    for start in starts:
        climbed = minimize(
            loss, _on_sphere(start, norm).ravel(), method="L-BFGS-B", jac=True, options={"maxiter": STEPS}
        )
        for w in (_on_sphere(start, norm), _on_sphere(climbed.x.reshape(shape), norm)):
            if (value := _disparity(w, sides, rho)) > best:
                best, at = value, w
    return best, at


def _on_sphere(w: np.ndarray, norm: float) -> np.ndarray:
    """Return the scorer at the given norm."""
    found: np.ndarray = w * (norm / max(1e-12, float(np.sqrt((w * w).sum()))))
    return found


def _disparity(w: np.ndarray, sides: SidesSaid, rho: float) -> float:
    """Return disp_target − disp_source of a scorer."""
    means = [float(ramp(margins(sides[i] @ w, sides[i + 1]), rho).mean()) for i in (0, 2)]
    return means[1] - means[0]


def _smooth_disparity(w: np.ndarray, sides: SidesSaid, rho: float) -> tuple[float, np.ndarray]:
    """Return what `_disparity` does, with the corners of the ramp rounded over a tenth of ρ, and its gradient.

    The rounded ramp is the difference of two softplus functions: s(1 − m/ρ) − s(−m/ρ), s(u) = τ ln(1 + exp(u/τ)).
    """
    value, gradient = 0.0, np.zeros_like(w)
    for sign, x, said in ((-1.0, sides[0], sides[1]), (1.0, sides[2], sides[3])):
        scores, rows = x @ w, np.arange(len(x))
        margin = margins(scores, said) / rho
        upper, lower = (1 - margin) / ROUNDED, -margin / ROUNDED
        value += sign * ROUNDED * float((np.logaddexp(0, upper) - np.logaddexp(0, lower)).mean())
        slope = sign * (expit(lower) - expit(upper)) / (2 * rho * len(x))
        scores[rows, said] = -np.inf
        pull = np.zeros_like(scores)
        pull[rows, scores.argmax(1)] = -slope
        pull[rows, said] += slope
        gradient += x.T @ pull
    return value, gradient


def _joint_margin_error(given: Given, source: np.ndarray, target: np.ndarray, norm: float, rho: float) -> float:
    """Estimate λ: the margin errors of a scorer of the norm that learns from both sides, on rows it has not seen.

    Each half of the labelled target rows is judged by the scorer that learnt from the other half and the source.
    """
    assert given.known is not None
    x, y = target[given.known], given.label_known
    weight_source = 0.5 / len(source)
    errors: list[float] = []
    for half in range(2):
        seen = np.arange(len(x)) % 2 == half
        seen = seen if seen.any() and (~seen).any() else np.ones(len(x), bool)
        both, label = np.concatenate([source, x[seen]]), np.concatenate([given.label, y[seen]])
        weight = np.concatenate([np.full(len(source), weight_source), np.full(int(seen.sum()), 0.5 / seen.sum())])
        w = fit_linear(both[:, :-1], label, given.classes, weight * len(both))
        w = w - w.mean(1, keepdims=True)
        w *= norm / max(1e-12, float(np.sqrt((w * w).sum())))
        others = ~seen if (~seen).any() else seen
        on_source = float(ramp(margins(source @ w, given.label), rho).mean())
        errors.append(on_source + float(ramp(margins(x[others] @ w, y[others]), rho).mean()))
    return float(np.mean(errors))
