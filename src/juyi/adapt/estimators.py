"""A whole run of a method that holds no network: from names of data to a folder with answers and a record."""

from __future__ import annotations

import csv
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol, cast

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from juyi.adapt import arriving, forests, heterogeneous
from juyi.adapt.settle_files import write_table
from juyi.data import load
from juyi.data.classes import adopt_classes
from juyi.data.domain import Domain
from juyi.data.doors import check_order, check_test, follow
from juyi.data.targets import give_labels, load_target, withhold
from juyi.errors import DataError, RunFolderError, SettingError
from juyi.measure.intervals import share
from juyi.measure.verdict import verdict_from_test, verdict_without_labels
from juyi.measure.verdict_numbers import (
    material_margin,
    mean_absolute_error,
    verdict_from_numbers,
    verdict_without_numbers,
)
from juyi.runs.files import write_json
from juyi.training import Method, command_name, declared

RECORD, PREDICTIONS = "answers.json", "predictions.csv"
BATCH = 100
"""Rows that arrive together."""
METHODS: dict[str, type[Method]] = {**heterogeneous.METHODS, **forests.METHODS, **arriving.METHODS}
"""Every method that is run like this, by its name."""


class Answers(Protocol):
    """What tells something of rows."""

    def predict(self, X: Any) -> np.ndarray:
        """Return the class of each row, or the number."""


@dataclass(frozen=True)
class Request:
    """What a person asks for.

    Args:
        source: the name of the labelled data; for `transfer_forest` a file of skops as well.
        target: the name of the data of the other place; for methods of rows that arrive, in their order.
        test: the name of labelled data that score the answers at the end, or None.
        target_labels: `0`, a number a class, `all`, or the path of a CSV file: the labels that may be read.
        pairs: a CSV file (source,target) of rows that are of the same thing, for other columns; or None.
        label: the label's column, in tables.
        command: the command line, for the record.
    """

    source: str
    target: str
    test: str | None = None
    target_labels: str = "0"
    pairs: str | None = None
    label: str | None = None
    command: str = ""


@dataclass(frozen=True, eq=False)
class Work:
    """What was learnt: the models, what each said of the target, and what a person should know.

    Args:
        floor: the name of the model that stands beside the method's.
        models: by name, the method's first.
        told: what each says of the target's rows.
        history: how it went, batch by batch; empty where all rows were there at once.
    """

    floor: str
    models: dict[str, Answers]
    told: dict[str, np.ndarray]
    history: list[dict[str, Any]]


def answer(request: Request, method: Method, *, out: Path, overwrite: bool = False) -> dict[str, Any]:
    """Learn, write `predictions.csv` and `answers.json` into a folder, and return the record.

    Beside the method stands what there is without it: the few target labels alone (`target_only`) where the columns
    are other ones, else the source's model as it is (`source_only`).

    Raises:
        DataError: data cannot be read, learnt from or scored on, or do not fit together; nothing was written.
        RunFolderError: the folder has such files already (without `overwrite`).
    """
    if (out / RECORD).exists() and not overwrite:
        raise RunFolderError(f"{out / RECORD}: is there already; add --overwrite to replace it, or name another --out")
    method.check_hyperparameters()
    source, target, test = _data(request, method)
    began, name = time.time(), command_name(type(method))
    if request.pairs and not method.other_columns:
        raise SettingError(f"--pairs: is for methods for other columns, and {name} is none; leave it out")
    if method.online:
        work = _arriving(name, method, cast(Domain, source), target)
    elif method.other_columns:
        work = _other_columns(name, method, cast(Domain, source), target, request.pairs)
    else:
        work = _forest(name, method, source, target)
    sides = [one for one in (source, target, test) if isinstance(one, Domain)]
    record: dict[str, Any] = {
        "command": request.command,
        "method": name,
        "source": request.source,
        "target": request.target,
        "test": request.test,
        "hyperparameters": {key: getattr(method, key) for key in declared(type(method))},
        "rows": {"source": source.size if isinstance(source, Domain) else 0, "target": target.size},
        "target_labels": int(target.labelled.sum()),
        "classes": [str(one) for one in cast(Any, method).classes_],
        "warnings": list(getattr(method, "remarks_", ())),
        "notes": [f"{one.name}: {note}" for one in sides for note in one.notes],
        "history": work.history,
        **_judged(work, target, test),
        "seconds": round(time.time() - began, 2),
    }
    out.mkdir(parents=True, exist_ok=True)
    rows = ([target.row_name(i), *(str(told[i]) for told in work.told.values())] for i in range(target.size))
    write_table(out / PREDICTIONS, ["name", *work.told], rows)
    write_json(out / RECORD, record)
    return record


def _data(request: Request, method: Method) -> tuple[Domain | str, Domain, Domain | None]:
    """The source, or the forest that stands for it; the target, of which hidden labels are erased; the test."""
    options: dict[str, Any] = {"label": request.label, "seed": getattr(method, "random_state", 0)}
    seed = options["seed"]
    stored = isinstance(method, forests.TransferForest) and Path(request.source).suffix == ".skops"
    source = request.source if stored else load(request.source, **options)
    target = load_target(request.target, options)
    if isinstance(source, str):
        target = withhold(target, request.target_labels, seed)
    else:
        target = adopt_classes(give_labels(target, request.target_labels, source, seed), source)
        if not method.other_columns:
            check_order(target, source.columns or (), source.name)
    test = None
    if request.test:
        test = load(request.test, **options)
        test = adopt_classes(test, source) if isinstance(source, Domain) else test
        test = check_test(follow(test, target), None, target)
    return source, target, test


def _forest(name: str, method: Any, source: Domain | str, target: Domain) -> Work:
    method.fit(source, target=target)
    models = {name: method, "source_only": method.forest_}
    return Work("source_only", models, {key: model.predict(target.x) for key, model in models.items()}, [])


def _other_columns(name: str, method: Any, source: Domain, target: Domain, pairs: str | None) -> Work:
    paired = read_pairs_file(Path(pairs), source, target) if pairs else None
    method.fit(source, target=target, pairs=paired)
    models: dict[str, Answers] = {name: method}
    known = target.labelled
    if len(np.unique(target.y[known])) > 1:
        alone = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2_000))
        models["target_only"] = alone.fit(target.x[known], np.asarray(method.classes_)[target.y[known]])
    return Work("target_only", models, {key: model.predict(target.x) for key, model in models.items()}, [])


def _arriving(name: str, method: Any, source: Domain, target: Domain) -> Work:
    """Answer each batch before its labels are looked at; then learn from it."""
    method.fit(source)
    learns = method.needs_target_labels
    if learns and not target.labelled.all():
        raise DataError(
            f"{target.name}: {type(method).__name__} learns from the label of each row after it was answered, and "
            f"{int((~target.labelled).sum()):,} rows have none; give --target-labels all, or use streaming_coral"
        )
    begun = SimpleNamespace(predict=method.predict_source)
    told: dict[str, list[np.ndarray]] = {name: [], "source_only": []}
    history = []
    for start in range(0, target.size, BATCH):
        x = target.x[start : start + BATCH]
        told["source_only"].append(begun.predict(x))
        if learns:
            y = np.asarray(method.classes_)[target.y[start : start + BATCH]]
            told[name].append(method.partial_fit(x, y).answers_)
            wrong = {key: int((said[-1] != y).sum()) for key, said in told.items()}
            history.append({"rows": start + len(x), "weights": method.history_[-1]["weights"], "mistakes": wrong,
                            "rang": method.history_[-1]["rang"]})  # fmt: skip
        else:
            told[name].append(method.partial_fit(x).predict(x))
    models = {name: method, "source_only": begun}
    return Work("source_only", models, {key: np.concatenate(said) for key, said in told.items()}, history)


def read_pairs_file(path: Path, source: Domain, target: Domain) -> np.ndarray:
    """Read which rows of two domains are of the same thing: a CSV file `source,target` of the rows' names.

    Returns:
        Row numbers, p×2.

    Raises:
        DataError: it cannot be read, or names a row that is not there; the line is named.
    """
    places = [{side.row_name(i): i for i in range(side.size)} for side in (source, target)]
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = list(csv.reader(file, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read ({error}); give a CSV file with the columns source,target") from error
    if not lines or [cell.strip().lower() for cell in lines[0]] != ["source", "target"]:
        raise DataError(f"{path}, line 1: must be source,target; rows are named below it, a pair a line")
    found = []
    for number, line in enumerate(lines[1:], 2):
        if not line:
            continue
        if len(line) != 2:
            raise DataError(
                f"{path}, line {number}: has {len(line)} cells; name a row of the source and one of the target"
            )
        for side, cell, known in zip((source, target), line, places, strict=True):
            if cell.strip() not in known:
                raise DataError(
                    f"{path}, line {number}: {cell} is no row of {side.name}, whose first is {side.row_name(0)}"
                )
        found.append([known[cell.strip()] for cell, known in zip(line, places, strict=True)])
    return np.array(found, np.int64).reshape(-1, 2)


def _judged(work: Work, target: Domain, test: Domain | None) -> dict[str, Any]:
    """Results and verdict: by the test, or by the labels that came after the answers, or without labels."""
    name = next(iter(work.models))
    told, rows = work.told, target
    if test is not None:
        told = {key: model.predict(test.x) for key, model in work.models.items()}
        rows = test
    elif not work.history:
        return {"results": [], "verdict": _unlabelled(name, work, told)}
    known = rows.labelled
    on = {"data": rows.name, "role": "test" if test is not None else "stream"}
    floor = work.floor if work.floor in told else None
    seen = {key: bool(target.labelled.any()) and key != "source_only" for key in told}
    if rows.classes is None:
        errors = {key: said[known] - rows.y[known] for key, said in told.items()}
        means = {key: mean_absolute_error(said[known], rows.y[known], rows.unit) for key, said in told.items()}
        results = [
            {"name": one.name, "model": key, "value": one.value, "low": one.low, "high": one.high, "n": one.n_target,
             "unit": rows.unit, "on": on, "saw_target_labels": seen[key]}
            for key, one in means.items()
        ]  # fmt: skip
        margin = material_margin(rows.y[known])
        pair = (errors[name], errors[floor or name])
        verdict = floor and verdict_from_numbers(*pair, name, floor, margin=margin, unit=rows.unit)
    else:
        right = np.asarray(rows.classes)[rows.y[known]]
        correct = {key: said[known].astype(str) == right for key, said in told.items()}
        results = [
            {"name": "accuracy", "model": key, **share(hits), "on": on, "saw_target_labels": seen[key]}
            for key, hits in correct.items()
        ]
        verdict = floor and verdict_from_test(correct[name], correct[floor], name, floor, rows="rows")
    return {"results": results, "verdict": verdict or None}


def _unlabelled(name: str, work: Work, told: dict[str, np.ndarray]) -> dict[str, Any] | None:
    """What is known without a label: how often the two answer alike."""
    if work.floor not in told:
        return None
    said, floor = told[name], told[work.floor]
    if said.dtype.kind == "f":
        return verdict_without_numbers(said, floor, name, work.floor, margin=material_margin(floor), rows="rows")
    return verdict_without_labels(said.astype(str), floor.astype(str), name, work.floor, rows="rows")
