"""Everything that is measured of one source and one target through one backbone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from juyi.measure import (
    Estimate,
    coral_distance,
    energy_distance,
    feature_tests,
    frechet_distance,
    maps_figure,
    mmd,
    proxy_a_distance,
    sliced_wasserstein,
    wasserstein,
)
from juyi.measure.figures import clean
from juyi.similarity.appearance import appearance
from juyi.similarity.candidates import target_scores
from juyi.similarity.classifier import Classifier, find_classifier
from juyi.similarity.sides import Sides, Tell
from juyi.similarity.space import Space
from juyi.similarity.telling import domain_scores, overlap_figure, typical_figure
from juyi.similarity.theory import accuracies, attempt, below_chance, bounds, label_shift, unknown_bounds
from juyi.training.backbones import Backbone

MAP_ROWS = 600
LEAST_FOR_MAP = 10
SHOWN_FEATURES = 10
DRAWN: tuple[Callable[..., Estimate], ...] = (proxy_a_distance, mmd, energy_distance, sliced_wasserstein, wasserstein)
"""Distances for which something is drawn at random; the others take no seed."""
DISTANCES = (*DRAWN, coral_distance, frechet_distance)


@dataclass(frozen=True, eq=False)
class Seen:
    """A source and a target through a backbone.

    Attributes:
        backbone: through what they are seen.
        sides: the data.
        space: the features.
        near: the same, reduced where they are many: in this one distances are taken.
        seed: of every draw.
        tell: is told what is done.
    """

    backbone: Backbone
    sides: Sides
    space: Space
    near: Space
    seed: int
    tell: Tell


@dataclass(frozen=True, eq=False)
class Findings:
    """What was found: groups with their estimates, what the pictures show, notes, warnings."""

    results: list[tuple[str, Estimate]]
    figures: dict[str, Any]
    notes: list[str]
    warnings: list[str]


def look(seen: Seen) -> Findings:
    """Measure everything."""
    found = Findings([], {}, [f"looked at: {'; '.join(seen.near.notes)}"], list(seen.space.warnings))
    found.results.extend(("distance", one) for one in distances(seen))
    seen.tell("which features differ")
    tests, found.figures["medians"] = differing_features(seen)
    found.results.extend(("feature", one) for one in tests)
    seen.tell("what is typical of each side")
    found.figures.update(typical(seen))
    classifier = find_classifier(seen.backbone, seen.sides, seen.near, seen.seed)
    if isinstance(classifier, str):
        found.results.extend(("bound", one) for one in unknown_bounds(classifier))
        found.warnings.append(f"{capital(classifier)}, so bounds and class shares are unknown.")
    else:
        theory(seen, classifier, found)
    if seen.sides.target.labelled.any() and seen.sides.target.classes is not None:
        seen.tell("how well the features suit the target's classes")
        scores, notes = target_scores(seen.sides, seen.near, classifier)
        found.results.extend(("transferability", one) for one in scores)
        found.notes.extend(notes)
    elif seen.sides.target.labelled.any():
        found.notes.append("the labels of the target are numbers, and the scores of transferability are about classes")
    seen.tell("the map")
    found.figures.update(clouds(seen, None if isinstance(classifier, str) else classifier))
    return found


def capital(text: str) -> str:
    """Begin with a capital, where a word stands there that may have one."""
    return text[:1].upper() + text[1:] if text.startswith(("all ", "the ")) else text


def distances(seen: Seen) -> list[Estimate]:
    """Measure how far apart the two sides are, in every way."""
    source, target = seen.near.source, seen.near.target[seen.sides.drawn]
    found = []
    for function in DISTANCES:
        name = function.__name__
        seen.tell(f"distance: {name.replace('_', ' ')}")
        given = {"seed": seen.seed} if function in DRAWN else {}
        found.append(attempt(name, (len(source), len(target)), partial(function, source, target, **given)))
    return found


def differing_features(seen: Seen) -> tuple[list[Estimate], dict[str, list[float]]]:
    """Test each column of a table, or each property of images, for a difference; the ten that differ most.

    Returns:
        The tests, and the medians on both sides by name.
    """
    source, target = seen.sides.source, seen.sides.target.select(seen.sides.drawn)
    if source.is_images:
        (x, names), (y, _) = appearance(source), appearance(target)
    elif seen.space.names is not None:
        columns = list(source.columns or seen.space.names)
        kept = [columns.index(name) for name in seen.space.names] if source.columns else slice(None)
        x, y, names = source.x[:, kept], target.x[:, kept], seen.space.names
    else:
        return [], {}
    varies = np.minimum(x.min(0), y.min(0)) < np.maximum(x.max(0), y.max(0))
    if not varies.any():
        return [], {}
    x, y, names = x[:, varies], y[:, varies], tuple(n for n, v in zip(names, varies, strict=True) if v)
    found = feature_tests(x, y, names)[:SHOWN_FEATURES]
    medians = {clean(name): [float(np.median(x[:, k])), float(np.median(y[:, k]))] for k, name in enumerate(names)}
    return found, {name: values for name, values in medians.items() if any(f"[{name}]" in one.name for one in found)}


def typical(seen: Seen) -> dict[str, Any]:
    """Find what is most and least typical of each side, and how well the two are told apart."""
    drawn = seen.sides.drawn
    source, target = seen.near.source, seen.near.target[drawn]
    if min(len(source), len(target)) < 4:
        return {}
    *scores, coefficients = domain_scores(source, target, seen.seed)
    pair = scores[0], scores[1]
    figure = typical_figure(
        (seen.sides.source, seen.sides.target.select(drawn)), pair, (source, target), seen.near.names, coefficients
    )
    return {"overlap": overlap_figure(pair), "typical": figure}


def theory(seen: Seen, classifier: Classifier, found: Findings) -> None:
    """Add what theory says of the classifier, and the classes' shares."""
    found.notes.extend(classifier.notes)
    found.warnings.extend(classifier.warnings)
    seen.tell("the classifier, here and there")
    judged = accuracies(classifier, seen.sides)
    found.results.extend(("classifier", one) for one in judged)
    found.warnings.extend(below_chance(judged, len(classifier.classes)))
    if not seen.sides.known:
        why = "the target names classes that the source lacks"
        found.results.extend(("bound", one) for one in unknown_bounds(why))
        return
    found.results.extend(("bound", one) for one in bounds(classifier, seen.sides, seen.near, seen.seed, seen.tell))
    seen.tell("class shares")
    apart = next((one for _, one in found.results if one.name == "proxy_a_distance"), None)
    shares, figure, warnings = label_shift(classifier, seen.sides, apart, seen.seed)
    found.results.extend(("class_share", one) for one in shares)
    found.warnings.extend(warnings)
    if figure:
        found.figures["class_shares"] = figure


def clouds(seen: Seen, classifier: Classifier | None) -> dict[str, Any]:
    """Lay both sides out on one map, with labels of the source and predictions on the target where there are any."""
    drawn = seen.sides.drawn
    source, target = seen.near.source, seen.near.target[drawn]
    if len(source) + len(target) < LEAST_FOR_MAP:
        return {}
    none = np.full(len(source), -1), np.full(len(target), -1)
    label, predicted = none if classifier is None else (classifier.label_all, classifier.scores_target[drawn].argmax(1))
    classes = () if classifier is None else classifier.classes
    name = seen.backbone.name
    return {"map": maps_figure({name: (source, target)}, label, {name: predicted}, classes, seen.seed, MAP_ROWS)}
