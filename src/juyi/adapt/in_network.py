"""A shallow method's solution inside a network: the features that it is found on, and the layer that holds it."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from torch import nn

from juyi.adapt.heads import linear_parts
from juyi.adapt.samples import Map
from juyi.data.domain import Domain
from juyi.nets import DomainLinear, Fourier, Network
from juyi.training import Rows, compute


def featured(net: Network, rows: Rows, domain: str) -> tuple[np.ndarray, Domain]:
    """Return the features of rows, float64, and the same as a `Domain`, with labels as the head should say them."""
    features = compute(net, rows, np.arange(rows.size), lambda x: net.features(x, domain)).numpy()
    y = rows.y if net.label_scale is None else net.label_scale.standardised(rows.y)
    classes = tuple(map(str, range(net.outputs))) if net.label_scale is None else None
    made = Domain(features, y.cpu().numpy(), rows.labelled.cpu().numpy(), classes, name=domain)
    return features.astype(np.float64), made


def put_solution(net: Network, model: Any, source: Map, target: Map) -> None:
    """Put maps and a linear model behind them into the network's last layer, which has weights for each domain."""
    weight, intercept = linear_parts(model, net.outputs)
    last = net.head[-1] if isinstance(net.head, nn.Sequential) else net.head
    layer, told, here = cast("DomainLinear", last), source.before(weight, intercept), target.before(weight, intercept)
    pairs = [
        (layer.weight, here.weight.T),
        (layer.bias, here.offset),
        (layer.source_weight, told.weight.T),
        (layer.source_bias, told.offset),
    ]
    if target.lift is not None:
        lift = cast("Fourier", cast("nn.Sequential", net.head)[0])
        pairs += [(lift.frequencies, target.lift.frequencies), (lift.phases, target.lift.phases)]
    with torch.no_grad():
        for tensor, values in pairs:
            tensor.copy_(torch.from_numpy(values))


class Remarks:
    """What a method found, in sentences; a thing with a state dict, so that a run which is resumed knows it too."""

    def __init__(self) -> None:
        self.sentences: list[str] = []

    def state_dict(self) -> dict[str, list[str]]:
        """The sentences."""
        return {"sentences": self.sentences}

    def load_state_dict(self, state: dict[str, list[str]]) -> None:
        """Take those of before."""
        self.sentences = state["sentences"]
