"""What specialists beside a generalist are made of: groups of confusable classes, the dustbin, the combination."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence

import numpy as np
import torch
from sklearn.cluster import KMeans
from torch import Tensor, nn

from juyi.distill.teacher import Teacher
from juyi.training import Batch, Rows
from juyi.training.batches import Shuffle

Group = tuple[int, ...]
"""The classes of a specialist, in rising order."""


def confusable_groups(probabilities: Tensor, groups: int, seed: int = 0) -> Tensor:
    """Return the group of each class, C, by k-means of the columns of the predictions' covariance, C×C.

    Classes that a model gives to the same rows vary together, so their columns are near each other.

    Args:
        probabilities: what the generalist says of rows, N×C.
        groups: how many groups there are to be, 1 to C.
        seed: of the ten starts of k-means.

    Source: Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", 2014, section 5.1, with plain
    k-means, since here the covariance fits into memory.

    Example:
        >>> p = torch.tensor([[0.5, 0.5, 0, 0], [0.4, 0.6, 0, 0], [0, 0, 0.5, 0.5], [0, 0, 0.6, 0.4]])
        >>> a, b, c, d = confusable_groups(p, 2).tolist()
        >>> a == b != c == d
        True
    """
    columns = np.cov(probabilities.double().cpu().numpy(), rowvar=False)
    different = len(np.unique(columns, axis=0))
    found = KMeans(min(groups, different), n_init=10, random_state=seed % 2**32).fit_predict(columns)
    return torch.from_numpy(found.astype(np.int64))


def dustbin_correction(own: int, others: int) -> float:
    """Return what is added to the dustbin's score after training on halves: log(n_others / n_own).

    A model of the mix with halves says p′(k) ∝ p(k) (1/2) / π_own of its own classes, and p′(D) ∝ p(D) (1/2) / π_D of
    the dustbin.  So p(D) / p(k) = (p′(D) / p′(k)) π_D / π_own.

    Args:
        own: rows of the specialist's classes in the data.
        others: all others.

    Source: section 5.2 of the same paper ("the log of the proportion by which the specialist class is oversampled").

    Example:
        >>> dustbin_correction(50, 50), round(dustbin_correction(10, 90), 4)
        (0.0, 2.1972)
    """
    return math.log(others / own)


def collapse(scores: Tensor, group: Sequence[int], correction: float = 0.0) -> Tensor:
    """Return scores, N×(S+1), of a group's classes and of all others together: log Σ exp, minus the correction.

    So a generalist's answer is read as a specialist's, on the mix of which half is the specialist's classes.

    Example:
        >>> collapse(torch.zeros(1, 5), [0, 3]).exp()
        tensor([[1., 1., 3.]])
    """
    others = torch.ones(scores.shape[1], dtype=torch.bool, device=scores.device)
    others[list(group)] = False
    rest = scores[:, others].logsumexp(1, keepdim=True)
    return torch.cat([scores[:, list(group)], rest - correction], 1)


def combine(
    generalist: Tensor,
    specialists: Sequence[Tensor],
    groups: Sequence[Sequence[int]],
    active: Tensor,
    tolerance: float = 1e-9,
    rounds: int = 1000,
) -> Tensor:
    """Return the q, N×C, that minimises KL(p_g ‖ q) + Σ_m KL(p_m ‖ q_m) over the specialists m that are active.

    q_m are the probabilities q of m's classes, and the sum of q over all others, m's dustbin D_m.  The sum is convex
    in q.  Its gradient is 0 where, with A active ones,

        (1 + A) q_k = p_g(k) + Σ_{m: k ∈ S_m} p_m(k) + Σ_{m: k ∈ D_m} p_m(D_m) q_k / Σ_{j ∈ D_m} q_j

    and repeating it as an assignment, from q = p_g on, never raises the sum (it is expectation maximisation: the
    dustbin's share is split as q splits it).  One active specialist is done after a single step; full models give the
    arithmetic mean.  The authors take gradient steps on the scores of q, row by row; the minimum is the same one.

    Args:
        generalist: p_g, N×C.
        specialists: p_m of each, N×(S_m + 1), the dustbin last, as on the true mix.
        groups: the classes S_m of each.
        active: bool, N×M.
        tolerance: the largest change of a probability at which it ends.
        rounds: the most steps.

    Source: Hinton, Vinyals and Dean, 2014, equation 5.

    Example:
        >>> p, m = torch.tensor([[0.5, 0.3, 0.2]]), torch.tensor([[0.2, 0.7, 0.1]])
        >>> combine(p, [m], [[0, 1]], torch.tensor([[True]]))
        tensor([[0.3500, 0.5000, 0.1500]], dtype=torch.float64)
    """
    start, using = generalist.double(), active.double()
    inside = torch.zeros(len(groups), start.shape[1], dtype=torch.float64, device=start.device)
    known, dustbin = start.clone(), torch.zeros_like(using)
    for m, (said, group) in enumerate(zip(specialists, groups, strict=True)):
        inside[m, list(group)] = 1.0
        known[:, list(group)] += using[:, m : m + 1] * said[:, :-1].double()
        dustbin[:, m] = using[:, m] * said[:, -1].double()
    outside, count, q = 1 - inside, 1 + using.sum(1, keepdim=True), start
    for _ in range(rounds):
        shares = dustbin / (q @ outside.T).clamp(min=1e-300)
        before, q = q, (known + q * (shares @ outside)) / count
        if float((q - before).detach().abs().max()) <= tolerance:
            break
    return q


def specialist_of(teacher: Teacher, group: Sequence[int]) -> Teacher:
    """Return a copy of a generalist whose last layer has the group's rows, and one for the dustbin.

    The dustbin's row is the mean of the others' rows, and log(their number) is added to its bias: log Σ exp of their
    scores, if they are all equal, and never more than it.
    """
    old, rest = teacher.last, [code for code in range(len(teacher.classes)) if code not in set(group)]
    new = nn.Linear(old.in_features, len(group) + 1).to(old.weight)
    with torch.no_grad():
        bias = old.weight.new_zeros(old.out_features) if old.bias is None else old.bias
        new.weight.copy_(torch.cat([old.weight[list(group)], old.weight[rest].mean(0, keepdim=True)]))
        new.bias.copy_(torch.cat([bias[list(group)], bias[rest].mean(0, keepdim=True) + math.log(len(rest))]))
    net = copy.deepcopy(teacher.net, {id(teacher): teacher, id(old): new})  # in old's place, under every name it has
    classes = [*(teacher.classes[code] for code in group), "others"]
    made = Teacher(net, teacher.shape, classes, scale=teacher.scale, probabilities=teacher.probabilities)
    made.net.requires_grad_(True)
    return made


class Combination:
    """A generalist with its specialists, that answers as one: log q of raw rows.

    Args:
        generalist: it names, by its `top` most probable classes, the specialists that are asked.
        top: how many classes.
    """

    def __init__(self, generalist: Teacher, top: int) -> None:
        self.generalist, self.top = generalist, top
        self.groups: list[Group] = []
        self.specialists: list[Teacher] = []
        self.corrections: list[float] = []

    def add(self, group: Group, specialist: Teacher, correction: float) -> None:
        """Take in a specialist for these classes; `correction` is added to its dustbin's score."""
        self.groups.append(group)
        self.specialists.append(specialist)
        self.corrections.append(correction)

    def scores(self, x: Tensor) -> Tensor:
        """Return log q of raw rows, N×C."""
        with torch.no_grad():
            p = self.generalist.scores(x).double().softmax(1)
            first = p.topk(min(self.top, p.shape[1]), 1).indices
            active = torch.stack([torch.isin(first, first.new_tensor(group)).any(1) for group in self.groups], 1)
            said = [self.answer(m, x) for m in range(len(self.groups))]
            return combine(p, said, self.groups, active).clamp(min=1e-30).log().float()

    def answer(self, m: int, x: Tensor) -> Tensor:
        """Return what specialist `m` says of raw rows, corrected to the true mix: probabilities, N×(S+1)."""
        scores = self.specialists[m].scores(x).double()
        return torch.cat([scores[:, :-1], scores[:, -1:] + self.corrections[m]], 1).softmax(1)


class Halves:
    """Batches of which one half comes from some rows, the other from others; an epoch is a pass over the first.

    Args:
        rows: the domain.
        size: rows a batch and process, an even number.
        first: row numbers.
        second: row numbers.
    """

    def __init__(self, rows: Rows, size: int, first: np.ndarray, second: np.ndarray) -> None:
        self.rows, self.half = rows, max(1, size // 2)
        self.parts = (Shuffle(first), Shuffle(second))

    def steps_per_epoch(self, processes: int) -> int:
        """As many as a pass over the first rows takes, at least 1."""
        return max(1, len(self.parts[0].rows) // (self.half * processes))

    def batch(self, key: tuple[int, ...], step: int, process: int, processes: int) -> Batch:
        """The batch of this step for this process: its rows of the first half, then those of the second."""
        count = self.half * processes
        found = [part.slice((*key, k), step * count, count)[process::processes] for k, part in enumerate(self.parts)]
        return self.rows.take(np.concatenate(found))
