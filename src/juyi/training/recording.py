"""What every run writes while it goes on, whatever its room: its record, its log, its checkpoints."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
from rich.console import Console

from juyi.errors import JuyiError
from juyi.runs import RunFolder, fingerprints_in
from juyi.training.checkpoint import Checkpoint
from juyi.training.hyperparameters import Method, check_known, command_name, declared
from juyi.training.learn import Silent, Watcher
from juyi.training.learner import Learner
from juyi.training.machine import describe_machine, now, peak_memory, versions
from juyi.training.precision import choose_device
from juyi.training.processes import Processes, take_from_first
from juyi.training.stage_run import StageRun
from juyi.training.watchers import Bar, Log, Together

M = TypeVar("M", bound=Learner)
R = TypeVar("R")


def announce(record: dict[str, Any], folder: RunFolder, console: Console) -> None:
    """Say what a run works on, what was done to the data, and where it writes."""
    for role, entry in record["data"].items():
        if not entry["rows"]:  # a model in the place of data
            size = f", {entry['parameters']:,} parameters" if "parameters" in entry else ""
            console.print(f"{role} {entry['name']}: a model of {'×'.join(map(str, entry['shape']))} inputs{size}")
            continue
        kind = "images" if len(entry["shape"]) == 3 else "rows"
        shape = "×".join(map(str, entry["shape"])) + (" features" if kind == "rows" else "")
        known = f"{entry['labelled']:,} labels read" if entry["labelled"] else "no labels read"
        console.print(f"{role} {entry['name']}: {entry['rows']:,} {kind}, {shape}, {known}")
    for note in record["notes"]:
        console.print(f"note: {note}")
    console.print(f"run folder: {folder.path}")


def model_entry(
    name: str, fingerprint: str, shape: Sequence[int], parameters: int, notes: Sequence[str]
) -> dict[str, Any]:
    """What run.json holds under `data` of a model that stands in the place of data."""
    return {
        "name": name,
        "fingerprint": fingerprint,
        "rows": 0,
        "labelled": 0,
        "shape": list(shape),
        "parameters": parameters,
        "notes": list(notes),
    }


def new_folder(
    record: dict[str, Any], out: Path | str | None, overwrite: bool, processes: Processes, console: Console
) -> RunFolder:
    """Make the folder of a run, the same for all processes; the first writes the record and says what it works on.

    Args:
        record: what run.json holds before the first step.
        out: the folder; None takes the first free `runs/METHOD-N`.
        overwrite: replace a run that is there.
        processes: those that work together.
        console: where it is said.
    """
    if processes.is_first:
        out = RunFolder.create(out, record["method"], overwrite=overwrite).path
    folder = RunFolder(Path(take_from_first(str(out), processes)))
    if processes.is_first:
        folder.write(record)
        announce(record, folder, console)
    return folder


def begun_with(record: dict[str, Any], methods: Mapping[str, type[M]]) -> M:
    """Return the method with which a run began, unfitted, and set the number of threads that it had.

    To be called within `RunFolder.resuming_from_record`.
    """
    kind = methods[record["method"]]
    check_known(kind, record["hyperparameters"])
    method = kind(**record["hyperparameters"])
    threads, precision = int(record["machine"]["threads"]), record["machine"].get("precision")
    torch.set_num_threads(threads)
    if precision:
        method.precision = precision
    return method


def read_begun(
    folder: RunFolder, methods: Mapping[str, type[M]], request: type[R]
) -> tuple[dict[str, Any], M, R, dict[str, str]]:
    """Read what an unfinished run began with: its record, its method, its request, and its data's fingerprints.

    Raises:
        RunFolderError: the run is finished, or its record cannot be made use of.
    """
    record = folder.read_unfinished()
    with folder.resuming_from_record():
        return record, begun_with(record, methods), request(**record["request"]), fingerprints_in(record)


def mark_running(folder: RunFolder, record: dict[str, Any], processes: Processes) -> None:
    """Write down that a run goes on, and sweep up what its killed process left."""
    record["status"] = "running"
    record.pop("error", None)
    if processes.is_first:
        folder.sweep()
        folder.write(record)


def note_opening(folder: RunFolder, record: dict[str, Any], data: str) -> None:
    """Write down that a test is opened: before it is, so that no opening goes unrecorded."""
    record["openings"].append({"data": data, "when": now()})
    folder.write(record)


def mark_finished(folder: RunFolder, record: dict[str, Any]) -> None:
    """Write down that a run is finished, and remove what it could have been resumed from."""
    record.update(status="finished", finished=now(), peak_memory=peak_memory())
    folder.write(record)
    shutil.rmtree(folder.checkpoint, ignore_errors=True)


@contextmanager
def naming(folder: RunFolder) -> Iterator[None]:
    """Let an interruption name the folder: whoever shows it can say from where the run goes on."""
    try:
        yield
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt(str(folder.path)) from stop


def method_facts(method: Learner) -> dict[str, Any]:
    """What run.json holds of a method that is about to learn, and of the machine."""
    return {
        "method": command_name(type(method)),
        "hyperparameters": settings_of(method),
        "seed": method.random_state,
        "versions": versions(),
        "machine": describe_machine(choose_device(method.device)),
        "status": "running",
        "started": now(),
        "seconds": {},
        "openings": [],
        "results": [],
    }


def settings_of(method: Method) -> dict[str, Any]:
    """Every setting of a method, as JSON has it."""
    return {name: _plain(getattr(method, name)) for name in declared(type(method))}


def _plain(value: Any) -> Any:
    """Give a hyperparameter as JSON has it; a network of one's own by the name of its class."""
    return value if isinstance(value, str | int | float | None) else type(value).__name__


class Remember(Silent):
    """Writes into run.json, before the first step, in which number type the run computes."""

    def __init__(self, folder: RunFolder, record: dict[str, Any], console: Console) -> None:
        self.folder, self.record, self.console = folder, record, console

    def stage_begins(self, run: StageRun) -> None:
        """Write it, once."""
        precision = str(run.settings.dtype).removeprefix("torch.")
        if self.record["machine"].get("precision") != precision:
            self.record["machine"]["precision"] = precision
            self.folder.write(self.record)
            self.console.print(
                f"computing in {precision} on {run.settings.device}, {torch.get_num_threads()} threads", highlight=False
            )


def learn_recorded(
    folder: RunFolder,
    record: dict[str, Any],
    model: str,
    learn: Callable[[Watcher, Checkpoint], Method],
    console: Console,
    watchers: Sequence[Watcher] = (),
    at_every_step: bool = False,
) -> None:
    """Let a model learn, watched and stored; write down how long it took, what it remarks, or why it failed.

    Args:
        folder: the run.
        record: what run.json holds.
        model: what it is called.
        learn: lets it learn under a watcher, with a checkpoint, and returns the method.
        console: where progress is shown.
        watchers: who looks on besides.
        at_every_step: store after each step, and not every now and then.
    """
    log, bar = Log(folder.log, model), Bar(console, model)
    watcher = Together([Remember(folder, record, console), log, *watchers, bar])
    place = folder.checkpoint / model
    try:
        method = learn(watcher, Checkpoint(place, every=0.0) if at_every_step else Checkpoint(place))
    except JuyiError as error:
        record.update(status="failed", error=str(error))
        folder.write(record)
        raise
    finally:
        bar.close()
    record["seconds"][model] = round(log.seconds, 2)
    remarks: tuple[str, ...] = getattr(method, "remarks_", ())
    for remark in remarks:
        console.print(f"{model}: {remark}", highlight=False)
    notes = record["notes"]  # which a resumed run may hold already
    notes += [told for remark in remarks if (told := f"{model}: {remark}") not in notes]
