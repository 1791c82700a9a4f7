"""A whole online run: from a finished run and the name of a stream to a run folder."""

from __future__ import annotations

import dataclasses
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console

from juyi.adapt.online.base import Answer, OnlineAdapter
from juyi.adapt.online.guard import cut
from juyi.adapt.online.outcome import Outcome
from juyi.adapt.online.progress import Progress
from juyi.adapt.online.request import Given, Request, expected_shares, find_start, prepare
from juyi.adapt.outcome import FLOOR
from juyi.data.domain import notes_of
from juyi.errors import RunFolderError, SettingError, WriteError
from juyi.runs import RunFolder, fingerprints_in, labels_seen
from juyi.runs.files import read_json, write_json, write_tensors
from juyi.training import (
    Served,
    check_known,
    choose_device,
    command_name,
    declared,
    given_again,
    join_processes,
    read_run,
)
from juyi.training.machine import describe_machine, now, peak_memory, versions


def run(
    request: Request,
    method: OnlineAdapter,
    *,
    out: Path | str | None = None,
    overwrite: bool = False,
    console: Console | None = None,
) -> RunFolder:
    """Follow a stream from the model of a finished run, in a new run folder.

    The model that is not adapted answers every batch as well, so that the two can be compared.

    Args:
        request: the run, the stream and the test.
        method: an online method that was not started.
        out: the folder; None takes the first free `runs/METHOD-N`.
        overwrite: replace a run that is there.
        console: where to show progress; None shows nothing.

    Raises:
        DataError, SettingError, RunFolderError, ForeignFileError: the input is wrong; nothing was written.
        WriteError: the work failed.
    """
    method.check_hyperparameters()
    method.check_batch()
    if join_processes().count > 1:
        raise SettingError("--online: a stream is followed by one process, in order; start it without torchrun")
    source, model = find_start(request)
    start = read_run(source, model, request.net)
    given = prepare(request, start, method.random_state)
    shares, whence = expected_shares(source, model, len(start.classes))
    method.start(start, class_shares=shares.tolist())
    if out is not None and Path(out).resolve() == source.path.resolve():
        raise RunFolderError(f"{out}: is the run to begin at; name another folder with --out")
    name = command_name(type(method))
    folder = RunFolder.create(out, name, overwrite=overwrite)
    online = {"run": str(source.path), "model": model, "class_shares": shares.tolist(), "class_shares_from": whence}
    record = _first_record(request, method, name, given, online, source)
    # The start goes along first: whatever happens to its run, this one can be resumed and compared.
    _write_model(folder, FLOOR, start, read_json(source.models / f"{model}.json"))
    folder.write(record)
    return _Work(folder, record, given, method, console or Console(quiet=True)).carry_out()


def resume(
    folder: RunFolder,
    *,
    console: Console | None = None,
    methods: dict[str, type[OnlineAdapter]],
    net: str | None = None,
) -> RunFolder:
    """Follow the stream of a run that was killed anew from its beginning; it ends with the bits that it would have had.

    A stream takes minutes, and a batch is a pure function of the start and the batches before it, so nothing is kept
    to go on from.  `net` is the network, if it is one of your own and its record does not name it.

    Raises:
        RunFolderError: the run is finished, or its record is damaged.
        DataChangedError: the data are no longer those that the run began with.
    """
    record = folder.read_unfinished()
    with folder.resuming_from_record():
        kind = methods[record["method"]]
        check_known(kind, record["hyperparameters"])
        method = kind(**record["hyperparameters"])
        request = Request(**record["request"])
        shares = [float(share) for share in record["online"]["class_shares"]]
        began_with = fingerprints_in(record)
        torch.set_num_threads(int(record["machine"]["threads"]))
    start = read_run(folder, FLOOR, None if request.net is None else given_again(folder, request.net, net))
    given = prepare(request, start, method.random_state)
    folder.check_unchanged(began_with, given.described())
    method.start(start, class_shares=shares)
    folder.sweep()
    record["status"] = "running"
    record.pop("error", None)
    folder.write(record)
    return _Work(folder, record, given, method, console or Console(quiet=True)).carry_out()


def _first_record(
    request: Request, method: OnlineAdapter, name: str, given: Given, online: dict[str, Any], source: RunFolder
) -> dict[str, Any]:
    """What run.json holds before the first batch."""
    data = given.described()
    began = (source.read().get("data") or {}).get("source")
    return {
        "command": request.command,
        "request": dataclasses.asdict(request),
        "room": "adapt",
        "method": name,
        "hyperparameters": {field: getattr(method, field) for field in declared(type(method))},
        "seed": method.random_state,
        "data": {**({"source": began} if isinstance(began, dict) else {}), **data},
        "target_labels": {"given": 0, "given_to_start": labels_seen(source.read())},
        "classes": [str(label) for label in method.classes_],
        "online": {**online, "batches": len(cut(given.stream.size, method.batch))},
        "versions": versions(),
        "machine": {**describe_machine(choose_device(method.device)), "precision": "float32"},
        "status": "running",
        "started": now(),
        "seconds": {},
        "openings": [],
        "results": [],
        "notes": notes_of(data),
    }


def _write_model(folder: RunFolder, name: str, served: Served, description: dict[str, Any]) -> None:
    """Write a model under the description of the one that the run began at: network, shape, classes and layers stay."""
    write_tensors(folder.models / f"{name}.safetensors", served.net.state_dict(), {"model": name})
    write_json(folder.models / f"{name}.json", description)


@dataclass(frozen=True)
class _Work:
    """An online run that is going on."""

    folder: RunFolder
    record: dict[str, Any]
    given: Given
    method: OnlineAdapter
    console: Console

    def carry_out(self) -> RunFolder:
        """Follow the stream, then look at what was answered."""
        self._announce()
        try:
            answers = self._follow()
        except KeyboardInterrupt as stop:
            raise KeyboardInterrupt(str(self.folder.path)) from stop
        self._finish(answers)
        return self.folder

    def _announce(self) -> None:
        online, stream = self.record["online"], self.given.stream
        kind = "images" if stream.is_images else "rows"
        self.console.print(f"start {online['run']}: model {online['model']}")
        self.console.print(
            f"stream {stream.name}: {stream.size:,} {kind} in order, {online['batches']:,} batches, no labels read"
        )
        for note in self.record["notes"]:
            self.console.print(f"note: {note}")
        self.console.print(f"run folder: {self.folder.path}")

    def _follow(self) -> list[Answer]:
        """Answer batch by batch; a line of the log each."""
        progress = Progress(self.console, self.record["method"], self.record["online"]["batches"])
        began, answers, said = time.monotonic(), [], 0
        try:
            self.folder.log.unlink(missing_ok=True)
            with self.folder.log.open("w", encoding="utf-8") as log:
                for answer in self.method.follow(self.given.stream):
                    answers.append(answer)
                    log.write(json.dumps({"model": self.record["method"], **answer.facts}) + "\n")
                    log.flush()
                    progress.show(answer.facts, self.method)
                    for warning in self.method.warnings_[said:]:
                        progress.say(f"warning: {warning}")
                    said = len(self.method.warnings_)
        except OSError as error:
            raise WriteError(
                f"{self.folder.log}: cannot be written ({error.strerror}); free some space, then juyi resume"
            ) from error
        finally:
            progress.close()
        self.record["seconds"][self.record["method"]] = round(time.monotonic() - began, 2)
        return answers

    def _finish(self, answers: list[Answer]) -> None:
        record, method = self.record, self.method
        served = method.served()
        _write_model(self.folder, record["method"], served, read_json(self.folder.models / f"{FLOOR}.json"))
        record["serves"] = record["method"]
        net = served.net
        record["network"] = {"name": net.name, "parameters": sum(p.numel() for p in net.parameters())}
        record["online"] |= {
            "held_back": method.held_back_,
            "held_back_rows": sum(answer.facts["rows"] for answer in answers if answer.facts["held_back"]),
            "resets": method.resets_,
            "learnt_from": round(float(np.average([a.facts["used"] for a in answers], weights=_rows(answers))), 4),
        }
        Outcome(self.folder, record, method.start_, served, list(method.warnings_)).write(answers, self.given)
        record.update(status="finished", finished=now(), peak_memory=peak_memory())
        self.folder.write(record)


def _rows(answers: list[Answer]) -> list[int]:
    return [answer.facts["rows"] for answer in answers]
