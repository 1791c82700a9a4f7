"""Source only: learn the labels that there are, and hope. The floor that every adaptation must beat."""

from __future__ import annotations

from functools import partial
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from juyi.adapt.base import Adapter
from juyi.adapt.ridge import least_squares
from juyi.nets import SOURCE, TARGET, Network
from juyi.training import PairBatch, Pairs, Rows, Stage, StageGenerator, Step, Turn, compute, label_losses


def supervised(
    method: Adapter, net: Network, source: Rows, target: Rows | None, smoothing: float = 0.0
) -> StageGenerator:
    """The supervised stage with which several methods begin, under the method's own settings."""

    def losses(batch: PairBatch, progress: float) -> dict[str, Tensor]:
        return label_losses(net, batch, smoothing=smoothing)

    if is_linear(net) and net.label_scale is not None:
        yield Step("solve the head", lambda: solve_head(net, source, target), keeps=[net])
        return net
    batches = Pairs(source, target, method.batch, unlabelled=False)
    turn = Turn(losses, trains=[net], optimiser=method.recipe())
    yield Stage("learn the source", over=batches, turns=[turn], epochs=method.passes(batches, method.epochs))
    return net


def is_linear(net: Network) -> bool:
    """Whether a network is a linear head with intercepts on the inputs themselves: its body has nothing to learn."""
    return isinstance(net.head, nn.Linear) and net.head.bias is not None and not list(net.body.parameters())


def solve_head(net: Network, source: Rows, target: Rows | None = None) -> None:
    """Put the least-squares solution into a linear head that tells numbers: where the supervised stage would end.

    The mean squared error over the source's labels counts as much as that over the target's, where there are any.
    """
    assert net.label_scale is not None
    features, labels, weights = [], [], []
    for rows, domain in ((source, SOURCE), (target, TARGET)):
        if rows is not None and len(rows.labelled_rows):
            index = rows.labelled_rows
            features.append(compute(net, rows, index, partial(net.features, domain=domain)).numpy())
            labels.append(net.label_scale.standardised(rows.take(index).y).cpu().numpy())
            weights.append(np.full(len(index), 1 / len(index)))
    weight, intercept = least_squares(
        np.concatenate(features), np.concatenate(labels)[:, None], np.concatenate(weights)
    )
    put_weights(net.head, weight, intercept)


def put_weights(layer: nn.Module, weight: np.ndarray, intercept: np.ndarray) -> None:
    """Put weights (d×k) and intercepts (k) into a linear layer that has both."""
    with torch.no_grad():
        layer.get_parameter("weight").copy_(torch.from_numpy(weight.T))
        layer.get_parameter("bias").copy_(torch.from_numpy(intercept))


class SourceOnly(Adapter):
    """Learn from the labels alone: no unlabelled target row is used.

    Minimises the mean cross-entropy (of numbers: squared error) over the source's labels and, where the person gave
    some, that over the target's (the "S+T" of semi-supervised adaptation).  It is run beside every other method, since
    a figure for adaptation means nothing without it.  Where a linear head is all that numbers are told by, it is found
    in closed form.

    Example:
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> y = rng.integers(0, 2, 200)
        >>> x = (rng.normal(size=(200, 2)) + 4 * y[:, None]).astype("float32")
        >>> SourceOnly(epochs=20, batch=32, precision="float32").fit(x, y).score(x, y) > 0.95
        True
    """

    regression: ClassVar[bool] = True
    unweighable: ClassVar[str | None] = "it uses no target row, and so cannot know their shares"
    exempt: ClassVar[dict[str, str]] = {"learns_a_shift": "it does not adapt: it is what adapting has to beat"}

    def stages(self, net: Network, source: Rows, target: Rows) -> StageGenerator:
        """One supervised stage."""
        return (yield from supervised(self, net, source, target))
