"""What an online run found: the answers as the stream passed, beside those without adapting."""

from __future__ import annotations

from typing import Any

import numpy as np

from juyi.adapt.online.base import Answer
from juyi.adapt.online.request import Given
from juyi.adapt.outcome import FLOOR, write_predictions
from juyi.data.domain import Domain
from juyi.measure import (
    class_balance_figure,
    collapse_warnings,
    least_sure_figure,
    share,
    verdict_from_test,
    verdict_without_labels,
)
from juyi.runs import RunFolder, labels_seen
from juyi.runs.files import write_json
from juyi.training import Served
from juyi.training.recording import note_opening

POINTS = 200
"""The most points of a line over the stream."""


class Outcome:
    """Writes the results of a stream into a run folder and its record.

    Args:
        folder: where to.
        record: what run.json will hold; `results`, `verdict`, `warnings` and `openings` are filled in.
        start: the model that is not adapted.
        served: the model as it is after the stream.
        warnings: what the guard has warned of.
    """

    def __init__(
        self, folder: RunFolder, record: dict[str, Any], start: Served, served: Served, warnings: list[str]
    ) -> None:
        self.folder, self.record, self.start, self.served = folder, record, start, served
        self.method: str = record["method"]
        self.classes: list[str] = record["classes"]
        self.warnings = warnings
        begun = str(record["online"]["model"])
        self.floor_words = FLOOR if begun == FLOOR else f"{begun} without adapting"

    def write(self, answers: list[Answer], given: Given) -> None:
        """Write everything; the test is opened here, once, after all else is settled."""
        probabilities = {
            FLOOR: np.concatenate([answer.start for answer in answers]),
            self.method: np.concatenate([answer.probabilities for answer in answers]),
        }
        predictions = {name: p.argmax(1) for name, p in probabilities.items()}
        write_predictions(self.folder, given.stream, probabilities, self.classes)
        self._write_figures(given.stream, probabilities, predictions)
        shares = np.asarray(self.record["online"]["class_shares"])
        warnings = [*self.warnings, *collapse_warnings(predictions[self.method], shares, self.classes, self.method)]
        if self.record["online"]["resets"]:
            warnings.append(
                f"{self.method} had collapsed and went back to the start {self.record['online']['resets']}×"
            )
        self.record["warnings"] = warnings
        changed = predictions[self.method] != predictions[FLOOR]
        self.record["online"]["disagreement"] = round(float(changed.mean()), 5)
        rows = "images" if given.stream.is_images else "rows"
        self.record["verdict"] = verdict_without_labels(
            predictions[self.method], predictions[FLOOR], self.method, self.floor_words, rows=rows, warnings=warnings
        )
        correct = self._open(given, predictions, rows) if given.test is not None else {}
        stream = correct if given.test_is_stream else {}
        write_json(self.folder.figures / "stream.json", stream_figure([a.facts for a in answers], stream))

    def _open(self, given: Given, predictions: dict[str, np.ndarray], rows: str) -> dict[str, np.ndarray]:
        """Score the test: the answers as they were given where its rows are the stream's, else the model after it."""
        test = given.test
        assert test is not None
        note_opening(self.folder, self.record, test.name)
        known = test.labelled
        if given.test_is_stream:
            scored = "the answers as the stream passed"
        else:
            scored = "the model as it is after the stream"
            models = {FLOOR: self.start, self.method: self.served}
            predictions = {name: model.scores(test).argmax(1) for name, model in models.items()}
        self.record["online"]["scored"] = scored
        correct = {name: codes == test.y for name, codes in predictions.items()}
        for name, right in correct.items():
            self.record["results"].append(self._result(name, right[known], test.name))
        self.record["verdict"] = verdict_from_test(
            correct[self.method][known], correct[FLOOR][known], self.method, self.floor_words,
            rows=rows, warnings=self.record["warnings"],
        )  # fmt: skip
        return {name: np.where(known, right, np.nan) for name, right in correct.items()}

    def _result(self, model: str, correct: np.ndarray, data: str) -> dict[str, Any]:
        found = {"name": "accuracy", "model": model, **share(correct)}
        return {**found, "on": {"data": data, "role": "test"}, "saw_target_labels": labels_seen(self.record) > 0}

    def _write_figures(
        self, stream: Domain, probabilities: dict[str, np.ndarray], predictions: dict[str, np.ndarray]
    ) -> None:
        shares = np.asarray(self.record["online"]["class_shares"])
        figure = class_balance_figure(self.classes, shares, predictions)
        figure["source_name"] = "expected of a mixed stream"
        write_json(self.folder.figures / "class_balance.json", figure)
        if stream.is_images:
            names = [stream.row_name(row) for row in range(stream.size)]
            served, floor = probabilities[self.method], probabilities[FLOOR]
            least = least_sure_figure(stream.x, served, floor, self.classes, names)
            write_json(self.folder.figures / "least_sure.json", least)


def stream_figure(facts: list[dict[str, Any]], correct: dict[str, np.ndarray]) -> dict[str, Any]:
    """Build figures/stream.json: how the answers went over the stream, at most 200 points, each of whole batches.

    Args:
        facts: what the log says, a batch each.
        correct: for each model, N: whether it was right on each row (1, 0, NaN where no label is known); or empty.

    Returns:
        {"row": the rows answered up to each point, "disagreement", "entropy", "classes", "expected_classes", "used":
        means, a point each, "held_back": share of rows held back, "resets": how many, "accuracy": {model: [...]}}.

    Example:
        >>> keys = ("disagreement", "entropy", "classes", "expected_classes", "used")
        >>> fact = {"rows": 2, "held_back": True, "reset": False, **dict.fromkeys(keys, 0.5)}
        >>> figure = stream_figure([fact, fact], {"tent": np.array([1, 1, 0, 1])})
        >>> figure["row"], figure["held_back"], figure["accuracy"]
        ([2, 4], [1.0, 1.0], {'tent': [1.0, 0.5]})
    """
    rows = np.array([fact["rows"] for fact in facts])
    parts = np.array_split(np.arange(len(facts)), min(POINTS, len(facts)))
    ends = np.cumsum(rows)

    def means(name: str) -> list[float]:
        values = np.array([float(fact[name]) for fact in facts])
        return [round(float(np.average(values[part], weights=rows[part])), 4) for part in parts]

    def share(right: np.ndarray, part: np.ndarray) -> float | None:
        some = right[ends[part[0]] - rows[part[0]] : ends[part[-1]]]
        known = ~np.isnan(np.asarray(some, float))
        return round(float(np.asarray(some, float)[known].mean()), 4) if known.any() else None

    return {
        "row": [int(ends[part[-1]]) for part in parts],
        **{name: means(name) for name in ("disagreement", "entropy", "classes", "expected_classes", "used")},
        "held_back": means("held_back"),
        "resets": [int(sum(facts[i]["reset"] for i in part)) for part in parts],
        "accuracy": {model: [share(right, part) for part in parts] for model, right in correct.items()},
    }
