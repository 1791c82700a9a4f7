"""The losses over the labels that a person gave, the same in every method."""

from __future__ import annotations

from torch import Tensor

from juyi.losses import label_loss
from juyi.nets import SOURCE, TARGET, Network
from juyi.training.batches import PairBatch


def label_losses(
    net: Network, batch: PairBatch, source: Tensor | None = None, target: Tensor | None = None, smoothing: float = 0.0
) -> dict[str, Tensor]:
    """Return `label`, the loss over the source's labels, and `target_label`, over the target's, if any were given.

    Each is a mean over its own rows, so ten target labels weigh as much as thousands of source labels.

    Args:
        net: the network; its head gives the scores.
        batch: the rows.
        source: the features of `batch.source`, if they are known already.
        target: the features of `batch.target`, likewise.
        smoothing: of the source's labels, see `juyi.losses.label_loss`.
    """
    if source is None:
        source = net.features(batch.source.x, SOURCE)
    label = label_loss(net.head(source), batch.source.y, smoothing)
    return {"label": label, **target_label_losses(net, batch, target)}


def target_label_losses(net: Network, batch: PairBatch, target: Tensor | None = None) -> dict[str, Tensor]:
    """Return `target_label`, the loss over the target labels in the batch; nothing if the person gave none."""
    if not batch.target.labelled.any():
        return {}
    known = batch.target.labelled
    if target is None:
        target = net.features(batch.target.x, TARGET)
    return {"target_label": label_loss(net.head(target[known]), batch.target.y[known])}
