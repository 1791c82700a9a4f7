"""The whole question: two names of data in, what can be known of their similarity out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from threadpoolctl import threadpool_limits

from juyi.errors import SettingError
from juyi.similarity.candidates import check_rank_by, has_labels, rank_backbones, rank_sources
from juyi.similarity.result import Similarity
from juyi.similarity.seen import Seen, look
from juyi.similarity.sides import Settings, Sides, Tell, read_sides
from juyi.similarity.space import build_space, reduced
from juyi.training import Served
from juyi.training.backbones import PIXELS, find_backbone, is_backbone


def silent(what: str) -> None:
    """Tell nobody."""


def measure(
    source: Any,
    target: Any,
    *,
    backbone: str | Served = PIXELS,
    weights: str | None = None,
    net: Any = None,
    candidates: Sequence[Any] = (),
    rank_by: str | None = None,
    settings: Settings | None = None,
    tell: Tell = silent,
) -> Similarity:
    """Measure how far apart two sets of data are, what theory says of that, and which candidate is best.

    Vectors are looked at as they are, images through a backbone.  Labels of the target are read only where they are
    given; with them the constant λ of the bounds and the scores of transferability become known.

    Args:
        source: a name of data (see `juyi.load`), a `Domain`, or an array.
        target: the same.
        backbone: `pixels` (their principal components), the folder of a finished run, `RUN/models/NAME`, `hub/NAME`,
            a named network together with `weights`, or a `Served` network.
        weights: a safetensors file for a named network.
        net: `module:factory`, if the run's network is one of one's own.
        candidates: further sources, or further backbones, to be ranked with the one given; not both.
        rank_by: the score that sorts them; None for `log_me` (backbones) or `leep` (sources) where target labels are
            given, else `proxy_a_distance`.
        settings: how data are read and drawn, see `Settings`.
        tell: is told what is done, for long steps.

    Returns:
        What was found; its `sentence` says it in words, `juyi.report.write_similarity` draws it.

    Raises:
        DataError: data cannot be read or compared.
        SettingError: a setting says nothing that can be done.

    Example:
        >>> import numpy as np
        >>> random = np.random.default_rng(0)
        >>> found = measure(random.normal(size=(100, 3)), random.normal(size=(100, 3)) + [3, 0, 0])
        >>> found.answer, found.of("feature")[0].name
        ('far', 'feature_tests[column 1]')
    """
    asked = {
        "backbone": backbone if isinstance(backbone, str) else backbone.net.name, "weights": weights,
        "candidates": [str(getattr(one, "name", one)) for one in candidates], **vars(settings or Settings()),
    }  # fmt: skip
    question = Question(source, target, backbone, weights, net, tuple(candidates), rank_by, settings or Settings())
    started = time.perf_counter()
    # One thread for sums: with more they run in an order that changes, and on busy cores a second one costs more.
    with threadpool_limits(limits=1, user_api="blas"):
        found = _answer(question, tell)
    return replace(found, settings=asked, seconds=time.perf_counter() - started)


@dataclass(frozen=True)
class Question:
    """What was asked; see `measure`."""

    source: Any
    target: Any
    backbone: str | Served
    weights: str | None
    net: Any
    candidates: tuple[Any, ...]
    rank_by: str | None
    settings: Settings


def _answer(asked: Question, tell: Tell) -> Similarity:
    seed, data = asked.settings.seed, asked.candidates
    backbones = candidate_backbones(asked.candidates, asked.backbone)
    sides = read_sides(asked.source, asked.target, () if backbones else data, asked.settings, tell)
    outputs = len(sides.source.classes or ()) or 1
    base = find_backbone(asked.backbone, sides.source, outputs, asked.weights, asked.net)
    others = [find_backbone(one, sides.source, outputs, None, asked.net) for one in backbones]
    if data:
        check_rank_by(asked.rank_by, "backbones" if backbones else "sources", has_labels(sides))  # before long work
    elif asked.rank_by is not None:
        raise SettingError(f"--rank-by {asked.rank_by}: there is nothing to rank; name --candidates, or drop it")
    tell(f"looking through {base.name}")
    space = build_space(base, sides.sources, sides.target, seed)
    near = reduced(space, seed)
    found = look(Seen(base, sides, space, near, seed, tell))
    ranking = None
    if backbones:
        ranking = rank_backbones([base, *others], sides, asked.rank_by, seed, tell)
    elif data:
        ranking = rank_sources(base, sides, near, asked.rank_by, seed, tell)
    return Similarity(
        source=sides.source.name,
        target=sides.target.name,
        backbone=base.name,
        results=tuple(found.results),
        ranking=ranking,
        figures=found.figures,
        data=sides.entries,
        notes=tuple(dict.fromkeys([*notes_of(sides), *found.notes])),
        warnings=tuple(dict.fromkeys([*sides.warnings, *found.warnings])),
    )


def notes_of(sides: Sides) -> list[str]:
    """What was done to the data, each note with the name of what it is about."""
    return [
        note if note.startswith(entry["name"]) else f"{entry['name']}: {note}"
        for entry in sides.entries.values()
        for note in entry["notes"]
    ]


def candidate_backbones(candidates: Sequence[Any], backbone: str | Served) -> list[Any]:
    """Return the candidates that are backbones: all of them or none.

    Raises:
        SettingError: some are backbones and some are data, or one is named twice.
    """
    if len(set(candidates)) < len(candidates) or backbone in candidates:
        double = next(one for one in candidates if list(candidates).count(one) > 1 or one == backbone)
        raise SettingError(f"--candidates: {double} is named twice; name each once (the one asked about is ranked too)")
    found = [one for one in candidates if isinstance(one, Served) or (isinstance(one, str) and is_backbone(one))]
    if found and len(found) < len(candidates):
        data = next(one for one in candidates if one not in found)
        raise SettingError(
            f"--candidates: {found[0]} is a backbone and {data} names data; rank either sources or backbones"
        )
    return found
