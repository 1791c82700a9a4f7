"""The losses over the labels that a person gave, the same in every method."""

from __future__ import annotations

from torch import Tensor

from juyi.losses import label_loss, number_loss
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
        smoothing: of the source's labels, see `juyi.losses.label_loss`; numbers have none.
    """
    if source is None:
        source = net.features(batch.source.x, SOURCE)
    label = loss_of(net, net.head(source), batch.source.y, smoothing)
    return {"label": label, **target_label_losses(net, batch, target)}


def target_label_losses(net: Network, batch: PairBatch, target: Tensor | None = None) -> dict[str, Tensor]:
    """Return `target_label`, the loss over the target labels in the batch; nothing if the person gave none."""
    if not batch.target.labelled.any():
        return {}
    known = batch.target.labelled
    if target is None:
        target = net.features(batch.target.x, TARGET)
    return {"target_label": loss_of(net, net.head(target[known]), batch.target.y[known])}


def loss_of(net: Network, scores: Tensor, y: Tensor, smoothing: float = 0.0) -> Tensor:
    """The loss of what the head says: cross-entropy for classes, squared error of standardised numbers for numbers."""
    if net.label_scale is None:
        return label_loss(scores, y, smoothing)
    return number_loss(scores, net.label_scale.standardised(y))
