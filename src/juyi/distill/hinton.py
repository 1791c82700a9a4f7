"""Hinton: teach a student the soft answers of a teacher, or of many."""

from __future__ import annotations

from typing import ClassVar

from juyi.distill.base import Distiller
from juyi.distill.soft import SoftTargets
from juyi.distill.teacher import Teacher
from juyi.nets import Network
from juyi.training import Rows, StageGenerator


class Hinton(SoftTargets, Distiller):
    """Distillation: a student learns the teacher's softened probabilities, and the labels where there are any.

    With teacher's scores v, student's z, p = softmax(v / T), q = softmax(z / T):

        w_soft T² mean KL(p ‖ q) + w_hard mean CE(y, softmax(z))

    T² keeps the weight of the soft part, since its gradient goes as 1 / T².  `loss` names three later forms of the
    soft part (`juyi.losses.distillation`).

    Source: G. Hinton, O. Vinyals, J. Dean, "Distilling the Knowledge in a Neural Network", 2014, section 2.

    Example:
        >>> import juyi
        >>> digits = juyi.load("digits@train[:256]")
        >>> teacher = juyi.adapt.SourceOnly(net="lenet5", epochs=1).fit(digits)
        >>> Hinton(teacher=teacher, student="lenet5_half", epochs=1).fit(digits).predict(digits).shape
        (256,)
    """

    needs_data: ClassVar[bool] = True

    def stages(self, teacher: Teacher, student: Network, data: Rows | None) -> StageGenerator:
        """One stage: soft targets, and labels."""
        assert data
        return (yield from self.distil(teacher, student, data))
