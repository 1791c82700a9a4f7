"""What every method of fine-tuning shares: a backbone, a few labelled rows, `fit` and `predict`."""

from __future__ import annotations

import copy
import math
from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from juyi.data import as_domain, check_trainable, conform, withhold_labels
from juyi.data.domain import Domain
from juyi.data.doors import check_order
from juyi.errors import DataError, SettingError
from juyi.nets import Network, freeze
from juyi.nets.build import fit_head
from juyi.nets.freezing import thaw
from juyi.training import (
    Augmented,
    Batches,
    Checkpoint,
    Processes,
    Rows,
    Served,
    StageGenerator,
    Watcher,
    choose_device,
    compute,
    hyperparameter,
    redeclare,
)
from juyi.training.backbones import find_backbone
from juyi.training.learner import as_written


class Finetuner(Augmented):
    """Make a classifier of a backbone and a few labels.

    A method is one file with a subclass that says, in `stages`, how it learns.
    """

    carries: ClassVar[str | None] = "model"
    needs_target_labels: ClassVar[bool] = True

    tunes_body: ClassVar[bool] = False
    """Whether the backbone changes; else it stays as it is, to the bit, with its running statistics."""

    takes_unlabelled: ClassVar[bool] = False
    """Whether it learns from unlabelled rows too, and needs some."""

    draws: ClassVar[bool] = True
    """Whether the seed makes a difference."""

    quick: ClassVar[dict[str, Any]] = {}
    """Settings under which the contract can be checked in seconds, on a table of 8 features and 3 classes."""

    backbone: Any = hyperparameter(
        default=None,
        help="what has learnt already: a run, a named network or module:factory with --weights, hub/NAME; in Python a "
        "model",
    )
    epochs: int | None = hyperparameter(
        default=None, help="passes over the labelled rows; by default 10, and at least 300 steps", low=1, high=100_000
    )
    batch_norm: str = redeclare(Augmented, "batch_norm", "shared")

    @abstractmethod
    def stages(self, net: Network, few: Rows, unlabelled: Rows | None) -> StageGenerator:
        """Yield the stages in which `net`, whose head is new, learns, and return the network that serves."""
        raise NotImplementedError

    def head_for(self, few: Domain) -> str:
        """The name of the head that is put on the backbone (`juyi.nets.heads`)."""
        return "linear"

    def fit(self, X: Any, y: Any = None, *, unlabelled: Any = None) -> Finetuner:
        """Learn from a few labelled rows.

        Args:
            X: a `Domain`, or an array of rows like the backbone's; rows without a label are left out.
            y: the labels of an array `X`.
            unlabelled: more rows, for methods that make use of them; labels that they have are not read.

        Raises:
            DataError: the rows cannot be learnt from, or are not like the backbone's.
            SettingError: a hyperparameter is out of its range, or the backbone cannot be used.
            TrainingDivergedError: a loss became NaN or infinite.
        """
        self.check_hyperparameters()
        few = as_domain(X, y, name="few labels")
        more = None if unlabelled is None else withhold_labels(as_domain(unlabelled, name="unlabelled"))
        served = self.find_backbone(few)
        self.learn(served, bring(few, served), None if more is None else bring(more, served))
        if not isinstance(X, Domain):
            self.classes_ = as_written(y, self.classes_)
        return self

    def find_backbone(self, few: Domain) -> Served:
        """Return the network with which it begins, as it was trained."""
        if self.backbone is None:
            raise SettingError(
                "backbone: name a run, a named network or module:factory with --weights, or hub/NAME; in Python a model"
            )
        if hasattr(self.backbone, "_served"):
            return self.backbone._served()  # type: ignore[no-any-return]
        if isinstance(self.backbone, Network):
            return Served(self.backbone, few.x.shape[1:], ())
        found = find_backbone(self.backbone, few, 2, self.weights).served
        if found is None:
            raise SettingError(f"backbone {self.backbone}: is no network, so there is nothing to tune; name one")
        return found

    def learn(
        self,
        backbone: Served,
        few: Domain,
        unlabelled: Domain | None = None,
        *,
        watcher: Watcher | None = None,
        checkpoint: Checkpoint | None = None,
        processes: Processes | None = None,
    ) -> Finetuner:
        """Learn from rows that fit the backbone, watched and stored; it is what `fit` and the command share."""
        self.remarks_: tuple[str, ...] = ()
        few = few.select(few.labelled)
        self.check_data(few, unlabelled)
        device = choose_device(self.device)
        rows = Rows(few, device)
        more = None if unlabelled is None or not self.takes_unlabelled else Rows(unlabelled, device)
        net = self.with_head(backbone, few)
        self.net_ = self._learn(
            lambda net: self._through_options(self.stages(net, rows, more), net),
            net, rows.take(np.arange(self.rows_a_step(rows))), device, watcher, checkpoint, processes or Processes(),
        )  # fmt: skip
        return self.adopt(Served(self.net_, backbone.shape, few.classes or (), backbone.columns))

    def check_data(self, few: Domain, unlabelled: Domain | None) -> None:
        """Raise an error if nothing can be learnt from these rows."""
        check_trainable(few, 1)
        if few.classes is None:
            raise DataError(f"{few.name}: its labels are numbers; fine-tuning makes classifiers")
        if self.takes_unlabelled and unlabelled is None:
            raise DataError(
                f"{type(self).__name__}: learns from unlabelled rows too; name some with --unlabelled, or use another "
                "method"
            )

    def with_head(self, backbone: Served, few: Domain) -> Network:
        """Return a copy of the backbone with a new head for these classes, the same for the same seed, on the CPU."""
        net = copy.deepcopy(backbone.net).cpu()
        thaw(net)
        net.requires_grad_(True)
        net.notes, net.outputs, net.label_scale = (), len(few.classes or ()), None
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(self.random_state)
            fit_head(net, self.head_for(few))
        if self.freeze is not None:
            freeze(net, self.freeze)
        return net

    def layers_of(self, backbone: Served, few: Domain) -> dict[str, str]:
        """The settings with which the network is built, beside its name."""
        return {"batch_norm": backbone.layers.get("batch_norm", "none"), "head": self.head_for(few)}

    def rows_a_step(self, rows: Rows) -> int:
        """The rows of a batch: no more than there are."""
        return min(self.batch, rows.size)

    def passes(self, batches: Batches, epochs: int | None) -> int:
        """The number of epochs that a stage over these batches takes: of few rows, as many as make 300 steps."""
        return epochs or max(10, math.ceil(300 / batches.steps_per_epoch(1)))


def features_of(net: Network, rows: Rows) -> torch.Tensor:
    """Return the features of all rows as they are, N×width, on the rows' device, without gradients."""
    return compute(net, rows, np.arange(rows.size), net.features).to(rows.x.device)


def bring(domain: Domain, backbone: Served) -> Domain:
    """Bring rows to the shape of the backbone's."""
    check_order(domain, backbone.columns, "the backbone")
    return conform(domain, backbone.shape)


def blocks_of(body: nn.Module) -> list[nn.Module]:
    """The parts of a body that have weights, from its inputs to its features; one part if it is no sequence.

    >>> len(blocks_of(nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))))
    2
    """
    found = [part for part in body.children() if any(True for _ in part.parameters())]
    return found if isinstance(body, nn.Sequential) and found else [body]
