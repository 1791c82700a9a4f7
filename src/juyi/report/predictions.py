"""What the models of several runs say of the same rows: read from predictions.csv, and compared."""

from __future__ import annotations

import csv
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from juyi.errors import ForeignFileError
from juyi.runs import RunFolder


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


def disagreement(first: Predictions, second: Predictions) -> float | None:
    """Return the share of rows for which two models predict different classes, joined by the rows' names.

    Where two models agree, both are right or both are wrong.  So, on exactly these rows and whatever the labels are,

        |accuracy(first) − accuracy(second)| ≤ disagreement

    Returns:
        0 to 1; None if the two are not about the same rows, or if rows cannot be told apart by their names.

    Example:
        >>> first = Predictions(("a", "b", "c", "d"), np.array(["cat", "cat", "dog", "dog"], object))
        >>> second = Predictions(("d", "c", "b", "a"), np.array(["dog", "cat", "cat", "cat"], object))
        >>> disagreement(first, second)
        0.25
    """
    if not first.names:
        return None
    if first.names == second.names:
        return float(np.mean(first.classes != second.classes))
    place = {name: row for row, name in enumerate(second.names)}
    if len(place) != len(second.names) or len(second.names) != len(first.names) or set(first.names) != set(place):
        return None
    order = [place[name] for name in first.names]
    return float(np.mean(first.classes != second.classes[order]))
