"""What methods for other columns share: rows of two kinds at the door, a common space, and a model in it."""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from sklearn.base import ClassifierMixin, clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from juyi.adapt.arrays import classes_of
from juyi.adapt.heads import probabilities
from juyi.adapt.samples import scale_of
from juyi.data import as_domain
from juyi.data.classes import adopt_classes
from juyi.data.domain import Domain
from juyi.errors import DataError, SettingError
from juyi.training.hyperparameters import Method, hyperparameter

Space = tuple[np.ndarray, np.ndarray]
"""A linear map x ↦ x A + c of standardised rows: A, d×k, and c, k."""


@dataclass(frozen=True, eq=False)
class TwoKinds:
    """Two domains whose columns differ, each standardised by itself.

    Args:
        source: labelled rows, n×d.
        labels: their classes, codes from 0, n.
        target: rows, m×e.
        target_labels: their classes, m; 0, which means nothing, where not `labelled`.
        labelled: bool, m.
        pairs: p×2, rows of source and target that are of the same thing.
        classes: how many there are.
        seed: of every draw.
        remarks: what a person should know, in sentences; methods add to it.
    """

    source: np.ndarray
    labels: np.ndarray
    target: np.ndarray
    target_labels: np.ndarray
    labelled: np.ndarray
    pairs: np.ndarray
    classes: int
    seed: int
    remarks: list[str] = field(default_factory=list)

    def one_hot(self, labels: np.ndarray) -> np.ndarray:
        """Classes as columns of 0 and 1."""
        columns: np.ndarray = np.eye(self.classes)[labels]
        return columns


class Heterogeneous(ClassifierMixin, Method):  # type: ignore[misc]
    """Learn from labelled rows there and a few labelled ones here, whose columns are other ones.

    A subclass says in `spaces` how rows of both sides come to one space; a model is learnt there from all labelled rows
    of both, either side weighing as much, and works on target rows.
    """

    carries: ClassVar[str | None] = "features"
    needs_target_labels: ClassVar[bool] = True
    other_columns: ClassVar[bool] = True
    costs: ClassVar[str] = "seconds; grows with the rows"

    estimator: Any = dataclasses.field(default=None)
    random_state: int = hyperparameter(default=0, help="seed of every draw", low=0, high=2**63 - 1)

    @abstractmethod
    def spaces(self, given: TwoKinds) -> tuple[np.ndarray, Space]:
        """Return the source's rows in the common space, n×k, and the map of target rows into it."""
        raise NotImplementedError

    def fit(self, X: Any, y: Any = None, *, target: Any = None, pairs: Any = None) -> Heterogeneous:
        """Learn from the labelled source `X` and the target.

        Args:
            X: the source: a `Domain` of features, or an array with its labels `y`.
            y: labels of an array `X`; unknown ones None, NaN or masked.
            target: a `Domain` of other features, some of whose rows are `labelled`.
            pairs: p×2 row numbers of source and target rows that are of the same thing; None for none.

        Raises:
            DataError: the data cannot be learnt from: images, one class, neither labels nor pairs in the target.
            SettingError: a hyperparameter is out of its range.
        """
        self.check_hyperparameters()
        source = as_domain(X, y, name="source")
        if target is None:
            raise DataError(f"target: is missing; {type(self).__name__} learns from two sides, so give target=")
        other = adopt_classes(as_domain(target, name="target"), source)
        given = self._two_kinds(source, other, pairs)
        self.classes_ = classes_of(source, y)
        mapped, (weight, offset) = self.spaces(given)
        self.map_ = (weight / self.scale_[1][:, None], offset - self.scale_[0] / self.scale_[1] @ weight)
        rows, here = np.flatnonzero(given.labelled), given.target @ weight + offset
        counts = np.full(len(mapped) + len(rows), 1 / len(mapped))
        counts[len(mapped) :] = 1 / max(len(rows), 1)
        self.model_ = clone(self.estimator) if self.estimator is not None else LogisticRegression(max_iter=2_000)
        if not has_fit_parameter(self.model_, "sample_weight"):
            raise SettingError(
                f"estimator: {type(self.model_).__name__} takes no sample_weight, but either side weighs as much; "
                "use another"
            )
        x, codes = np.concatenate([mapped, here[rows]]), np.concatenate([given.labels, given.target_labels[rows]])
        self.model_.fit(x, codes, sample_weight=counts / counts.mean())
        self.remarks_ = tuple(given.remarks)
        return self

    def _two_kinds(self, source: Domain, target: Domain, pairs: Any) -> TwoKinds:
        for side in (source, target):
            if side.is_images:
                raise DataError(f"{side.name}: holds images, but rows of numbers are needed; give features of them")
        if source.classes is None or len(np.unique(source.y[source.labelled])) < 2:
            raise DataError(f"{source.name}: needs labels of two classes at least")
        if target.classes is not None and target.classes != source.classes:
            raise DataError(f"{target.name}: has classes that the source lacks; give labels of the source's classes")
        paired = read_pairs(pairs, source.size, target.size)
        if not target.labelled.any() and not len(paired):
            raise DataError(
                f"{target.name}: has other columns than {source.name}, so nothing ties the two together; give "
                "some labels of the target, or pairs"
            )
        known = source.labelled
        there, here = (side.x.astype(np.float64) for side in (source, target))
        self.scale_ = scale_of(here)
        mean, spread = scale_of(there)
        number = np.cumsum(known) - 1  # pairs with unlabelled source rows are of no use to a model of labels
        paired = paired[known[paired[:, 0]]]
        labels, labelled = np.where(target.labelled, target.y, 0).astype(np.int64), target.labelled.copy()
        for row, other in paired:  # of the same thing, so of the same class
            if not labelled[other]:
                labels[other], labelled[other] = source.y[row], True
        return TwoKinds(
            (there[known] - mean) / spread, source.y[known].astype(np.int64), (here - self.scale_[0]) / self.scale_[1],
            labels, labelled, np.stack([number[paired[:, 0]], paired[:, 1]], 1), len(source.classes), self.random_state,
        )  # fmt: skip

    def transform(self, X: Any) -> np.ndarray:
        """Return target rows in the space of the model, N×k."""
        check_is_fitted(self, "model_")
        x = as_domain(X, name="X")
        if x.is_images or x.x.shape[1] != len(self.map_[0]):
            raise DataError(f"{x.name}: its rows are not like the target's, which have {len(self.map_[0])} columns")
        found: np.ndarray = x.x.astype(np.float64) @ self.map_[0] + self.map_[1]
        return found

    def predict(self, X: Any) -> np.ndarray:
        """Return the class of each target row."""
        return np.asarray(self.classes_[self.model_.predict(self.transform(X))])

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each class for target rows, N×C."""
        x = self.transform(X)
        if not hasattr(self.model_, "predict_proba"):
            raise SettingError("the estimator tells no probabilities; use predict, or another estimator")
        return probabilities(self.model_, x, len(self.classes_))

    def score(self, X: Any, y: Any = None) -> float:
        """Return the accuracy on target rows; a `Domain` brings its labels."""
        if y is None and isinstance(X, Domain) and X.classes is not None:
            known = X.labelled
            told = self.predict(X)[known].astype(str)
            return float(accuracy_score(np.array(X.classes)[X.y[known]], told))
        return float(accuracy_score(y, self.predict(X)))


def read_pairs(pairs: Any, rows: int, target_rows: int) -> np.ndarray:
    """Return pairs of row numbers, p×2, int64.

    Raises:
        DataError: they are no pairs of numbers of rows that are there.

    Example:
        >>> read_pairs([(0, 2)], 1, 3).tolist(), read_pairs(None, 1, 1).shape
        ([[0, 2]], (0, 2))
    """
    if pairs is None:
        return np.empty((0, 2), np.int64)
    found = np.asarray(pairs)
    if found.ndim != 2 or found.shape[1] != 2 or found.dtype.kind not in "iu":
        raise DataError(f"pairs: are two row numbers each, of the source and of the target, not shape {found.shape}")
    if len(found) and ((found < 0).any() or (found.max(0) >= (rows, target_rows)).any()):
        raise DataError(f"pairs: name rows that are not there; the source has {rows:,}, the target {target_rows:,}")
    return found.astype(np.int64)
