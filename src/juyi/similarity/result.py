"""What measuring found, as one object, and the sentence that stands at its head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from juyi.measure import Estimate
from juyi.measure.verdict import percent

LEVEL = 0.05
FAR, APART, NEAR = 0.9, 0.75, 0.6
"""From these shares of rows told apart on, sides are called far apart, apart with an overlap, or overlapping much."""
NO_VERDICT = (
    "A distance is no verdict on transferring: sides far apart can obey one rule, and sides that look alike can obey "
    "two. Only labels of the target tell."
)


@dataclass(frozen=True, eq=False)
class Ranking:
    """Candidates in order.

    Attributes:
        kind: `sources` or `backbones`.
        by: the score by which they are sorted.
        rows: for each, best first: its name and its scores.
        tied: for each, whether its interval of that score overlaps that of the best.
        sentence: which is best, as far as it can be told.
        notes: what the scores rest on.
    """

    kind: str
    by: str
    rows: tuple[tuple[str, tuple[Estimate, ...]], ...]
    tied: tuple[bool, ...]
    sentence: str
    notes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Give it as plain JSON."""
        rows = [
            {"candidate": name, "cannot_be_told_from_best": tied, "scores": [one.as_json() for one in scores]}
            for (name, scores), tied in zip(self.rows, self.tied, strict=True)
        ]
        return {
            "kind": self.kind, "by": self.by, "sentence": self.sentence, "rows": rows, "notes": list(self.notes)
        }  # fmt: skip


@dataclass(frozen=True, eq=False)
class Similarity:
    """How far apart two sets of data are, what theory says of it, and which source or backbone is best.

    Attributes:
        source: the name of the source.
        target: the name of the target.
        backbone: through what the rows were looked at.
        results: groups (`distance`, `feature`, `classifier`, `bound`, `class_share`, `transferability`) with their
            estimates, in the order to be shown.
        ranking: of the candidates; None if there were none.
        figures: what the pictures show, as plain JSON.
        data: what was read, as in run.json.
        notes: what was done, in sentences.
        warnings: what gives pause.
        settings: what was asked, as plain JSON.
        seconds: how long it took.
    """

    source: str
    target: str
    backbone: str
    results: tuple[tuple[str, Estimate], ...]
    ranking: Ranking | None = None
    figures: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    def of(self, group: str) -> list[Estimate]:
        """Return the estimates of a group."""
        return [estimate for where, estimate in self.results if where == group]

    @property
    def answer(self) -> str:
        """`far`, `apart`, `near`, `alike`, or `unknown`; see `judge`."""
        return judge(self.of("distance"))[0]

    @property
    def sentence(self) -> str:
        """How far apart the two are, in plain words, and that this is no verdict."""
        return f"{judge(self.of('distance'))[1]} {NO_VERDICT}"

    def as_json(self) -> dict[str, Any]:
        """Give it as plain JSON, for programs and for the page."""
        return {
            "source": self.source,
            "target": self.target,
            "backbone": self.backbone,
            "answer": self.answer,
            "sentence": self.sentence,
            "results": [{"group": group, **estimate.as_json()} for group, estimate in self.results],
            "ranking": self.ranking.as_json() if self.ranking else None,
            "data": self.data,
            "notes": list(self.notes),
            "warnings": list(self.warnings),
            "settings": self.settings,
            "seconds": round(self.seconds, 2),
        }


def judge(distances: Sequence[Estimate]) -> tuple[str, str]:
    """Say in a word and in a sentence how far apart two sides are.

    They are told apart if one of the tests of "no difference" rejects, its p-value multiplied by the number of tests
    (Bonferroni).  How far apart they are is then the share of held-out rows whose side a linear classifier names
    rightly: 1 − ε, with the 𝒜-distance 2 (1 − 2ε).

    Example:
        >>> judge([Estimate("proxy_a_distance", 1.892, 1.85, 1.92, 500, 500, p_value=1e-9)])[1]
        'A linear classifier tells the two apart on 97.3 % of held-out rows (𝒜-distance 1.89 of 2): they are far apart.'
        >>> judge([Estimate("proxy_a_distance", 0.01, -0.1, 0.1, 500, 500, p_value=0.4)])[0]
        'alike'
    """
    tested = [one for one in distances if one.p_value is not None]
    linear = next((one for one in distances if one.name == "proxy_a_distance" and one.value is not None), None)
    if linear is None or linear.value is None or not tested:
        return "unknown", "How far apart the two are could not be measured."
    first = min(tested, key=lambda one: one.p_value if one.p_value is not None else 1.0)
    corrected = min(1.0, (first.p_value or 0.0) * len(tested))
    share = (1 + linear.value / 2) / 2
    right = f"{percent(share)} of held-out rows (𝒜-distance {linear.value:.2f} of 2)"
    if corrected > LEVEL:
        return "alike", (
            f"Nothing tells the two apart: a linear classifier names the side of {right}, where chance is 50 %, and no "
            f"test finds a difference (smallest p-value, corrected for {len(tested)} tests, {corrected:.2f})."
        )
    if linear.low is not None and linear.low <= 0:
        return "near", (
            f"A linear classifier hardly tells the two apart, on {right}, but they differ ({said(first)}): they are "
            "near."
        )
    tiers = ((FAR, "far", "are far apart"), (APART, "apart", "are apart, and overlap"), (NEAR, "near", "overlap much"))
    word, how = next(((word, how) for least, word, how in tiers if share >= least), ("near", "differ a little"))
    return word, f"A linear classifier tells the two apart on {right}: they {how}."


def said(estimate: Estimate) -> str:
    """Name a test with its p-value.

    Example:
        >>> said(Estimate("energy_distance", 0.1, 0.0, 0.2, 9, 9, p_value=0.002))
        'energy distance, p = 0.002'
    """
    return f"{estimate.name.replace('_', ' ')}, p = {estimate.p_value:.2g}"
