"""The run folder: everything that one run gives, in files that any program can read and none has to trust."""

from __future__ import annotations

import itertools
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from juyi.errors import DataChangedError, RunFolderError, SettingError, WriteError, nearest
from juyi.runs.files import read_json, write_json

SCHEMA = 1


class RunFolder:
    """A folder with one run in it.

    run.json            command, method, hyperparameters, data, versions, results, verdict
    log.jsonl           a line an epoch
    models/NAME.safetensors + NAME.json
    predictions.csv     of every model, on the target
    settle/             rows asked to be labelled, their pictures, and labels that were given (`juyi settle`)
    records/            per epoch: logits on source validation and target, for choosing
    figures/*.json      what the pictures show
    report.html         the page
    progress.html       of a personalisation: how it goes on, with progress.json and participation.jsonl
    checkpoint/         to resume from; removed when the run is finished
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.log = self.path / "log.jsonl"
        self.models = self.path / "models"
        self.predictions = self.path / "predictions.csv"
        self.records = self.path / "records"
        self.figures = self.path / "figures"
        self.report = self.path / "report.html"
        self.checkpoint = self.path / "checkpoint"
        self.settle = self.path / "settle"

    @classmethod
    def create(cls, path: Path | str | None, method: str, *, overwrite: bool = False) -> RunFolder:
        """Make a new run folder: `path`, or the first free `runs/METHOD-N`.

        Raises:
            RunFolderError: the folder holds a run already (without `overwrite`), or something that is no run.
            WriteError: the folder cannot be made.
        """
        if path is None:
            return cls(_first_free(Path("runs"), method))
        path = Path(path)
        if path.exists() and not path.is_dir():
            raise RunFolderError(f"{path}: is a file; name a folder with --out")
        if path.is_dir() and any(path.iterdir()):
            if not (path / "run.json").is_file():
                raise RunFolderError(f"{path}: holds files that are not a run; name another folder with --out")
            if not overwrite:
                raise RunFolderError(
                    f"{path}: holds a run already; add --overwrite to replace it, or name another --out"
                )
            cls.open(path)  # only a run of Juyi's own is replaced
            for part in ("models", "records", "figures", "checkpoint"):
                shutil.rmtree(path / part, ignore_errors=True)
            for part in ("log.jsonl", "predictions.csv", "report.html", "run.json"):
                (path / part).unlink(missing_ok=True)
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WriteError(f"{path}: cannot be made ({error.strerror}); name another folder with --out") from error
        return cls(path)

    @classmethod
    def open(cls, path: Path | str) -> RunFolder:
        """Open a run folder that is there.

        Raises:
            RunFolderError: there is none, or it was written by a newer Juyi.
        """
        path = Path(path)
        if not (path / "run.json").is_file():
            why = "there is no such folder" if not path.is_dir() else "holds no run.json, so it is not a run"
            raise RunFolderError(f"{path}: {why}; name the folder that `juyi adapt` or `juyi train` wrote")
        folder = cls(path)
        schema = folder.read().get("schema")
        if not isinstance(schema, int):
            raise RunFolderError(f"{path / 'run.json'}: was not written by Juyi; name another folder")
        if schema != SCHEMA:
            raise RunFolderError(f"{path}: was written with schema {schema}, this Juyi reads {SCHEMA}; update Juyi")
        return folder

    def sweep(self) -> None:
        """Remove what a killed process had written beside its place and could not put there any more."""
        for left in self.path.rglob(".*.tmp"):
            left.unlink(missing_ok=True)

    def read(self) -> dict[str, Any]:
        """Read run.json."""
        content = read_json(self.path / "run.json")
        if not isinstance(content, dict):
            raise RunFolderError(f"{self.path / 'run.json'}: is not a run's record")
        return content

    def find_model(self, asked: str | None = None) -> str:
        """Return the name of the model that is asked for, or of the one that serves.

        Raises:
            RunFolderError: the run is not finished, or made no model.
            SettingError: it has no such model.
        """
        there = sorted(path.stem for path in self.models.glob("*.safetensors"))
        if asked is None:
            record = self.read()
            if record.get("status") == "finished" and not there:
                raise RunFolderError(
                    f"{self.path}: made perturbations and no model; name its teacher, or a run that has a student"
                )
            if record.get("serves") is None:
                raise RunFolderError(f"{self.path}: is not finished; first: juyi resume {self.path}")
            return str(record["serves"])
        if asked not in there:
            known = nearest(asked, there) if there else f"first: juyi resume {self.path}"
            raise SettingError(f"--model {asked}: {self.path} has no such model; {known}")
        return asked

    def read_finished(self) -> dict[str, Any]:
        """Read run.json of a run that is finished.

        Raises:
            RunFolderError: it is not.
        """
        record = self.read()
        if record.get("status") != "finished":
            raise RunFolderError(
                f"{self.path}: is not finished ({record.get('status')}); first: juyi resume {self.path}"
            )
        return record

    def read_unfinished(self) -> dict[str, Any]:
        """Read run.json of a run that can go on.

        Raises:
            RunFolderError: it is finished.
        """
        record = self.read()
        if record.get("status") == "finished":
            raise RunFolderError(f"{self.path}: is finished; there is nothing to resume")
        return record

    @contextmanager
    def resuming_from_record(self) -> Iterator[None]:
        """Say in one line that run.json is damaged if what it should hold cannot be made of it."""
        try:
            yield
        except (AttributeError, KeyError, TypeError, ValueError, RuntimeError) as error:
            raise RunFolderError(
                f"{self.path / 'run.json'}: cannot be resumed from ({error!r}); start a new run"
            ) from error

    def check_unchanged(self, began_with: Mapping[str, str], data: Mapping[str, Mapping[str, Any]]) -> None:
        """Hold the data that are there now against the fingerprints that a run began with, by role.

        Raises:
            DataChangedError: one differs.
        """
        for role, entry in data.items():
            if entry["fingerprint"] != began_with.get(role):
                raise DataChangedError(
                    f"{entry['name']}: has changed since the run in {self.path} began (its fingerprint is "
                    f"{entry['fingerprint']}, not {began_with.get(role)}); restore it, or start a new run"
                )

    def write(self, content: dict[str, Any]) -> None:
        """Write run.json, in one piece."""
        write_json(self.path / "run.json", {"schema": SCHEMA, **content})


def tells_numbers(record: Mapping[str, Any]) -> bool:
    """Whether the models of a run tell numbers, in `unit`, and no classes."""
    return record.get("classes") is None and "unit" in record


def refuse_numbers(record: Mapping[str, Any], run: RunFolder, what: str) -> None:
    """Raise a `RunFolderError` if the models of a run tell numbers, which `what` cannot make use of."""
    if tells_numbers(record):
        raise RunFolderError(
            f"{run.path}: its models tell numbers, and {what} is for classes; juyi report and juyi predict show it"
        )


def labels_seen(record: dict[str, Any]) -> int:
    """How many target labels the model of a run has seen, in that run or in those that it began with."""
    counts = record.get("target_labels") or {}
    return int(counts.get("given") or 0) + int(counts.get("given_to_start") or 0)


def fingerprints_in(record: Mapping[str, Any]) -> dict[str, str]:
    """The fingerprint of the data in each role, as a record holds them."""
    return {role: str(entry["fingerprint"]) for role, entry in record["data"].items()}


def _first_free(parent: Path, method: str) -> Path:
    """Make `METHOD-N` after the last one; of two runs that start at the same moment, each gets its own."""
    taken = [int(m[1]) for p in parent.glob(f"{method}-*") if (m := re.fullmatch(r".*-(\d+)", p.name))]
    for number in itertools.count(max(taken, default=0) + 1):
        path = parent / f"{method}-{number}"
        try:
            path.mkdir(parents=True)
            return path
        except FileExistsError:
            continue
        except OSError as error:
            raise WriteError(f"{path}: cannot be made ({error.strerror}); name another folder with --out") from error
    raise AssertionError("numbers have no end")
