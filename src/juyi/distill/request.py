"""What a person asks to be distilled: a teacher, data by name, and what is looked at besides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from juyi.data import hold_out, load
from juyi.data.domain import Domain, data_entries
from juyi.data.doors import check_test
from juyi.data.splits import subset_rows
from juyi.distill.base import Distiller
from juyi.distill.teacher import Teacher
from juyi.distill.teachers import TeacherOptions, read_teacher
from juyi.errors import SettingError
from juyi.training.recording import model_entry

MOST_HELD_OUT = 5_000


@dataclass(frozen=True)
class Request:
    """What a person asks for, in words that fit into run.json, so that the run can be resumed and repeated.

    Args:
        teacher: the model that is distilled: see `juyi.distill.teachers.read_teacher`.
        data: the name of the data to learn on, labelled, unlabelled or other people's; None for none.
        test: the name of labelled data, scored once, at the end.
        alone: train the same student on the labels alone as well, where there are labels: what distilling must beat.
        temperatures: numbers, separated by commas: students are trained at these too, for the figure.
        correct_bias: the name of data, labelled or not, by which the student's class biases are corrected at the end.
        max_params: the most parameters that the student may have, such as 50k.
        max_bytes: the largest ONNX file that it may fill.
        max_macs: the most multiplications that it may do for a row.
        max_latency: the longest that a row may take on this machine, such as 5ms.
        teacher_weights: a file with the weights of a teacher `module:factory`.
        teacher_shape: of one row of the teacher, such as 1x28x28, where neither it nor the data tell.
        teacher_mean: what the teacher's rows are less, where pixels go from 0 to 1; commas between channels.
        teacher_spread: what they are then divided by.
        teacher_classes: the teacher's classes in the order of its scores, commas between, or their number.
        label: the label's column, in tables.
        size: bring all images to this many pixels square first; None leaves it to the teacher's size.
        skip_bad: leave out images that cannot be read.
        command: the command line, to be printed in the report.
    """

    teacher: str
    data: str | None = None
    test: str | None = None
    alone: bool = True
    temperatures: str = ""
    correct_bias: str | None = None
    max_params: str | None = None
    max_bytes: str | None = None
    max_macs: str | None = None
    max_latency: str | None = None
    teacher_weights: str | None = None
    teacher_shape: str = ""
    teacher_mean: str = ""
    teacher_spread: str = ""
    teacher_classes: str = ""
    label: str | None = None
    size: int | None = None
    skip_bad: bool = False
    command: str = ""


@dataclass(frozen=True)
class Given:
    """The teacher and the data of a request, brought to it; a part of the data is held out."""

    teacher: Teacher
    training: Domain | None
    validation: Domain | None
    test: Domain | None
    correction: Domain | None
    temperatures: tuple[float, ...]
    fingerprints: dict[str, dict[str, Any]]

    @property
    def has_labels(self) -> bool:
        """Whether any row that is learnt from has a label."""
        return self.training is not None and bool(self.training.labelled.any())


def prepare(request: Request, method: Distiller) -> Given:
    """Read the teacher, load the data, and bring them to its shape and classes.

    Raises:
        DataError: data cannot be read, learnt from or scored on, or are not like the teacher's.
        SettingError: the teacher cannot be used, or an option says nothing that can be done.
        RunFolderError, ForeignFileError: the teacher cannot be read.
    """
    temperatures = read_temperatures(request.temperatures, method)
    options: dict[str, Any] = {
        "label": request.label, "skip_bad": request.skip_bad, "seed": method.random_state, "size": request.size
    }  # fmt: skip
    loaded = None if request.data is None else load(request.data, **options)
    teacher = read_teacher(request.teacher, told(request), loaded)
    data = None if loaded is None else method.bring(loaded, teacher)

    def bring(name: str | None) -> Domain | None:
        return None if name is None else method.bring(load(name, **options), teacher)

    test, correction = bring(request.test), bring(request.correct_bias)
    if test is not None:
        test = check_test(test, data, None)
    training, validation = (None, None) if data is None else part(data, method.random_state)
    method.check_data(training, teacher)
    named = {"data": data, "correction": correction, "test": test}
    return Given(
        teacher, training, validation, test, correction, temperatures,
        {
            "teacher": model_entry(
                teacher.name, teacher.fingerprint(), teacher.shape, teacher.parameters, teacher.notes
            ),
            **data_entries(named),
        },
    )  # fmt: skip


def told(request: Request) -> TeacherOptions:
    """What the request says about its teacher."""
    return TeacherOptions.read(
        weights=request.teacher_weights, shape=request.teacher_shape, mean=request.teacher_mean,
        spread=request.teacher_spread, classes=request.teacher_classes,
    )  # fmt: skip


def part(data: Domain, seed: int) -> tuple[Domain, Domain | None]:
    """Hold a tenth of the data out, at most 5,000 rows, for looking at the student: labelled rows where there are any.

    Unlabelled rows that are held out tell how often the student answers as its teacher does.  Of very few rows none is.
    """
    if data.labelled.sum() >= 20:
        return hold_out(data, seed=seed)
    held = np.zeros(data.size, bool)
    held[subset_rows(data.size, min(MOST_HELD_OUT, data.size // 10), seed)] = True
    held &= ~data.labelled
    return (data.select(~held), data.select(held)) if held.any() else (data, None)


def read_temperatures(text: str, method: Distiller) -> tuple[float, ...]:
    """Read numbers above 0, separated by commas.

    Example:
        >>> from juyi.distill import Hinton
        >>> read_temperatures("1, 2.5,20", Hinton())
        (1.0, 2.5, 20.0)
    """
    words = [word.strip() for word in text.split(",") if word.strip()]
    if words and not hasattr(method, "temperature"):
        raise SettingError(f"--temperatures {text}: {type(method).__name__} has no temperature; leave it out")
    found = []
    for word in words:
        try:
            value = float(word)
        except ValueError:
            value = 0.0
        if not 0 < value <= 1000:
            raise SettingError(f"--temperatures {text}: {word} is no number above 0; give such as 1,2,4,8")
        found.append(value)
    return tuple(dict.fromkeys(found))
