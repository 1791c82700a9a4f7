"""Linear models in closed form, drawn towards what another place has taught, and judged on rows that are left out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from juyi.errors import DataError, SettingError

PENALTIES = (*(10.0 ** (exponent / 2) for exponent in range(-6, 9)), math.inf)
"""λ that are tried, in units of the features' mean variance: .001 to 10,000, and no correction at all."""
SLOPES: dict[str, tuple[float | None, ...]] = {"0": (0.0,), "1": (1.0,), "free": (None,), "auto": (0.0, 1.0, None)}
"""What the word for a slope allows: nothing of the source, the source as it is, or as much as the labels say (None)."""
TINY = 1e-10


@dataclass(frozen=True, eq=False)
class Solution:
    """A linear model ŷ(x) = Σ_g a_g f_g(x) + w·φ(x) + b, where f_g is what another place g has taught.

    Attributes:
        slopes: a, one a place; below 0 where what holds there is reversed here.
        weight: w, float64, d×k.
        intercept: b, float64, k.
        penalty: λ, in the design's unit; infinite where w is 0.
        left_out: what the model says of each row that it was found without, float64, n×k.
        error: the mean squared error of these; infinite where a row cannot be left out.
    """

    slopes: np.ndarray
    weight: np.ndarray
    intercept: np.ndarray
    penalty: float
    left_out: np.ndarray
    error: float

    @property
    def slope(self) -> float:
        """How far all places together count, Σ a_g."""
        return float(self.slopes.sum())


class Design:
    """The features of a few labelled rows, taken apart once, so that each penalty and slope costs next to nothing.

    Args:
        features: φ(x), n×d.
        labels: y, n×k: numbers (k = 1), or a column of 0 and 1 for each class.
        source: f(x), n×k, or n×k×G: what the models of one or G places say of the rows; None where there are none.
        unit: what penalties are counted in, above 0: the features' mean variance, say.

    Raises:
        DataError: the rows do not fit together, there are none, or a number is not finite.
    """

    def __init__(
        self, features: np.ndarray, labels: np.ndarray, source: np.ndarray | None = None, unit: float = 1.0
    ) -> None:
        x, y = np.asarray(features, np.float64), np.asarray(labels, np.float64)
        f = np.zeros_like(y) if source is None else np.asarray(source, np.float64)
        f = f[..., None] if f.ndim == 2 else f
        if x.ndim != 2 or y.ndim != 2 or f.shape[:-1] != y.shape or len(x) != len(y) or not len(x):
            raise DataError(f"features {x.shape}, labels {y.shape} and source {f.shape} are not of the same rows")
        if not all(np.isfinite(values).all() for values in (x, y, f)):
            raise DataError("a feature or a label is not a finite number; leave such rows out")
        self.n, self.y, self.f, self.unit = len(x), y, f, unit
        self.means = x.mean(0), y.mean(0), f.mean(0)
        u, s, v = np.linalg.svd(x - self.means[0], full_matrices=False)
        there = s > max(x.shape) * np.finfo(float).eps * (s[0] if len(s) else 0.0)
        self.u, self.s, self.v = u[:, there], s[there], v[there]

    def solve(self, penalty: float, slope: float | None) -> Solution:
        """Find the model for one penalty and one slope.

        Minimises  Σ_i ‖y_i − Σ_g a_g f_g(x_i) − w·φ(x_i) − b‖² + λ ‖w‖²  over w and b, and over a where it is free.
        If f is linear in the features, f(x) = w_S·φ(x) + b_S, the whole model has the weights v = a w_S + w, and what
        is penalised is ‖v − a w_S‖²: the model is drawn towards the source's.  Neither a nor b is penalised.

        What is said of a row by the model without it needs no second fit.  With h_i the leverage of the row and r_i
        its residual, the left-out residual is r_i / (1 − h_i) where a is fixed; where a is free the leverage is a
        k×k matrix, inverted by the formula of Woodbury.

        Args:
            penalty: λ ≥ 0, in the design's unit; infinite for w = 0.
            slope: Σ a_g, of which each place has an equal part; None where a is to be found.

        Source: I. Kuzborskij and F. Orabona, "Stability and Hypothesis Transfer Learning", ICML 2013 (regularised
        least squares with a biased regulariser).  The left-out residual: D. M. Allen, "The relationship between
        variable selection and data augmentation and a method for prediction", Technometrics 16 (1974).
        """
        y, f = self.y - self.means[1], self.f - self.means[2]
        pull = penalty * self.unit
        keeps = self.s**2 / (self.s**2 + pull)
        rest_y, rest_f = self._rest(y, keeps), self._rest(f, keeps)
        free = 1.0 - 1.0 / self.n - (self.u**2) @ keeps  # 1 − h of each row
        a = np.full(f.shape[-1], 0.0 if slope is None else slope / f.shape[-1])
        root = np.zeros((len(a), 0))
        if slope is None:  # the least squares of what is left of y on what is left of f, and a root of their inverse
            power, turn = np.linalg.eigh(np.einsum("nkg,nkh->gh", f, rest_f))
            there = power > TINY * max(1.0, float((f * f).sum()))
            root = turn[:, there] / np.sqrt(power[there])
            a = root @ (root.T @ np.einsum("nkg,nk->g", rest_f, y))
        rest = rest_y - rest_f @ a
        possible = (free > TINY).all() and (slope is not None or root.shape[1] > 0)
        gone = rest / np.where(free > TINY, free, 1.0)[:, None]
        if slope is None and possible:
            turned = rest_f @ root
            room = free[:, None, None] * np.eye(turned.shape[-1]) - np.einsum("nkg,nkh->ngh", turned, turned)
            possible = bool((np.linalg.eigvalsh(room) > TINY).all())
            if possible:
                back = np.linalg.solve(room, np.einsum("nkg,nk->ng", turned, gone)[..., None])[..., 0]
                gone = gone + np.einsum("nkg,ng->nk", turned, back)
        error = float((gone**2).sum(1).mean()) if possible else math.inf
        shrink = self.s / (self.s**2 + pull)
        weight = self.v.T @ (shrink[:, None] * (self.u.T @ (y - f @ a)))
        intercept = self.means[1] - self.means[2] @ a - self.means[0] @ weight
        return Solution(a, weight, intercept, penalty, self.y - gone, error)

    def _rest(self, columns: np.ndarray, keeps: np.ndarray) -> np.ndarray:
        """What is left of centred columns when the ridge's fit is taken away."""
        flat = columns.reshape(self.n, -1)
        rest: np.ndarray = (flat - self.u @ (keeps[:, None] * (self.u.T @ flat))).reshape(columns.shape)
        return rest


@dataclass(frozen=True, eq=False)
class Blend:
    """One linear model made of those that were tried.

    Attributes:
        solution: the model; its left-out answers are blended like itself, its penalty is that of the largest share.
        shares: the share of each slope in it (None: the free one); they sum to 1.
        errors: for each slope, the mean squared error of left-out rows under its best penalty.
    """

    solution: Solution
    shares: dict[float | None, float]
    errors: dict[float | None, float]


def blend(
    design: Design, slopes: Sequence[float | None], penalties: Sequence[float], selection: str = "weigh"
) -> Blend:
    """Try every slope with every penalty, and make one model of them, by how well each tells left-out rows.

    `best` takes the one with the least mean squared error E of left-out rows.  `weigh` gives each the weight
    E^(−n/2), which is its likelihood on the left-out rows under normal errors of a spread found there (pseudo-BMA):
    of few rows the best one is best by luck as well, and several nearly as good ones together are off by less.

    Args:
        design: n labelled rows.
        slopes: fixed ones, and None for a free one.
        penalties: in the design's unit.
        selection: `weigh` or `best`.

    Raises:
        SettingError: no slope leaves a row out.

    Example:
        >>> x = np.array([[0.0], [1.0], [2.0], [3.0]])
        >>> there, here = 2 * x + 1, -2 * x + 9  # the same, reversed
        >>> round(blend(Design(x, here, there), (0.0, 1.0, None), (1.0, math.inf)).solution.slope, 3)
        -1.0

    Source: S. Geisser and W. F. Eddy, "A Predictive Approach to Model Selection", JASA 74 (1979); the name: Y. Yao et
    al., "Using Stacking to Average Bayesian Predictive Distributions", Bayesian Analysis 13 (2018).
    """
    tried = [(slope, design.solve(penalty, slope)) for slope in slopes for penalty in penalties]
    tried = [(slope, one) for slope, one in tried if math.isfinite(one.error)] or tried * (len(tried) == 1)
    if not tried:
        raise SettingError(
            f"of {design.n} labelled rows none can be left out, since every fit is exact; label more, or give a larger "
            "--penalty"
        )
    error = np.array([one.error for _, one in tried])
    weights = np.zeros(len(tried))
    if selection == "best" or len(tried) == 1:
        weights[error.argmin()] = 1.0
    else:
        floor = np.finfo(float).eps * max(float((design.y**2).sum(1).mean()), float(error.min()), TINY)
        weights = (np.maximum(error, floor) / max(float(error.min()), floor)) ** (-design.n / 2)
        weights /= weights.sum()
    ways = [of for of, _ in tried]
    shares = {way: float(sum(w for w, of in zip(weights, ways, strict=True) if of == way)) for way in ways}
    errors = {way: min(one.error for of, one in tried if of == way) for way in ways}

    def mean(name: str) -> np.ndarray:
        values = np.stack([np.asarray(getattr(one, name)) for _, one in tried])
        averaged: np.ndarray = np.tensordot(weights, values, 1)
        return averaged

    left_out = mean("left_out")
    whole = float(((design.y - left_out) ** 2).sum(1).mean())
    first = tried[int(weights.argmax())][1]
    solution = Solution(mean("slopes"), mean("weight"), mean("intercept"), first.penalty, left_out, whole)
    return Blend(solution, shares, errors)


def least_squares(features: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return w (d×k) and b (k) that minimise Σ_i c_i ‖y_i − w·φ(x_i) − b‖², the least w where there are several.

    Args:
        features: φ(x), n×d.
        labels: y, n×k.
        weights: c, n, above 0.

    Example:
        >>> w, b = least_squares(np.array([[0.0], [1.0], [2.0]]), np.array([[1.0], [3.0], [5.0]]), np.ones(3))
        >>> w.round(6).tolist(), b.round(6).tolist()
        ([[2.0]], [1.0])
    """
    x, y, c = (np.asarray(values, np.float64) for values in (features, labels, weights))
    mean_x, mean_y = c @ x / c.sum(), c @ y / c.sum()
    root = np.sqrt(c)[:, None]
    weight = np.linalg.lstsq(root * (x - mean_x), root * (y - mean_y), rcond=None)[0]
    return weight, mean_y - mean_x @ weight
