"""What a person asks a run to work on: the data by name, and the labels that may be read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from juyi.adapt.base import Adapter
from juyi.data import align, hold_out, load
from juyi.data.classes import adopt_classes
from juyi.data.domain import Domain, data_entries
from juyi.data.doors import check_test, follow
from juyi.data.strangers import follow_with_strangers, unlabel_strangers
from juyi.data.targets import give_labels, load_target, withhold
from juyi.errors import SettingError
from juyi.runs import RunFolder, labels_seen
from juyi.training import Served, read_run


@dataclass(frozen=True)
class Request:
    """What a person asks for, in words that fit into run.json, so that the run can be resumed and repeated.

    Args:
        source: the name of the labelled data; for a source-free method, the folder of a finished run instead.
        target: the name of the data to adapt to; None to learn the source alone (`juyi train`).
        test: the name of labelled data, scored once, at the end.
        target_labels: `0`, a number a class, `all`, or the path of a CSV file: the labels that may be read.
        label: the label's column, in tables.
        size: bring all images to this many pixels square; None for the largest that is there.
        intersect_classes: go on with the classes that the domains share.
        skip_bad: leave out images that cannot be read.
        unknown: target and test may hold rows of classes that the source lacks.
        rehearse: also run the method on a pseudo-target made of the source (`juyi.adapt.rehearsal`).
        command: the command line, to be printed in the report.
    """

    source: str
    target: str | None = None
    test: str | None = None
    target_labels: str = "0"
    label: str | None = None
    size: int | None = None
    intersect_classes: bool = False
    skip_bad: bool = False
    unknown: bool = False
    rehearse: bool = False
    command: str = ""


@dataclass(frozen=True)
class Given:
    """The data of a request: loaded, their hidden labels erased, aligned, a part of the source held out.

    Where a run takes the source's place, `training` is its model, and nothing is held out.
    """

    training: Domain | Served
    validation: Domain | None
    target: Domain | None
    test: Domain | None
    fingerprints: dict[str, dict[str, Any]]
    given_to_start: int = 0
    """How many target labels the model of a run had seen."""

    @property
    def classes(self) -> tuple[str, ...] | None:
        """The names of the classes; None where labels are numbers."""
        return tuple(map(str, self.training.classes)) or None if self.training.classes is not None else None

    @property
    def unit(self) -> str:
        """What labels that are numbers are counted in; empty if unknown."""
        return self.training.unit if isinstance(self.training, Domain) else ""


def prepare(request: Request, method: Adapter) -> Given:
    """Load the data of a request, erase the labels that must not be read, and bring all to one shape.

    Raises:
        DataError: data cannot be read, learnt from or scored on, or do not fit together.
        SettingError: `target_labels` says nothing that can be done.
    """
    options: dict[str, Any] = {
        "label": request.label, "skip_bad": request.skip_bad, "seed": method.random_state, "size": request.size
    }  # fmt: skip
    if request.unknown and request.intersect_classes:
        raise SettingError("--unknown keeps rows of other classes, --intersect-classes leaves them out; give one")
    if (Path(request.source) / "run.json").is_file():
        return _prepare_from_run(request, method, options)
    source = load(request.source, **options)
    if request.unknown and source.classes is None and source.labelled.any():
        raise SettingError("--unknown: is for classes that the source lacks, but its labels are numbers; leave it out")
    target = load_target(request.target, options) if request.target else None
    test = _load_test(request.test, source, options) if request.test else None
    if target is not None:
        target = give_labels(target, request.target_labels, source, method.random_state)
        if request.unknown:
            target = unlabel_strangers(target, source)
    others = [] if target is None else [target]
    source, *others = align(source, *others, size=request.size, intersect_classes=request.intersect_classes)
    target = others[0] if others else None
    if test is not None:  # after all else is settled: a test changes nothing of what is learnt from
        if request.unknown:
            test = follow_with_strangers(test, source)
        else:
            test = follow(test, source, intersect_classes=request.intersect_classes)
    method.check_data(source, target)
    if test is not None:
        test = check_test(test, source, target)
    training, validation = hold_out(source, seed=method.random_state)
    method.check_data(training, target)
    named = {"source": source, "target": target, "test": test}
    return Given(training, validation, target, test, data_entries(named))


def _prepare_from_run(request: Request, method: Adapter, options: dict[str, Any]) -> Given:
    """Load what a source-free method works on: a run's model, and the target in the shape and classes of that."""
    folder = RunFolder.open(request.source)
    seen = labels_seen(folder.read_finished())
    start = read_run(folder, net=None if method.net == "auto" else method.net)
    for layer, kind in start.layers.items():  # the network's, whatever was asked for
        setattr(method, layer, kind)
    if request.target is None:
        raise SettingError(f"{folder.path}: is a run, which leaves nothing to learn from; name a target")
    if request.unknown:
        raise SettingError(
            "--unknown: needs held-out source rows, and a run in the source's place has none; leave it out"
        )
    if request.intersect_classes:
        raise SettingError("--intersect-classes: the model of a run has its classes already; drop the option")
    if request.size is not None:
        raise SettingError(f"--size {request.size}: the model of {folder.path} has its size already; drop the option")
    target = withhold(start.adopt(load_target(request.target, options)), request.target_labels, method.random_state)
    method.check_start(target)
    test = None
    if request.test:
        test = check_test(start.adopt(load(request.test, **options)), None, target)
    entry = {
        "name": str(folder.path),
        "fingerprint": start.fingerprint(),
        "rows": 0,
        "labelled": 0,
        "shape": list(start.shape),
        "notes": [f"source_only is the model of {folder.path} as it is; the source's data are not needed"],
    }
    return Given(start, None, target, test, {"source": entry, **data_entries({"target": target, "test": test})}, seen)


def _load_test(name: str, source: Domain, options: dict[str, Any]) -> Domain:
    """Load the test; that it has no row of some class hinders nobody, but is noted."""
    test = load(name, **options)
    adopted = adopt_classes(test, source)
    if test.labelled.any() and adopted.classes is not None and adopted is not test:
        absent = [c for c, n in zip(adopted.classes, adopted.class_counts(), strict=True) if not n]
        if absent:
            shown = ", ".join(absent[:10]) + (f" and {len(absent) - 10:,} more" if len(absent) > 10 else "")
            return replace(adopted, notes=(*adopted.notes, f"there is no labelled row of {shown}"))
    return adopted
