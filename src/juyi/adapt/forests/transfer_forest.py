"""Transfer forest: a few target labels correct what the leaves of the source's forest say."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from sklearn.base import ClassifierMixin, clone
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.metrics import r2_score
from sklearn.utils.validation import check_is_fitted

from juyi.adapt.arrays import classes_of
from juyi.adapt.forests.stored import FORESTS, Leaves, check_forest, load_forest
from juyi.data import as_domain
from juyi.data.classes import adopt_classes
from juyi.data.domain import Domain
from juyi.data.doors import check_order
from juyi.errors import DataError, SettingError
from juyi.training.hyperparameters import Method, hyperparameter

STRENGTHS = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, np.inf)
"""κ that are tried; with the last the source's forest stays as it is."""


class TransferForest(ClassifierMixin, Method):  # type: ignore[misc]
    """With some target labels: the source's trees ask as before, but their leaves answer as the target's rows do.

        v = (Σ y_i + κ v_S) / (n + κ),   over the n labelled target rows in a leaf

    v_S is what the leaf said, a number or shares of the classes (and y_i then 1 for its class): worth κ target rows.
    A leaf that no such row reaches says what it said.  κ is the one that tells left-out labels best, each of which is
    taken out of its leaves, by −log p or squared errors; ∞, the source's forest as it is, is among them.  The source is
    labelled rows; or a forest of scikit-learn that has learnt already, or the name of a file in which skops keeps one:
    then no row of the source is needed.

    Source: the leaves' answers are the posterior mean under a conjugate prior (A. Gelman et al., "Bayesian Data
    Analysis", 2013, chapter 2); trees that are kept while leaves change: N. Segev et al., "Learn on Source, Refine on
    Target", IEEE TPAMI 2017.

    Attributes:
        forest_: the source's.
        strength_: κ.
        errors_: by κ, how far left-out labels are missed.

    Example:
        >>> from sklearn.ensemble import RandomForestClassifier
        >>> rng = np.random.default_rng(0)
        >>> x, z = rng.uniform(-1, 1, (2, 1_000, 2)).astype("float32")
        >>> forest = RandomForestClassifier(30, max_leaf_nodes=8, random_state=0).fit(x, (x[:, 0] > 0) != (x[:, 1] > 0))
        >>> here = ((z[:, 0] > 0) | (z[:, 1] > 0)).astype(int)  # one quarter of the plane has changed
        >>> few = Domain(z, here, np.arange(1_000) < 40, classes=("False", "True"))
        >>> model = TransferForest().fit(forest, target=few)
        >>> bool((forest.predict(z) == here).mean() < 0.8), model.score(z, here == 1) > 0.9
        (True, True)
    """

    carries: ClassVar[str | None] = "model"
    needs_target_labels: ClassVar[bool] = True
    regression: ClassVar[bool] = True
    costs: ClassVar[str] = "seconds; grows with the rows"

    estimator: Any = dataclasses.field(default=None)
    strength: float | None = hyperparameter(
        default=None,
        help="κ, how many target rows a leaf's word from the source is worth; by default many are tried",
        low=1e-9,
        high=1e12,
    )
    random_state: int = hyperparameter(default=0, help="seed of the forest", low=0, high=2**63 - 1)

    def fit(self, X: Any, y: Any = None, *, target: Any = None) -> TransferForest:
        """Learn from the source, or take a forest that has; then correct its leaves.

        Args:
            X: the source: a `Domain` of features, an array with its labels `y`, a fitted forest, or a skops file.
            y: labels of an array `X`; unknown ones None, NaN or masked.
            target: a `Domain`, some of whose rows are `labelled`.

        Raises:
            DataError: the data cannot be learnt from; the file holds no forest; the target has other columns.
            SettingError: a hyperparameter is out of its range.
        """
        self.check_hyperparameters()
        if self.estimator is not None and not isinstance(self.estimator, FORESTS):
            raise SettingError(f"estimator: must be a forest of scikit-learn, not {type(self.estimator).__name__}")
        if isinstance(X, str | Path):
            self.forest_ = load_forest(X)
        elif hasattr(X, "estimators_"):
            self.forest_ = check_forest(X, "source")
        else:
            self.forest_ = self._learnt(as_domain(X, y, name="source"), y)
        self.n_features_in_ = self.forest_.n_features_in_
        self.classes_ = getattr(self.forest_, "classes_", np.empty(0))
        x, wanted = self._labelled(target)
        self._correct(x, wanted)
        return self

    def _learnt(self, source: Domain, y: Any) -> Any:
        """A forest of the source's labelled rows, which knows the classes as they were written."""
        if source.is_images:
            raise DataError(f"{source.name}: holds images, but rows of numbers are needed; give features of them")
        if not source.labelled.any():
            raise DataError(f"{source.name}: no row has a label to learn from; give labels, or a fitted forest")
        kind = RandomForestRegressor if source.classes is None else RandomForestClassifier
        forest = clone(self.estimator) if self.estimator is not None else kind(random_state=self.random_state % 2**32)
        if hasattr(forest, "predict_proba") != (source.classes is not None):
            what = "classes" if source.classes is not None else "numbers"
            raise SettingError(f"estimator: {type(forest).__name__} does not tell {what}, which the labels are")
        names = classes_of(source, y)
        labels = source.y[source.labelled]
        forest.fit(source.x[source.labelled], labels if source.classes is None else names[labels])
        return forest

    def _labelled(self, target: Any) -> tuple[np.ndarray, np.ndarray]:
        """The target's labelled rows, and their labels as the leaves say them: columns of 0 and 1, or the numbers."""
        if target is None:
            return np.empty((0, self.n_features_in_), np.float32), np.empty((0, max(1, len(self.classes_))))
        target = as_domain(target, name="target")
        check_order(target, tuple(map(str, getattr(self.forest_, "feature_names_in_", ()))), "the forest's rows")
        x = self._rows(target)[target.labelled]
        if not target.labelled.any():
            raise DataError(f"{target.name}: TransferForest needs some labels of the target, and none is given")
        if not len(self.classes_):
            if target.classes is not None:
                raise DataError(f"{target.name}: has classes, but the forest tells numbers; give numbers")
            return x, target.y[target.labelled, None].astype(np.float64)
        names = tuple(map(str, self.classes_))
        known = adopt_classes(target, Domain(target.x[:1], classes=names, name="source"))
        if known.classes != names:
            raise DataError(
                f"{target.name}: its labels are none of the forest's classes, which are {', '.join(names)}; rename them"
            )
        return x, np.eye(len(names))[known.y[target.labelled]]

    def _correct(self, x: np.ndarray, wanted: np.ndarray) -> None:
        """Find κ, and what the leaves say from now on."""
        self.leaves_ = Leaves(self.forest_)
        prior, index = self.leaves_.values, self.leaves_.of(x) if len(x) else np.empty((0, 1), np.int64)
        sums, counts = np.zeros_like(prior), np.zeros(len(prior))
        np.add.at(counts, index, 1)
        np.add.at(sums, index, wanted[:, None, :])
        self.errors_ = {}
        for strength in STRENGTHS if self.strength is None else (self.strength,):
            left_out = corrected(prior[index], sums[index] - wanted[:, None], counts[index] - 1, strength).mean(1)
            self.errors_[strength] = error_of(left_out, wanted, bool(len(self.classes_)))
        self.strength_ = min(self.errors_, key=lambda strength: self.errors_[strength]) if len(x) else np.inf
        self.values_ = corrected(prior, sums, counts, self.strength_)
        worth = "stays" if np.isinf(self.strength_) else f"is worth {self.strength_:g} target rows"
        self.remarks_ = (f"what a leaf of the source's forest says {worth}",)

    def _rows(self, X: Any) -> np.ndarray:
        x = as_domain(X, name="X")
        if x.is_images or x.x.shape[1] != self.n_features_in_:
            raise DataError(f"{x.name}: its rows are not like the source's, which have {self.n_features_in_} columns")
        return x.x

    def _told(self, X: Any) -> np.ndarray:
        check_is_fitted(self, "values_")
        return self.leaves_.told(self._rows(X), self.values_)

    def predict(self, X: Any) -> np.ndarray:
        """Return the class of each target row, or the number."""
        told = self._told(X)
        return np.asarray(self.classes_[told.argmax(1)]) if len(self.classes_) else told[:, 0]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each class for target rows, N×C.

        Raises:
            SettingError: the forest tells numbers.
        """
        check_is_fitted(self, "values_")
        if not len(self.classes_):
            raise SettingError("the forest tells numbers, and no probabilities; use predict")
        return self._told(X)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Return the accuracy on labelled target rows; for numbers R²."""
        check_is_fitted(self, "values_")
        if len(self.classes_):
            return float(super().score(X, y, sample_weight))
        return float(r2_score(y, self.predict(X), sample_weight=sample_weight))


def corrected(prior: np.ndarray, sums: np.ndarray, counts: np.ndarray, strength: float) -> np.ndarray:
    """Return (Σ y + κ v_S) / (n + κ), of the shape of `prior` and `sums`, …×k; `counts` has one dimension fewer.

    Example:
        >>> corrected(np.array([[0.5]]), np.array([[3.0]]), np.array([3.0]), 3.0).tolist()
        [[0.75]]
    """
    if np.isinf(strength):
        return prior
    found: np.ndarray = (sums + strength * prior) / (counts + strength)[..., None]
    return found


def error_of(told: np.ndarray, wanted: np.ndarray, classes: bool) -> float:
    """The mean −log p of the right class, or the mean squared error; 0 of no rows."""
    if not len(told):
        return 0.0
    if classes:
        return float(-np.log(np.maximum((told * wanted).sum(1), 1e-3)).mean())
    return float(((told - wanted) ** 2).sum(1).mean())
