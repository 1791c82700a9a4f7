"""A whole distillation, from the names of a teacher and of data to a run folder with the student."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from sklearn.base import clone
from torch import Tensor, nn

from juyi.data.domain import Domain, notes_of
from juyi.distill.base import Distiller
from juyi.distill.bias import correct_bias
from juyi.distill.budget import brief, comparison_data, read_budget, students_within
from juyi.distill.outcome import ALONE, TEACHER, Outcome, Scorer, write_temperatures
from juyi.distill.perturbed_outcome import write_perturbations
from juyi.distill.request import Given, Request, prepare
from juyi.distill.teachers import doubt_teacher, is_code
from juyi.errors import SettingError
from juyi.measure import share, wilson_interval
from juyi.runs import RunFolder
from juyi.training import (
    Checkpoint,
    Processes,
    Rows,
    Watcher,
    choose_device,
    compute_rows,
    given_again,
    join_processes,
    write_model,
)
from juyi.training.recording import (
    learn_recorded,
    mark_finished,
    mark_running,
    method_facts,
    naming,
    new_folder,
    read_begun,
)


def run(
    request: Request,
    method: Distiller,
    *,
    out: Path | str | None = None,
    overwrite: bool = False,
    console: Console | None = None,
) -> RunFolder:
    """Carry out a request in a new run folder.

    Where the data have labels, the same student learns from them alone as well (`student_alone`): what distilling
    has to beat.

    Args:
        request: the teacher and the data.
        method: an unfitted method; its own `teacher` is not looked at.
        out: the folder; None takes the first free `runs/METHOD-N`.
        overwrite: replace a run that is there.
        console: where to show progress; None shows nothing.

    Raises:
        DataError, SettingError, RunFolderError, ForeignFileError: the input is wrong; nothing was written.
        TrainingDivergedError, WriteError: the work failed; what was stored is intact.
    """
    method.check_hyperparameters()
    console = console or Console(quiet=True)
    processes = join_processes()
    budget = read_budget(request)
    given = prepare(request, method)
    record = first_record(request, method, given)
    if budget:
        record["budget"] = students_within(budget, method, given.teacher, console)
    folder = new_folder(record, out, overwrite, processes, console)
    return _Work(folder, record, given, method, processes, console).carry_out()


def resume(
    folder: RunFolder,
    *,
    console: Console | None = None,
    methods: dict[str, type[Distiller]],
    net: nn.Module | str | None = None,
    teacher: str | None = None,
) -> RunFolder:
    """Go on with a run that was killed, to the same bits (same kind of machine, same number of threads).

    Args:
        folder: the run.
        console: where to show progress; None shows nothing.
        methods: those that there are, by name.
        net: the student's network, if it is one of your own.
        teacher: the teacher, if it is `module:factory`: a file must not say what code to run.

    Raises:
        RunFolderError: the run is finished.
        SettingError: the network or the teacher is one of your own, and was not given again.
        DataChangedError: the teacher or the data are no longer those that the run began with.
    """
    record, method, request, began_with = read_begun(folder, methods, Request)
    method.student = given_again(folder, method.student, net)
    for member in request.teacher.split(","):
        if is_code(member.strip()) and teacher != request.teacher:
            raise SettingError(
                f"{folder.path}: its teacher {request.teacher} is code of your own; give it again with --teacher"
            )
    given = prepare(request, method)
    folder.check_unchanged(began_with, given.fingerprints)
    processes = join_processes()
    mark_running(folder, record, processes)
    return _Work(folder, record, given, method, processes, console or Console(quiet=True)).carry_out()


def first_record(request: Request, method: Distiller, given: Given) -> dict[str, Any]:
    """What run.json holds before the first step."""
    student = method.check_network(given.teacher)
    return {
        "command": request.command,
        "request": dataclasses.asdict(request),
        "room": "distill",
        **method_facts(method),
        "data": given.fingerprints,
        "target_labels": {"given": 0, "given_to_start": 0},
        "classes": list(given.teacher.classes),
        "floor": ALONE,
        "network": {
            "name": student.name,
            "parameters": sum(p.numel() for p in student.parameters()),
            "fitted": list(student.notes),
            "teacher_parameters": given.teacher.parameters,
        },
        "notes": [*notes_of(given.fingerprints), *student.notes],
        "warnings": doubts(given),
    }


def doubts(given: Given) -> list[str]:
    """What speaks against the teacher, on at most 1,000 labelled rows that are learnt from."""
    if given.training is None or not given.has_labels:
        return []
    known = np.flatnonzero(given.training.labelled)[:: max(1, int(given.training.labelled.sum()) // 1_000)]
    rows = Rows(given.training.select(known), given.teacher.device)
    doubt = doubt_teacher(
        compute_rows(given.teacher.scores, rows).cpu().numpy(), given.training.y[known], given.teacher.classes
    )
    return [doubt] if doubt else []


@dataclass(frozen=True)
class _Work:
    """A run that is going on; only the first of several processes shows and writes."""

    folder: RunFolder
    record: dict[str, Any]
    given: Given
    method: Distiller
    processes: Processes
    console: Console

    def carry_out(self) -> RunFolder:
        """Learn, then look at what was learnt."""
        with naming(self.folder):
            if "budget" in self.record:
                self._choose_student()
            models = {name: self._learn(name, method) for name, method in self._students().items()}
            if self.processes.is_first:
                self._finish(models)
                mark_finished(self.folder, self.record)
        return self.folder

    def _choose_student(self) -> None:
        """Teach the candidates for the budget briefly, and go on with the one that does best where none had learnt."""
        found = self.record["budget"]
        if "chosen" not in found:
            names = [candidate["name"] for candidate in found["candidates"]]
            if len(names) > 1:
                self._compare(found)
            best = max(found["candidates"], key=lambda c: (c.get("value", 0.0), -c["parameters"]))
            found["chosen"] = best["name"]
            self.console.print(f"the student is {best['name']}", highlight=False)
        self.method.set_params(student=found["chosen"])
        network = self.method.check_network(self.given.teacher)
        self.record["network"] |= {
            "name": network.name, "parameters": sum(p.numel() for p in network.parameters())
        }  # fmt: skip
        if self.processes.is_first:
            self.folder.write(self.record)

    def _compare(self, found: dict[str, Any]) -> None:
        teacher = self.given.teacher
        data, held, what = comparison_data(self.method, teacher, self.given.training, self.given.validation)
        found["compared_by"] = what
        for candidate in found["candidates"]:
            method = brief(self.method, candidate["name"], data)
            self._learn(f"candidate_{candidate['name']}", method, data)
            rows = held.select(held.labelled) if held.labelled.any() else held
            truth = rows.y if held.labelled.any() else self._said(rows)
            hits = method.scores(rows).argmax(1) == truth
            candidate |= share(hits)

    def _said(self, data: Domain) -> np.ndarray:
        """What the teacher answers."""
        rows = Rows(data, choose_device(self.method.device))
        answers: np.ndarray = compute_rows(self.given.teacher.scores, rows).argmax(1).cpu().numpy()
        return answers

    def _students(self) -> dict[str, Distiller]:
        """The students that are trained, by name, the method's own last."""
        name, students = self.record["method"], {}
        if self.record["request"]["alone"] and self.given.has_labels and self.method.makes == "student":
            students[ALONE] = self.method.alone()
        for temperature in self.given.temperatures:
            students[_at(temperature)] = clone(self.method).set_params(temperature=temperature)
        return {**students, name: self.method}

    def _learn(self, model: str, method: Distiller, data: Domain | None = None) -> Distiller:
        given = self.given

        def learn(watcher: Watcher | None, checkpoint: Checkpoint | None) -> Distiller:
            return method.learn(
                given.teacher,
                given.training if data is None else data,
                watcher=watcher,
                checkpoint=checkpoint,
                processes=self.processes,
            )

        if not self.processes.is_first:
            return learn(None, None)
        learn_recorded(self.folder, self.record, model, learn, self.console)
        if model in (ALONE, self.record["method"]) and method.makes == "student":
            self._write_model(model, method)
        return method

    def _write_model(self, model: str, method: Distiller) -> None:
        teacher = self.given.teacher
        columns = teacher.columns or None
        write_model(self.folder.models, model, method.net_, teacher.shape, teacher.classes, method.layers, columns)

    def _finish(self, models: dict[str, Distiller]) -> None:
        name, device = self.record["method"], choose_device(self.method.device)
        self.record["serves"] = name
        if self.method.makes == "perturbations":
            return write_perturbations(self.folder, self.record, self.given, self.method)
        teacher = self.given.teacher

        def scorer(answer: Callable[[Tensor], Tensor]) -> Scorer:
            return lambda data: compute_rows(answer, Rows(data, device)).cpu().numpy()

        scorers = {TEACHER: scorer(teacher.scores)}
        scorers |= {model: models[model].scores for model in (ALONE, name) if model in models}
        scorers |= {other: scorer(answer) for other, answer in self.method.answers().items()}
        if self.given.correction is not None:
            corrected = copy.copy(self.method)
            corrected.net_ = copy.deepcopy(self.method.net_)
            self.record["notes"].append(correct_bias(corrected.net_, teacher, self.given.correction))
            self.record["serves"] = f"{name}_corrected"
            self._write_model(f"{name}_corrected", corrected)
            scorers[f"{name}_corrected"] = corrected.scores
        self.console.print("looking at the student", highlight=False)
        if self.given.temperatures:
            self.record["temperatures"] = self._temperatures(models)
            write_temperatures(self.folder, self.record["temperatures"])
        Outcome(self.folder, self.record, scorers).write(self.given, self.method)

    def _temperatures(self, models: dict[str, Distiller]) -> list[dict[str, Any]]:
        """Accuracy of each temperature's student on held-out rows; agreement with the teacher where no label is."""
        data = self.given.validation
        if data is None:
            return []
        labelled = data.select(data.labelled) if data.labelled.any() else data
        truth, what = (labelled.y, "accuracy") if data.labelled.any() else (self._said(labelled), "agreement")
        points = []
        for temperature in self.given.temperatures:
            hits = models[_at(temperature)].scores(labelled).argmax(1) == truth
            low, high = wilson_interval(int(hits.sum()), len(hits))
            points.append(
                {"temperature": temperature, "name": what, "value": float(np.mean(hits)), "low": low, "high": high}
            )
        return points


def _at(temperature: float) -> str:
    return f"temperature_{temperature:g}"
