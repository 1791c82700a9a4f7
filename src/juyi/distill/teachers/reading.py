"""Where teachers come from: a run, weights with their factory, an exported program, ONNX, the hub, a module."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from juyi.data.classes import adopt_classes, class_keys, listed
from juyi.data.domain import Domain
from juyi.distill.teacher import Teacher
from juyi.distill.teachers.ensemble import Ensemble
from juyi.distill.teachers.examine import examine, scale_of
from juyi.distill.teachers.foreign import of_exported, of_factory, of_hub, of_onnx
from juyi.distill.teachers.options import TeacherOptions
from juyi.errors import ClassesDifferError, DataError, SettingError
from juyi.training import Served, read_run

WEIGHTS = (".safetensors", ".pt", ".pth", ".bin", ".ckpt", ".pkl", ".pickle")
"""What files of weights are called, which are no teachers by themselves."""


def as_teacher(teacher: Any, options: TeacherOptions | None = None, data: Domain | None = None) -> Teacher:
    """Return what a person names as a teacher: a `Teacher`, a trained model, several, or what `read_teacher` reads.

    Args:
        teacher: a `Teacher`, a fitted method, a name, or a list of these.
        options: what is said about a teacher that is named.
        data: what it will teach on, for what nobody says.

    Raises:
        SettingError: there is none, or it cannot be a teacher.
    """
    if isinstance(teacher, Ensemble):
        for member in teacher.members:
            examine(member)
        return teacher
    if isinstance(teacher, Teacher):
        return examine(teacher)
    if isinstance(teacher, Served):
        return of_served(teacher, "the teacher")
    if hasattr(teacher, "_served"):  # a fitted method of Juyi
        return of_served(teacher._served(), type(teacher).__name__)
    if isinstance(teacher, str | Path):
        return read_teacher(str(teacher), options, data)
    if isinstance(teacher, list | tuple):
        return Ensemble([as_teacher(member, options, data) for member in teacher])
    mend = "give a run's folder, a file, a fitted method, or a juyi.distill.Teacher"
    if isinstance(teacher, nn.Module):
        mend = "wrap it: juyi.distill.Teacher(net, shape, classes), with a net that takes raw rows, 0 to 255"
    raise SettingError(f"teacher: is {type(teacher).__name__ if teacher is not None else teacher}; {mend}")


def read_teacher(name: str, options: TeacherOptions | None = None, data: Domain | None = None) -> Teacher:
    """Return the teacher of a name; nothing in a file is trusted.

    Args:
        name: the folder of a run (`RUN:MODEL` for a model of it that does not serve), `module:factory` with
            `options.weights`, a `.pt2` file of torch.export, an `.onnx` file, `hub/NAME` or a folder with
            `config.json`; or several of these, separated by commas, whose scores are then averaged.
        options: what it does not say itself.
        data: what it will teach on, whose shape and number of classes count where nobody says them.

    Raises:
        SettingError: it cannot be a teacher; the error says why, and how to mend it.
        RunFolderError, ForeignFileError: a run cannot be read.
    """
    options = options or TeacherOptions()
    place, suffix = Path(name), Path(name).suffix.lower()
    if "," in name and not place.exists():
        options.refuse("weights", where=name, why="are several teachers, and weights are of one")
        return Ensemble([read_teacher(part.strip(), options, data) for part in name.split(",") if part.strip()])
    if suffix == ".pt2":
        return of_exported(name, options, data)
    if suffix == ".onnx":
        return of_onnx(name, options, data)
    if suffix in WEIGHTS and not place.is_dir():
        raise SettingError(
            f"TEACHER {name}: holds weights at most; name the network that they belong to, module:factory, and give "
            f"--teacher-weights {name}"
        )
    if name.startswith("hub/") or ((place / "config.json").is_file() and not (place / "run.json").exists()):
        return of_hub(name, options, data)
    run, _, model = name.rpartition(":")
    if is_code(name):
        return of_factory(name, options, data)
    options.refuse("weights", "shape", "mean", "spread", "classes", where=name, why="is a run, which says that itself")
    if ":" in name and not place.exists():
        return of_served(read_run(run, model, net=options.net), name)
    return of_served(read_run(name, net=options.net), name)


def is_code(name: str) -> bool:
    """Whether the name of a teacher is `module:factory`: code of one's own."""
    return ":" in name and not Path(name).exists() and not Path(name.rpartition(":")[0]).is_dir()


def of_served(served: Served, name: str) -> Teacher:
    """Return the model of a run as a teacher."""
    served.check_classifier(f"TEACHER {name}")
    if served.tells_numbers:
        raise SettingError(f"{name}: tells numbers, and distillation is for classes; name another run")
    classes, scale = served.classes.tolist(), scale_of(served.net)
    return examine(Teacher(served.net, served.shape, classes, name=name, scale=scale, columns=served.columns))


def fit_classes(domain: Domain, teacher: Teacher) -> Domain:
    """Give data the teacher's classes, matched by name; a teacher whose classes have no names takes the data's.

    Raises:
        DataError: their labels are numbers.
        ClassesDifferError: they have classes that the teacher does not know.
    """
    if domain.classes is None and domain.labelled.any():
        raise DataError(f"{domain.name}: its labels are numbers, and distillation is for classes")
    if not teacher.named:
        name_classes(teacher, domain)
    known = Domain(domain.x[:1], classes=teacher.classes, name="the teacher")
    adopted = adopt_classes(domain, known)
    if adopted.classes == teacher.classes:
        return adopted
    if domain.labelled.any():
        mend = "name them alike, or leave the labels out"
        if not teacher.named:
            mend = "name the teacher's with --teacher-classes, in the order of its scores"
        raise ClassesDifferError(
            f"{domain.name}: its {len(domain.classes or ())} classes ({listed(domain.classes or ())}) are not the "
            f"teacher's {len(teacher.classes)} ({listed(teacher.classes)}); {mend}"
        )
    return replace(domain, classes=teacher.classes)


def name_classes(teacher: Teacher, domain: Domain) -> None:
    """Give a teacher whose classes are mere numbers the names of as many classes of data, in order, and note it."""
    names = domain.classes or ()
    if len(names) != len(teacher.classes) or set(class_keys(names)) <= set(class_keys(teacher.classes)):
        return
    teacher.classes = names
    note = f"{teacher.name}: its classes have no names; taken for those of {domain.name}, in order: {listed(names)}"
    teacher.notes += (note,)
