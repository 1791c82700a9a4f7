"""Which source, which backbone: candidates ranked by one score, and where that cannot tell them apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from scipy.special import softmax

from juyi.errors import SettingError, nearest
from juyi.measure import (
    Estimate,
    gbc,
    h_score,
    leep,
    log_me,
    mmd,
    nce,
    proxy_a_distance,
    sliced_wasserstein,
    trans_rate,
)
from juyi.similarity.classifier import Classifier, find_classifier
from juyi.similarity.result import Ranking
from juyi.similarity.sides import Sides, Tell
from juyi.similarity.space import Space, build_space, reduced
from juyi.similarity.theory import attempt
from juyi.training.backbones import Backbone

DISTANCES = (proxy_a_distance, mmd, sliced_wasserstein)
OF_FEATURES = (log_me, h_score, gbc, trans_rate)
"""Scores of features and labels: they tell backbones apart, not sources seen through one."""
OF_ANSWERS = (leep, nce)
"""Scores of what a classifier of the source says."""
SPOKEN = {
    "proxy_a_distance": "proxy 𝒜-distance", "mmd": "MMD", "sliced_wasserstein": "sliced Wasserstein distance",
    "log_me": "LogME", "h_score": "H-score", "gbc": "GBC", "trans_rate": "TransRate", "leep": "LEEP", "nce": "NCE",
}  # fmt: skip
NOT_ACCURACY = (
    "A score says which candidate to try first, not how accurate it will be; where intervals overlap, the order is not "
    "known."
)


def scores_for(kind: str, labels: bool) -> tuple[str, ...]:
    """Name the scores by which candidates can be ranked, the usual one first.

    Example:
        >>> scores_for("sources", labels=False)[0], scores_for("sources", labels=True)[0]
        ('proxy_a_distance', 'leep')
    """
    known = DISTANCES if not labels else (*OF_ANSWERS, *DISTANCES)
    if labels and kind == "backbones":
        known = (*OF_FEATURES, *known)
    return tuple(function.__name__ for function in known)


def check_rank_by(rank_by: str | None, kind: str, labels: bool) -> str:
    """Return the score that sorts; refuse one that is none, or that needs labels which were not given.

    Raises:
        SettingError: it cannot be used.
    """
    known = scores_for(kind, labels)
    if rank_by is None:
        return known[0]
    name = rank_by.replace("-", "_")
    if name in known:
        return name
    if name in scores_for("backbones", labels=True):
        why = "needs labels of the target; give some with --target-labels"
        if labels:
            why = "is the same for all sources, since it looks at the target's features alone; take another"
        raise SettingError(f"--rank-by {rank_by}: {why}")
    raise SettingError(f"--rank-by {rank_by}: there is no such score; {nearest(name, known)}")


def target_scores(sides: Sides, space: Space, classifier: Classifier | str) -> tuple[list[Estimate], list[str]]:
    """Score how well features, and what a classifier of the source says, suit the given labels of the target.

    Returns:
        The estimates, and notes.
    """
    given = sides.target.labelled
    _, label = np.unique(sides.target.y[given], return_inverse=True)
    counts = (0, int(given.sum()))
    features = space.target[given]
    found = [attempt(f.__name__, counts, partial(f, features, label)) for f in OF_FEATURES]
    if isinstance(classifier, str):
        return found, [f"LEEP and NCE need a classifier of the source, and there is none: {classifier}"]
    return [*found, *answer_scores(classifier, given, label)], [f"LEEP and NCE are of {classifier.name}"]


def answer_scores(classifier: Classifier, given: np.ndarray, label: np.ndarray) -> list[Estimate]:
    """Score what a classifier says of the target rows whose labels were given."""
    scores = classifier.scores_target[given]
    said = softmax(scores, axis=1)
    counts = (0, len(label))
    return [
        attempt("leep", counts, partial(leep, said, label)),
        attempt("nce", counts, partial(nce, scores.argmax(1), label)),
    ]


def has_labels(sides: Sides) -> bool:
    """Tell whether labels of the target were given that name classes, at least two of them."""
    target = sides.target
    return target.classes is not None and len(np.unique(target.y[target.labelled])) > 1


def rank_sources(backbone: Backbone, sides: Sides, space: Space, rank_by: str | None, seed: int, tell: Tell) -> Ranking:
    """Rank sources, all seen through one backbone, in one space."""
    labels = has_labels(sides)
    by = check_rank_by(rank_by, "sources", labels)
    rows, notes = [], []
    for number, source in enumerate(sides.sources):
        tell(f"candidate: {source.name}")
        scores = near_scores(space.sources[number], space.target[sides.drawn], seed)
        if labels:
            alone = replace(sides, sources=(source,), whole=source, kept=np.arange(source.size))
            there = replace(space, sources=(space.sources[number],))
            classifier = find_classifier(replace(backbone, has_head=False), alone, there, seed)
            if isinstance(classifier, str):
                notes.append(f"{source.name}: no LEEP and no NCE, since {classifier}")
            else:
                given = sides.target.labelled
                label = np.unique(sides.target.y[given], return_inverse=True)[1]
                scores += answer_scores(classifier, given, label)
        rows.append((source.name, tuple(scores)))
    return ranked("sources", by, rows, [*notes, NOT_ACCURACY])


def rank_backbones(backbones: Sequence[Backbone], sides: Sides, rank_by: str | None, seed: int, tell: Tell) -> Ranking:
    """Rank backbones by what the source and the target look like through each."""
    labels = has_labels(sides)
    by = check_rank_by(rank_by, "backbones", labels)
    rows, notes = [], []
    for backbone in backbones:
        tell(f"candidate: {backbone.name}")
        space = reduced(build_space(backbone, sides.sources, sides.target, seed), seed)
        scores = near_scores(space.source, space.target[sides.drawn], seed)
        if labels:
            found, said = target_scores(sides, space, find_classifier(backbone, sides, space, seed))
            scores += found
            notes += [f"{backbone.name}: {line}" for line in said]
        rows.append((backbone.name, tuple(scores)))
    return ranked("backbones", by, rows, [*notes, NOT_ACCURACY])


def near_scores(source: np.ndarray, target: np.ndarray, seed: int) -> list[Estimate]:
    """Measure how near a candidate is to the target, without labels."""
    counts = len(source), len(target)
    return [attempt(f.__name__, counts, partial(f, source, target, seed=seed)) for f in DISTANCES]


def ranked(kind: str, by: str, rows: Sequence[tuple[str, tuple[Estimate, ...]]], notes: Sequence[str]) -> Ranking:
    """Sort candidates by one score, and say where it cannot tell them apart.

    Example:
        >>> def row(name, value):
        ...     return name, (Estimate("proxy_a_distance", value, value - 0.2, value + 0.2, 9, 9),)
        >>> found = ranked("sources", "proxy_a_distance", [row("a", 1.5), row("b", 0.3), row("c", 0.5)], [])
        >>> [name for name, _ in found.rows], found.tied
        (['b', 'c', 'a'], (True, True, False))
        >>> found.sentence
        'Cannot tell which source is best: by proxy 𝒜-distance, the intervals of b and c overlap.'
    """
    smaller = by in {function.__name__ for function in DISTANCES}

    def score(row: tuple[str, tuple[Estimate, ...]]) -> Estimate | None:
        return next((one for one in row[1] if one.name == by and one.value is not None), None)

    def key(row: tuple[str, tuple[Estimate, ...]]) -> tuple[bool, float]:
        found = score(row)
        value = 0.0 if found is None or found.value is None else found.value
        return found is None, value if smaller else -value

    order = sorted(rows, key=key)
    best = score(order[0])
    tied = [best is not None and (found := score(row)) is not None and overlap(found, best) for row in order]
    tied[0] = sum(tied) > 1
    return Ranking(kind, by, tuple(order), tuple(tied), sentence(kind, by, order, tied, best is not None), tuple(notes))


def overlap(one: Estimate, other: Estimate) -> bool:
    """Tell whether two intervals overlap; an unknown end tells nothing, so they may."""
    ends = (one.low, one.high, other.low, other.high)
    if any(end is None for end in ends):
        return True
    return bool(one.low <= other.high and other.low <= one.high)  # type: ignore[operator]  # none is None


def sentence(
    kind: str, by: str, rows: Sequence[tuple[str, tuple[Estimate, ...]]], tied: Sequence[bool], known: bool
) -> str:
    """Say which candidate is best, as far as it can be told."""
    what, score = kind.removesuffix("s"), SPOKEN[by]
    if not known:
        return f"Cannot tell which {what} is best: {score} is not known for any."
    if not tied[0]:
        return f"The best {what} is {rows[0][0]}: by {score}, its interval overlaps no other."
    names = [name for (name, _), ties in zip(rows, tied, strict=True) if ties]
    listed = f"{', '.join(names[:-1])} and {names[-1]}"
    return f"Cannot tell which {what} is best: by {score}, the intervals of {listed} overlap."
