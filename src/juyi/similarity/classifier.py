"""The classifier of which theory speaks: learnt on a part of the source, judged on the rest, and tried on the target.

It is a logistic regression on the features, or the network of the run through which one looks.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from juyi.data import hold_out
from juyi.data.classes import adopt_classes, listed
from juyi.data.domain import Domain
from juyi.errors import DataError, ForeignFileError, RunFolderError
from juyi.measure import linear_classifier
from juyi.runs.scores import read_scores
from juyi.similarity.sides import Sides
from juyi.similarity.space import Space
from juyi.training.backbones import Backbone

TRAINED_ON = 5_000
"""A linear model learns little more from more rows, and its time grows with them."""
HELD_OUT = 0.4


@dataclass(frozen=True, eq=False)
class Classifier:
    """What a classifier says of held-out source rows and of all target rows.

    Attributes:
        name: what it is, in words.
        classes: C names.
        rows: int, n: which of the measured source rows are held out.
        scores_source: float, n×C: logits of these.
        label_source: int, n: their labels.
        scores_target: float, M×C: logits of all target rows in `Sides.target`.
        shares: float, C: how often each class stands in the labelled source.
        label_all: int, N: the labels of all measured source rows, −1 where there is none.
        adapted: whether it has learnt from a target as well.
        linear: float, (d + 1)×C: the classifier itself, where it is linear in the features of the space.
        notes: how sure it is that the rows were held out.
        warnings: what gives pause.
    """

    name: str
    classes: tuple[str, ...]
    rows: np.ndarray
    scores_source: np.ndarray
    label_source: np.ndarray
    scores_target: np.ndarray
    shares: np.ndarray
    label_all: np.ndarray
    linear: np.ndarray | None = None
    adapted: bool = False
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def on_drawn(self, sides: Sides) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return scores and labels of held-out source rows, and scores of the rows that stand for the target."""
        return self.scores_source, self.label_source, self.scores_target[sides.drawn]


def find_classifier(backbone: Backbone, sides: Sides, space: Space, seed: int) -> Classifier | str:
    """Return the classifier, or in words why there is none."""
    source = sides.source
    if not source.labelled.any():
        return f"{source.name} has no labels"
    if source.classes is None:
        return f"the labels of {source.name} are numbers and no classes"
    counts = source.class_counts()
    if (counts > 0).sum() < 2:
        return f"all labelled rows of {source.name} are of one class, {source.classes[int(counts.argmax())]}"
    if (counts[counts > 0] < 2).all():
        return f"{source.name} has a single labelled row of each class, so none can be held out"
    if backbone.has_head and (found := of_run(backbone, sides)) is not None:
        return found
    return of_features(backbone, sides, space, seed)


def of_features(backbone: Backbone, sides: Sides, space: Space, seed: int) -> Classifier | str:
    """Fit a logistic regression on the features of a part of the labelled source rows; the rest is held out."""
    source = sides.source
    assert source.classes is not None
    training, held = split(source, HELD_OUT, seed)
    learnt = training[:TRAINED_ON]
    counts = source.class_counts()
    if len(np.unique(source.y[learnt])) < 2:
        return f"all labelled rows of {source.name} that can be learnt from are of one class"
    linear = linear_classifier(space.source[learnt], source.y[learnt], len(source.classes))
    absent = [k for k in np.flatnonzero(counts) if k not in source.y[learnt]]
    lost = f"no labelled row was left to learn from of {listed([source.classes[k] for k in absent])}"
    name = f"a logistic regression on the {'features' if backbone.served or source.is_images else 'columns'}"
    note = (
        f"the classifier is {name}, learnt on {len(learnt):,} labelled source rows and judged on {len(held):,} others"
    )
    scores = [part @ linear[:-1] + linear[-1] for part in (space.source[held], space.target)]
    return Classifier(
        name, source.classes, held, scores[0], source.y[held], scores[1], counts / counts.sum(),
        np.where(source.labelled, source.y, -1), linear, False, (note, lost) if absent else (note,),
    )  # fmt: skip


def split(domain: Domain, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of the rows to learn from, in random order, and of those held out, each class by its share."""
    numbered = replace(
        domain,
        x=np.arange(domain.size, dtype=np.float32)[:, None],
        row_names=None,
        columns=None,
    )
    training, held = hold_out(numbered, share, seed=seed, limit=max(1, domain.size))
    learnt = training.x[training.labelled, 0].astype(np.int64)
    return np.random.default_rng(seed).permutation(learnt), held.x[:, 0].astype(np.int64)


def of_run(backbone: Backbone, sides: Sides) -> Classifier | None:
    """Take the run's own network; None where it knows other classes than the source."""
    served, source, target = backbone.served, sides.source, sides.target
    assert served is not None
    classes = tuple(str(label) for label in served.classes)
    if len(classes) < 2:
        return None
    known = Domain(np.zeros((1, 1), np.float32), classes=classes, name="the model")
    adopted = adopt_classes(source, known)
    if adopted.classes != classes:
        return None
    held = held_out_by(backbone, sides)
    rows = np.flatnonzero(source.labelled) if held is None else held
    notes: tuple[str, ...] = (f"the classifier is the network of {backbone.name}",)
    warnings: tuple[str, ...] = ()
    if held is None:
        warnings = (
            f"{backbone.name} may have learnt from rows of {source.name}: its error there, and the bounds that rest on "
            "it, may be too low. Name the run's own source, of which a part was held out, or rows that it never saw.",
        )
    else:
        notes = (f"{notes[0]}, judged on {len(rows):,} source rows that it was not trained on",)
    scores = served.scores(source.select(rows), "source"), served.scores(target, "target")
    counts = np.bincount(adopted.y[adopted.labelled], minlength=len(classes))
    return Classifier(
        f"the network of {backbone.name}", classes, rows, scores[0], adopted.y[rows], scores[1],
        counts / counts.sum(), np.where(adopted.labelled, adopted.y, -1), None, backbone.adapted, notes, warnings,
    )  # fmt: skip


def held_out_by(backbone: Backbone, sides: Sides) -> np.ndarray | None:
    """Find which of the measured source rows the run did not learn from; None where that cannot be known.

    A run holds out a part of its source that is a function of the labels and the seed.  It is taken for the same
    source only if its name and size agree, and the labels of the held-out rows are those that the run recorded.
    """
    record, folder, whole = backbone.run or {}, backbone.folder, sides.whole
    entry = (record.get("data") or {}).get("source") or {}
    if folder is None or [entry.get(k) for k in ("name", "rows")] != [whole.name, whole.size]:
        return None
    try:
        recorded = read_scores(folder, str(record["serves"]))["source_label"]
        numbered = replace(whole, x=np.arange(whole.size, dtype=np.float32)[:, None], row_names=None, columns=None)
        _, validation = hold_out(numbered, seed=int(record["seed"]))
    except (KeyError, TypeError, ValueError, DataError, RunFolderError, ForeignFileError):
        return None
    if not np.array_equal(recorded, validation.y):
        return None
    rows = np.flatnonzero(np.isin(sides.kept, validation.x[:, 0].astype(np.int64)))
    return rows if len(rows) >= 2 else None
