"""What pretraining found: what neighbours foretell, with the untrained network beside it, and pictures."""

from __future__ import annotations

from typing import Any

import numpy as np

from juyi.data.domain import Domain
from juyi.data.splits import subset_rows
from juyi.measure import joint_map, share, verdict_from_test
from juyi.measure.figures import clean, picture, rounded
from juyi.measure.representation import unit
from juyi.nets import Network
from juyi.pretrain.request import Given
from juyi.pretrain.watching import NEIGHBOURS, TEMPERATURE, Measures, collapse, read_watched
from juyi.runs import RunFolder
from juyi.runs.files import write_json
from juyi.training.recording import note_opening

UNTRAINED = "untrained"
"""The same network before it has learnt: what pretraining must beat."""
PICTURES, VIEWS, NEAREST, MAPPED = 6, 7, 8, 600


class Outcome:
    """Writes the results of a backbone into a run folder and its record.

    Args:
        folder: where to.
        record: what run.json will hold; `results`, `verdict`, `warnings` and `representation` are filled in.
        measures: what is measured, and how.
        models: the untrained network and the trained one, by name.
    """

    def __init__(
        self, folder: RunFolder, record: dict[str, Any], measures: Measures, models: dict[str, Network]
    ) -> None:
        self.folder, self.record, self.measures, self.models = folder, record, measures, models
        self.served: str = record["serves"]

    def write(self, given: Given) -> None:
        """Write everything; the test set is opened here, once, after all else is settled."""
        net, record = self.models[self.served], self.record
        record["representation"] = {name: self.measures.of(one) for name, one in self.models.items()}
        record["warnings"] = collapse(record["representation"][self.served], net.width)
        self._pictures(given, net)
        if (watched := read_watched(self.folder, self.served)) and len(watched) > 1:
            write_json(self.folder.figures / "pretraining.json", {"epochs": watched, "width": net.width})
        record["verdict"] = {"answer": None, "sentence": self._sentence(given)}
        if given.known is None:
            return
        record["votes"] = {"neighbours": min(NEIGHBOURS, given.known.size), "temperature": TEMPERATURE}
        if given.test is None:
            assert given.asked is not None
            correct = self._score(given.known, given.asked, "held_out")
        else:
            note_opening(self.folder, record, given.test.name)
            correct = self._score(given.known, given.test.select(given.test.labelled), "test")
            record["verdict"] = verdict_from_test(
                correct[self.served], correct[UNTRAINED], self.served, UNTRAINED,
                rows="images", subject="Pretraining", without="the same network before it learnt",
            )  # fmt: skip
        votes = (
            f"By the votes of the {record['votes']['neighbours']:,} nearest of {given.known.size:,} labelled images."
        )
        record["verdict"]["sentence"] = f"{record['verdict']['sentence'].rstrip()} {votes}"

    def _score(self, known: Domain, asked: Domain, role: str) -> dict[str, np.ndarray]:
        correct = {}
        on = {"data": asked.name, "role": role}
        rows = (self.measures.rows(known), self.measures.rows(asked))
        for name, net in self.models.items():
            correct[name] = self.measures.right(net, *rows)
            self.record["results"].append(
                {"name": "accuracy", "model": name, **share(correct[name]), "on": on, "saw_target_labels": False}
            )
        return correct

    def _sentence(self, given: Given) -> str:
        found, width = self.record["representation"][self.served], self.models[self.served].width
        return (
            f"{self.served} has learnt from {given.images.size:,} images without a label. Its features fill "
            f"{found['rank_me']:.1f} of {width} dimensions; what they are worth labels tell: juyi finetune "
            f"{self.folder.path} with a few."
        )

    def _pictures(self, given: Given, net: Network) -> None:
        """Write how the views look, which images are near which, and the map of the features."""
        images = given.images
        some = images.select(subset_rows(images.size, min(PICTURES, images.size), self.measures.seed))
        views = self.measures.pictured(some, VIEWS)
        rows = [
            {"image": picture(x), "views": [picture(view) for view in seen]}
            for x, seen in zip(some.x, views, strict=True)
        ]
        write_json(self.folder.figures / "views.json", {"rows": rows})
        near = images.select(subset_rows(images.size, min(4_000, images.size), self.measures.seed + 1))
        features = unit(self.measures.features(net, self.measures.rows(near)))
        queries = np.arange(min(8, near.size - 1))
        order = np.argsort(-(features[queries] @ features.T), axis=1)
        rows = [
            {"image": picture(near.x[row]), "near": [picture(near.x[i]) for i in found[found != row][:NEAREST]]}
            for row, found in zip(queries, order, strict=True)
        ]
        write_json(self.folder.figures / "neighbours.json", {"rows": rows})
        shown = near if given.known is None else given.known
        shown = shown.select(subset_rows(shown.size, min(MAPPED, shown.size), self.measures.seed))
        if shown.size >= 5:
            points = joint_map(self.measures.features(net, self.measures.rows(shown)), self.measures.seed)
            known = {} if given.known is None else {
                "label": shown.y.tolist(), "classes": [clean(name) for name in shown.classes or ()]
            }  # fmt: skip
            write_json(self.folder.figures / "feature_map.json", {"points": rounded(points, 2), **known})
