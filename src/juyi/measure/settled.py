"""The verdict that labels of randomly drawn disagreeing rows give: what was settled, in a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from juyi.measure.sequential import Settled
from juyi.measure.verdict import number, with_warnings

OPENINGS = {
    "helped": "Adapting helped",
    "hurt": "Adapting hurt ({model} is worse than {floor}, that is, than not transferring)",
    "no_difference": "Adapting made no difference that matters",
    "undecided": "These labels cannot tell yet whether adapting helped",
}


def verdict_from_labels(
    settled: Settled,
    model: str,
    floor: str = "source_only",
    *,
    rows: str = "images",
    left: int = 0,
    warnings: Sequence[str] = (),
) -> dict[str, Any]:
    """Say what `settle` found.

    Args:
        settled: what it found.
        model: what the method's model is called.
        floor: what the model without transfer is called.
        rows: what a row is, in the plural.
        left: how many more labels are likely needed, where it is undecided (see `labels_left`).
        warnings: sentences to add (see `collapse_warnings`).

    Returns:
        What run.json holds under "verdict": answer (`cannot_tell` where it is undecided), gain, low, high (all in
        accuracy, -1 to 1), confidence, evidence (`settled`), sentence, warnings, labels_used, disagreeing, rows.

    Example:
        >>> from juyi.measure.sequential import settle
        >>> verdict = verdict_from_labels(settle([1] * 10, 400, 2000), "dann")
        >>> verdict["answer"], verdict["evidence"], verdict["labels_used"]
        ('helped', 'settled', 10)
    """
    opening = OPENINGS[settled.answer].format(model=model, floor=floor)
    sentence = f"{opening}: {_finding(settled, model, floor, rows)}."
    if settled.answer == "undecided" and left:
        more = f"About {left:,} more labels are" if left > 1 else "One more label is"
        sentence += f" {more} likely to settle it."
    if settled.used < settled.disagreeing:
        sentence += (
            f" The interval holds at whatever label one stops; it covers the choice of {rows} to label, "
            "not the choice of seed."
        )
    return {
        "answer": "cannot_tell" if settled.answer == "undecided" else settled.answer,
        "gain": settled.gain,
        "low": settled.low,
        "high": settled.high,
        "confidence": settled.confidence,
        "evidence": "settled",
        **with_warnings(sentence, warnings),
        "labels_used": settled.used,
        "disagreeing": settled.disagreeing,
        "rows": settled.total,
    }


def _finding(settled: Settled, model: str, floor: str, rows: str) -> str:
    """Say the figures: by how many points, how far that may be off, by how many labels."""
    exact = settled.used == settled.disagreeing
    gain = settled.gain or 0.0
    about = "" if exact else "about "
    points = f"{about}{abs(gain) * 100:.1f} points {'more' if gain > 0 else 'fewer'} than {floor}"
    compared = points if gain else f"{about}as many as {floor}"
    opening = f"of the {settled.total:,} target {rows} {model} is right on {compared}"
    if exact:
        return f"{opening}, exactly: all {settled.disagreeing:,} on which they answer differently are labelled"
    span = f"{settled.confidence * 100:.0f} % interval {number(settled.low)} to {number(settled.high)}"
    labels = f"{settled.used:,} labels" if settled.used != 1 else "one label"
    return f"{opening} ({span}), by {labels} drawn at random from the {settled.disagreeing:,} on which they differ"
