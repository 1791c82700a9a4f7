"""`juyi predict RUN DATA`: what the model of a run says of new data."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from cyclopts import App

from juyi.adapt.unknown import threshold_of
from juyi.cli import options
from juyi.cli.compare import printable
from juyi.data import UNKNOWN, Domain, conform, load
from juyi.data.doors import check_order
from juyi.errors import ForeignFileError, SettingError, nearest
from juyi.measure import certainty
from juyi.portable import OnnxModel
from juyi.report.clients import file_of, read_clients, whose
from juyi.report.page import read_figure
from juyi.runs import RunFolder
from juyi.runs.files import write_text
from juyi.training import read_run, softmax


def register(app: App, arguments: Sequence[str]) -> None:
    """Add the verb."""

    def predict(**given: Any) -> None:
        """Predict the class, or the number, of every row of DATA with the model that serves in RUN, or an ONNX file.

        Prints a table (name, prediction, confidence), or writes it with --out; numbers have no confidence.  With
        --unknown, rows of which the model is not certain enough are answered "unknown"; the confidence is that of the
        class they would have had.
        """
        if given["out"] and given["out"].is_dir():
            raise SettingError(f"--out {given['out']}: is a folder; name a file, such as {given['out'] / 'new.csv'}")
        rate = given["wrong_rejections"]
        if not 0 < rate < 1:
            raise SettingError(f"--wrong-rejections {rate:g}: is a share between 0 and 1; 0.05 is usual")
        asked = _of_file(given) if given["run"].lower().endswith(".onnx") else _of_run(given)
        data = load(given["data"], label=given["label"], size=given["size"], skip_bad=given["skip_bad"])
        check_order(data, asked.columns, "the model")
        data = conform(data, asked.shape)
        for note in data.notes:
            print(f"note: {data.name}: {note}", file=sys.stderr)
        scores = asked.scores(data)
        if not np.isfinite(scores).all():
            raise ForeignFileError(
                f"{asked.where}: the model's weights give scores that are no numbers, so they are damaged; "
                "train it again, or restore them"
            )
        rows = _numbers(data, scores) if asked.classes is None else _classes(data, scores, asked)
        text = io.StringIO()
        table = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
        if given["out"]:
            write_text(given["out"], text.getvalue())
            print(f"{len(rows):,} predictions: {given['out']}", file=sys.stderr)
        if given["json"]:
            options.print_json({"predictions": rows})
        elif not given["out"]:
            print(text.getvalue(), end="")

    parameters = [
        options.argument("run", "the folder of a finished run, or a file that juyi export wrote (.onnx)"),
        options.argument("data", "a folder, a file, or NAME@SPLIT"),
        options.option(
            "model", str | None, None, "another model of the run, such as source_only, or a client by its name"
        ),
        options.option("net", str | None, None, "module:factory, if the run's network is one of your own"),
        options.option("unknown", bool, False, 'answer "unknown" where the model is not certain of any class'),
        options.option(
            "wrong_rejections", float, 0.05, "share of the source's held-out rows that --unknown may reject wrongly"
        ),
        options.option("out", Path | None, None, "write a CSV file instead of printing"),
        *options.data_options(),
        *options.show_options("print the predictions as JSON"),
    ]
    options.register(app, arguments, "predict", predict, parameters)


@dataclass(frozen=True)
class _Asked:
    """What is asked: from rows to scores, and what rows and scores are."""

    where: str
    shape: tuple[int, ...]
    columns: tuple[str, ...]
    classes: Sequence[str] | None
    scores: Callable[[Domain], np.ndarray]
    threshold: float = -np.inf


def _of_run(given: dict[str, Any]) -> _Asked:
    folder = RunFolder.open(given["run"])
    model = _model_of(folder, given)
    served = read_run(folder, model, given["net"])
    served.check_classifier(str(folder.path))
    threshold = -np.inf
    if given["unknown"] and served.tells_numbers:
        raise SettingError(f"--unknown: is for classes, but {folder.path} tells numbers; leave it out")
    if given["unknown"]:
        threshold = threshold_of(folder, model, given["wrong_rejections"])
    classes = None if served.tells_numbers else [str(label) for label in served.classes]
    return _Asked(str(folder.models), served.shape, served.columns, classes, served.scores, threshold)


def _model_of(folder: RunFolder, given: dict[str, Any]) -> str:
    """Find the model that is asked for; of a run with a model for each client, by the client's own name as well."""
    clients = read_clients(read_figure(folder, "clients")) if folder.read().get("room") == "personalize" else []
    asked = file_of(clients, given["model"])
    if not clients:
        return folder.find_model(asked)
    if given["unknown"]:
        raise SettingError(
            f"--unknown: goes by held-out rows that a run keeps, and {folder.path} keeps none of its clients' rows; "
            "leave it out"
        )
    names = [client.name for client in clients]
    if asked is not None and asked not in {path.stem for path in folder.models.glob("*.safetensors")}:
        if asked in names:
            raise SettingError(f"--model {asked}: {folder.path} has several clients of this name; name one by its file")
        known = nearest(asked, names)
        raise SettingError(f"--model {asked}: {folder.path} has no such model, and no client of this name; {known}")
    model = folder.find_model(asked)
    print(f"note: {printable(whose(clients, model))}", file=sys.stderr)
    return model


def _of_file(given: dict[str, Any]) -> _Asked:
    path = given["run"]
    for option in ("model", "net", "unknown"):
        if given[option]:
            raise SettingError(f"--{option}: is for runs, and {path} is one model without its run; leave it out")
    file = OnnxModel(path)
    file.check_classifier(path)
    shape = tuple(length for length in file.shape if length is not None)
    if len(shape) < len(file.shape):
        raise SettingError(f"{path}: does not say what size its rows have; export it with one")
    classes: Sequence[str] | None = file.classes
    if classes is None and not file.tells_numbers:
        zeros = np.zeros((1, *shape), file.kind)
        classes = [str(code) for code in range(file.scores(zeros).shape[1])]
        print(f"note: {path}: does not name its classes; they are numbered from 0", file=sys.stderr)
    return _Asked(path, shape, file.columns, classes, lambda data: file.scores(data.x))


def _classes(data: Domain, scores: np.ndarray, asked: _Asked) -> list[dict[str, Any]]:
    """For each row its name, the class (or that it is unknown), and how sure the model is of it."""
    rejected = certainty(scores) < asked.threshold
    classes = asked.classes or ()
    return [
        {
            "name": data.row_name(row),
            "prediction": UNKNOWN if rejected[row] else classes[p.argmax()],
            "confidence": round(float(p.max()), 4),
        }
        for row, p in enumerate(softmax(scores))
    ]


def _numbers(data: Domain, scores: np.ndarray) -> list[dict[str, Any]]:
    """For each row its name and the number, to seven digits."""
    return [{"name": data.row_name(row), "prediction": float(f"{z:.7g}")} for row, z in enumerate(scores[:, 0])]
