"""What the models of a run say of its target, row by row: read from predictions.csv."""

from __future__ import annotations

import csv
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from juyi.errors import ForeignFileError
from juyi.runs.folder import RunFolder


@dataclass(frozen=True, eq=False)
class Predictions:
    """What one model says of the rows of a target.

    Args:
        names: N names of rows.
        classes: str, N: the class that is predicted for each.
    """

    names: tuple[str, ...]
    classes: np.ndarray


def read_predictions(run: RunFolder, model: str, classes: Collection[str], rows: int) -> Predictions:
    """Read what a model of a run says of the run's target.

    Args:
        run: a run folder.
        model: the model's name: a column of predictions.csv.
        classes: the classes that it can predict.
        rows: how many rows the target has, as run.json says.

    Raises:
        ForeignFileError: the file is absent or damaged: it has no such column, another number of rows, a row that is
            too short or too long, or a class that the run does not know.
    """
    path = run.predictions
    mend = "restore it, or run again"
    try:
        with path.open(newline="", encoding="utf-8") as file:
            table = csv.reader(file)
            head = next(table, [])
            if "name" not in head or model not in head:
                raise ForeignFileError(f"{path}: is damaged (it has no column name or {model}); {mend}")
            name, column = head.index("name"), head.index(model)
            names, found = [], []
            for number, cells in enumerate(table, 1):
                if len(cells) != len(head) or cells[column] not in classes:
                    raise ForeignFileError(f"{path}: is damaged (row {number:,} is not what Juyi wrote); {mend}")
                names.append(cells[name])
                found.append(cells[column])
    except FileNotFoundError as error:
        raise ForeignFileError(f"{path}: there is no such file, so the run is incomplete; {mend}") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ForeignFileError(f"{path}: is damaged ({error}); {mend}") from error
    if len(names) != rows:
        raise ForeignFileError(f"{path}: is damaged (it has {len(names):,} rows, run.json says {rows:,}); {mend}")
    return Predictions(tuple(names), np.array(found, object))


def models_in(run: RunFolder) -> list[str]:
    """Return the models whose predictions a run holds, in the order of the file.

    Raises:
        ForeignFileError: predictions.csv is absent or cannot be read.
    """
    try:
        with run.predictions.open(newline="", encoding="utf-8") as file:
            head = next(csv.reader(file), [])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ForeignFileError(f"{run.predictions}: cannot be read ({error}); restore it, or run again") from error
    return [column for column in head if column != "name" and f"{column}_confidence" in head]
