"""Correct a student's class biases: by labels, or by how often its teacher names each class."""

from __future__ import annotations

import numpy as np
import torch
from scipy.optimize import minimize
from scipy.special import log_softmax
from torch import nn

from juyi.data.domain import Domain
from juyi.distill.teacher import Teacher
from juyi.errors import DataError, SettingError
from juyi.nets import Network
from juyi.nets.own import find_head
from juyi.training import Rows, compute_rows

PENALTY = 1e-4
"""Of ½ ‖b‖²: keeps the bias of a class that no row has where it was."""


def bias_by_labels(scores: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return b, C, that minimises mean CE(y, softmax(s + b)) + 10⁻⁴ ‖b‖² / 2: C numbers, so few labels will do.

    Args:
        scores: s, N×C.
        y: the classes, int, N.

    Example:
        >>> s = np.log(np.array([[0.9, 0.1], [0.9, 0.1], [0.9, 0.1], [0.9, 0.1]]))
        >>> b = bias_by_labels(s, np.array([0, 0, 1, 1]))
        >>> bool(abs((s + b)[0, 0] - (s + b)[0, 1]) < 0.01)
        True
    """
    n = len(scores)
    wanted = np.bincount(y, minlength=scores.shape[1]) / n

    def loss(bias: np.ndarray) -> tuple[float, np.ndarray]:
        logs = log_softmax(scores + bias, axis=1)
        value = -logs[np.arange(n), y].mean() + PENALTY * (bias**2).sum() / 2
        return float(value), np.exp(logs).mean(0) - wanted + PENALTY * bias

    found: np.ndarray = minimize(loss, np.zeros(scores.shape[1]), jac=True, method="L-BFGS-B").x
    return found


def bias_by_shares(scores: np.ndarray, shares: np.ndarray, rounds: int = 1_000) -> np.ndarray:
    """Return b, C, of mean 0, for which mean softmax(s + b) equals the shares; no label is needed.

    b is where b ← b + log shares − log mean softmax(s + b) comes to rest (iterative proportional fitting).

    Args:
        scores: s, N×C.
        shares: of the classes, C; shares of 0 count as 10⁻⁶.
        rounds: at most.

    Example:
        >>> b = bias_by_shares(np.zeros((4, 2)), np.array([0.75, 0.25]))
        >>> np.round(np.exp(b) / np.exp(b).sum(), 4).tolist()
        [0.75, 0.25]
    """
    wanted = np.maximum(np.asarray(shares, float), 1e-6)
    wanted, bias = wanted / wanted.sum(), np.zeros(scores.shape[1])
    for _ in range(rounds):
        step = np.log(wanted) - np.log(np.maximum(np.exp(log_softmax(scores + bias, axis=1)).mean(0), 1e-12))
        bias += step
        if np.abs(step).max() < 1e-6:
            break
    centred: np.ndarray = bias - bias.mean()
    return centred


def correct_bias(student: Network, teacher: Teacher, data: Domain) -> str:
    """Move the biases of the student's last layer, in place; return a sentence on what was done.

    By the labels of the data where they have some, else by the mean of the teacher's probabilities on them.

    Source: after Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", 2014, section 3, where the
    biases of classes that the transfer set lacks, or consists of, were moved "to optimise performance" on the test
    set; here, on data that are given for it.

    Raises:
        SettingError: the student's last layer has no bias.
        DataError: there are fewer rows than twice the classes.
    """
    layer = last_bias(student, teacher)
    device = layer.bias.device
    known = data.select(data.labelled) if data.labelled.any() else data
    if known.size < 2 * len(teacher.classes):
        raise DataError(f"{data.name}: has too few rows to correct {len(teacher.classes)} biases by; give more")
    rows = Rows(known, device)
    scores = compute_rows(student.eval(), rows).cpu().double().numpy()
    if data.labelled.any():
        bias, how = bias_by_labels(scores, known.y), f"the labels of {known.size:,} rows of {data.name}"
    else:
        shares = compute_rows(lambda x: teacher.scores(x).softmax(1), rows).double().mean(0).cpu().numpy()
        bias, how = bias_by_shares(scores, shares), f"the teacher's class shares on {data.name}, without labels"
    with torch.no_grad():
        layer.bias.add_(torch.from_numpy(bias).to(layer.bias))
    most = int(np.abs(bias).argmax())
    return f"class biases were corrected by {how}; that of {teacher.classes[most]} most, by {bias[most]:+.2f}"


def last_bias(student: Network, teacher: Teacher) -> nn.Linear:
    """The student's last linear layer, which must have a bias."""
    row = torch.zeros(1, *teacher.shape, device=next(student.parameters()).device)
    name = find_head(student.eval(), lambda: student(row), student.name, what="--student")
    layer = student.get_submodule(name)
    assert isinstance(layer, nn.Linear)
    if layer.bias is None:
        raise SettingError(f"--correct-bias: the last layer of {student.name} has no bias; name another student")
    return layer
