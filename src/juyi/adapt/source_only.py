"""Source only: learn the labels that there are, and hope. The floor that every adaptation must beat."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from torch import Tensor

from juyi.adapt.base import Adapter
from juyi.adapt.heads import inputs_of_last, is_linear, last_layer, put_weights, wanted_of_last
from juyi.adapt.ridge import least_squares
from juyi.measure.linear import fit_linear
from juyi.nets import SOURCE, TARGET, Network
from juyi.training import PairBatch, Pairs, Rows, Stage, StageGenerator, Step, Turn, label_losses


def supervised(
    method: Adapter, net: Network, source: Rows, target: Rows | None, smoothing: float = 0.0
) -> StageGenerator:
    """The supervised stage with which several methods begin, under the method's own settings."""

    def losses(batch: PairBatch, progress: float) -> dict[str, Tensor]:
        return label_losses(net, batch, smoothing=smoothing)

    if is_linear(net):
        yield Step("solve the head", lambda: solve_head(net, source, target), keeps=[net])
        return net
    batches = Pairs(source, target, method.batch, unlabelled=False)
    turn = Turn(losses, trains=[net], optimiser=method.recipe())
    yield Stage("learn the source", over=batches, turns=[turn], epochs=method.passes(batches, method.epochs))
    return net


def solve_head(net: Network, source: Rows, target: Rows | None) -> None:
    """Put the solution into a linear head: of least squares for numbers, of logistic regression for classes.

    The mean loss over the source's labels counts as much as that over the target's, where there are any.
    """
    parts = [(rows, domain) for rows, domain in ((source, SOURCE), (target, TARGET)) if rows is not None]
    parts = [(rows, domain) for rows, domain in parts if len(rows.labelled_rows)]
    features = [inputs_of_last(net, rows, rows.labelled_rows, domain) for rows, domain in parts]
    labels = [wanted_of_last(net, rows, rows.labelled_rows) for rows, _ in parts]
    rows = sum(map(len, labels))
    weights = [np.full(len(part), rows / len(parts) / len(part)) for part in labels]
    x, y, weight = map(np.concatenate, (features, labels, weights))
    if net.label_scale is not None:
        put_weights(last_layer(net), *least_squares(x, y, weight))
    else:
        found = fit_linear(x, y.argmax(1), net.outputs, weight)
        put_weights(last_layer(net), found[:-1], found[-1])


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

    carries: ClassVar[str | None] = "model"
    regression: ClassVar[bool] = True
    unweighable: ClassVar[str | None] = "it uses no target row, and so cannot know their shares"
    exempt: ClassVar[dict[str, str]] = {"learns_a_shift": "it does not adapt: it is what adapting has to beat"}

    def stages(self, net: Network, source: Rows, target: Rows) -> StageGenerator:
        """One supervised stage."""
        return (yield from supervised(self, net, source, target))
