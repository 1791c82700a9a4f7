"""report.html of methods that hold no network: whether carrying over helped, and how old and new were weighted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from juyi.report import sections
from juyi.report.charts import Figure
from juyi.report.markup import definitions, duration, escape, section
from juyi.report.page import Variants, chart, contents, document
from juyi.runs.files import write_text

WEIGHTS_NOTE = (
    "How much each expert's answer counted, batch after batch: the source's model, a learner that goes on, one that "
    "begins anew whenever an alarm of rising mistakes rings (dotted), and what such learners had learnt before."
)
MISTAKES_NOTE = "Rows that were answered wrongly up to there; each was answered before its label was looked at."


def write_answers(record: dict[str, Any], path: Path) -> Path:
    """Write the page from what answers.json holds: one file that loads nothing.

    Returns:
        The path.

    Example:
        >>> import tempfile
        >>> path = write_answers({"method": "coot", "verdict": None}, Path(tempfile.mkdtemp()) / "report.html")
        >>> "coot" in path.read_text(encoding="utf-8")
        True
    """
    write_text(path, render(record))
    return path


def render(record: dict[str, Any]) -> str:
    """Assemble the page; a part that the record lacks is left out."""
    drawn: dict[str, Variants] = {}
    title = f"{record.get('source')} → {record.get('target')}"
    verdict = record.get("verdict") or {}
    sentence = verdict.get("sentence") or f"{record.get('method')} has answered; there was nothing to compare it with."
    history = [one for one in record.get("history") or [] if isinstance(one, dict)]
    parts = [
        section("warnings", "What was found", sections.listed("warnings", record.get("warnings") or [])),
        sections.results(record),
        section("old-and-new", "Old and new", weights(history, drawn), WEIGHTS_NOTE),
        section("wrong", "Mistakes", mistakes(history, drawn), MISTAKES_NOTE),
        section("notes", "What was done", sections.listed("notes", record.get("notes") or [])),
        settings(record),
    ]
    answer = str(verdict.get("answer") or "cannot_tell")
    head = sections.masthead(title, answer, str(record.get("method")), str(sentence))
    return document(title, head + contents(parts) + "".join(parts), drawn, "answers.json")


def weights(history: list[dict[str, Any]], drawn: dict[str, Variants]) -> str:
    """Draw the experts' weights over the stream, one above the other."""
    names = list(dict.fromkeys(name for one in history for name in one.get("weights") or {}))
    if not names:
        return ""
    rows = [one.get("rows") for one in history]
    colours = {"source": "@source", "goes on": "@target", "since the alarm": "@after"}
    data: list[Figure] = [
        {
            "type": "scatter", "mode": "lines", "stackgroup": "weights", "x": rows, "name": escape(name),
            "y": [(one.get("weights") or {}).get(name, 0.0) for one in history],
            "line": {"width": 0.6, "color": colours.get(name, f"@class{place % 10}")},
            "hovertemplate": f"{escape(name)}: %{{y:.0%}}<extra></extra>",
        }
        for place, name in enumerate(names)
    ]  # fmt: skip
    what = "Weights of the experts over the stream"
    return chart("weights", what, {"all": {"data": data, "layout": layout(history, "weight", shares=True)}}, drawn)


def mistakes(history: list[dict[str, Any]], drawn: dict[str, Variants]) -> str:
    """Draw the mistakes up to each batch, of the method and of the model beside it."""
    names = list(dict.fromkeys(name for one in history for name in one.get("mistakes") or {}))
    if not names:
        return ""
    rows, data = [one.get("rows") for one in history], []
    for name, colour in zip(names, ("@after", "@before"), strict=False):
        total, counts = 0, []
        for one in history:
            total += (one.get("mistakes") or {}).get(name, 0)
            counts.append(total)
        data.append({
            "type": "scatter", "mode": "lines", "x": rows, "y": counts, "name": escape(name),
            "line": {"color": colour, "width": 1.8}, "hovertemplate": f"{escape(name)}: %{{y:,}}<extra></extra>",
        })  # fmt: skip
    what = "Mistakes up to each row of the stream"
    return chart("mistakes", what, {"all": {"data": data, "layout": layout(history, "mistakes")}}, drawn)


def layout(history: list[dict[str, Any]], title: str, shares: bool = False) -> Figure:
    """Axes of what is drawn over a stream; a dotted line where an alarm rang."""
    return {
        "showlegend": True, "legend": {"orientation": "h", "y": 1.14},
        "xaxis": {"title": {"text": "rows", "standoff": 8}, "rangemode": "tozero", "fixedrange": True},
        "yaxis": {"title": {"text": title}, "rangemode": "tozero", "fixedrange": True, "automargin": True}
        | ({"tickformat": ".0%", "range": [0, 1]} if shares else {}),
        "shapes": [
            {"type": "line", "x0": one["rows"], "x1": one["rows"], "yref": "paper", "y0": 0, "y1": 1,
             "line": {"color": "@ink", "width": 1, "dash": "dot"}}
            for one in history if one.get("rang")
        ],
        "margin": {"l": 56, "r": 22, "t": 8, "b": 46},
    }  # fmt: skip


def settings(record: dict[str, Any]) -> str:
    """Write what was asked."""
    tables = definitions("Settings", (record.get("hyperparameters") or {}).items())
    found = [(key, record.get(key)) for key in ("rows", "target_labels", "classes") if record.get(key) is not None]
    tables += definitions("Data", found)
    tables += definitions("Run", [("seconds", duration(record["seconds"]))] if record.get("seconds") else [])
    typed = f'<pre class="command"><code>{escape(record["command"])}</code></pre>' if record.get("command") else ""
    return section("settings", "Every setting", f'{typed}<div class="tables">{tables}</div>')
