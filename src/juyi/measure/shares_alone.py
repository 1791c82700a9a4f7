"""Is it only the shares of the classes that differ?  Then a model of the source is right already."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import cdist
from scipy.special import softmax

from juyi.measure.label_shift import OTHER_SHARES, fit_temperature, mlls, total_variation

EXPLAINED = 0.1
"""Other shares explain the difference of two domains if no more than this part of it is left under them."""
_ROWS = 1_000


@dataclass(frozen=True)
class ShareShift:
    """Whether other shares of the classes explain how a model's scores differ between source and target.

    Attributes:
        shares: float, C: the target's shares by maximum likelihood (`mlls`).
        distance: total variation between them and the source's.
        before: energy distance between the scores on the source and on the target.
        after: the same with the source's rows weighted to those shares.
    """

    shares: np.ndarray
    distance: float
    before: float
    after: float

    @property
    def explains(self) -> bool:
        """The shares are others, and hardly anything is left of the difference under them."""
        return self.distance > OTHER_SHARES and self.after <= EXPLAINED * self.before


def share_shift(scores_source: np.ndarray, label_source: np.ndarray, scores_target: np.ndarray) -> ShareShift:
    """Ask whether other shares of the classes explain how a model's scores differ between source and target.

    Under label shift p(x | y) is the same in both domains, so the scores z on the target are distributed as on the
    source with each row weighted by q_y / π_y.  With q the maximum likelihood's shares, the distances before and after
    that weighting are

        E = 2 E‖z − z'‖ − E‖z − z_2‖ − E‖z' − z'_2‖     (energy distance; z, z_2 of the source, z', z'_2 of the target)

    of scores that are centred in each row.  Probabilities would not do: a model that is wrong and sure of it far from
    the source gives the same ones as if only the shares differed, but larger scores.

    Where what is left is at most a tenth, there is no sign of any other shift: the model trained on the source needs no
    adaptation, and a method that pulls its predictions back to the source's shares makes it worse.

    Args:
        scores_source: float, N×C: logits of labelled source rows that the model has not learnt from.
        label_source: int, N: their labels.
        scores_target: float, M×C: logits of target rows; of more than 1,000 a side an evenly spaced 1,000 are used.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> def draw(shares):
        ...     y = rng.choice(2, size=800, p=shares)
        ...     return np.outer(2 * y - 1 + rng.normal(size=800), [-2, 2]), y
        >>> (z, y), (other, _), (same, _) = draw([0.5, 0.5]), draw([0.9, 0.1]), draw([0.5, 0.5])
        >>> share_shift(z, y, other).explains, share_shift(z, y, 0.3 * same + [1, -1]).explains
        (True, False)

    Source: the weighting: Lipton, Wang and Smola, "Detecting and Correcting for Label Shift with Black Box Predictors",
    ICML 2018; the distance: Székely and Rizzo, "Energy statistics", Journal of Statistical Planning and Inference 143
    (2013); to ask what is left of the one under the other is Juyi's own, measured in bench/verdicts.
    """
    label = np.asarray(label_source)
    source, target = (np.asarray(z, np.float64) for z in (scores_source, scores_target))
    prior = np.bincount(label, minlength=source.shape[1]) / len(label)
    shares = mlls(softmax(target / fit_temperature(source, label), axis=1), np.maximum(prior, 1e-4))
    source, target = (z - z.mean(1, keepdims=True) for z in (source, target))
    weights = (shares / np.maximum(prior, 1e-12))[label]
    some = np.linspace(0, len(source) - 1, min(_ROWS, len(source))).astype(int)
    rows = target[np.linspace(0, len(target) - 1, min(_ROWS, len(target))).astype(int)]
    before = _energy(source[some], rows, np.ones(len(some)))
    after = _energy(source[some], rows, weights[some]) if weights[some].sum() > 0 else before
    return ShareShift(shares, total_variation(shares, prior), before, after)


def _energy(source: np.ndarray, target: np.ndarray, weights: np.ndarray) -> float:
    """Energy distance with weighted rows of the source."""
    w = weights / weights.sum()
    between = float(w @ cdist(source, target).mean(1))
    return max(0.0, 2 * between - float(w @ cdist(source, source) @ w) - float(cdist(target, target).mean()))
