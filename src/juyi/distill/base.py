"""What every method of distillation shares: a teacher, a student, `fit` and `predict`; a method adds its stages."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from juyi.data import as_domain, check_trainable, conform
from juyi.data.domain import Domain
from juyi.data.doors import check_order
from juyi.distill.teacher import Teacher
from juyi.distill.teachers import as_teacher, fit_classes
from juyi.errors import DataError, JuyiError
from juyi.nets import Inputs, Network, Standardise
from juyi.training import (
    Augmented,
    Batch,
    Checkpoint,
    Processes,
    Rows,
    Served,
    StageGenerator,
    Watcher,
    choose_device,
    declared,
    hyperparameter,
    redeclare,
)


class Distiller(Augmented):
    """Teach a small network what a large one knows: with labelled data, unlabelled data, others' data, or none.

    A method is one file with a subclass that says, in `stages`, how the student learns.
    """

    needs_data: ClassVar[bool] = False
    """Whether it cannot do without data."""

    needs_labels: ClassVar[bool] = False
    """Whether the data must have labels."""

    takes_data: ClassVar[bool] = True
    """Whether it makes use of data at all."""

    looks_inside: ClassVar[bool] = False
    """Whether predictions of the teacher are not enough: it follows gradients, or reads the last layer."""

    makes: ClassVar[str] = "student"
    """What comes out: a `student`, or `perturbations` under which the teacher errs."""

    quick: ClassVar[dict[str, Any]] = {}
    """Settings under which the contract can be checked in seconds, on a table of 8 features and 3 classes."""

    teacher: Any = hyperparameter(
        default=None, help="the model that is distilled: a run, a file, or in Python also a module"
    )
    student: str | nn.Module = hyperparameter(
        default="auto", help="network of the student: a name, module:factory, or auto (by the data's shape)"
    )
    batch_norm: str = redeclare(Augmented, "batch_norm", "none")

    @abstractmethod
    def stages(self, teacher: Teacher, student: Network, data: Rows | None) -> StageGenerator:
        """Yield the stages in which `student` learns from `teacher`, and return the network that serves."""
        raise NotImplementedError

    def fit(self, X: Any = None, y: Any = None) -> Distiller:
        """Distil the teacher.

        Args:
            X: a `Domain`, or an array of rows like the teacher's; None where there are no data.
            y: labels of an array `X`, if they are known; unknown ones are None, NaN or masked.

        Raises:
            DataError: the data cannot be learnt from, or are not like the teacher's.
            SettingError: a hyperparameter is out of its range, or the teacher cannot be used.
            TrainingDivergedError: a loss became NaN or infinite.
        """
        self.check_hyperparameters()
        given = None if X is None else as_domain(X, y, name="data")
        teacher = as_teacher(self.teacher, data=given)
        return self.learn(teacher, None if given is None else self.bring(given, teacher))

    def bring(self, domain: Domain, teacher: Teacher) -> Domain:
        """Bring data to the shape and the classes of the teacher.

        Raises:
            DataError: they are of another kind, or are numbers.
            ClassesDifferError: they have classes that the teacher does not know.
        """
        check_order(domain, teacher.columns, "the teacher")
        return fit_classes(conform(domain, teacher.shape), teacher)

    def learn(
        self,
        teacher: Teacher,
        data: Domain | None,
        *,
        watcher: Watcher | None = None,
        checkpoint: Checkpoint | None = None,
        processes: Processes | None = None,
    ) -> Distiller:
        """Learn from a teacher and data that fit it, watched and stored; it is what `fit` and the command share."""
        self.remarks_: tuple[str, ...] = ()
        self.check_data(data, teacher)
        device = choose_device(self.device)
        teacher = teacher.to(device)
        rows = Rows(data, device) if data is not None else None
        student = self.check_network(teacher)
        first = rows.take(np.arange(min(self.batch, rows.size))) if rows else _blank(teacher, self.batch, device)
        self.net_ = self._learn(
            lambda net: self._through_options(self.stages(teacher, net, rows), net),
            student, first, device, watcher, checkpoint, processes or Processes(),
        )  # fmt: skip
        return self.adopt(Served(self.net_, teacher.shape, teacher.classes, teacher.columns))

    def check_data(self, data: Domain | None, teacher: Teacher) -> None:
        """Raise an error if the method cannot work with these data, or with such a teacher."""
        name = type(self).__name__
        if self.looks_inside:
            _ = teacher.last
        if data is None:
            if self.needs_data:
                what = "labelled data" if self.needs_labels else "data, labelled or not"
                raise DataError(f"{name}: needs {what}; name some after the teacher, or use a method without data")
            return
        check_trainable(data, self.batch, needs_labels=self.needs_labels)

    def check_network(self, teacher: Teacher) -> Network:
        """Return the student for such a teacher, the same for the same seed, on the CPU.

        Raises:
            SettingError: there is no such network, or it cannot take such rows.
        """
        rows = Rows(blank_domain(teacher), torch.device("cpu"))
        net = default_student(teacher) if self.student == "auto" else self.student
        try:
            student = self._build(net, rows, len(teacher.classes), self.layers)
        except JuyiError as error:
            raise type(error)(str(error).replace("--net", "--student")) from error
        scale = copy.deepcopy(teacher.scale).cpu()
        if isinstance(student.standardise, Inputs):  # resized, or other channels: the scale of its own channels
            if student.standardise.channels == len(scale.mean) and not scale.by_image:
                student.standardise.scale = scale
        elif isinstance(student.standardise, Standardise):
            student.standardise = scale
        size = sum(p.numel() for p in student.parameters())
        if teacher.parameters and size > teacher.parameters:
            self.remarks_ = (
                f"the student has {size:,} parameters, more than its teacher ({teacher.parameters:,}): "
                "name a smaller one with --student",
            )
        return student

    @property
    def layers(self) -> dict[str, str]:
        """The settings with which the student is built, beside its name; it standardises rows as its teacher does."""
        return {"batch_norm": self.batch_norm, "standardise": "source", "head": self.head}

    def answers(self) -> dict[str, Callable[[Tensor], Tensor]]:
        """Models beside the student that are looked at as well, by name: from raw rows to scores."""
        return {}

    def alone(self) -> Distiller:
        """The same student, to be trained on the labels alone under the same settings: what distilling must beat."""
        from juyi.distill.hinton import Hinton

        settings = {field: getattr(self, field) for field in declared(Distiller)}
        return Hinton(**settings, soft_weight=0.0, hard_weight=1.0)


def blank_domain(teacher: Teacher, rows: int = 2) -> Domain:
    """Rows like the teacher's, of the mean of its scale: for what needs their shape alone."""
    kind = np.uint8 if teacher.is_image_model else np.float32
    return Domain(np.zeros((rows, *teacher.shape), kind), name=teacher.name)


def _blank(teacher: Teacher, rows: int, device: torch.device) -> Batch:
    return Rows(blank_domain(teacher, rows), device).take(np.arange(rows))


def default_student(teacher: Teacher) -> str:
    """Name a small network for rows like the teacher's, where the person names none."""
    if not teacher.is_image_model:
        return "mlp-32-32"
    return "lenet5_half" if min(teacher.shape[1:]) >= 16 and max(teacher.shape[1:]) <= 28 else "cnn_small_half"
