"""Source only: learn the labels that there are, and hope. The floor that every adaptation must beat."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from juyi.adapt.base import Adapter
from juyi.nets import Network
from juyi.training import PairBatch, Pairs, Rows, Stage, StageGenerator, Turn, label_losses


def supervised(
    method: Adapter, net: Network, source: Rows, target: Rows | None, smoothing: float = 0.0
) -> StageGenerator:
    """The supervised stage with which several methods begin, under the method's own settings."""

    def losses(batch: PairBatch, progress: float) -> dict[str, Tensor]:
        return label_losses(net, batch, smoothing=smoothing)

    batches = Pairs(source, target, method.batch, unlabelled=False)
    turn = Turn(losses, trains=[net], optimiser=method.recipe())
    yield Stage("learn the source", over=batches, turns=[turn], epochs=method.passes(batches, method.epochs))
    return net


class SourceOnly(Adapter):
    """Learn from the labels alone: no unlabelled target row is used.

    Minimises the mean cross-entropy over the source's labels and, where the person gave some, that over the
    target's (the "S+T" of semi-supervised adaptation).  It is run beside every other method, since a figure for
    adaptation means nothing without it.

    Example:
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> y = rng.integers(0, 2, 200)
        >>> x = (rng.normal(size=(200, 2)) + 4 * y[:, None]).astype("float32")
        >>> SourceOnly(epochs=20, batch=32, precision="float32").fit(x, y).score(x, y) > 0.95
        True
    """

    unweighable: ClassVar[str | None] = "it uses no target row, and so cannot know their shares"
    exempt: ClassVar[dict[str, str]] = {"learns_a_shift": "it does not adapt: it is what adapting has to beat"}

    def stages(self, net: Network, source: Rows, target: Rows) -> StageGenerator:
        """One supervised stage."""
        return (yield from supervised(self, net, source, target))
