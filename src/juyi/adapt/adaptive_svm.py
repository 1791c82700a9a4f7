"""Adaptive SVM: a few target labels bend the source's separating planes by as little as suffices."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from scipy.optimize import minimize
from scipy.special import softmax

from juyi.adapt.samples import Map, Samples
from juyi.adapt.shallow import Shallow, Solved
from juyi.adapt.target_only import check_few_labels
from juyi.data.domain import Domain
from juyi.errors import SettingError
from juyi.training import hyperparameter


def bend(x: np.ndarray, signs: np.ndarray, before: np.ndarray, cost: float) -> tuple[np.ndarray, float]:
    """Return Δw, d, and Δb of the least  ½ ‖Δw‖² + C Σ_i max(0, 1 − y_i (f_S(x_i) + Δw·x_i + Δb))².

    Args:
        x: rows, n×d.
        signs: y, 1 or −1.
        before: f_S(x_i), what the source's plane says of each row; 0 for none.
        cost: C.
    """

    def objective(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        change, shift = parameters[:-1], parameters[-1]
        missing = np.maximum(0.0, 1.0 - signs * (before + x @ change + shift))
        pull = -2.0 * cost * missing * signs
        value = 0.5 * change @ change + cost * (missing**2).sum()
        return float(value), np.append(change + x.T @ pull, pull.sum())

    found = minimize(objective, np.zeros(x.shape[1] + 1), jac=True, method="L-BFGS-B", options={"maxiter": 1_000})
    return found.x[:-1], float(found.x[-1])


class Planes:
    """A separating plane for each class against all others; the one on whose side a row lies farthest tells its class.

    Args:
        coef_: K×d.
        intercept_: K.
        classes_: K codes.
    """

    def __init__(self, coef_: np.ndarray, intercept_: np.ndarray, classes_: np.ndarray) -> None:
        self.coef_, self.intercept_, self.classes_ = coef_, intercept_, classes_

    def decision_function(self, x: np.ndarray) -> np.ndarray:
        """How far on its side each row is of each plane, n×K."""
        found: np.ndarray = x @ self.coef_.T + self.intercept_
        return found

    def predict(self, x: np.ndarray) -> np.ndarray:
        """The classes' codes, n."""
        found: np.ndarray = self.classes_[self.decision_function(x).argmax(1)]
        return found

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        """The softmax of the distances, n×K: in their order, but not calibrated."""
        found: np.ndarray = softmax(self.decision_function(x), axis=1)
        return found


class AdaptiveSVM(Shallow):
    """With some target labels: a support vector machine that starts from the source's, f(x) = f_S(x) + Δw·x + Δb.

        min over Δw, Δb  ½ ‖Δw‖² + C Σ_i max(0, 1 − y_i f(x_i))²   over the target's labelled rows

    What the source's plane says rightly, and clearly enough, asks for no change; the rest bends the plane.  Each class
    has its plane against all others.  The loss is the squared one, so that the minimum is smooth.

    Source: J. Yang, R. Yan and A. G. Hauptmann, "Cross-Domain Video Concept Detection Using Adaptive SVMs", ACM
    Multimedia 2007, equation 4.

    Example:
        >>> from juyi.data import Domain
        >>> rng = np.random.default_rng(0)
        >>> x, z = rng.normal(size=(2, 500, 2)).astype("float32")
        >>> here = (z[:, 0] > z[:, 1]).astype(int)
        >>> few = Domain(z, here, np.arange(500) < 20, classes=("0", "1"))
        >>> AdaptiveSVM().fit(x, (x[:, 0] > 0).astype(int), target=few).score(z, here) > 0.85
        True
    """

    carries: ClassVar[str | None] = "model"
    needs_target_labels: ClassVar[bool] = True
    regression: ClassVar[bool] = False
    scikit_exempt: ClassVar[dict[str, str]] = {}

    cost: float = hyperparameter(default=1.0, help="C, of rows that are not clearly on their side", low=1e-6, high=1e6)

    def check_hyperparameters(self) -> None:
        """Raise `SettingError` for the first hyperparameter whose type or value is not allowed."""
        super().check_hyperparameters()
        if self.estimator is not None:
            raise SettingError("estimator: AdaptiveSVM is a support vector machine itself; leave it out")

    def check_target(self, target: Domain, rows: int) -> None:
        """Refuse a target with too few labels too."""
        super().check_target(target, rows)
        check_few_labels(type(self).__name__, target)

    def solve(self, given: Samples) -> Solved:
        """The source's planes; then what the target's labels change."""
        start = self.new_planes(given, given.source, given.labels, None)
        few = given.labelled
        bent = self.new_planes(given, given.target[few], given.target_labels[few], start)
        same = Map.identity(given.columns)
        return Solved(bent, same, same, np.ones(len(given.source)))

    def without_transfer(self, given: Samples) -> Solved:
        """The source's planes."""
        same = Map.identity(given.columns)
        return Solved(self.new_planes(given, given.source, given.labels, None), same, same, np.ones(len(given.source)))

    def new_planes(self, given: Samples, x: np.ndarray, y: np.ndarray, start: Planes | None) -> Planes:
        """Planes of these rows, bent from others, or new."""
        codes: Any = np.unique(y) if start is None else start.classes_
        before = np.zeros((len(x), len(codes))) if start is None else start.decision_function(x)
        signs = np.where(y[:, None] == codes, 1.0, -1.0)
        weight, shift = np.zeros((len(codes), x.shape[1])), np.zeros(len(codes))
        for k in np.flatnonzero(np.isin(codes, y)):  # without a label of a class its plane stays as it is
            weight[k], shift[k] = bend(x, signs[:, k], before[:, k], self.cost)
        if start is not None:
            weight, shift = start.coef_ + weight, start.intercept_ + shift
        return Planes(weight, shift, codes)
