"""The last linear layer of a network, which closed forms find anew: what goes into it, and what should come out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from torch import Tensor, nn
from torch.nn.functional import one_hot

from juyi.adapt.ridge import Design, Solution
from juyi.errors import SettingError
from juyi.nets import Network
from juyi.nets.freezing import frozen_parts
from juyi.training import Rows, compute

MOST_ROWS = 10_000
"""Of a large domain so many rows, evenly spread, suffice to find a head."""


def is_linear(net: Network) -> bool:
    """Whether a network is a linear head with intercepts on the inputs themselves: its body has nothing to learn."""
    return isinstance(net.head, nn.Linear) and net.head.bias is not None and not list(net.body.parameters())


def last_layer(net: Network) -> nn.Linear:
    """Return the layer that gives the scores: the head itself, or its last part.

    Raises:
        SettingError: there is no such layer, it has no intercepts, or it is frozen.
    """
    last = net.head[-1] if isinstance(net.head, nn.Sequential) and len(net.head) else net.head
    if not isinstance(last, nn.Linear) or last.bias is None:
        raise SettingError(
            f"--net {net.name}: its head must end in a linear layer with intercepts, which is found in closed form, "
            f"and not in {type(last).__name__}; use --head own, or another --net"
        )
    if last in frozen_parts(net):
        raise SettingError("--freeze: the last layer is found anew, so it cannot be frozen; freeze less")
    return last


def inputs_of_last(net: Network, rows: Rows, index: np.ndarray, domain: str) -> np.ndarray:
    """Return what goes into the last layer for these rows, float64, n×d."""
    before = net.head[:-1] if isinstance(net.head, nn.Sequential) else nn.Identity()

    def run(x: Tensor) -> Tensor:
        found: Tensor = before(net.features(x, domain))
        return found

    found: np.ndarray = compute(net, rows, index, run).double().numpy()
    return found


def wanted_of_last(net: Network, rows: Rows, index: np.ndarray) -> np.ndarray:
    """Return what should come out of it: standardised numbers, n×1, or a column of 0 and 1 for each class, float64."""
    y = rows.take(index).y
    wanted = one_hot(y, net.outputs) if net.label_scale is None else net.label_scale.standardised(y)[:, None]
    found: np.ndarray = wanted.double().cpu().numpy()
    return found


def design_of(
    net: Network,
    rows: Rows,
    domain: str,
    starts: Sequence[tuple[np.ndarray, np.ndarray]] = (),
    chosen: np.ndarray | None = None,
) -> Design:
    """The labelled rows of a domain as the last layer sees them.

    Penalties are counted in the mean variance of what goes into the layer, over rows with and without labels.

    Args:
        net: the network.
        rows: the domain; of many labelled rows, some.
        domain: `source` or `target`.
        starts: weights and intercepts, of each place whose answers stand beside the labels.
        chosen: numbers of labelled rows; None for all that there are.
    """
    labelled = some(rows.labelled_rows if chosen is None else chosen)
    features = inputs_of_last(net, rows, labelled, domain)
    unit = float(inputs_of_last(net, rows, some(np.arange(rows.size)), domain).var(axis=0).mean())
    source = np.stack([features @ weight + intercept for weight, intercept in starts], -1) if starts else None
    return Design(features, wanted_of_last(net, rows, labelled), source, unit or 1.0)


def weights_of(layer: nn.Linear) -> tuple[np.ndarray, np.ndarray]:
    """Return weights (d×k) and intercepts (k) of a linear layer, float64."""
    return layer.weight.detach().cpu().double().numpy().T, layer.bias.detach().cpu().double().numpy()


def put_weights(layer: nn.Linear, weight: np.ndarray, intercept: np.ndarray) -> None:
    """Put weights (d×k) and intercepts (k) into a linear layer that has both."""
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weight.T))
        layer.bias.copy_(torch.from_numpy(intercept))


def linear_parts(model: Any, outputs: int) -> tuple[np.ndarray, np.ndarray]:
    """Return weights (d×outputs) and intercepts of a fitted linear estimator, a column a class (or for the number).

    A class that it does not know is told by nothing: its score lies below the mean of the others.

    Raises:
        SettingError: the estimator is not linear.
    """
    if not hasattr(model, "coef_") or not hasattr(model, "intercept_"):
        raise SettingError(
            f"estimator: {type(model).__name__} is not linear, so it cannot be a network's last layer; use another, or "
            "fit rows of numbers without a network"
        )
    weight = np.atleast_2d(np.asarray(model.coef_, np.float64)).T
    intercept = np.broadcast_to(np.asarray(model.intercept_, np.float64).ravel(), weight.shape[1])
    known = getattr(model, "classes_", None)
    if known is None:
        return weight, intercept
    if len(known) == 2 and weight.shape[1] == 1:
        weight, intercept = np.concatenate([-weight / 2, weight / 2], 1), np.array([-0.5, 0.5]) * intercept
    every = np.tile(weight.mean(1, keepdims=True), (1, outputs))
    some = np.full(outputs, intercept.mean() - 10.0)
    every[:, known], some[known] = weight, intercept
    return every, some


def temperature_of(solution: Solution, design: Design) -> float:
    """The temperature T at which the left-out rows are told best, 0.05 to 20; 1 where no row can be left out.

    Least squares tells which class is nearest, but nothing yet of how sure that is.  So T minimises, over what is said
    z_i of each left-out row, −Σ_i t_i · log softmax(z_i / T), with t = (n y + 1) / (n + C) in the place of the labels
    y of 0 and 1: few rows that are all told rightly are no proof that all rows will be.

    Source: J. C. Platt, "Probabilistic Outputs for Support Vector Machines", 1999 (of two classes).
    """
    z, rows, classes = solution.left_out, *design.y.shape
    if not np.isfinite(z).all():
        return 1.0
    wanted = (rows * design.y + 1) / (rows + classes)

    def loss(log_temperature: float) -> float:
        return -float((wanted * log_softmax(z / math.exp(log_temperature), axis=1)).sum())

    return math.exp(minimize_scalar(loss, bounds=(math.log(0.05), math.log(20.0)), method="bounded").x)


def some(index: np.ndarray, most: int = MOST_ROWS) -> np.ndarray:
    """Return at most so many of these row numbers, evenly spread.

    >>> some(np.arange(10), 3).tolist()
    [0, 4, 9]
    """
    chosen: np.ndarray = index[np.linspace(0, len(index) - 1, min(most, len(index))).astype(np.int64)]
    return chosen


def probabilities(model: Any, x: np.ndarray, classes: int) -> np.ndarray:
    """The probabilities of all classes, n×C; 0 for those that the model does not know.

    Raises:
        SettingError: the model tells none.
    """
    if not hasattr(model, "predict_proba"):
        raise SettingError(f"estimator: {type(model).__name__} has no predict_proba, which this method needs")
    found = np.zeros((len(x), classes))
    found[:, model.classes_] = model.predict_proba(x)
    return found
