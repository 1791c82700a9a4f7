"""AdaBN: the statistics of batch norm are taken anew from the target; nothing is trained."""

from __future__ import annotations

from juyi.adapt.base import Adapter
from juyi.adapt.source_only import supervised
from juyi.data import Domain
from juyi.errors import DataError
from juyi.nets import TARGET, Network
from juyi.training import Rows, StageGenerator, Step, estimate_statistics


class AdaBN(Adapter):
    """Adaptive batch normalisation: learn the source, then give batch norm the target's mean and variance.

    In every layer of batch norm, in order,

        y = γ (x − mean_t) / √(var_t + ε) + β

    with mean_t and var_t over target rows instead of source rows; γ and β stay.  What differs between the domains in
    mean and spread of an activation is gone; where the target has other shares of classes, so is part of the signal.
    Given a run, it needs no source data.

    Source: Li et al., "Revisiting Batch Normalization for Practical Domain Adaptation", 2016, algorithm 1.

    Example:
        >>> import juyi
        >>> source = juyi.load("digits@train[:256]")
        >>> target = juyi.withhold_labels(juyi.load("digits_m@train[:256]"))
        >>> AdaBN(epochs=1, net="lenet").fit(source, target=target).predict(target).shape
        (256,)
    """

    source_free = True
    needs_batch_norm = True
    unweighable = "the target's statistics are those of its own shares"

    def check_start(self, target: Domain | None) -> None:
        """Refuse target labels as well, since nothing is trained by them."""
        super().check_start(target)
        if target is not None and target.labelled.any():
            raise DataError(
                f"{target.name}: AdaBN trains nothing when it starts from a run, so labels of the target would not be "
                "used; leave out --target-labels, or name the source's data"
            )

    def stages(self, net: Network, source: Rows | None, target: Rows) -> StageGenerator:
        """The source, if there is one; then the target's statistics."""
        if source:
            yield from supervised(self, net, source, target)
        yield Step("take the target's statistics", lambda: estimate_statistics(net, target, TARGET))
        return net
