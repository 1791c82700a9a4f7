"""What labels of randomly drawn disagreeing rows have settled, as a section of the page."""

from __future__ import annotations

from typing import Any

from juyi.report.markup import definitions, escape, finite, section
from juyi.report.summary import FLOOR

NOTE = (
    "Where two models agree, both are right or both are wrong, so the difference of their accuracies on these rows "
    "rests on those where they disagree. Labels of some of them, drawn at random, were given one by one and tested "
    "after each: at whatever label one stops, the answer is wrong in at most 5 of 100 such cases."
)


def settled(record: dict[str, Any]) -> str:
    """Show what was settled: the gain and its interval, on a line over all that is possible, and what it rests on.

    Example:
        >>> settled({"verdict": {"evidence": "label_free"}})
        ''
    """
    found = settled_in(record)
    if not found:
        return ""
    used, disagreeing, rows = (int(finite(found.get(key)) or 0) for key in ("labels_used", "disagreeing", "rows"))
    confidence = finite(found.get("confidence")) or 0.95
    beside = found is not record.get("verdict")
    sentence = f"<p>{escape(found.get('sentence') or '')}</p>" if beside else ""
    told: list[tuple[object, object]] = [
        ("gain, in points of accuracy", points(found.get("gain"))),
        (f"{confidence * 100:.0f} % interval", f"{points(found.get('low'))} to {points(found.get('high'))}"),
        ("labels used", f"{used:,}"),
        ("rows on which the models disagree", f"{disagreeing:,} of {rows:,}"),
    ]
    openings = [one for one in record.get("openings") or [] if isinstance(one, dict) and "labels" in one]
    told += [
        (f"round {i}", f"{one['labels']} labels, {str(one.get('when'))[:16].replace('T', ' ')}")
        for i, one in enumerate(openings, 1)
    ]
    line = interval_line(found, disagreeing / rows if rows else 0.0)
    heading = "What the labels say so far" if found.get("answer") == "cannot_tell" else "Settled by labels"
    return section("settled", heading, f"{sentence}{line}{definitions('', told)}", NOTE)


def settled_in(record: dict[str, Any]) -> dict[str, Any]:
    """Return what was settled: the run's verdict, or what stands beside one from test labels; empty if nothing was."""
    for key in ("settled", "verdict"):
        found = record.get(key)
        if isinstance(found, dict) and found.get("evidence") == "settled":
            return found
    return {}


def points(share: object) -> str:
    """Write a difference of accuracies in points.

    Example:
        >>> points(-0.021), points(0.3), points(None)
        ('−2.1', '+30.0', '–')
    """
    known = finite(share)
    return (
        "–" if known is None else f"{known * 100:+.1f}".replace("-", "−").replace("+0.0", "0.0").replace("−0.0", "0.0")
    )


def interval_line(found: dict[str, Any], most: float) -> str:
    """Draw the gain and its interval on a line from −`most` to `most`, more than which is not possible."""
    low, high, gain = (finite(found.get(key)) for key in ("low", "high", "gain"))
    if low is None or high is None or most <= 0:
        return ""

    def place(value: float) -> str:
        return f"{min(max(50 + 50 * value / most, 0.0), 100.0):.2f}"

    def line(kind: str, start: str, end: str, top: int = 6, bottom: int = 6) -> str:
        return f'<line class="{kind}" x1="{start}" x2="{end}" y1="{top}" y2="{bottom}"/>'

    mark = "" if gain is None else line("point", place(gain), place(gain), 1, 11)
    lines = line("track", "0", "100") + line("track", "50", "50", -2, 14) + line("reach", place(low), place(high))
    worse, better = (f"<small>{escape(FLOOR)} {word}</small>" for word in ("better", "worse"))
    return (
        '<div style="max-width:46rem;margin-bottom:1rem">'
        '<svg class="bar after" viewBox="0 0 100 12" preserveAspectRatio="none" aria-hidden="true">'
        f"{lines}{mark}</svg>"
        '<p class="what" style="display:flex;justify-content:space-between;margin:.2rem 0">'
        f"<span>{points(-most)} {worse}</span><span>0</span><span>{better} {points(most)}</span></p></div>"
    )
