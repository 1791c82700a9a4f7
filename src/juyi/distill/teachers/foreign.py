"""Make a teacher of a model that Juyi did not train: its scale, its rows, what its answers look like."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from juyi.data.domain import Domain
from juyi.distill.teacher import Teacher
from juyi.distill.teachers.examine import answers, check_weights, find_ending, scale_of, shape_said
from juyi.distill.teachers.exported import ExportedNet
from juyi.distill.teachers.onnx_file import OnnxNet
from juyi.distill.teachers.options import TeacherOptions
from juyi.distill.teachers.state_dicts import fill_state, read_state
from juyi.errors import ClassesDifferError, JuyiError, SettingError
from juyi.nets import Inputs, Network, Standardise
from juyi.nets.hub import hub_network
from juyi.nets.hub_files import Preprocessing, config_fields, hub_classes, hub_folder, image_sizes, preprocessing
from juyi.nets.own import make_module


class Scaled(nn.Module):
    """A network that takes raw rows, by a network that takes them on a scale of its own."""

    def __init__(self, scale: Standardise, net: nn.Module) -> None:
        super().__init__()
        self.scale, self.net = scale, net

    def forward(self, x: Tensor) -> Any:
        """Return what the network gives of raw rows."""
        return self.net(self.scale(x))


def of_factory(path: str, options: TeacherOptions, data: Domain | None) -> Teacher:
    """Return the teacher that `module:factory` makes, with weights from a file.

    Raises:
        SettingError: there are no weights, they do not fit, or the network cannot be a teacher.
    """
    where = f"TEACHER {path}"
    if options.weights is None:
        raise SettingError(f"{where}: has learnt nothing yet; give its weights with --teacher-weights FILE")
    stored = read_state(options.weights)
    shape = row_shape(None, options, data, where)
    count = options.class_count or (len(data.classes) if data is not None and data.classes else None)
    net, _ = make_module(path, shape, count, "TEACHER")
    if not isinstance(net, nn.Module):
        raise SettingError(f"{where}: gives a {type(net).__name__}, but a torch.nn.Module is needed")
    with torch.no_grad():
        if isinstance(net, Network):
            options.refuse("mean", "spread", where=path, why="is a network of Juyi, which standardises rows itself")
        whole = net.eval() if isinstance(net, Network) else Scaled(options.scale(shape), net.eval())
        answers(whole, shape, where)  # gives layers that are lazy their shapes
    fill_state(net, stored, f"--teacher-weights {options.weights}", path)
    return foreign(whole, shape, options, path)


def of_exported(path: str, options: TeacherOptions, data: Domain | None) -> Teacher:
    """Return the program in a `.pt2` file as a teacher.

    Raises:
        SettingError: the file is not safe or not whole, or the program cannot be a teacher.
    """
    where = f"TEACHER {path}"
    options.refuse("weights", where=path, why="holds its own")
    net = ExportedNet(path, where).eval()
    shape = row_shape(net.shape, options, data, where)
    if net.batch is not None:
        _check_batch(net, net.batch, shape, where)
    return foreign(Scaled(options.scale(shape), net), shape, options, path)


def _check_batch(net: ExportedNet, batch: int, shape: Sequence[int], where: str) -> None:
    """Raise a `SettingError` unless a program for a fixed number of rows gives the same for any number."""
    rows = torch.rand(2 * batch + 1, *shape, generator=torch.Generator().manual_seed(0))
    try:
        with torch.no_grad():
            same = torch.allclose(net(rows)[:batch], net(rows[:batch]), rtol=1e-4, atol=1e-5)
            same = same and torch.allclose(net(rows[:1].repeat(batch, *[1] * len(shape)))[:1], net(rows[:1]), atol=1e-5)
    except Exception:  # whatever an operator raises
        same = False
    if not same:
        raise SettingError(
            f"{where}: was exported for {batch} rows at once and no other number; export it with "
            "dynamic_shapes=({0: torch.export.Dim.DYNAMIC},)"
        )


def of_onnx(path: str, options: TeacherOptions, data: Domain | None) -> Teacher:
    """Return the model in an ONNX file as a teacher that gives predictions only.

    Raises:
        SettingError: the extra is missing, the file is not safe or not whole, or the model cannot be a teacher.
    """
    where = f"TEACHER {path}"
    options.refuse("weights", where=path, why="holds its own")
    net = OnnxNet(path, where)
    model = net.model
    shape = row_shape(model.shape, options, data, where)
    takes_pixels = model.kind is np.uint8
    if takes_pixels:
        options.refuse("mean", "spread", where=path, why="takes pixels as they are stored, and scales them itself")
    model.check_classifier(where)
    if model.tells_numbers:
        raise SettingError(f"{where}: tells numbers, and distillation is for classes; name another file")
    if options.classes is None and model.classes is not None:
        options = replace(options, classes=model.classes)
    whole = net if takes_pixels else Scaled(options.scale(shape), net)
    teacher = foreign(whole, shape, options, path, gradients=False)
    teacher.count = model.count
    teacher.notes += (f"{path}: an ONNX file gives predictions only, without gradients and features",)
    return teacher


def of_hub(place: str, options: TeacherOptions, data: Domain | None) -> Teacher:
    """Return a classifier of the Hugging Face hub, with the head that it was trained with, as a teacher.

    Raises:
        SettingError: `transformers` is missing, nothing is found, or it is no classifier of images.
    """
    options.refuse("weights", where=place, why="holds its own")
    with blamed("TEACHER"):
        folder = hub_folder(place)
        said = preprocessing(folder, place)
        shape = options.shape or (data.x.shape[1:] if data is not None else _own_shape(folder, said, place))
        net = hub_network(place, torch.zeros(1, *shape, dtype=torch.uint8 if len(shape) == 3 else None), None)
        named = hub_classes(folder, place)
    notes = net.notes
    inputs = net.standardise
    assert isinstance(inputs, Inputs)
    if options.mean or options.spread or not said.tells_scale:
        inputs.scale = options.scale((inputs.channels, *shape[1:]))
        notes = tuple(note.replace("scaled by the source's mean and spread", "scaled as said") for note in notes)
        if not (options.mean or options.spread):
            notes += (
                f"{place}: does not say how pixels were scaled; taken from 0 to 1 (--teacher-mean, --teacher-spread)",
            )
    if options.classes is None and named is not None:
        options = TeacherOptions(classes=named)
    teacher = foreign(net, shape, options, place, scale=inputs.scale)
    teacher.notes = notes + teacher.notes
    return teacher


def _own_shape(folder: Path, said: Preprocessing, place: str) -> tuple[int, ...]:
    """The shape of the images that a network of the hub was made for."""
    _, fields = config_fields(folder, place)
    size = (*image_sizes(said, SimpleNamespace(image_size=fields.get("image_size"))), (224, 224))[0]
    return (int(fields.get("num_channels") or 3), *size)


@contextlib.contextmanager
def blamed(option: str) -> Iterator[None]:
    """Let errors name this option where they name `--net`."""
    try:
        yield
    except JuyiError as error:
        raise type(error)(str(error).replace("--net ", f"{option} ")) from error


def row_shape(
    found: Sequence[int | None] | None, options: TeacherOptions, data: Domain | None, where: str
) -> tuple[int, ...]:
    """Return the shape of a teacher's rows: what its file says, what the person says, or else the data's own.

    Raises:
        SettingError: nobody says it, or they contradict one another.
    """
    if found is not None and len(found) not in (1, 3):
        raise SettingError(f"{where}: takes rows of {len(found)} dimensions; Juyi has images C×H×W and features d")
    said = options.shape
    if said is not None:
        fits = found is None or (
            len(said) == len(found) and all(b in (None, a) for a, b in zip(said, found, strict=True))
        )
        if not fits:
            raise SettingError(
                f"--teacher-shape {shape_said(said)}: {where} takes {shape_said(found or ())}; leave it out"
            )
        return said
    if found is not None and None not in found:
        return tuple(length for length in found if length is not None)
    own = None if data is None else tuple(data.x.shape[1:])
    if own is None or (found is not None and len(found) != len(own)):
        raise SettingError(f"{where}: does not say what rows it takes; say so with --teacher-shape, such as 1x28x28")
    return tuple(b or a for a, b in zip(own, found or own, strict=True))


def foreign(
    net: nn.Module, shape: Sequence[int], options: TeacherOptions, name: str, *, scale: Standardise | None = None,
    gradients: bool = True,
) -> Teacher:  # fmt: skip
    """Return a network that takes raw rows as a teacher, after asking it some.

    Raises:
        SettingError: it fails, gives no scores, or holds numbers that are not finite.
        ClassesDifferError: it has another number of scores than there are classes.
    """
    where = f"TEACHER {name}"
    check_weights(net, where)
    said = answers(net.eval(), shape, where)
    count = said.shape[1]
    if options.class_count not in (None, count):
        raise ClassesDifferError(
            f"--teacher-classes: names {options.class_count} classes, but {where} gives {count} scores; name all"
        )
    named = isinstance(options.classes, tuple)
    classes = options.classes if isinstance(options.classes, tuple) else tuple(map(str, range(count)))
    scale = scale or (net.scale if isinstance(net, Scaled) else scale_of(net))
    teacher = Teacher(net, shape, classes, name=name, scale=scale, gradients=gradients)
    teacher.named = named
    find_ending(teacher, said)
    return teacher
