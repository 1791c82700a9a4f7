"""DFAD: a generator makes rows on which the student does not yet agree with its teacher."""

from __future__ import annotations

from juyi.distill.dafl import DAFL
from juyi.training import redeclare


class DFAD(DAFL):
    """Data-free adversarial distillation: DAFL's loop with nothing but the disagreement.

    The student descends D = mean |s − v| of its scores and the teacher's, and the generator ascends it:

        min_student max_G E_z mean |s(G(z)) − v(G(z))|

    Any teacher will do.  The rows mean nothing to the eye.

    Source: Fang et al., "Data-Free Adversarial Distillation", 2019, equations 4 and 5.

    Example:
        >>> import juyi
        >>> digits = juyi.load("digits@train[:256]")
        >>> teacher = juyi.adapt.SourceOnly(net="lenet5", epochs=1).fit(digits)
        >>> method = DFAD(teacher=teacher, student="lenet5_half", epochs=1, epoch_steps=2, batch=16).fit()
        >>> method.predict(digits).shape
        (256,)
    """

    one_hot: float = redeclare(DAFL, "one_hot", default=0.0)
    activation: float = redeclare(DAFL, "activation", default=0.0)
    entropy: float = redeclare(DAFL, "entropy", default=0.0)
    adversarial: float = redeclare(DAFL, "adversarial", default=1.0)
    gap: str = redeclare(DAFL, "gap", default="absolute")
    student_loss: str = redeclare(DAFL, "student_loss", default="gap")
