"""What a run found: predictions of every model, accuracies with intervals, the verdict, what the figures show."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from juyi.adapt.base import Adapter
from juyi.adapt.choose import Choice
from juyi.adapt.unknown import rejection_results, threshold_of
from juyi.data.domain import Domain
from juyi.data.splits import subset_rows
from juyi.measure import (
    Evidence,
    accuracies_without_labels,
    class_balance_figure,
    collapse_warnings,
    least_sure_figure,
    maps_figure,
    mean_prediction,
    settle_hint,
    share,
    shares_warning,
    verdict_from_test,
    verdict_without_labels,
    weigh_evidence,
)
from juyi.nets import SOURCE, TARGET
from juyi.runs import RunFolder
from juyi.runs.files import write_json, write_text
from juyi.runs.scores import write_scores
from juyi.training import softmax
from juyi.training.recording import note_opening
from juyi.training.watchers import Records

FLOOR = "source_only"
_MAP_ROWS = 600


class Outcome:
    """Writes the results of fitted models into a run folder and its record.

    Args:
        folder: where to.
        record: what run.json will hold; `results`, `verdict`, `warnings` and `openings` are filled in.
        models: the fitted methods by name, the floor first; the last one serves, unless there was a choice.
        choice: why which of several serves.
    """

    def __init__(
        self, folder: RunFolder, record: dict[str, Any], models: dict[str, Adapter], choice: Choice | None = None
    ) -> None:
        self.folder, self.record, self.models, self.choice = folder, record, models, choice
        self.served = choice.judged if choice else list(models)[-1]  # of whom the verdict speaks
        self.floor = record["floor"] if record.get("floor") in models else FLOOR
        self.classes: list[str] = record["classes"]
        self.results: list[dict[str, Any]] = []
        self.final: dict[str, dict[str, np.ndarray]] = {name: {} for name in models}

    def write(self, validation: Domain | None, target: Domain | None, test: Domain | None) -> None:
        """Write everything; the test set is opened here, once, after all else is settled."""
        self.record["results"], self.record["warnings"] = self.results, []
        if validation is not None:
            self._score(validation, "source_validation", SOURCE)
        if target is not None:
            self._look_at(validation, target)
        for name, scores in self.final.items():
            write_scores(self.folder, name, scores)
        if test is not None:
            self._open(test)
        if self.choice and self.record.get("verdict"):
            self.record["verdict"]["sentence"] += f" {self.record['serves']} serves."

    def _look_at(self, validation: Domain | None, target: Domain) -> None:
        scores = {name: model.scores(target) for name, model in self.models.items()}
        some = np.linspace(0, target.size - 1, min(Records.limit, target.size)).astype(np.int64)
        for name, found in self.final.items():
            found |= {"target": scores[name][some], "target_row": some}
        probabilities = {name: softmax(z) for name, z in scores.items()}
        predictions = {name: p.argmax(1) for name, p in probabilities.items()}
        write_predictions(self.folder, target, probabilities, self.classes)
        even = np.full(len(self.classes), 1 / len(self.classes))  # what a source-free method takes for granted
        counts = even if validation is None else validation.class_counts()
        shares = counts / max(1, counts.sum())
        self.record["warnings"] = collapse_warnings(predictions[self.served], shares, self.classes, self.served)
        if validation is None:
            self._class_shares(shares, scores)
        else:
            figure = class_balance_figure(self.classes, shares, predictions)
            write_json(self.folder.figures / "class_balance.json", figure | self._class_shares(shares, scores))
        if target.is_images:
            names = [target.row_name(row) for row in range(target.size)]
            floor = probabilities.get(FLOOR, probabilities[self.served])
            figure = least_sure_figure(target.x, probabilities[self.served], floor, self.classes, names)
            write_json(self.folder.figures / "least_sure.json", figure)
        if validation is not None:
            self._write_maps(validation, target, predictions)
        if len(self.models) > 1:
            rows = "images" if target.is_images else "rows"
            differing = int((predictions[self.served] != predictions[self.floor]).sum())
            self.record["verdict"] = verdict_without_labels(
                predictions[self.served], predictions[self.floor], self.served, self.floor,
                rows=rows, warnings=self.record["warnings"], evidence=self._evidence(validation),
                rehearsal=self.record.get("rehearsal"),
                hint=settle_hint(differing, target.size, self.folder.path, rows=rows),
            )  # fmt: skip

    def _evidence(self, validation: Domain | None) -> Evidence | None:
        """Record what is known of each model's accuracy without labels; return the evidence on the one that is judged.

        A run in the source's place has no held-out rows, and so there is none.
        """
        if validation is None or self.floor != FLOOR or not all("source" in found for found in self.final.values()):
            return None
        label = self.final[FLOOR]["source_label"]
        scores = {name: (found["source"], found["target"]) for name, found in self.final.items()}
        known = accuracies_without_labels(scores, label, FLOOR)
        evidence = self.choice.evidence[self.served] if self.choice and self.served != FLOOR else None
        evidence = evidence or weigh_evidence(scores[self.served], scores[FLOOR], label, classes=self.classes)
        self.record["without_labels"] = {
            "accuracy": {name: estimate.as_json() for name, estimate in known.items()},
            "evidence": evidence.as_json(),
        }
        return evidence

    def _class_shares(self, shares: np.ndarray, scores: dict[str, np.ndarray]) -> dict[str, Any]:
        """Record the target's class shares as they were estimated; warn if they are other than they were taken for.

        Returns what the figure of the class balance shows of them: nothing, unless the source was redrawn.
        """
        served = self.models[self.served]
        drawn = served.class_shares_
        estimated = mean_prediction(scores[self.served]) if drawn is None else drawn
        self.record["class_shares"] = {
            "used": served.class_shares,
            "source": [round(float(share), 5) for share in shares],
            "estimated": [round(float(share), 5) for share in estimated],
        }
        if served.class_shares == "source":
            mend = f"{self.served} cannot reckon with that, another method can with --class-shares estimated"
            mend = mend if served.unweighable else "try --class-shares estimated"
            self.record["warnings"] += shares_warning(shares, estimated, self.classes, mend)
        return {} if drawn is None else {"estimated": self.record["class_shares"]["estimated"]}

    def _write_maps(self, validation: Domain, target: Domain, predictions: dict[str, np.ndarray]) -> None:
        seed = self.record["seed"]
        source_rows = subset_rows(validation.size, _MAP_ROWS, seed)
        rows = subset_rows(target.size, _MAP_ROWS, seed)
        some_source, some_target = validation.select(source_rows), target.select(rows)
        features = {
            name: (model.transform_source(some_source), model.transform(some_target))
            for name, model in self.models.items()
        }
        chosen = {name: codes[rows] for name, codes in predictions.items()}
        figure = maps_figure(features, some_source.y, chosen, self.classes, seed, _MAP_ROWS)
        figure["source"] |= {"rows": source_rows.tolist(), "of": validation.size}  # of all, not of the chosen
        figure["target"] |= {"rows": rows.tolist(), "of": target.size}
        write_json(self.folder.figures / "maps.json", figure)

    def _open(self, test: Domain) -> None:
        note_opening(self.folder, self.record, test.name)
        correct = self._score(test, "test", TARGET)
        if len(self.models) > 1:
            self.record["verdict"] = verdict_from_test(
                correct[self.served], correct[self.floor], self.served, self.floor,
                rows="images" if test.is_images else "rows", warnings=self.record["warnings"],
            )  # fmt: skip

    def _score(self, data: Domain, role: str, domain: str) -> dict[str, np.ndarray]:
        """Add the results of every model on labelled rows; return which rows of known classes were right.

        The accuracy is that on rows of known classes.  A test may hold strangers as well, and then has one more class.
        """
        correct = {}
        labelled = data.select(data.labelled)
        known = labelled.y < len(self.classes)
        for name, model in self.models.items():
            scores = model.scores(labelled, domain=domain)
            correct[name] = (scores.argmax(1) == labelled.y)[known]
            found = {"accuracy": share(correct[name])}
            if role == "source_validation":
                self.final[name] |= {"source": scores, "source_label": labelled.y}
            elif self.record["request"].get("unknown") and "source" in self.final[name]:
                found |= rejection_results(scores, labelled.y, len(self.classes), threshold_of(self.folder, name))
            on = {"data": data.name, "role": role}
            # the model of a run, as it was; or source only where another floor had the target labels
            untouched = name == FLOOR and ("source" not in self.final[name] or self.floor != FLOOR)
            counts = self.record["target_labels"]
            saw = counts["given_to_start"] > 0 or (counts["given"] > 0 and not untouched)
            for what, result in found.items():
                self.results.append({"name": what, "model": name, **result, "on": on, "saw_target_labels": saw})
        return correct


def write_predictions(
    folder: RunFolder, target: Domain, probabilities: Mapping[str, np.ndarray], classes: Sequence[str]
) -> None:
    """Write predictions.csv: for each row of the target what every model says, and how surely.

    Args:
        folder: where to.
        target: what was predicted.
        probabilities: float, N×C, of each model by its name.
        classes: C names.
    """
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["name", *(f"{name}{kind}" for name in probabilities for kind in ("", "_confidence"))])
    columns = [(p.argmax(1), p.max(1)) for p in probabilities.values()]
    for row in range(target.size):
        cells = [cell for codes, sure in columns for cell in (classes[codes[row]], f"{sure[row]:.4f}")]
        table.writerow([target.row_name(row), *cells])
    write_text(folder.predictions, text.getvalue())
