"""Streaming CORAL: the target's mean and covariance, kept up as its rows arrive."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np
from sklearn.base import ClassifierMixin, clone
from sklearn.linear_model import LogisticRegression
from sklearn.utils.validation import check_is_fitted

from juyi.adapt.arriving.rows import rows_of, source_of
from juyi.adapt.covariances import shrunk
from juyi.adapt.heads import probabilities
from juyi.errors import DataError
from juyi.training.hyperparameters import Method, hyperparameter


@dataclasses.dataclass
class Moments:
    """Count, mean and covariance of rows of which none is kept; older ones count less and less.

    Example:
        >>> x = np.array([[1.0], [2.0], [6.0]])
        >>> seen = Moments(np.zeros(1), np.zeros((1, 1)))
        >>> for row in x:
        ...     seen.add(row[None], 1.0)
        >>> seen.mean.tolist(), bool(np.allclose(seen.covariance, np.cov(x.T, bias=True)))
        ([3.0], True)
    """

    mean: np.ndarray
    covariance: np.ndarray
    count: float = 0.0

    def add(self, x: np.ndarray, kept: float) -> None:
        """Take in rows, n×d; what was known before counts `kept` times as much as it did."""
        before, n = kept * self.count, len(x)
        mean = x.mean(0)
        apart, share = mean - self.mean, n / (before + n)
        self.covariance = (1 - share) * self.covariance + share * np.cov(x.T, bias=True).reshape(self.covariance.shape)
        self.covariance = self.covariance + share * (1 - share) * np.outer(apart, apart)
        self.mean, self.count = self.mean + share * apart, before + n


def powered(covariance: np.ndarray, exponent: float, shrinkage: float) -> np.ndarray:
    """Return a power of a shrunk covariance, symmetric; directions without variance get a little of it.

    >>> powered(np.diag([4.0, 9.0]), 0.5, 0.0).tolist()
    [[2.0, 0.0], [0.0, 3.0]]
    """
    values, vectors = np.linalg.eigh(shrunk(covariance, shrinkage))
    values = np.maximum(values, 1e-10 * max(float(values.max()), 1e-300))
    found: np.ndarray = (vectors * values**exponent) @ vectors.T
    return found


class StreamingCORAL(ClassifierMixin, Method):  # type: ignore[misc]
    """Give arriving rows the source's mean and covariance, and ask the source's model.

        x ↦ (x − m_t) C_t^(−½) C_s^(½) + m_s

    m_t and C_t are of the rows that have arrived, without labels, older ones counting less.  It is CORAL the other way
    round, so that the model stays as it is while the map follows.

    B. Sun, J. Feng and K. Saenko, "Return of Frustratingly Easy Domain Adaptation", AAAI 2016.

    Attributes:
        seen_: count, mean and covariance of what has arrived.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> y = rng.integers(0, 2, 400)
        >>> x = rng.normal(size=(400, 2)) + 4 * y[:, None]
        >>> model, moved = StreamingCORAL().fit(x, y), 3 * x + 9
        >>> for start in range(0, 400, 100):
        ...     _ = model.partial_fit(moved[start : start + 100])
        >>> bool((model.predict(moved) == y).mean() > 0.95)
        True
    """

    carries: ClassVar[str | None] = "features"
    online: ClassVar[bool] = True
    costs: ClassVar[str] = "one pass over the stream"

    estimator: Any = dataclasses.field(default=None)
    memory: float = hyperparameter(
        default=1_000.0, help="rows after which what was known counts for 1/e of it; 0 for never", low=0.0, high=1e12
    )
    shrinkage: float = hyperparameter(
        default=0.05, help="of covariances towards a multiple of the identity", low=0.0, high=1.0
    )

    def fit(self, X: Any, y: Any = None, *, target: Any = None) -> StreamingCORAL:
        """Learn from the source; `target`, if given, are the first rows that have arrived.

        Raises:
            DataError: rows are no finite numbers, or the labels are of one class.
            SettingError: a hyperparameter is out of its range.
        """
        self.check_hyperparameters()
        x, codes, self.classes_, _ = source_of(X, y)
        self.model_ = clone(self.estimator) if self.estimator is not None else LogisticRegression(max_iter=2_000)
        self.model_.fit(x, codes)
        d = self.n_features_in_ = x.shape[1]
        self.there_ = Moments(x.mean(0), np.cov(x.T, bias=True).reshape(d, d), len(x))
        self.seen_ = Moments(np.zeros(d), np.zeros((d, d)))
        return self if target is None else self.partial_fit(target)

    def partial_fit(self, X: Any, y: Any = None) -> StreamingCORAL:
        """Take in rows that have arrived; labels are not looked at."""
        check_is_fitted(self, "model_")
        x = self._rows(X)
        self.seen_.add(x, float(np.exp(-len(x) / self.memory)) if self.memory else 1.0)
        return self

    def _rows(self, X: Any) -> np.ndarray:
        x = rows_of(X, "X")
        if x.shape[1] != self.n_features_in_:
            raise DataError(
                f"X: has {x.shape[1]} columns and the source {self.n_features_in_}; "
                "of other columns see coot, cca, dama"
            )
        return x

    def transform(self, X: Any) -> np.ndarray:
        """Return rows as the source's model sees them, N×d; as they are until two rows have arrived."""
        check_is_fitted(self, "model_")
        x = self._rows(X)
        if self.seen_.count < 2:
            return x
        turn = powered(self.seen_.covariance, -0.5, self.shrinkage) @ powered(
            self.there_.covariance, 0.5, self.shrinkage
        )
        mapped: np.ndarray = (x - self.seen_.mean) @ turn + self.there_.mean
        return mapped

    def predict_source(self, X: Any) -> np.ndarray:
        """Return the class of each row as it is, not mapped."""
        check_is_fitted(self, "model_")
        return np.asarray(self.classes_[self.model_.predict(self._rows(X))])

    def predict(self, X: Any) -> np.ndarray:
        """Return the class of each row."""
        return np.asarray(self.classes_[self.model_.predict(self.transform(X))])

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each class, N×C."""
        return probabilities(self.model_, self.transform(X), len(self.classes_))
