"""The stage in which a student learns a teacher's soft answers; most methods of distillation end with it."""

from __future__ import annotations

import torch
from torch import Tensor

from juyi.data.domain import Domain
from juyi.distill.teacher import Teacher
from juyi.errors import SettingError
from juyi.losses import label_loss
from juyi.losses.distillation import DISTILLATION_LOSSES
from juyi.nets import Network
from juyi.training import Batch, Method, Rows, Single, Stage, StageGenerator, Turn, compute_rows, hyperparameter


class SoftTargets(Method):
    """The settings of learning soft answers, and the stage."""

    loss: str = hyperparameter(
        default="hinton",
        help="form of the soft part: hinton, dkd (decoupled), dist (correlations) or standardised (logits)",
        choices=DISTILLATION_LOSSES,
    )
    temperature: float | None = hyperparameter(
        default=None, help="T, above 0; by default the loss's own: 4, for standardised 2", low=1e-6, high=1_000.0
    )
    soft_weight: float | None = hyperparameter(
        default=None, help="weight of the soft part; by default the loss's own: hinton 0.9, dkd and dist 1, "
        "standardised 9", low=0.0, high=1_000.0,
    )  # fmt: skip
    hard_weight: float | None = hyperparameter(
        default=None, help="weight of the labels; by default the loss's own: hinton and standardised 0.1, dkd and "
        "dist 1", low=0.0, high=1_000.0,
    )  # fmt: skip

    def check_data(self, data: Domain | None, teacher: Teacher) -> None:
        """Raise an error if the method cannot work with these data, or its loss with such a teacher."""
        if self.loss == "dkd" and len(teacher.classes) < 3:
            raise SettingError(
                f"--loss dkd: splits the classes besides the right one, and {teacher.name} has {len(teacher.classes)} "
                "classes; use --loss hinton"
            )
        super().check_data(data, teacher)

    def distil(self, teacher: Teacher, student: Network, data: Rows, name: str = "distil") -> StageGenerator:
        """One stage: the student learns what the teacher says of these rows, and their labels.

        Where rows are not augmented the teacher is asked once; else of each view anew, of the very same one.
        """
        form = DISTILLATION_LOSSES[self.loss]
        temperature = self.temperature or form.temperature
        soft_weight = form.soft_weight if self.soft_weight is None else self.soft_weight
        hard_weight = form.hard_weight if self.hard_weight is None else self.hard_weight
        if soft_weight and self.augment == "none" and data.said is None:
            data = data.with_said(compute_rows(teacher.scores, data))

        def losses(batch: Batch, progress: float) -> dict[str, Tensor]:
            scores, known, found = student(batch.x), batch.labelled, {}
            if soft_weight:
                said = batch.said if batch.said is not None and self.augment == "none" else teacher.scores(batch.x)
                classes = torch.where(known, batch.y, said.argmax(1))
                found["soft"] = soft_weight * form.function(scores, said, temperature, classes)
            if hard_weight and known.any():
                found["label"] = hard_weight * label_loss(scores[known], batch.y[known])
            return found

        batches = Single(data, self.batch, labelled_only=not soft_weight)
        turn = Turn(losses, trains=[student], optimiser=self.recipe())
        yield Stage(name, over=batches, turns=[turn], epochs=self.passes(batches, self.epochs))
        return student
