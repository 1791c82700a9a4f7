"""A whole export, from a finished run to files that other programs run, and the account in the run's record."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from threadpoolctl import threadpool_limits

from juyi.data import hold_out, load
from juyi.data.domain import Domain
from juyi.distill.request import Request as Distillation
from juyi.distill.request import part, told
from juyi.distill.teachers import is_code, read_teacher
from juyi.errors import InputError, JuyiError, SettingError
from juyi.export.account import Scorer, account
from juyi.export.calibration import IMPRESSIONS, calibration_rows
from juyi.export.kept import what_is_kept
from juyi.measure import mean_absolute_error
from juyi.portable import (
    Latency,
    OnnxModel,
    count_sizes,
    measure_latency,
    peak_activations,
    write_int8,
    write_onnx,
)
from juyi.portable.writing import noise, tried_rows
from juyi.runs import RunFolder
from juyi.training import Rows, Served, compute_rows, read_run
from juyi.training.machine import describe_machine, now, versions
from juyi.training.recording import note_opening

FLOAT32, INT8, TORCH, TEACHER = "float32", "int8", "torch", "teacher"
FILES = {FLOAT32: "model.onnx", INT8: "model.int8.onnx"}


@dataclass(frozen=True)
class Request:
    """What a person asks for.

    Args:
        run: the folder of a finished run.
        model: a model of it; None for the one that serves.
        net: the network, if it is one of your own.
        int8: also write eight-bit integers.
        calibrate: the name of data for that, without labels; or `impressions`, of the run or made from the model, which
            has to know classes.
        test: the name of labelled data, on which the account is made; a backbone has nothing that labels could score.
        out: the folder for the files; None for `RUN/export`.
        label: the label's column, in tables.
        size: bring all images to this many pixels square first.
        skip_bad: leave out images that cannot be read.
    """

    run: str
    model: str | None = None
    net: Any = None
    int8: bool = False
    calibrate: str = IMPRESSIONS
    test: str | None = None
    out: Path | None = None
    label: str | None = None
    size: int | None = None
    skip_bad: bool = False


def run(request: Request, *, console: Console | None = None) -> dict[str, Any]:
    """Export the model of a run, check the file, and write the account into the run's record under `export`.

    Args:
        request: what is asked for.
        console: where progress is shown; None shows nothing.

    Returns:
        What the record then holds: `files` (by `float32` and `int8`: `path`, `bytes`, `latency`), `costs`,
        `comparison`, `use` (the file that is advised), `sentence`, `account`.

    Raises:
        RunFolderError: there is no finished run with such a model.
        SettingError: the network cannot be exported, the file answers otherwise, or classes are asked of a backbone.
        DataError: data cannot be read, or are of another kind.
        WriteError: a file cannot be written.
    """
    console = console or Console(quiet=True)
    folder = RunFolder.open(request.run)
    record = folder.read_finished()
    model = folder.find_model(request.model)
    served = read_run(folder, model, request.net)
    if request.test is not None:
        served.check_classifier(f"--test {request.test}")
    options: dict[str, Any] = {
        "label": request.label, "size": request.size, "skip_bad": request.skip_bad, "seed": int(record.get("seed") or 0)
    }  # fmt: skip
    test = None if request.test is None else _labelled(served.adopt(load(request.test, **options)))
    rows = None
    if request.int8:
        rows = calibration_rows(folder, served, request.calibrate, options, console)
    return _Work(request, folder, record, model, served, test, rows, options, console).carry_out()


def _labelled(test: Domain) -> Domain:
    if not test.labelled.any():
        raise SettingError(f"--test {test.name}: has no label, so nothing can be scored on it; name labelled data")
    return test.select(test.labelled)


def _ask(file: OnnxModel, data: Domain) -> np.ndarray:
    return file.scores(data.x)


@dataclass(frozen=True)
class _Work:
    """An export that is going on."""

    request: Request
    folder: RunFolder
    record: dict[str, Any]
    model: str
    served: Served
    test: Domain | None
    rows: Domain | None
    options: dict[str, Any]
    console: Console

    def carry_out(self) -> dict[str, Any]:
        """Write the files, look at them, and write down what was found."""
        out = self.request.out or self.folder.path / "export"
        self.folder.sweep()
        self._say(f"exporting {self.model} to {out}")
        paths = {FLOAT32: write_onnx(self.served, out / FILES[FLOAT32], None if self.rows is None else self.rows.x)}
        if self.rows is not None:
            paths[INT8] = write_int8(paths[FLOAT32], out / FILES[INT8], self.rows.x)
        else:
            (out / FILES[INT8]).unlink(missing_ok=True)  # one of an earlier export would be taken for this one's
        opened = {name: OnnxModel(path) for name, path in paths.items()}
        self._say("timing one row after another")
        latency = self._latency(opened)
        costs = dataclasses.asdict(count_sizes(self.served.net, torch.from_numpy(noise(self.served, 1))))
        found: dict[str, Any] = {
            "when": now(),
            "model": self.model,
            "versions": versions(),
            "machine": describe_machine(torch.device("cpu")) | {"threads": 1},
            "costs": costs | {"peak_activations": peak_activations(paths[FLOAT32])},
            "files": {
                name: {
                    "path": str(path.relative_to(self.folder.path)) if path.is_relative_to(self.folder.path) else
                    str(path.resolve()),
                    "bytes": path.stat().st_size,
                    "latency": dataclasses.asdict(latency[name]),
                }
                for name, path in paths.items()
            },
            "latency_torch": dataclasses.asdict(latency[TORCH]),
            "has_page": self._answers_pictures(),
            "use": FLOAT32,
            "sentence": self._sentence(),
        }  # fmt: skip
        if self.rows is not None:
            found |= self._judge_int8(opened, paths, latency, self.rows)
        if self.test is not None:
            note_opening(self.folder, self.record, self.test.name)
            found |= self._account(opened, self.test)
        self.record["export"] = found
        self.folder.write(self.record)
        return found

    def _answers_pictures(self) -> bool:
        """Whether a page can show what it answers to pictures: a person sees nothing in features."""
        shape = self.served.shape
        return len(shape) == 3 and shape[0] in (1, 3) and not self.served.net.is_backbone

    def _sentence(self) -> str:
        rows = f"{len(tried_rows(self.served)):,} rows"
        if self.served.net.is_backbone:
            return f"The file gives the network's {self.served.net.width:,} features; they were compared on {rows}."
        return f"The file answers as the network does on {rows}."

    def _say(self, what: str) -> None:
        self.console.print(what, highlight=False)

    def _latency(self, opened: dict[str, OnnxModel]) -> dict[str, Latency]:
        """Time one row at a time, on one thread, all by turns."""
        row = noise(self.served, 1)
        x, threads = torch.from_numpy(row), torch.get_num_threads()
        calls: dict[str, Callable[[], object]] = {n: partial(model.scores, row) for n, model in opened.items()}

        @torch.no_grad()
        def ask() -> torch.Tensor:
            answer: torch.Tensor = self.served.net(x)
            return answer

        torch.set_num_threads(1)
        try:
            with threadpool_limits(1):
                return measure_latency({**calls, TORCH: ask})
        finally:
            torch.set_num_threads(threads)

    def _judge_int8(
        self, opened: dict[str, OnnxModel], paths: dict[str, Path], latency: dict[str, Latency], rows: Domain
    ) -> dict[str, Any]:
        """Say what eight-bit integers gain and lose; they are advised where they are no slower and answer alike."""
        large, small = (opened[name].scores(rows.x) for name in (FLOAT32, INT8))
        smaller = paths[FLOAT32].stat().st_size / paths[INT8].stat().st_size
        times = latency[INT8].median / latency[FLOAT32].median
        pace = f"{times:.2f} times as long" if times > 1 else f"{100 * times:.0f} % of the time"
        text = f"int8 is {smaller:.1f} times smaller and takes {pace}"
        where = f"{rows.size:,} calibration rows ({rows.name})"
        alike, kept, worse = what_is_kept(self.served, large, small)
        text += f"; {kept} {where}"
        faults = [word for word, is_so in (("slower", times > 1), ("worse", worse)) if is_so]
        use = FLOAT32 if faults else INT8
        advice = f"Being {' and '.join(faults)}, it is not advised: use {FILES[FLOAT32]}." if faults else (
            f"Use {FILES[INT8]}."
        )  # fmt: skip
        return {"use": use, "calibration": rows.name, "int8_alike": alike, "sentence": f"{text}. {advice}"}

    def _account(self, opened: dict[str, OnnxModel], test: Domain) -> dict[str, Any]:
        """Ask everything that the run has, and the files, about the test."""
        models: dict[str, Scorer] = {}
        notes: list[str] = []
        if not self.served.tells_numbers and (teacher := self._teacher(notes)) is not None:
            models[TEACHER] = teacher
        floor = str(self.record.get("floor"))
        if floor != self.model and (self.folder.models / f"{floor}.safetensors").is_file():
            beside = read_run(self.folder, floor, self.request.net)
            models[floor] = beside.scores
        models[self.model] = self.served.scores
        for name, file in opened.items():
            models[FILES[name]] = partial(_ask, file)
        self._say(f"scoring {', '.join(models)} on {test.name}")
        if self.served.tells_numbers:
            errors = [
                {"model": name, "mean_absolute_error": mean_absolute_error(score(test)[:, 0], test.y).as_json()}
                for name, score in models.items()
            ]
            return {"account": errors, "account_on": test.name, "account_notes": notes}
        reference = TEACHER if TEACHER in models else self.model
        held_out = self._held_out(notes)
        return {
            "account": account(models, test, reference=reference, held_out=held_out),
            "account_on": test.name,
            "reference": reference,
            "temperature_on": None if held_out is None else f"{held_out.size:,} held-out rows of {held_out.name}",
            "account_notes": notes,
        }

    def _teacher(self, notes: list[str]) -> Scorer | None:
        """The teacher of a distillation, if it is still where it was."""
        asked = self.record.get("request") or {}
        if self.record.get("room") != "distill":
            return None
        if any(is_code(word.strip()) for word in str(asked.get("teacher")).split(",")):
            notes.append("the teacher is code of your own, and is not run by what a file says; it is left out")
            return None
        try:
            teacher = read_teacher(str(asked["teacher"]), told(Distillation(**asked)))
            if teacher.fingerprint() != self.record["data"]["teacher"]["fingerprint"]:
                raise SettingError("it has changed since")
        except (JuyiError, TypeError) as error:  # a record that was changed may hold other words
            notes.append(f"the teacher is left out: {error}")
            return None
        return lambda data: compute_rows(teacher.scores, Rows(data, torch.device("cpu"))).cpu().numpy()

    def _held_out(self, notes: list[str]) -> Domain | None:
        """The labelled rows that the run held out, if its data are still what they were."""
        asked, seed = self.record.get("request") or {}, int(self.record.get("seed") or 0)
        role = "data" if self.record.get("room") == "distill" else "source"
        name = asked.get(role)
        if not name or role not in (self.record.get("data") or {}):
            notes.append("the run has no labelled rows of its own, so no temperature is fitted")
            return None
        try:
            whole = load(name, label=asked.get("label"), size=asked.get("size"), skip_bad=bool(asked.get("skip_bad")),
                         seed=seed)  # fmt: skip
            whole = self.served.adopt(whole)
            if whole.fingerprint() != self.record["data"][role]["fingerprint"]:
                raise SettingError("they have changed since")
            held = part(whole, seed)[1] if role == "data" else hold_out(whole, seed=seed)[1]
            if held is None or not held.labelled.any():
                raise SettingError("no labelled row was held out")
        except InputError as error:
            notes.append(f"no temperature is fitted on the run's own data, {name}: {error}")
            return None
        return held.select(held.labelled)
