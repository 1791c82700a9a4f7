"""What a person asks of an online run: a finished run, a stream, perhaps labels for the end; found and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from juyi.adapt.online.guard import TOO_FEW
from juyi.data import load, withhold_labels
from juyi.data.domain import Domain, data_entries
from juyi.data.targets import load_target
from juyi.errors import DataError, ForeignFileError, RunFolderError
from juyi.runs import RunFolder, refuse_numbers
from juyi.runs.files import read_json, read_tensors
from juyi.training import Served


@dataclass(frozen=True)
class Request:
    """What a person asks for, in words that fit into run.json.

    Args:
        run: the folder of the finished run at whose model the stream begins.
        online: the name of the stream; its rows come in the order in which they are read.
        test: the name of labelled data, scored once, at the end; None for none.  Where its rows are those of the
            stream, the answers that were given as the stream passed are scored, else the model as it is after it.
        label: the label's column, in tables.
        size: bring all images to this many pixels square.
        skip_bad: leave out images that cannot be read.
        net: `module:factory`, if the run's network is one of one's own.
        command: the command line, to be printed in the report.
    """

    run: str
    online: str
    test: str | None = None
    label: str | None = None
    size: int | None = None
    skip_bad: bool = False
    net: str | None = None
    command: str = ""


@dataclass(frozen=True)
class Given:
    """The data of a request, in the model's shape and classes; the stream's labels are erased."""

    stream: Domain
    test: Domain | None
    test_is_stream: bool

    def described(self) -> dict[str, dict[str, Any]]:
        """What run.json says of the data."""
        return data_entries({"target": self.stream, "test": self.test})


def find_start(request: Request) -> tuple[RunFolder, str]:
    """Open the run to begin at, and name its model.

    Raises:
        RunFolderError: there is no such run, or it is not finished.
    """
    folder = RunFolder.open(request.run)
    record = folder.read_finished()
    refuse_numbers(record, folder, "following a stream")
    serves = record.get("serves")
    if not serves:
        raise RunFolderError(
            f"{folder.path / 'run.json'}: names no model that serves, so it is damaged; name another run"
        )
    return folder, str(serves)


def prepare(request: Request, start: Served, seed: int) -> Given:
    """Load the stream, in order and without its labels, and the test.

    Raises:
        DataError: data cannot be read or do not fit the model, or there are too few for a batch.
    """
    options: dict[str, Any] = {"label": request.label, "skip_bad": request.skip_bad, "seed": seed, "size": request.size}
    stream = start.adopt(withhold_labels(load_target(request.online, options)))
    if stream.size < TOO_FEW:
        what = f"{stream.size} {'image' if stream.is_images else 'row'}{'s' * (stream.size > 1)}"
        raise DataError(
            f"{stream.name}: has {what}, but an online method answers batches of at least {TOO_FEW}; collect more, or "
            f"use the model as it is: juyi predict {request.run} {request.online}"
        )
    test = None if request.test is None else start.adopt(load(request.test, **options))
    if test is not None and not test.labelled.any():
        raise DataError(f"{test.name}: has no labels, so nothing can be scored on it; give labelled data as --test")
    same = test is not None and test.x.shape == stream.x.shape and np.array_equal(test.x, stream.x)
    return Given(stream, test, same)


def expected_shares(folder: RunFolder, model: str, classes: int) -> tuple[np.ndarray, str]:
    """Find how frequent each class is in the source of a run, from what its folder holds.

    Returns:
        C shares, and where they are from: an earlier online run, the labels of the source, what the model says of
        held-out rows of it, or nowhere (all alike).
    """
    for find in (_from_online, _from_labels, _from_records):
        shares, where = find(folder, model)
        if shares is not None and shares.shape == (classes,) and np.isfinite(shares).all() and shares.sum() > 0:
            return shares / shares.sum(), where
    return np.full(classes, 1 / classes), "nothing: the run does not tell, so all classes count alike"


def _from_online(folder: RunFolder, model: str) -> tuple[np.ndarray | None, str]:
    online = folder.read().get("online")
    found = online.get("class_shares") if isinstance(online, Mapping) else None
    return _numbers(found), "the run that it began at"


def _from_labels(folder: RunFolder, model: str) -> tuple[np.ndarray | None, str]:
    try:
        figure = read_json(folder.figures / "class_balance.json")
    except ForeignFileError:
        return None, ""
    return _numbers(figure.get("source") if isinstance(figure, dict) else None), "labels of the source"


def _from_records(folder: RunFolder, model: str) -> tuple[np.ndarray | None, str]:
    files = sorted(folder.records.glob(f"{model}-*.safetensors"), key=lambda path: _place(path, model))
    try:
        logits = read_tensors(files[-1])[0]["source"].float() if files else None
    except (ForeignFileError, KeyError):
        return None, ""
    return None if logits is None else logits.softmax(1).mean(0).double().numpy(), "its answers on held-out source"


def _place(path: Path, model: str) -> list[int]:
    """Stage and epoch, from the name of a record."""
    return [int(part) for part in path.stem.removeprefix(f"{model}-").split("-") if part.isdigit()]


def _numbers(values: Any) -> np.ndarray | None:
    try:
        return None if values is None else np.asarray(values, float)
    except (TypeError, ValueError):
        return None
