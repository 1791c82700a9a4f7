"""The statistics of batch norm, taken anew from other rows."""

from __future__ import annotations

import numpy as np
import torch

from juyi.nets import BATCH_NORMS, Network, frozen_parts
from juyi.training.batches import Rows


@torch.no_grad()
def estimate_statistics(net: Network, rows: Rows, domain: str, batch: int = 500) -> None:
    """Replace the running mean and variance of every layer of batch norm by those of these rows.

    Each is the mean over batches of near the same size, each layer being normalised by its own batch, as in training;
    dropout is off.  Frozen layers stay as they are.  Layers that keep the domains apart change those of `domain` alone.

    Args:
        net: the network; nothing else of it changes.
        rows: at least two.
        domain: where they come from, `source` or `target`.
        batch: the most rows at once.
    """
    modes = [(layer, layer.training) for layer in net.modules()]
    frozen = frozen_parts(net)
    layers = [layer for layer in net.modules() if isinstance(layer, BATCH_NORMS) and layer not in frozen]
    momenta = [layer.momentum for layer in layers]
    net.eval()
    batch = min(batch, net.rows_at_once)
    parts = np.array_split(np.arange(rows.size), -(-rows.size // batch))
    for number, part in enumerate(parts):
        for layer in layers:
            layer.training = True
            layer.momentum = 1.0 / (number + 1)  # so that all parts weigh the same in the end
        net(rows.take(part).x, domain)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
    for module, mode in modes:
        module.training = mode
