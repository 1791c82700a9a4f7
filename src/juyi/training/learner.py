"""What the methods of several rooms share: how a network is built and moved, and what it then answers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np
import torch
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils.validation import check_is_fitted
from torch import nn

from juyi.augmentation import VIEWS, Strong, View, make_view
from juyi.data import as_domain
from juyi.data.domain import Domain
from juyi.errors import DataError, SettingError
from juyi.nets import TARGET, LabelScale, Network, build_network
from juyi.nets.build import fit_dropout
from juyi.training.average import WeightAverage
from juyi.training.batches import Batch, Rows
from juyi.training.checkpoint import Checkpoint
from juyi.training.hyperparameters import Method, hyperparameter
from juyi.training.learn import StageGenerator, Watcher, learn, through
from juyi.training.precision import choose_precision
from juyi.training.processes import Processes, take_from_first
from juyi.training.serving import Served
from juyi.training.stage_run import Settings
from juyi.training.stages import Batches, Optimiser, Stage, Step
from juyi.training.views import Viewed


class Learner(ClassifierMixin, Method):  # type: ignore[misc]
    """A method that ends with a network which answers: a room's own kind of method is a subclass."""

    batch_coupled: ClassVar[str | None] = "batch norm, where the network has it, sees the rows of one process only"
    """Why many processes do not equal one with a larger batch; None if they do."""

    costs: ClassVar[str] = "trains a network"

    exempt: ClassVar[dict[str, str]] = {}
    """Checks of the contract that the method cannot keep, each with the reason."""

    weights: str | None = hyperparameter(default=None, help="safetensors file to begin from, instead of at random")
    freeze: str | None = hyperparameter(
        default=None, help="parts of the network that stay as they are, separated by commas: body, or body.0,body.1"
    )
    epochs: int | None = hyperparameter(
        default=None,
        help="passes over the larger domain, in each stage; by default 10, and at least 2000 steps",
        low=1,
        high=100_000,
    )
    batch: int = hyperparameter(default=64, help="rows of each domain in a step", low=2, high=65_536)
    optimiser: str = hyperparameter(
        default="adam", help="sgd (with momentum) or adam (decoupled decay)", choices=("sgd", "adam")
    )
    learning_rate: float = hyperparameter(default=1e-3, help="learning rate at the start", low=0.0, high=10.0)
    momentum: float = hyperparameter(default=0.9, help="momentum of sgd, first beta of adam", low=0.0, high=0.9999)
    weight_decay: float = hyperparameter(default=0.0, help="weight decay", low=0.0, high=1.0)
    schedule: str = hyperparameter(
        default="cosine", help="how the learning rate falls", choices=("constant", "inverse", "cosine")
    )
    batch_norm: str = hyperparameter(
        default="domain",
        help="batch norm: none (named networks alone), shared, or domain (statistics of source and target apart)",
        choices=("none", "shared", "domain"),
    )
    head: str = hyperparameter(
        default="own", help="the network's own head, or cosine (scores by direction alone)", choices=("own", "cosine")
    )
    dropout: float = hyperparameter(
        default=0.0,
        help="share of the units of a hidden layer that are left out in a step (mlp-WIDTH-WIDTH, networks of your own)",
        low=0.0,
        high=0.95,
    )
    max_norm: float = hyperparameter(
        default=0.0, help="largest length of the weights that enter a unit; 0 for no limit", low=0.0, high=1e6
    )
    average: float = hyperparameter(
        default=0.0, help="decay of the moving average of the weights that serves; 0 for none", low=0.0, high=0.99999
    )
    device: str = hyperparameter(default="auto", help="where to compute", choices=("auto", "cpu", "cuda"))
    precision: str = hyperparameter(
        default="auto", help="number type: auto measures once which is faster", choices=("auto", "float32", "bfloat16")
    )
    random_state: int = hyperparameter(default=0, help="seed", low=0, high=2**63 - 1)

    def recipe(self, **changes: Any) -> Optimiser:
        """The optimiser that the settings describe, with `changes`."""
        settings = {
            "kind": self.optimiser,
            "learning_rate": self.learning_rate,
            "momentum": self.momentum,
            "weight_decay": self.weight_decay,
            "schedule": self.schedule,
        }
        return Optimiser(**{**settings, **changes})

    def passes(self, batches: Batches, epochs: int | None) -> int:
        """The number of epochs that a stage over these batches takes, when `epochs` were asked for.

        Where nothing was asked for it is 10, and on small data as many as make 2,000 steps.
        """
        return epochs or max(10, math.ceil(2_000 / batches.steps_per_epoch(1)))

    def view(self) -> View | None:
        """Through what each batch is seen; None where it is seen as it is."""
        return None

    def _build(
        self, net: str | nn.Module, rows: Rows, outputs: int, layers: dict[str, str], labels: LabelScale | None = None
    ) -> Network:
        """Build a network for these rows, the same for the same seed."""
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(self.random_state)
            network = build_network(
                net, rows.x, outputs, weights=self.weights, freeze=self.freeze, labels=labels, **layers
            )
        if self.dropout:
            fit_dropout(network, self.dropout)
        return network

    def _learn(
        self,
        stages: Callable[[Network], StageGenerator],
        net: Network,
        first: Batch,
        device: torch.device,
        watcher: Watcher | None,
        checkpoint: Checkpoint | None,
        processes: Processes,
    ) -> Network:
        """Run the stages, in the number type that suits the network on its first batch."""
        net = net.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        dtype = take_from_first(choose_precision(self.precision, net, first, device), processes)
        self.settings_ = Settings(self.random_state, device, dtype, processes)
        return learn(stages, net, self.settings_, watcher, checkpoint)

    def _through_options(
        self, parts: StageGenerator, net: Network, change: Callable[[Stage], Stage] = lambda stage: stage
    ) -> StageGenerator:
        """A method's stages, seen through the shared options: what is augmented, limited and averaged.

        Args:
            parts: the stages.
            net: what serves where a stage does not say.
            change: what is done to each stage at last.
        """
        view = self.view()

        def seen(part: Stage | Step) -> Iterator[Stage | Step]:
            if isinstance(part, Step):
                yield part
                return
            if view:
                part = replace(part, over=Viewed(part.over, view))
            if self.max_norm:
                part = part.then(Limit([turn.trains for turn in part.turns], self.max_norm))
            average = WeightAverage(part.serves or net, self.average) if self.average else None
            if average:
                kept = [*part.keeps, average.live, average.net, average]
                part = part.then(average.update, keeps=kept, serves=average.net)
            yield change(part)
            if average:
                yield Step("take the average", average.take)

        return through(parts, seen)

    def adopt(self, served: Served) -> Self:
        """Take on the shape and the classes of a trained model, and its network unless there is one already."""
        self.net_ = getattr(self, "net_", served.net)
        self.shape_ = served.shape
        self.domain_classes_ = tuple(str(label) for label in served.classes)
        self.columns_ = served.columns or None
        self.classes_ = np.asarray(served.classes)
        self.n_features_in_ = int(np.prod(self.shape_))
        return self

    def scores(self, X: Any, *, domain: str = TARGET) -> np.ndarray:
        """Return the scores (logits), N×C, float32, of rows of the target (or of the `source`); or numbers, N×1."""
        return self._served().scores(X, domain)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probabilities of the classes for target rows, N×C, each row summing to 1."""
        return self._served().predict_proba(X)

    def predict(self, X: Any) -> np.ndarray:
        """Return the predicted class of each target row, N; or the number, in the labels' unit."""
        return self._served().predict(X)

    def transform(self, X: Any) -> np.ndarray:
        """Return the features of target rows, N×width, float32."""
        return self._served().features(X, TARGET)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Return the accuracy on labelled target rows; for numbers R², 1 − Σ(y − ŷ)² / Σ(y − ȳ)²."""
        if self.tells_numbers:
            return self._score_numbers(X, y, sample_weight)
        return self._accuracy(X, y, sample_weight, self.predict)

    @property
    def tells_numbers(self) -> bool:
        """Whether what was learnt tells numbers, and no classes."""
        return self._served().tells_numbers

    def _accuracy(self, X: Any, y: Any, sample_weight: Any, predict: Callable[[Domain], np.ndarray]) -> float:
        domain = as_domain(X, y)
        if domain.classes is None or not domain.labelled.any():
            raise DataError(f"{domain.name}: has no labels of classes, so nothing can be scored on it; give y")
        known = domain.labelled
        truth = np.asarray(domain.classes)[domain.y[known]]
        weight = None if sample_weight is None else np.asarray(sample_weight)[known]
        predicted = predict(domain.select(known)).astype(str)
        return float(accuracy_score(truth, predicted, sample_weight=weight))

    def _score_numbers(self, X: Any, y: Any, sample_weight: Any) -> float:
        domain = as_domain(X)
        truth = domain.y if y is None else np.ma.filled(np.ma.asarray(y, dtype=float), np.nan)
        known = domain.labelled if y is None else ~np.isnan(truth)
        if domain.classes is not None or known.sum() < 2:
            raise DataError(f"{domain.name}: has not two numbers as labels, so nothing can be scored on it; give y")
        weight = None if sample_weight is None else np.asarray(sample_weight)[known]
        return float(r2_score(truth[known], self.predict(domain.select(known)), sample_weight=weight))

    def _served(self) -> Served:
        check_is_fitted(self, "net_")
        return Served(self.net_, self.shape_, self.classes_, self.columns_)


class Augmented(Learner):
    """A learner whose training images may be changed as they come."""

    augment: str = hyperparameter(
        default="none",
        help="how training images are changed: none, weak (shifted), warped (turned, leant) or strong (RandAugment)",
        choices=VIEWS,
    )
    flip: bool = hyperparameter(default=False, help="augment mirrors images too (never for digits or letters)")
    shift: int | None = hyperparameter(
        default=None, help="pixels by which augment shifts at most; by default an eighth of the size", low=0, high=512
    )
    exclude_operations: str = hyperparameter(
        default="", help="operations that strong views leave out, separated by commas, such as invert,solarize"
    )

    def check_hyperparameters(self) -> None:
        """Raise `SettingError` for the first hyperparameter whose type or value is not allowed."""
        super().check_hyperparameters()
        Strong(self.excluded)
        for name, changes in (("flip", "mirrors"), ("shift", "shifts")):
            if getattr(self, name) and self.augment == "none":
                raise SettingError(f"--{name}: {changes} images that are augmented; add --augment weak")

    def view(self) -> View | None:
        """Through what each batch is seen; None where it is seen as it is."""
        return make_view(self.augment, flip=self.flip, without=self.excluded, shift=self.shift)

    @property
    def excluded(self) -> tuple[str, ...]:
        """The operations that strong views leave out."""
        return tuple(word.strip() for word in self.exclude_operations.split(",") if word.strip())


class Limit:
    """Shorten, after each step, the weights that enter a unit where they are longer than a limit.

    w ← w min(1, c / ‖w‖) for each row w of each linear layer and each filter of each convolution.

    Args:
        owners: what the turns of a stage train.
        longest: c, above 0.

    Source: Srivastava et al., "Dropout: A Simple Way to Prevent Neural Networks from Overfitting", JMLR 2014,
    section 5.1.
    """

    def __init__(self, owners: Iterable[Sequence[nn.Module | torch.Tensor]], longest: float) -> None:
        modules = [module for trained in owners for module in trained if isinstance(module, nn.Module)]
        layers = [layer for module in modules for layer in module.modules()]
        self.weights = [layer.weight for layer in layers if isinstance(layer, nn.Linear | nn.Conv2d)]
        self.longest = longest

    def __call__(self) -> None:
        """Shorten them, in place."""
        with torch.no_grad():
            for weight in self.weights:
                rows = weight.flatten(1)
                lengths = rows.norm(dim=1)
                if bool((lengths > self.longest).any()):
                    weight.mul_((self.longest / lengths).clamp(max=1).view(-1, *[1] * (weight.dim() - 1)))


def outputs_of(source: Domain) -> int:
    """How many outputs a network has for these labels: one a class, or one for numbers."""
    return 1 if source.classes is None else len(source.classes)


def label_scale(rows: Rows) -> LabelScale:
    """The mean and the spread of the labelled rows' numbers; a spread of 0 counts as 1."""
    known = rows.y[torch.from_numpy(rows.labelled_rows).to(rows.y.device)].double()
    spread = float(known.std(correction=0)) if len(known) else 0.0
    return LabelScale(float(known.mean()) if len(known) else 0.0, spread or 1.0)


def as_written(y: Any, names: np.ndarray) -> np.ndarray:
    """Give the classes as whole numbers, if that is how the known labels of an array are written."""
    values = np.ma.compressed(y) if isinstance(y, np.ma.MaskedArray) else np.asarray(y, object).ravel()
    known = [value for value in values.tolist() if value is not None and value == value]
    whole = all(isinstance(value, int) and not isinstance(value, bool) for value in known)
    return np.unique(known) if whole else names
