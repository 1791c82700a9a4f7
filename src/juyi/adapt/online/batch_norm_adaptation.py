"""Batch norm adaptation: each batch is normalised by its own statistics, mixed with the source's."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from juyi.adapt.online.base import Learnt, OnlineAdapter
from juyi.adapt.online.layers import mixed_layers


class BatchNormAdaptation(OnlineAdapter):
    """Normalise each batch by its own mean and variance, mixed with those that the layers learnt.

        mean = N/(N + n)·mean_source + n/(N + n)·mean_batch,   variance likewise,

    with n rows in the batch and `prior` = N.  No weight is changed and no gradient is taken, so nothing can go astray
    over time: each batch is answered as if it were the first.

    Source: S. Schneider et al., "Improving robustness against common corruptions by covariate shift adaptation",
    NeurIPS 2020, equation 2; Z. Nado et al., "Evaluating prediction-time batch normalization for robustness under
    covariate shift", 2020.

    Example:
        >>> import juyi
        >>> source, stream = juyi.load("digits@train[:256]"), juyi.load("digits_m@train[:128]")
        >>> start = juyi.adapt.SourceOnly(epochs=1, net="lenet", precision="float32").fit(source)
        >>> online = BatchNormAdaptation().start(start)
        >>> [len(online.update(stream.select(range(i, i + 64)))) for i in (0, 64)]
        [64, 64]
    """

    needs: ClassVar[str] = "batch_norm"
    exempt: ClassVar[dict[str, str]] = {"resets_on_collapse": "no weight changes, so there is nothing to go back to"}

    def prepare(self) -> None:
        """One network serves for both: the weights are those of the start."""
        self.net_ = self.fresh_

    def learn_from(self, x: Tensor, fresh: Tensor) -> Learnt:
        """The answer of the batch's own statistics is the answer."""
        for layer in mixed_layers(self.net_):
            layer.keep()
        return Learnt(fresh, used=1.0)
