"""Target only: learn the few labels of the target, and nothing else. The floor where some are given."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from juyi.adapt.base import Adapter
from juyi.adapt.heads import design_of, is_linear, last_layer, put_weights, temperature_of
from juyi.adapt.ridge import PENALTIES, blend
from juyi.data.domain import Domain
from juyi.errors import DataError
from juyi.nets import TARGET, Network, Standardise, standardiser
from juyi.training import (
    PairBatch,
    Pairs,
    Rows,
    Stage,
    StageGenerator,
    Step,
    Turn,
    hyperparameter,
    target_label_losses,
)
from juyi.training.learner import label_scale


class TargetOnly(Adapter):
    """Learn from the target labels that were given, and from nothing else.

    Body and head learn these few labels; then the last layer is found anew in closed form, by ridge regression,

        min Σ ‖y − w·φ(x) − b‖² + λ ‖w‖²

    on numbers, or on a column of 0 and 1 for each class; λ by how well left-out labels are told.  It is what a person
    has who does not transfer: where some target labels are given, it is what transferring must beat.

    Source: A. E. Hoerl and R. W. Kennard, "Ridge Regression: Biased Estimation for Nonorthogonal Problems",
    Technometrics 12 (1970).

    Example:
        >>> import juyi
        >>> source, target = juyi.load("weather@beijing-2016"), juyi.load("weather@auckland-2016")
        >>> model = TargetOnly().fit(source, target=juyi.withhold_labels(target, 30))
        >>> model.score(juyi.load("weather@auckland-2017")) > 0.4
        True
    """

    carries: ClassVar[str | None] = "model"
    needs_target_labels: ClassVar[bool] = True
    regression: ClassVar[bool] = True
    unweighable: ClassVar[str | None] = "it uses no row of the source"

    penalty: float | None = hyperparameter(
        default=None,
        help="λ, in units of the features' mean variance; by default many are tried",
        low=0.0,
        high=1e12,
    )
    selection: str = hyperparameter(
        default="weigh",
        help="of what is tried: weigh all by how well they tell left-out labels, or take the best",
        choices=("weigh", "best"),
    )

    def check_data(self, source: Domain, target: Domain | None) -> None:
        """Refuse a target with too few labels too."""
        super().check_data(source, target)
        check_few_labels(type(self).__name__, target)

    def check_net(self, net: Network) -> None:
        """Refuse a network whose last layer cannot be found in closed form too."""
        super().check_net(net)
        last_layer(net)

    def stages(self, net: Network, source: Rows, target: Rows) -> StageGenerator:
        """Forget the source's scale; learn the labels; find the last layer."""

        def losses(batch: PairBatch, progress: float) -> dict[str, Tensor]:
            return target_label_losses(net, batch)

        yield Step("scale by the target", lambda: scale_by(net, target), keeps=[net])
        if not is_linear(net):
            batches = Pairs(None, target, self.batch, unlabelled=False)
            turn = Turn(losses, trains=[net], optimiser=self.recipe())
            epochs = self.passes(batches, self.epochs)
            yield Stage("learn the target's labels", over=batches, turns=[turn], epochs=epochs)

        def solve() -> None:
            design = design_of(net, target, TARGET)
            found = blend(design, (0.0,), penalties(self.penalty), self.selection).solution
            temperature = 1.0 if net.label_scale else temperature_of(found, design)
            put_weights(last_layer(net), found.weight / temperature, found.intercept / temperature)

        yield Step("solve the head", solve, keeps=[net])
        return net


def check_few_labels(method: str, target: Domain | None) -> None:
    """Raise a `DataError` unless the labels that are given of a target are two at least, and not of one class."""
    if target is None:
        return
    known = target.y[target.labelled]
    if len(known) < 2:
        raise DataError(f"{target.name}: {method} needs 2 labels of the target at least, not {len(known)}; give more")
    if target.classes is not None and len(np.unique(known)) < 2:
        raise DataError(
            f"{target.name}: the labels that are given are all of one class, {target.classes[known[0]]}; "
            "give some of another too"
        )


def penalties(named: float | None) -> tuple[float, ...]:
    """The penalties that are tried: the one that is named, or all."""
    return PENALTIES if named is None else (named,)


def scale_by(net: Network, target: Rows) -> None:
    """Take mean and spread of the inputs and of the numbers from the target, where the network has the source's."""
    with torch.no_grad():
        if isinstance(net.standardise, Standardise) and not net.standardise.by_image:
            own = standardiser(target.x)
            net.standardise.mean.copy_(own.mean)
            net.standardise.spread.copy_(own.spread)
        if net.label_scale is not None:
            of_target = label_scale(target)
            net.label_scale.mean.copy_(of_target.mean)
            net.label_scale.spread.copy_(of_target.spread)
