"""What is known of a run's models without a label of the target, as a section of the page."""

from __future__ import annotations

from typing import Any

from juyi.report.markup import escape, finite, quantity, section
from juyi.report.similarity_tables import table

NOTE = (
    "No label of the target was read for this. The accuracy of source only is an estimate, which holds where the model "
    "is as sure there as it should be; that of a model that has adapted can only be bounded, since such models are "
    "sure of what they have adapted to, right or wrong. Where two models differ, the others are asked with which of "
    "them they side: evidence, no proof."
)
ANSWERS = {
    "helped": "seems to have helped",
    "hurt": "seems to have hurt",
    "no_difference": "no difference that matters",
    "cannot_tell": "cannot tell",
}


def without_labels(record: dict[str, Any]) -> str:
    """Show, model by model, what is known of its accuracy, with whom the others side, and what speaks against it.

    Example:
        >>> without_labels({"verdict": {"evidence": "label_free"}})
        ''
    """
    known, choice = _mapping(record.get("without_labels")), _mapping(record.get("choice"))
    judged = str(choice.get("judged") or record.get("method"))
    evidence = {judged: known.get("evidence"), **_mapping(choice.get("evidence"))}
    rows = [
        _row(str(name), accuracy, evidence.get(name), record, choice)
        for name, accuracy in _mapping(known.get("accuracy")).items()
        if isinstance(accuracy, dict)
    ]
    if not rows:
        return ""
    shown = table("measures", rows[0], (row.items() for row in rows))
    return section("without-labels", "What is known without labels", shown + _rehearsed(record), NOTE)


def _row(
    name: str, accuracy: dict[str, Any], evidence: Any, record: dict[str, Any], choice: dict[str, Any]
) -> dict[str, str]:
    """What stands in each column for a model, as HTML."""
    found = _mapping(evidence)
    value, low, high = (finite(accuracy.get(key)) for key in ("value", "low", "high"))
    ends = f"{quantity(low)[:-2]} to {quantity(high)}" if low is not None and high is not None else "unknown"
    jury = _mapping(found.get("jury"))
    marks = {"serves": name == record.get("serves"), "chosen": name == choice.get("name")}
    mark = ", ".join(word for word, is_so in marks.items() if is_so)
    return {
        "model": f"<strong>{escape(name)}</strong> <small>{mark}</small>",
        "accuracy on the target": escape(ends) if value is None else f"<b>{quantity(value)}</b> <small>{ends}</small>",
        "the others side with it by": escape(_points(jury)),
        "against it": escape("; ".join(str(flag) for flag in found.get("flags") or []) or ("–" if found else "")),
        "without labels": escape(ANSWERS.get(str(found.get("answer")), "")),
    }


def _points(jury: dict[str, Any]) -> str:
    """The jury's estimate in points, with its interval."""
    value, low, high = (finite(jury.get(key)) for key in ("value", "low", "high"))
    if value is None or low is None or high is None:
        return "–" if jury else ""
    signed = [f"{number * 100:+.1f}".replace("-", "−") for number in (value, low, high)]
    return f"{signed[0]} points ({signed[1]} to {signed[2]})"


def _rehearsed(record: dict[str, Any]) -> str:
    rehearsal = _mapping(record.get("rehearsal"))
    if finite(rehearsal.get("gain")) is None:
        return ""
    before, after = (quantity(rehearsal.get(key)) for key in ("accuracy_floor", "accuracy"))
    return (
        f"<p>Dress rehearsal: on {escape(rehearsal.get('n'))} rows of the source in the target’s look, whose labels "
        f"are known, source only was right on {escape(before)}, the method on {escape(after)}. The target itself may "
        "behave otherwise, and often does.</p>"
    )


def _mapping(content: Any) -> dict[str, Any]:
    """What a file holds where it should hold an object; an empty one if it does not."""
    return content if isinstance(content, dict) else {}
