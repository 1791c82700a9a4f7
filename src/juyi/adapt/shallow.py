"""Shallow methods: mathematics on rows of numbers, with any scikit-learn estimator behind it, or inside a network."""

from __future__ import annotations

import dataclasses
import warnings
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.utils import Tags, TransformerTags
from sklearn.utils.validation import has_fit_parameter
from torch import nn

from juyi.adapt.arrays import are_images, classes_of, read_rows, read_source, read_target, samples
from juyi.adapt.base import Adapter
from juyi.adapt.heads import probabilities
from juyi.adapt.in_network import Remarks, featured, put_solution
from juyi.adapt.samples import Map, Samples, effective_rows
from juyi.adapt.source_only import SourceOnly, supervised
from juyi.data.domain import Domain
from juyi.errors import SettingError
from juyi.nets import SOURCE, TARGET, Network
from juyi.nets.freezing import trainable
from juyi.training import Rows, Served, StageGenerator, Step


@dataclasses.dataclass(frozen=True, eq=False)
class Solved:
    """What a shallow method ends with: maps of the rows of each domain, and a model of mapped rows.

    Attributes:
        model: a fitted estimator, which answers codes of classes, or numbers.
        source_map: of source rows.
        target_map: of target rows.
        weights: how much each labelled source row counted, n.
    """

    model: Any
    source_map: Map
    target_map: Map
    weights: np.ndarray


class Shallow(Adapter):
    """A method of a few closed steps on rows of numbers: columns of a table, or what a network makes of images.

    A subclass says its mathematics once, in `solve`, on arrays that are standardised by the source.  `fit` on rows of
    numbers needs no network, and takes any scikit-learn `estimator`.  The command, and `fit` on images, learn a
    network on the source (unless it has nothing to learn), take the features that it makes of the rows, and put the
    solution into its last layer, so that the model is served, exported and reported as any other.
    """

    quick: ClassVar[dict[str, Any]] = {"net": "linear"}
    scikit_exempt: ClassVar[dict[str, str]] = {
        "check_classifiers_regression_target": "labels that are numbers are learnt as numbers"
    }
    """Checks of scikit-learn's that the method cannot keep, each with the reason."""

    regression: ClassVar[bool] = True
    draws: ClassVar[bool] = False
    costs: ClassVar[str] = "seconds; grows with the rows"
    unweighable: ClassVar[str | None] = "it draws no batches of source rows"

    estimator: Any = dataclasses.field(default=None)

    @abstractmethod
    def solve(self, given: Samples) -> Solved:
        """Learn from two domains of rows: this is the method."""
        raise NotImplementedError

    @property
    def last(self) -> str:
        """What stands behind the features in a network (`juyi.nets.heads`)."""
        return "by-domain"

    # What methods build on

    def new_model(self, given: Samples) -> Any:
        """An unfitted estimator: the person's, or logistic regression, or ridge regression for numbers."""
        if self.estimator is not None:
            return clone(self.estimator)
        return LogisticRegression(max_iter=1_000) if given.classes else Ridge()

    def fitted_model(self, given: Samples, x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> Any:
        """A new model, fitted to weighted rows; one without weight is left out.

        Raises:
            SettingError: the estimator takes no weights.
        """
        model, kept = self.new_model(given), weights > 0
        if given.classes and len(np.unique(y[kept])) < 2:
            kept, weights = np.ones(len(y), bool), np.maximum(weights, 1e-6 * weights.max())
            given.remark("all weight is on rows of one class, so the others count a millionth of it", alarm=True)
        x, y, weights = x[kept], y[kept], weights[kept]
        if np.ptp(weights) <= 1e-12 * weights.max():
            return model.fit(x, y)
        if not has_fit_parameter(model, "sample_weight"):
            what = type(model).__name__
            raise SettingError(f"estimator: {what} takes no sample_weight, but rows are weighted; use another")
        return model.fit(x, y, sample_weight=weights / weights.mean())

    def solved(
        self,
        given: Samples,
        source_map: Map | None = None,
        target_map: Map | None = None,
        weights: np.ndarray | None = None,
    ) -> Solved:
        """Fit a model to mapped, weighted source rows and, with as much weight, to target rows with a given label.

        Args:
            given: the domains.
            source_map: of source rows; None leaves them as they are.
            target_map: of target rows, likewise.
            weights: of source rows, n; None for even ones.
        """
        source_map, target_map = (part or Map.identity(given.columns) for part in (source_map, target_map))
        even = np.ones(len(given.source)) if weights is None else usable(given, weights)
        model = self.model_of(given, source_map(given.source), given.labels, even, target_map)
        return Solved(model, source_map, target_map, even)

    def model_of(self, given: Samples, x: np.ndarray, y: np.ndarray, weights: np.ndarray, target_map: Map) -> Any:
        """A model fitted to these rows and, with as much weight in all, to target rows whose label was given."""
        counts = weights / weights.sum()
        if given.labelled.any():
            x = np.concatenate([x, target_map(given.target[given.labelled])])
            y = np.concatenate([y, given.target_labels[given.labelled]])
            counts = np.concatenate([counts, np.full(int(given.labelled.sum()), 1.0 / given.labelled.sum())])
        return self.fitted_model(given, x, y, counts)

    def without_transfer(self, given: Samples) -> Solved:
        """The same model of the source as it is."""
        return self.solved(given)

    # On arrays

    def fit(self, X: Any, y: Any = None, *, target: Any = None) -> Adapter:
        """Learn from the labelled source `X` and the target.

        Args:
            X: the source: rows of numbers with their labels `y`, or a `Domain`; for images, and where `net` names a
                network, one is made.
            y: labels of an array `X`; unknown ones are None, NaN or masked.
            target: an array, or a `Domain`, whose labels are read only where they are `labelled`.  None means that
                there is nothing to adapt to: the source alone is learnt.

        Raises:
            DataError: the data cannot be learnt from, or the domains do not fit together.
            SettingError: a hyperparameter is out of its range.
        """
        for name in ("net_", "model_"):
            self.__dict__.pop(name, None)
        if are_images(X) or self.net != "auto" or isinstance(X, str | Served):
            return super().fit(X, y, target=target)
        self.check_hyperparameters()
        source = read_source(self, X, y)
        other = None if target is None else read_target(self, target, source[1])
        self.check_source(source[1], 2)
        if other is not None:
            self.check_target(other[1], 1)
        given, mean, spread = samples(source, other, self.random_state)
        found = self.without_transfer(given) if other is None else self.solve(given)
        self.model_, self.weights_ = found.model, found.weights
        self.source_map_, self.target_map_ = (part.after(mean, spread) for part in (found.source_map, found.target_map))
        self.effective_rows_, self.remarks_ = effective_rows(found.weights), tuple(given.remarks)
        self.domain_classes_, self.columns_ = source[1].classes or (), source[1].columns
        self.classes_ = classes_of(source[1], y)
        for sentence in given.alarms:
            warnings.warn(f"{type(self).__name__}: {sentence}", stacklevel=2)
        return self

    def fit_transform(self, X: Any, y: Any = None, *, target: Any = None) -> np.ndarray:
        """Learn, and return the source's rows mapped, so that in a pipeline the next step learns from these."""
        return self.fit(X, y, target=target).transform_source(X)

    def predict(self, X: Any) -> np.ndarray:
        """Return the predicted class of each target row, N; or the number, in the labels' unit."""
        if not hasattr(self, "model_"):
            return super().predict(X)
        found = self.model_.predict(self.transform(X))
        predicted: np.ndarray = self.classes_[found] if len(self.classes_) else found
        return predicted

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probabilities of the classes for target rows, N×C, each row summing to 1."""
        if not hasattr(self, "model_"):
            return super().predict_proba(X)
        if not len(self.classes_) or not hasattr(self.model_, "predict_proba"):
            raise SettingError("the model tells no probabilities; use predict, or an estimator that has predict_proba")
        return probabilities(self.model_, self.transform(X), len(self.classes_))

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Return the accuracy on labelled target rows; for numbers R², 1 − Σ(y − ŷ)² / Σ(y − ȳ)²."""
        if not hasattr(self, "model_") or self.tells_numbers:
            return super().score(X, y, sample_weight)
        names = np.asarray(self.domain_classes_)
        return self._accuracy(X, y, sample_weight, lambda rows: names[self.model_.predict(self.transform(rows))])

    def transform(self, X: Any) -> np.ndarray:
        """Return target rows as the model sees them: mapped, N×k."""
        return self.target_map_(read_rows(self, X)) if hasattr(self, "model_") else super().transform(X)

    def transform_source(self, X: Any) -> np.ndarray:
        """Return source rows as the model saw them: mapped, N×k."""
        return self.source_map_(read_rows(self, X)) if hasattr(self, "model_") else super().transform_source(X)

    @property
    def tells_numbers(self) -> bool:
        """Whether what was learnt tells numbers, and no classes."""
        return not len(self.classes_) if hasattr(self, "model_") else super().tells_numbers

    def _served(self) -> Served:
        if hasattr(self, "model_"):
            raise SettingError("there is no network, since fit was given rows of numbers; fit with net='linear'")
        return super()._served()

    def __sklearn_tags__(self) -> Tags:
        """What scikit-learn asks: it transforms rows too, and not to the type that they had."""
        tags = super().__sklearn_tags__()
        tags.transformer_tags = TransformerTags(preserves_dtype=[])
        return tags

    # In a network

    def check_hyperparameters(self) -> None:
        """Raise `SettingError` for the first hyperparameter whose type or value is not allowed."""
        super().check_hyperparameters()
        if self.head != "own":
            raise SettingError(f"--head {self.head}: {type(self).__name__} finds its last layer itself; leave it out")
        if self.estimator is not None and not hasattr(self.estimator, "fit"):
            raise SettingError(f"estimator: must be an estimator of scikit-learn's kind, not {self.estimator!r}")

    def check_data(self, source: Domain, target: Domain | None) -> None:
        """Raise a `DataError` if a domain cannot be learnt from; of the target one row will do."""
        self.check_source(source, self.batch)
        if target is not None:
            self.check_target(target, 1)

    def default_net(self, source: Rows, numbers: bool) -> str:
        """Columns of a table are features already."""
        return super().default_net(source, numbers) if source.is_images else "linear"

    def floors(self, source: Domain | Served) -> dict[str, Adapter]:
        """Source only, with the same network."""
        linear = self.net == "auto" and isinstance(source, Domain) and not source.is_images
        return {"source_only": SourceOnly(**self.shared() | ({"net": "linear"} if linear else {}))}

    @property
    def layers(self) -> dict[str, str]:
        """The settings with which the network is built, beside its name."""
        return super().layers | {"head": self.last}

    def stages(self, net: Network, source: Rows, target: Rows) -> StageGenerator:
        """Features from the source, where there are any to learn; then the method."""
        return (yield from self._closed(net, source, target, self.solve))

    def stages_without_target(self, net: Network, source: Rows) -> StageGenerator:
        """The stages where there is nothing to adapt to."""
        return (yield from self._closed(net, source, None, self.without_transfer))

    def _closed(
        self, net: Network, source: Rows, target: Rows | None, solve: Callable[[Samples], Solved]
    ) -> StageGenerator:
        if trainable(net.body):
            learner = Network(
                net.standardise, net.body, nn.Linear(net.width, net.outputs), net.width, net.outputs, net.name
            )
            learner.label_scale = net.label_scale
            yield from supervised(self, learner.to(source.y.device), source, None)
        said = Remarks()

        def work() -> None:
            beside = None if target is None else featured(net, target, TARGET)
            given, mean, spread = samples(featured(net, source, SOURCE), beside, self.random_state)
            found = solve(given)
            put_solution(net, found.model, found.source_map.after(mean, spread), found.target_map.after(mean, spread))
            said.sentences = given.remarks

        yield Step(f"solve {type(self).__name__}", work, keeps=[net, said])
        self.remarks_ = tuple(said.sentences)
        return net


def usable(given: Samples, weights: np.ndarray) -> np.ndarray:
    """Weights that can be used, with a remark on how many rows they amount to."""
    if not np.isfinite(weights).all() or (weights < 0).any() or not weights.max() > 0:
        given.remark("no weights could be found, since the domains have nothing in common: all rows count alike", True)
        return np.ones(len(weights))
    rows, n = effective_rows(weights), len(weights)
    few = rows < max(2.0, 0.01 * n)
    told = f"the weights of {n:,} source rows amount to {rows:,.1f} rows of even weight"
    given.remark(told + (": the model is little more than those few" if few else ""), alarm=few)
    return weights
