"""Losses by which a student learns the soft answers of a teacher: of scores of both, a scalar."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import kl_div, log_softmax, softmax

from juyi.errors import SettingError


def soft_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Return T² mean KL(softmax(v / T) ‖ softmax(z / T)).

    Its gradient is that of T² times the cross-entropy; the constant entropy of the teacher is taken away, so that
    it reaches 0.  As T grows, for scores of mean 0, it becomes mean ‖z − v‖² / (2 C) (section 2.1).

    Args:
        student: z, N×C.
        teacher: v, N×C.
        temperature: T, above 0.

    Source: Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", 2014, section 2.

    Example:
        >>> z = torch.tensor([[1.0, 2.0, 3.0]])
        >>> soft_loss(z, z + 5.0, 4.0).item()
        0.0
    """
    soft, target = log_softmax(student.float() / temperature, 1), log_softmax(teacher.float() / temperature, 1)
    return temperature**2 * kl_div(soft, target, reduction="batchmean", log_target=True)


def decoupled_loss(
    student: Tensor, teacher: Tensor, temperature: float, label: Tensor, target: float = 1.0, others: float = 8.0
) -> Tensor:
    """Return T² mean [α KL(b_v ‖ b_z) + β KL(o_v ‖ o_z)], with b = (p_y, 1 − p_y) and o the shares of the others.

    The plain loss is KL(b_v ‖ b_z) + (1 − p_y) KL(o_v ‖ o_z): where the teacher is sure, the other classes hardly
    count.  Here they count whatever p_y is.

    Args:
        student: z, N×C.
        teacher: v, N×C.
        temperature: T, above 0.
        label: y, N, int64: the class of each row.
        target: α.
        others: β.

    Raises:
        SettingError: there are two classes, so that there is one other class, whose share is always 1.

    Source: Zhao et al., "Decoupled Knowledge Distillation", CVPR 2022, equations 7 and 8.

    Example:
        >>> z = torch.tensor([[1.0, 2.0, 3.0]])
        >>> decoupled_loss(z, z, 4.0, torch.tensor([2])).item()
        0.0
    """
    if student.shape[1] < 3:
        raise SettingError("--loss dkd: splits the classes besides the right one, and of two there is one; use hinton")
    chosen = torch.zeros_like(student, dtype=torch.bool).scatter_(1, label.unsqueeze(1), True)

    def split(scores: Tensor) -> tuple[Tensor, Tensor]:
        logs = log_softmax(scores.float() / temperature, 1)
        right = logs[chosen]
        rest = logs.masked_fill(chosen, -torch.inf).logsumexp(1)
        alone = (scores.float() / temperature)[~chosen].view(len(scores), -1)
        return torch.stack([right, rest], 1), log_softmax(alone, 1)

    (binary, alone), (binary_target, alone_target) = split(student), split(teacher)
    parts = target * kl_div(binary, binary_target, reduction="batchmean", log_target=True)
    return temperature**2 * (parts + others * kl_div(alone, alone_target, reduction="batchmean", log_target=True))


def correlation_loss(
    student: Tensor, teacher: Tensor, temperature: float, rows: float = 2.0, classes: float = 2.0
) -> Tensor:
    """Return T² [β mean_i (1 − ρ(q_i, p_i)) + γ mean_c (1 − ρ(q_·c, p_·c))], ρ Pearson's correlation.

    The student's probabilities q need not equal the teacher's p: they have to rank classes within a row, and rows
    within a class, as the teacher does.  It looks across the batch: 64 rows or more.

    Args:
        student: scores, N×C.
        teacher: scores, N×C.
        temperature: T, above 0.
        rows: β, of the relation between classes, row by row.
        classes: γ, of the relation within each class, over the rows.

    Source: Huang et al., "Knowledge Distillation from A Stronger Teacher", NeurIPS 2022, equations 6 to 9.

    Example:
        >>> z = torch.tensor([[1.0, 2.0, 3.0], [3.0, 1.0, 1.0]])
        >>> abs(correlation_loss(z, z, 4.0).item()) < 1e-4
        True
    """
    q, p = softmax(student.float() / temperature, 1), softmax(teacher.float() / temperature, 1)
    return temperature**2 * (rows * _apart(q, p) + classes * _apart(q.T, p.T))


def _apart(one: Tensor, other: Tensor) -> Tensor:
    one, other = one - one.mean(1, keepdim=True), other - other.mean(1, keepdim=True)
    return 1 - torch.nn.functional.cosine_similarity(one, other, dim=1, eps=1e-8).mean()


def standardised_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Return T² mean KL(softmax(Z(v) / T) ‖ softmax(Z(z) / T)), Z(s) = (s − mean s) / spread s, row by row.

    A small student need not reach the size of its teacher's scores, only their shape.

    Args:
        student: z, N×C.
        teacher: v, N×C.
        temperature: T, above 0.

    Source: Sun et al., "Logit Standardization in Knowledge Distillation", CVPR 2024, algorithm 1.

    Example:
        >>> z = torch.tensor([[1.0, 2.0, 3.0]])
        >>> abs(standardised_loss(z, 7.0 * z - 2.0, 2.0).item()) < 1e-6
        True
    """

    def standardised(scores: Tensor) -> Tensor:
        spread, mean = torch.std_mean(scores.float(), 1, keepdim=True)
        return (scores.float() - mean) / (spread + 1e-7)

    return soft_loss(standardised(student), standardised(teacher), temperature)


class Form(NamedTuple):
    """A form of the soft part, with its paper's settings.

    Args:
        function: of student's scores, teacher's scores, T and the rows' classes.
        temperature: T.
        soft_weight: of the soft part.
        hard_weight: of the labels.
    """

    function: Callable[[Tensor, Tensor, float, Tensor], Tensor]
    temperature: float
    soft_weight: float
    hard_weight: float


DISTILLATION_LOSSES: dict[str, Form] = {
    "hinton": Form(lambda z, v, t, y: soft_loss(z, v, t), 4.0, 0.9, 0.1),
    "dkd": Form(decoupled_loss, 4.0, 1.0, 1.0),
    "dist": Form(lambda z, v, t, y: correlation_loss(z, v, t), 4.0, 1.0, 1.0),
    "standardised": Form(lambda z, v, t, y: standardised_loss(z, v, t), 2.0, 9.0, 0.1),
}
"""The forms by name."""
