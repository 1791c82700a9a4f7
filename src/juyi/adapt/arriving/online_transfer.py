"""Online transfer: what was learnt there and what is being learnt here, weighted by their mistakes."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np
from sklearn.base import ClassifierMixin, clone
from sklearn.linear_model import LogisticRegression
from sklearn.utils.validation import check_is_fitted

from juyi.adapt.arriving.drift import PageHinkley
from juyi.adapt.arriving.rows import labels_of, rows_of, source_of
from juyi.adapt.heads import probabilities
from juyi.errors import DataError, SettingError
from juyi.training.hyperparameters import Method, hyperparameter


def onto_simplex(scores: np.ndarray) -> np.ndarray:
    """Return the nearest shares to scores, row by row; of two classes Π((f + 1)/2), f the difference, cut to 0 … 1.

    Args:
        scores: …×C.

    Example:
        >>> onto_simplex(np.array([[0.0, 0.5], [0.0, 3.0]])).tolist()
        [[0.25, 0.75], [0.0, 1.0]]

    Source: J. Duchi et al., "Efficient Projections onto the ℓ₁-Ball for Learning in High Dimensions", ICML 2008.
    """
    falling = -np.sort(-scores, axis=-1)
    excess = (np.cumsum(falling, axis=-1) - 1) / np.arange(1, scores.shape[-1] + 1)
    last = (falling > excess).sum(-1, keepdims=True) - 1
    shares: np.ndarray = np.maximum(scores - np.take_along_axis(excess, last, -1), 0)
    return shares


def passive_aggressive(weights: np.ndarray, x: np.ndarray, label: int, aggressiveness: float) -> None:
    """Change W in place so that the right class scores higher than the next by 1, by as little as that takes.

    ℓ = max(0, 1 − s_y + s_r), r the best wrong class;  τ = min(C, ℓ / 2‖x‖²);  w_y += τ x,  w_r −= τ x

    Args:
        weights: W, C×d.
        x: a row, d.
        label: y.
        aggressiveness: C.

    Example:
        >>> w = np.zeros((2, 1))
        >>> passive_aggressive(w, np.array([1.0]), 0, 5.0)
        >>> w.tolist()
        [[0.5], [-0.5]]

    Source: K. Crammer et al., "Online Passive-Aggressive Algorithms", JMLR 2006, section 8 (PA-I).
    """
    scores = weights @ x
    right, scores[label] = scores[label], -np.inf
    wrong = int(scores.argmax())
    loss = 1 - right + scores[wrong]
    if loss > 0:
        step = min(aggressiveness, loss / max(2 * float(x @ x), 1e-12))
        weights[label] += step * x
        weights[wrong] -= step * x


class OnlineTransfer(ClassifierMixin, Method):  # type: ignore[misc]
    """Weigh what was learnt there and what is being learnt here by their mistakes, row by row.

    Experts answer with shares of the classes, p_k; the answer is p = Σ_k α_k p_k.  When the label comes,

        α_k ∝ α_k exp(−η ½‖p_k − e_y‖²),   then  α_k ← (1 − γ) α_k + γ/K,

    and learners are corrected.  With γ = 0 there are at most 4 min_k Σ_t ½‖p_k − e_y‖² + 8 ln K mistakes (η = ½), which
    for two classes and two experts is the paper's theorem.  Experts are the source's model, a learner that goes on, and
    one that begins anew whenever an alarm of rising mistakes rings; what the latter had learnt is then kept as an
    expert. Target rows may have further columns behind those of the source: the source's model does not look at them.

    P. Zhao and S. C. H. Hoi, "OTL: A Framework of Online Transfer Learning", ICML 2010, algorithm 1; γ is of M.
    Herbster and M. K. Warmuth, "Tracking the Best Expert", Machine Learning 1998.

    Attributes:
        experts_: the names of the experts.
        weights_: α, one an expert.
        history_: after each batch `rows` (in all), `weights` by expert, `mistakes` in it, and whether it `rang`.
        mistakes_, rows_: in all; each row is answered before its label is looked at.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> x, w = rng.normal(size=(400, 5)), rng.normal(size=5)
        >>> model = OnlineTransfer().fit(x, x @ w > 0)
        >>> _ = model.partial_fit(x[:200], x[:200] @ w > 0)
        >>> max(zip(model.weights_, model.experts_))[1], model.mistakes_ < 20
        ('source', True)
    """

    carries: ClassVar[str | None] = "model"
    needs_target_labels: ClassVar[bool] = True
    online: ClassVar[bool] = True
    costs: ClassVar[str] = "one pass over the stream"

    estimator: Any = dataclasses.field(default=None)
    rate: float = hyperparameter(default=0.5, help="η, how fast weights follow mistakes", low=1e-6, high=100.0)
    share: float = hyperparameter(
        default=0.002, help="γ, weight that is dealt out anew with each row", low=0.0, high=0.5
    )
    aggressiveness: float = hyperparameter(default=0.01, help="C, the largest step of a learner", low=1e-9, high=1e6)
    alarm: float = hyperparameter(
        default=20.0, help="excess of mistakes at which the alarm rings; 0 for never", low=0.0, high=1e9
    )
    keep: int = hyperparameter(default=5, help="former learners that are kept as experts", low=0, high=1_000)

    def fit(self, X: Any, y: Any = None, *, target: Any = None) -> OnlineTransfer:
        """Learn from the source; then from the target, row by row, if one is given that is labelled.

        Raises:
            DataError: rows are no finite numbers, or the labels are of one class.
            SettingError: a hyperparameter is out of its range.
        """
        self.check_hyperparameters()
        x, codes, self.classes_, domain = source_of(X, y)
        self.source_model_ = clone(self.estimator) if self.estimator is not None else LogisticRegression(max_iter=2_000)
        if not hasattr(self.source_model_, "predict_proba"):
            raise SettingError("estimator: must have predict_proba, since experts answer with shares of the classes")
        self.mean_, self.spread_ = x.mean(0), np.where(x.std(0) > 1e-9, x.std(0), 1.0)
        self.source_model_.fit((x - self.mean_) / self.spread_, codes)
        self.n_features_in_, self.width_ = x.shape[1], 0
        self.experts_, self.weights_ = ["source"], np.ones(1)
        self.history_: list[dict[str, Any]] = []
        self.alarms_: list[int] = []
        self.mistakes_, self.rows_ = 0, 0
        self._alarm = PageHinkley(self.alarm or np.inf)
        if target is not None:
            found = labels_of(target, domain)
            self.partial_fit(found[0], self.classes_[found[1]])
        return self

    def partial_fit(self, X: Any, y: Any) -> OnlineTransfer:
        """Answer target rows in their order, and learn from the label of each after it was answered.

        `answers_` has what was answered for them.
        """
        check_is_fitted(self, "source_model_")
        rows, codes = self._rows(X), self._codes(y)
        if len(rows) != len(codes):
            raise DataError(f"y: has {len(codes)} labels for {len(rows)} rows; give one a row")
        if not self.width_:
            self._begin(rows.shape[1])
        there = self._source_shares(rows)
        told, rang, before = np.empty(len(rows), int), False, self.mistakes_
        for number, (x, y_row) in enumerate(zip(rows, codes, strict=True)):
            shares = np.concatenate([there[number][None], onto_simplex(self._linear @ x)])
            told[number] = (self.weights_ @ shares).argmax()
            self._weigh(shares, int(y_row))
            for learner in self._linear[-2:]:
                passive_aggressive(learner, x, int(y_row), self.aggressiveness)
            wrong = told[number] != y_row
            self.mistakes_, self.rows_ = self.mistakes_ + int(wrong), self.rows_ + 1
            if self.alarm and self._alarm.add(float(wrong)):
                rang = True
                self._begin_anew()
        self.answers_ = self.classes_[told]
        weights = dict(zip(self.experts_, self.weights_.tolist(), strict=True))
        self.history_.append(
            {"rows": self.rows_, "weights": weights, "mistakes": self.mistakes_ - before, "rang": rang}
        )
        return self

    def _weigh(self, shares: np.ndarray, label: int) -> None:
        """Change the weights of the experts by their losses, ½‖p_k − e_y‖²."""
        loss = (1 - 2 * shares[:, label] + (shares**2).sum(1)) / 2
        weights = self.weights_ * np.exp(-self.rate * (loss - loss.min()))
        self.weights_ = (1 - self.share) * weights / weights.sum() + self.share / len(weights)

    def _begin(self, width: int) -> None:
        """Take in the learners, when the first target rows show how many columns there are."""
        self.width_ = width
        self._linear = np.zeros((2, len(self.classes_), width))
        self.experts_, self.weights_ = ["source", "goes on", "since the alarm"], np.full(3, 1 / 3)

    def _begin_anew(self) -> None:
        """Keep what the newer learner knows, the oldest such expert making room; begin it again."""
        self.alarms_.append(self.rows_)
        kept, learners = self._linear[:-2], self._linear[-2:]
        kept = np.concatenate([kept, learners[1:]])[max(len(kept) + 1 - self.keep, 0) :]
        names = [*self.experts_[1:-2], f"until row {self.rows_:,}"]
        self.experts_ = ["source", *names[len(names) - len(kept) :], *self.experts_[-2:]]
        self._linear = np.concatenate([kept, learners[:1], np.zeros_like(learners[1:])])
        self.weights_ = np.full(len(self.experts_), 1 / len(self.experts_))

    def _rows(self, X: Any) -> np.ndarray:
        """Target rows, standardised by the source, and a column of ones."""
        x = rows_of(X, "X")
        if x.shape[1] < self.n_features_in_ or (self.width_ and x.shape[1] + 1 != self.width_):
            wanted = self.width_ - 1 if self.width_ else self.n_features_in_
            raise DataError(f"X: has {x.shape[1]} columns, but {wanted} are needed; the source's come first")
        further = x.shape[1] - self.n_features_in_
        mean, spread = (np.concatenate([one, fill]) for one, fill in (
            (self.mean_, np.zeros(further)), (self.spread_, np.ones(further))
        ))  # fmt: skip
        return np.hstack([(x - mean) / spread, np.ones((len(x), 1))])

    def _codes(self, y: Any) -> np.ndarray:
        given = np.asarray(y)
        place = {label: code for code, label in enumerate(self.classes_.tolist())}
        strange = [label for label in given.ravel().tolist() if label not in place]
        if given.ndim != 1 or strange:
            raise DataError(f"y: {strange[0] if strange else given.shape} is no class of the source, row by row; "
                            f"known are {', '.join(map(str, place))}")  # fmt: skip
        return np.array([place[label] for label in given.tolist()], int)

    def _source_shares(self, rows: np.ndarray) -> np.ndarray:
        return probabilities(self.source_model_, rows[:, : self.n_features_in_], len(self.classes_))

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the weighted shares of the classes, N×C."""
        check_is_fitted(self, "source_model_")
        rows = self._rows(X)
        shares = self._source_shares(rows)[None]
        if self.width_:
            shares = np.concatenate([shares, onto_simplex(np.einsum("kcd,nd->knc", self._linear, rows))])
        return np.asarray(np.einsum("k,knc->nc", self.weights_, shares))

    def predict_source(self, X: Any) -> np.ndarray:
        """Return the class of each row as the source's model says it, without what was learnt since."""
        check_is_fitted(self, "source_model_")
        return np.asarray(self.classes_[self._source_shares(self._rows(X)).argmax(1)])

    def predict(self, X: Any) -> np.ndarray:
        """Return the class of each row."""
        return np.asarray(self.classes_[self.predict_proba(X).argmax(1)])
