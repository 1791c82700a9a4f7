"""What every method of pretraining shares: images without labels, the views of them, `fit` and `transform`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations, pairwise
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from juyi.augmentation import LOOKS, Crops, find_look
from juyi.data import as_domain, check_trainable, withhold_labels
from juyi.data.domain import Domain
from juyi.errors import DataError
from juyi.nets import Network
from juyi.nets.network import scale_stride
from juyi.training import (
    Checkpoint,
    Learner,
    Processes,
    Rows,
    Served,
    Single,
    Stage,
    StageGenerator,
    Turn,
    Watcher,
    choose_device,
    hyperparameter,
    redeclare,
)


class Pretrainer(Learner):
    """Learn a backbone from images without labels: what comes out has features, and no classes.

    A method is one file with a subclass that says, in `stages`, how it learns.
    """

    makes_views: ClassVar[bool] = True
    """Whether it learns from views of the images; one that does not pays no heed to `look` and `views`."""

    quick: ClassVar[dict[str, Any]] = {}
    """Settings under which the contract can be checked in seconds, on pictures of 12×12 pixels."""

    net: str | nn.Module = hyperparameter(
        default="auto", help="network: a name, module:factory, hub/NAME, its folder, or auto (a narrow ResNet-18)"
    )
    look: str = hyperparameter(
        default="auto",
        help="how far views of an image may differ: photographs, digits, drawings, grey, or auto (photographs where "
        "there is colour, else digits, which are never mirrored)",
        choices=("auto", *LOOKS),
    )
    views: int = hyperparameter(default=2, help="views of each image in a step", low=2, high=16)
    standardise: str = hyperparameter(
        default="source", help="how images are scaled: source (their mean and spread) or image (each by its own)",
        choices=("source", "image"),
    )  # fmt: skip
    batch: int = redeclare(Learner, "batch", 128)
    batch_norm: str = redeclare(Learner, "batch_norm", "shared")

    @abstractmethod
    def stages(self, net: Network, data: Rows) -> StageGenerator:
        """Yield the stages in which `net` learns, and return the network that serves."""
        raise NotImplementedError

    def fit(self, X: Any, y: Any = None) -> Pretrainer:
        """Learn from images.

        Args:
            X: a `Domain` of images, or an array N×C×H×W of uint8; labels that it has are not read.
            y: not looked at; scikit-learn's pipelines give it.

        Raises:
            DataError: there are no images, fewer than a batch, or all are equal.
            SettingError: a hyperparameter is out of its range, or the network does not fit.
            TrainingDivergedError: a loss became NaN or infinite.
        """
        self.check_hyperparameters()
        return self.learn(withhold_labels(as_domain(X, name="images")))

    def learn(
        self,
        data: Domain,
        *,
        watcher: Watcher | None = None,
        checkpoint: Checkpoint | None = None,
        processes: Processes | None = None,
    ) -> Pretrainer:
        """Learn from images whose labels are withheld, watched and stored; it is what `fit` and the command share."""
        self.remarks_: tuple[str, ...] = ()
        self.embedding_: nn.Module | None = None  # what follows the features, where the paper judges a method by it
        self.check_data(data)
        device = choose_device(self.device)
        rows = Rows(data, device)
        self.look_ = find_look(self.look_name(data))
        first = rows.take(np.arange(min(self.batch, rows.size)))
        first = replace(first, x=first.x.repeat(self.views, 1, 1, 1))
        self.net_ = self._learn(
            lambda net: self._through_options(self.stages(net, rows), net),
            self.build(data), first, device, watcher, checkpoint, processes or Processes(),
        )  # fmt: skip
        return self.adopt(Served(self.net_, data.x.shape[1:], ()))

    def check_data(self, data: Domain) -> None:
        """Raise an error if nothing can be learnt from these data."""
        if not data.is_images:
            raise DataError(f"{data.name}: are rows of numbers; pretraining needs images")
        check_trainable(data, self.batch, needs_labels=False)
        if all(np.array_equal(image, data.x[0]) for image in data.x):  # ends at the first that differs
            raise DataError(f"{data.name}: all {data.size:,} images are equal, so there is nothing to tell apart")

    def build(self, data: Domain) -> Network:
        """Return the backbone before it has learnt, the same for the same seed, on the CPU."""
        some = data.select(np.arange(0, data.size, scale_stride(data.size)))  # mean and spread are taken of no others
        return self._build(self.network, Rows(some, torch.device("cpu")), 2, self.layers)

    @property
    def network(self) -> str | nn.Module:
        """The network that learns: the one named, or a ResNet-18 of a quarter of the width."""
        return "resnet18-0.25" if self.net == "auto" else self.net

    @property
    def layers(self) -> dict[str, str]:
        """The settings with which the backbone is built, beside its name."""
        return {"batch_norm": self.batch_norm, "standardise": self.standardise, "head": "none"}

    def look_name(self, data: Domain) -> str:
        """The name of the look by which the views of these images differ."""
        if self.look == "auto":
            return "photographs" if data.x.shape[1] == 3 else "digits"
        return self.look

    def see(self, x: Tensor) -> Tensor:
        """Return the views of a batch, one after the other: (views · N)×C×H×W, floats from 0 to 255."""
        return Crops(self.look_)(x.repeat(self.views, 1, 1, 1))

    def stage(self, name: str, data: Rows, losses: Callable[..., Any], trains: Sequence[Any], **more: Any) -> Stage:
        """The stage of a method that learns by gradients, over all images."""
        batches = Single(data, self.batch)
        turn = Turn(losses, trains=trains, optimiser=self.recipe())
        return Stage(name, over=batches, turns=[turn], epochs=self.passes(batches, self.epochs), **more)


def over_pairs(loss: Callable[[Tensor, Tensor], Tensor], views: Sequence[Tensor]) -> Tensor:
    """Return the mean loss over every two views.

    >>> over_pairs(lambda a, b: (a - b).abs(), [torch.tensor(0.0), torch.tensor(1.0), torch.tensor(3.0)]).item()
    2.0
    """
    return torch.stack([loss(one, other) for one, other in combinations(views, 2)]).mean()


def projector(*widths: int) -> nn.Sequential:
    """Return linear layers of these widths, with batch norm and ReLU between them: from features to an embedding."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs, bias=False), nn.BatchNorm1d(outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-3], nn.Linear(widths[-2], widths[-1]))
