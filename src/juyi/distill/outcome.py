"""What a distillation found: accuracies and agreement with intervals, the verdict, what the figures show."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from juyi.data.domain import Domain
from juyi.distill.base import Distiller
from juyi.distill.request import Given
from juyi.measure import share, verdict_from_test
from juyi.measure.figures import clean, picture
from juyi.runs import RunFolder
from juyi.runs.files import write_bytes, write_json
from juyi.training import softmax
from juyi.training.recording import note_opening

TEACHER, ALONE = "teacher", "student_alone"
Scorer = Callable[[Domain], np.ndarray]
"""From rows to scores, N×C."""
PICTURES_A_CLASS = 8


class Outcome:
    """Writes the results of a teacher and its students into a run folder and its record.

    Args:
        folder: where to.
        record: what run.json will hold; `results`, `verdict`, `warnings` and `openings` are filled in.
        scorers: the models by name, the teacher first, the one that serves last.
    """

    def __init__(self, folder: RunFolder, record: dict[str, Any], scorers: Mapping[str, Scorer]) -> None:
        self.folder, self.record, self.scorers = folder, record, scorers
        self.results: list[dict[str, Any]] = record["results"]
        self.classes: list[str] = record["classes"]

    def write(self, given: Given, method: Distiller) -> None:
        """Write everything; the test set is opened here, once, after all else is settled."""
        self.record.setdefault("warnings", [])
        if given.validation is not None:
            self._look_at(given.validation, "held_out")
        if (made := getattr(method, "impressions_", None)) is not None:
            write_impressions(self.folder, made, method.impression_scores_)
        self.record["verdict"] = {"answer": None, "sentence": self._sentence()}
        if given.test is not None:
            note_opening(self.folder, self.record, given.test.name)
            correct = self._look_at(given.test, "test")
            self.record["verdict"] = self._verdict(correct, "images" if given.test.is_images else "rows")

    def _look_at(self, data: Domain, role: str) -> dict[str, np.ndarray]:
        """Add accuracy on labelled rows, and agreement with the teacher on all; return which rows were right."""
        correct = {}
        on = {"data": data.name, "role": role}
        answers = {name: score(data).argmax(1) for name, score in self.scorers.items()}
        for name, told in answers.items():
            if data.labelled.any():
                correct[name] = (told == data.y)[data.labelled]
                self._add("accuracy", name, correct[name], on)
        for name, told in answers.items():
            if name != TEACHER:
                self._add("agreement", name, told == answers[TEACHER], on)
        return correct

    def _add(self, what: str, model: str, hits: np.ndarray, on: dict[str, str]) -> None:
        self.results.append({"name": what, "model": model, **share(hits), "on": on, "saw_target_labels": False})

    def _verdict(self, correct: dict[str, np.ndarray], rows: str) -> dict[str, Any]:
        served = self.record["serves"]
        if ALONE in correct:
            return verdict_from_test(
                correct[served], correct[ALONE], served, ALONE,
                rows=rows, subject="Distilling", without="learning from the labels alone",
            )  # fmt: skip
        kept = correct[served].mean() / max(correct[TEACHER].mean(), 1e-9)
        return {
            "answer": None,
            "sentence": f"{served} keeps {kept:.1%} of its teacher's accuracy: it is right on "
            f"{correct[served].mean():.1%} of the {len(correct[served]):,} test {rows}, "
            f"the teacher on {correct[TEACHER].mean():.1%}."
            + (" No student learnt from labels alone beside it." if self.record["data"].get("data") else ""),
        }

    def _sentence(self) -> str:
        served = self.record["serves"]
        mine = {r["name"]: r for r in self.results if r["model"] == served}
        if "accuracy" in mine or "agreement" in mine:
            name = "accuracy" if "accuracy" in mine else "agreement"
            what = "is right on" if name == "accuracy" else "answers as its teacher on"
            return (
                f"{served} {what} {mine[name]['value']:.1%} of {mine[name]['n']:,} held-out rows. Score it with --test."
            )
        return (
            f"{served} has learnt without data, so nothing is known of how often it is right. "
            "Score it with --test, or with juyi predict on rows that you know."
        )


def write_array(folder: RunFolder, name: str, **arrays: np.ndarray) -> None:
    """Write arrays beside their place, then put them there."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    write_bytes(folder.path / name, buffer.getvalue())


def write_impressions(folder: RunFolder, made: Domain, scores: np.ndarray) -> None:
    """Write what a method has made: `impressions.npz` (x, y, classes: data like any other), and pictures of it."""
    names = np.asarray(made.classes)
    write_array(folder, "impressions.npz", x=made.x, y=names[made.y], classes=names)
    if not made.is_images:
        return
    sure = softmax(scores).max(1)
    shown = []
    for code, name in enumerate(made.classes or ()):
        rows = np.flatnonzero(made.y == code)
        for row in rows[np.linspace(0, len(rows) - 1, min(PICTURES_A_CLASS, len(rows))).astype(int)]:
            shown.append({"class": clean(name), "png": picture(made.x[row]), "confidence": round(float(sure[row]), 4)})
    figure = {"images": shown, "classes": [clean(name) for name in made.classes or ()], "made": made.size}
    write_json(folder.figures / "impressions.json", figure)


def write_temperatures(folder: RunFolder, results: list[dict[str, Any]]) -> None:
    """Write figures/temperature.json: accuracy (or agreement) on held-out rows of a student at each temperature."""
    write_json(folder.figures / "temperature.json", {"points": sorted(results, key=lambda point: point["temperature"])})
