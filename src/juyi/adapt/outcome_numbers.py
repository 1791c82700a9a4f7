"""What a run found where labels are numbers: predictions, mean errors with intervals, the verdict, what is drawn."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Any

import numpy as np

from juyi.adapt.base import Adapter
from juyi.data.domain import Domain
from juyi.measure.verdict_numbers import (
    material_margin,
    mean_absolute_error,
    verdict_from_numbers,
    verdict_without_numbers,
)
from juyi.nets import SOURCE, TARGET
from juyi.runs import RunFolder
from juyi.runs.files import write_json, write_text
from juyi.runs.scores import write_scores
from juyi.training.recording import note_opening
from juyi.training.watchers import Records

FLOOR = "source_only"
DRAWN_ROWS = 400
"""Of a target so many rows, evenly spread, are drawn in the report."""


class NumbersOutcome:
    """Writes the results of fitted models that tell numbers into a run folder and its record.

    Args:
        folder: where to.
        record: what run.json will hold; `results`, `verdict`, `warnings` and `openings` are filled in.
        models: the fitted methods by name, source only first; the last one serves.
    """

    def __init__(self, folder: RunFolder, record: dict[str, Any], models: dict[str, Adapter]) -> None:
        self.folder, self.record, self.models = folder, record, models
        self.served = list(models)[-1]
        self.floor: str = record["floor"] if record["floor"] in models else FLOOR
        self.unit: str = record["unit"]
        self.results: list[dict[str, Any]] = []
        self.final: dict[str, dict[str, np.ndarray]] = {name: {} for name in models}
        self.margin = 0.0

    def write(self, validation: Domain | None, target: Domain | None, test: Domain | None) -> None:
        """Write everything; the test set is opened here, once, after all else is settled."""
        self.record["results"], self.record["warnings"] = self.results, []
        if validation is not None:
            self.margin = material_margin(validation.y[validation.labelled])
            self._score(validation, "source_validation", SOURCE)
        if target is not None:
            self._look_at(target)
        for name, scores in self.final.items():
            write_scores(self.folder, name, scores)
        if test is not None:
            self._open(test)

    def _look_at(self, target: Domain) -> None:
        told = {name: model.predict(target) for name, model in self.models.items()}
        some = np.linspace(0, target.size - 1, min(Records.limit, target.size)).astype(np.int64)
        for name, found in self.final.items():
            found |= {"target": told[name][some, None], "target_row": some}
        write_numbers(self.folder, target, told)
        write_json(self.folder.figures / "numbers.json", numbers_figure(target, told, self.unit))
        if len(self.models) > 1:
            self.record["verdict"] = verdict_without_numbers(
                told[self.served], told[self.floor], self.served, self.floor, margin=self.margin, unit=self.unit,
                rows="images" if target.is_images else "rows", warnings=self.record["warnings"],
            )  # fmt: skip

    def _open(self, test: Domain) -> None:
        note_opening(self.folder, self.record, test.name)
        errors = self._score(test, "test", TARGET)
        if len(self.models) > 1:
            self.record["verdict"] = verdict_from_numbers(
                errors[self.served], errors[self.floor], self.served, self.floor,
                margin=material_margin(test.y[test.labelled]), unit=self.unit,
                rows="images" if test.is_images else "rows", warnings=self.record["warnings"],
            )  # fmt: skip

    def _score(self, data: Domain, role: str, domain: str) -> dict[str, np.ndarray]:
        """Add the mean absolute error of every model on labelled rows; return by how much each row was missed."""
        errors = {}
        labelled = data.select(data.labelled)
        for name, model in self.models.items():
            scores = model.scores(labelled, domain=domain)
            errors[name] = scores[:, 0].astype(np.float64) - labelled.y
            found = mean_absolute_error(scores[:, 0], labelled.y, self.unit)
            if role == "source_validation":
                self.final[name] |= {"source": scores, "source_label": labelled.y}
            ends = {"value": found.value, "low": found.low, "high": found.high, "n": found.n_target}
            on = {"data": data.name, "role": role}
            saw = self.record["target_labels"]["given"] > 0 and not (name == FLOOR != self.floor)
            result = {"name": found.name, "model": name, **ends, "unit": self.unit, "on": on}
            self.results.append({**result, "saw_target_labels": saw})
        return errors


def write_numbers(folder: RunFolder, target: Domain, told: Mapping[str, np.ndarray]) -> None:
    """Write predictions.csv: for each row of the target the number that every model tells.

    Args:
        folder: where to.
        target: what was predicted.
        told: float32, N, of each model by its name.
    """
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["name", *told])
    for row in range(target.size):
        table.writerow([target.row_name(row), *(f"{values[row]:.7g}" for values in told.values())])
    write_text(folder.predictions, text.getvalue())


def numbers_figure(target: Domain, told: Mapping[str, np.ndarray], unit: str, rows: int = DRAWN_ROWS) -> dict[str, Any]:
    """Build figures/numbers.json: what each model tells of the target's rows, in their order.

    Args:
        target: the rows.
        told: N numbers of each model, by its name.
        unit: what they are counted in.
        rows: how many rows at most, evenly spread.

    Returns:
        {"unit", "of": N, "row", "name": [...], "told": {model: [...]}, "given": [...]}: `given` are the labels that
        the person gave, None elsewhere; numbers have six digits.

    Example:
        >>> days = Domain(np.zeros((2, 1), np.float32), np.float32([5.5, 0]), np.array([True, False]))
        >>> figure = numbers_figure(days, {"target_only": np.float32([5.0, 7.0])}, "°C")
        >>> figure["told"], figure["given"]
        ({'target_only': [5.0, 7.0]}, [5.5, None])
    """
    evenly = np.linspace(0, target.size - 1, min(rows, target.size)).astype(np.int64)
    chosen = np.unique(np.concatenate([evenly, np.flatnonzero(target.labelled)[:rows]]))
    return {
        "unit": unit,
        "of": target.size,
        "row": chosen.tolist(),
        "name": [target.row_name(int(row)) for row in chosen],
        "told": {name: [float(f"{value:.6g}") for value in values[chosen]] for name, values in told.items()},
        "given": [float(f"{target.y[row]:.6g}") if target.labelled[row] else None for row in chosen],
    }
