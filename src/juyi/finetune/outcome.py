"""What fine-tuning found: accuracies with intervals, the verdict, accuracy against labels a class."""

from __future__ import annotations

from typing import Any

import numpy as np

from juyi.data.domain import Domain
from juyi.finetune.base import Finetuner
from juyi.finetune.request import Given
from juyi.measure import share, verdict_from_test
from juyi.runs import RunFolder
from juyi.runs.files import write_json
from juyi.training.recording import note_opening

SCRATCH, UNTRAINED = "from_scratch", "untrained_backbone"
"""The same network trained on the labels alone; the same method on the network before it had learnt anything."""


class Outcome:
    """Writes the results of the fitted methods into a run folder and its record.

    Args:
        folder: where to.
        record: what run.json will hold; `results`, `verdict`, `openings` and `compared` are filled in.
        models: the fitted methods by name, the one that serves last.
        curve: the same for other numbers of labels a class.
    """

    def __init__(
        self,
        folder: RunFolder,
        record: dict[str, Any],
        models: dict[str, Finetuner],
        curve: dict[int, dict[str, Finetuner]],
    ) -> None:
        self.folder, self.record, self.models, self.curve = folder, record, models, curve
        self.served: str = record["serves"]

    def write(self, given: Given) -> None:
        """Write everything; the test set is opened here, once, after all else is settled."""
        record = self.record
        compared = getattr(self.models[self.served], "compared_", None)
        if compared:
            chosen = self.models[self.served].chosen_
            record["compared"] = {"chosen": chosen, "candidates": compared}
        record["verdict"] = {"answer": None, "sentence": self._sentence(given)}
        if given.test is None:
            return
        note_opening(self.folder, record, given.test.name)
        test = given.test.select(given.test.labelled)
        correct = {name: self._hits(model, test) for name, model in self.models.items()}
        on = {"data": given.test.name, "role": "test"}
        for name, hits in correct.items():
            record["results"].append(
                {"name": "accuracy", "model": name, **share(hits), "on": on, "saw_target_labels": False}
            )
        if SCRATCH in correct:
            record["verdict"] = verdict_from_test(
                correct[self.served], correct[SCRATCH], self.served, SCRATCH,
                rows="images" if test.is_images else "rows", subject="Transferring",
                without="the same network trained on these labels alone",
            )  # fmt: skip
        if self.curve:
            points = [
                {"labels": count, "model": name, **share(self._hits(model, test))}
                for count, models in self.curve.items()
                for name, model in models.items()
            ]
            write_json(self.folder.figures / "labels.json", {"points": points, "on": given.test.name})

    @staticmethod
    def _hits(model: Finetuner, test: Domain) -> np.ndarray:
        hits: np.ndarray = model.scores(test).argmax(1) == test.y
        return hits

    def _sentence(self, given: Given) -> str:
        classes = len(given.few.classes or ())
        start = f"{self.served} has learnt from {given.few.size:,} labels of {classes} classes."
        if "compared" in self.record:
            found = self.record["compared"]
            value = found["candidates"][found["chosen"]]["value"]
            return f"{start} {found['chosen']} did best by cross-validation on them, {value:.1%}. Score it with --test."
        return f"{start} How often it is right is not known: score it with --test."
