"""Specialists: models of confusable classes beside a generalist, combined, and distilled into one student."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, cast

import numpy as np
import torch
from torch import Tensor

from juyi.data import as_domain, conform
from juyi.data.domain import Domain
from juyi.distill.base import Distiller
from juyi.distill.combination import (
    Combination,
    Group,
    Halves,
    collapse,
    confusable_groups,
    dustbin_correction,
    specialist_of,
)
from juyi.distill.soft import SoftTargets
from juyi.distill.teacher import Teacher
from juyi.errors import DataError, SettingError
from juyi.losses import label_loss
from juyi.losses.distillation import soft_loss
from juyi.nets import Network
from juyi.training import Batch, Rows, Stage, StageGenerator, Step, Turn, compute_rows, derive_seed, hyperparameter


class Specialists(SoftTargets, Distiller):
    """Specialists of confusable classes, combined with the generalist, teach the student.

    The teacher is the generalist.  Classes that it confuses are grouped; each group of two or more gets a specialist,
    a copy of the generalist whose other classes are one, the dustbin D.  On batches of which half are the group's, it
    learns

        mean CE(y, softmax(z)) + w mean KL(p_g ‖ softmax(z))

    where y and p_g (read on the same mix) have all other classes summed in D.  Then log(n_others / n_own) is added to
    D's score, and what all say of a row is the q nearest to them, KL(p_g ‖ q) + Σ_m KL(p_m ‖ q) at its least, over
    the specialists m of the generalist's first `top` classes.  The student learns q (`hinton`).

    Source: G. Hinton, O. Vinyals, J. Dean, "Distilling the Knowledge in a Neural Network", 2014, section 5.

    Example:
        >>> import juyi
        >>> digits = juyi.load("digits@train[:512]")
        >>> teacher = juyi.adapt.SourceOnly(net="lenet5", epochs=2).fit(digits)
        >>> method = Specialists(teacher=teacher, student="lenet5_half", epochs=1, specialist_epochs=1).fit(digits)
        >>> method.combined_scores(digits).shape
        (512, 10)
    """

    needs_data: ClassVar[bool] = True
    needs_labels: ClassVar[bool] = True
    looks_inside: ClassVar[bool] = True

    groups: int | None = hyperparameter(
        default=None,
        help="groups of classes; by default half as many, at least 2; a class alone has no specialist",
        low=2,
        high=10_000,
    )
    group_temperature: float = hyperparameter(
        default=4.0, help="T of the predictions whose covariance is grouped: the paper's 1 says little where a "
        "generalist is sure of the rows that it learnt from", low=1e-6, high=1_000.0
    )  # fmt: skip
    top: int = hyperparameter(
        default=1, help="most probable classes that name the specialists that are asked", low=1, high=10_000,
        source="section 5.4",
    )  # fmt: skip
    specialist_epochs: int = hyperparameter(
        default=5, help="passes over the rows of a specialist's classes", low=1, high=100_000
    )
    specialist_learning_rate: float = hyperparameter(
        default=3e-4, help="learning rate of specialists, which begin as the generalist", low=0.0, high=10.0
    )
    generalist_weight: float = hyperparameter(
        default=1.0, help="w, of the generalist's soft answers as a specialist learns", low=0.0, high=1_000.0
    )

    def check_data(self, data: Domain | None, teacher: Teacher) -> None:
        """Refuse two classes as well: beside a group of two there has to be a dustbin."""
        super().check_data(data, teacher)
        if len(teacher.classes) < 3:
            raise SettingError(f"Specialists: {teacher.name} has two classes, and nothing to tell apart; use hinton")

    def stages(self, teacher: Teacher, student: Network, data: Rows | None) -> StageGenerator:
        """Group the classes; a stage for each specialist; then the student."""
        assert data
        data = data.with_said(compute_rows(teacher.scores, data))
        assert data.said is not None
        probabilities, classes = (data.said / self.group_temperature).softmax(1), len(teacher.classes)
        group_of = torch.zeros(classes, dtype=torch.int64)

        def group() -> None:
            wanted = self.groups or max(2, round(classes / 2))
            group_of.copy_(confusable_groups(probabilities, wanted, derive_seed(self.random_state, 0)))

        yield Step("group classes", group, keeps=[group_of])
        combination = Combination(teacher, self.top)
        for members in self.check_groups(group_of, teacher):
            names = ", ".join(teacher.classes[code] for code in members)
            specialist, batches, correction = prepare(teacher, data, members, self.batch)
            turn = Turn(
                self.losses_of(teacher, specialist, members, correction),
                trains=[specialist.net],
                optimiser=self.recipe(learning_rate=self.specialist_learning_rate),
            )
            yield Stage(f"specialist of {names}", over=batches, turns=[turn], epochs=self.specialist_epochs)
            specialist.net.eval().requires_grad_(False)
            combination.add(members, specialist, correction)
        self.combination_ = combination
        self.specialists_ = [tuple(teacher.classes[code] for code in members) for members in combination.groups]
        said = data.with_said(compute_rows(combination.scores, data))
        return (yield from self.distil(cast(Teacher, combination), student, said))

    def check_groups(self, group_of: Tensor, teacher: Teacher) -> list[Group]:
        """Return the groups of two classes or more, and raise an error if there is none, or one of all classes."""
        found = [tuple((group_of == code).nonzero().flatten().tolist()) for code in range(int(group_of.max()) + 1)]
        groups = [members for members in found if len(members) > 1]
        if not groups or len(groups[0]) == len(teacher.classes):
            how = "leave every class alone" if not groups else "hold all classes together"
            change = "ask for fewer" if not groups else f"{teacher.name} tells none apart on these data; bring others"
            raise SettingError(f"groups: the {len(found)} that were found {how}; {change}")
        return groups

    def losses_of(
        self, teacher: Teacher, specialist: Teacher, members: Group, correction: float
    ) -> Callable[[Batch, float], dict[str, Tensor]]:
        """The losses of a specialist: labels, and what the generalist says of its classes and the rest."""

        def losses(batch: Batch, progress: float) -> dict[str, Tensor]:
            said = batch.said if self.augment == "none" else teacher.scores(batch.x)
            assert said is not None
            scores = specialist.scores(batch.x)
            soft = soft_loss(scores, collapse(said.float(), members, correction), 1.0)
            return {"label": label_loss(scores, batch.y), "generalist": self.generalist_weight * soft}

        return losses

    def combined_scores(self, X: Any) -> np.ndarray:
        """Return the log-probabilities, N×C, float32, of generalist and specialists together."""
        device = next(self._served().net.parameters()).device
        rows = Rows(conform(as_domain(X), self.shape_), device)
        found: np.ndarray = compute_rows(self.combination_.scores, rows).cpu().numpy()
        return found

    def answers(self) -> dict[str, Callable[[Tensor], Tensor]]:
        """The combination, to be scored beside teacher and student."""
        return {"combined": self.combination_.scores}


def prepare(teacher: Teacher, data: Rows, members: Group, batch: int) -> tuple[Teacher, Halves, float]:
    """Return a specialist, its batches (labels are places in the group, then the dustbin), and its correction.

    Raises:
        DataError: there are no labelled rows of its classes, or none of others.
    """
    place = torch.full((len(teacher.classes),), len(members), device=data.y.device)
    place[list(members)] = torch.arange(len(members), device=data.y.device)
    y = torch.where(data.labelled, place[data.y.clamp(min=0)], data.y)
    mine = (y < len(members)).cpu().numpy()[data.labelled_rows]
    own, others = data.labelled_rows[mine], data.labelled_rows[~mine]
    if not len(own) or not len(others):
        names = ", ".join(teacher.classes[code] for code in members)
        where = "in" if not len(own) else "outside"
        raise DataError(f"Specialists: the data have no labelled rows {where} the group {names}; add some")
    batches = Halves(data.with_labels(y), batch, own, others)
    return specialist_of(teacher, members), batches, dustbin_correction(len(own), len(others))
