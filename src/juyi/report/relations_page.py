"""report.html of `juyi adapt --method relational`: whether the relations match, and what stands to what."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from juyi.report import sections
from juyi.report.charts import Figure
from juyi.report.markup import definitions, duration, escape, finite, section
from juyi.report.page import Variants, chart, contents, document
from juyi.runs.files import write_text

STANDING_NOTE = (
    "How strongly items of one role (rows) stand to those of another (columns), in units of the mean of all pairs. If "
    "the two pictures are alike, the roles mean the same on both sides."
)
CHANCE_NOTE = (
    "By how much matched pairs stand otherwise to each other, from 0 (alike) to about 1. Beside what was found, what "
    "is found if the target’s relations are laid anew: between any two, or so that each item keeps its degree."
)
LAID = {"shuffled": "laid at random", "rewired": "laid at random, same degrees"}
COLOURS = {"shuffled": "@soft", "rewired": "@source"}


def write_relations(record: dict[str, Any], path: Path) -> Path:
    """Write the page from what relations.json holds: one file that loads nothing.

    Returns:
        The path.

    Example:
        >>> import tempfile
        >>> path = write_relations({"sentence": "The relations match."}, Path(tempfile.mkdtemp()) / "report.html")
        >>> "The relations match." in path.read_text(encoding="utf-8")
        True
    """
    write_text(path, render(record))
    return path


def render(record: dict[str, Any]) -> str:
    """Assemble the page; a part that the record lacks is left out."""
    drawn: dict[str, Variants] = {}
    title = f"{record.get('source')} → {record.get('target')}"
    parts = [
        section("warnings", "Warnings", sections.listed("warnings", record.get("warnings") or [])),
        section("chance", "By chance", by_chance(record, drawn), CHANCE_NOTE),
        section("standing", "Who stands how to whom", standing(record, drawn), STANDING_NOTE),
        section("test", "The test", scored(record)),
        section("notes", "What was done", sections.listed("notes", record.get("notes") or [])),
        settings(record),
    ]
    head = sections.masthead(title, "no_difference", "Relations", str(record.get("sentence") or ""))
    return document(title, head + contents(parts) + "".join(parts), drawn, "relations.json")


def by_chance(record: dict[str, Any], drawn: dict[str, Variants]) -> str:
    """Draw the discrepancies by chance, and the one that was found."""
    chances = {name: values for name, values in (record.get("by_chance") or {}).items() if name in LAID and values}
    found = finite(record.get("discrepancy"))
    if not chances or found is None:
        return ""
    data: list[Figure] = [
        {"type": "histogram", "x": values, "name": LAID[name], "marker": {"color": COLOURS[name]}, "opacity": 0.75}
        for name, values in chances.items()
    ]
    data.append({
        "type": "scatter", "mode": "lines+text", "x": [found, found], "y": [0, 1], "yaxis": "y2", "showlegend": False,
        "text": ["", " found"], "textposition": "bottom right", "line": {"color": "@target", "width": 3},
    })  # fmt: skip
    layout = {
        "barmode": "overlay", "showlegend": True, "legend": {"orientation": "h", "y": 1.12},
        "xaxis": {"title": {"text": "discrepancy", "standoff": 8}, "rangemode": "tozero", "fixedrange": True},
        "yaxis": {"title": {"text": "targets laid anew"}, "fixedrange": True},
        "yaxis2": {"overlaying": "y", "range": [0, 1], "visible": False, "fixedrange": True},
        "margin": {"l": 52, "r": 22, "t": 8, "b": 46},
    }  # fmt: skip
    return chart("by-chance", "Histogram of discrepancies by chance", {"all": {"data": data, "layout": layout}}, drawn)


def standing(record: dict[str, Any], drawn: dict[str, Variants]) -> str:
    """Draw the mean strengths between roles, source and target beside each other."""
    tables, roles = record.get("standing") or {}, [escape(role) for role in record.get("roles") or []]
    if not roles or len(roles) > 30:
        return ""
    top = max((abs(cell) for table in tables.values() for row in table for cell in row), default=1.0) or 1.0
    panels = []
    for side, table in tables.items():
        figure = {
            "data": [{
                "type": "heatmap", "x": roles, "y": roles, "z": table, "zmin": -top if min(map(min, table)) < 0 else 0,
                "zmax": top, "colorscale": [[0, "@ground"], [1, f"@{side}"]], "showscale": False, "xgap": 2, "ygap": 2,
                "texttemplate": "%{z:.1f}", "hovertemplate": "%{y} to %{x}: %{z:.2f}<extra></extra>",
            }],
            "layout": {
                "xaxis": {"title": {"text": "to"}, "fixedrange": True, "type": "category"},
                "yaxis": {"autorange": "reversed", "fixedrange": True, "type": "category", "automargin": True},
                "margin": {"l": 60, "r": 8, "t": 8, "b": 46},
            },
        }  # fmt: skip
        place = chart(f"standing-{side}", f"Mean strengths between roles, {side}", {"all": figure}, drawn)
        panels.append(f"<figure><figcaption>{escape(str(record.get(side)))}</figcaption>{place}</figure>")
    return f'<div class="pair">{"".join(panels)}</div>'


def scored(record: dict[str, Any]) -> str:
    """Write the accuracy, if there was a test."""
    return "".join(
        definitions(
            f"{one['n']:,} items", [
                ("accuracy", f"{one['value']:.1%} ({one['low']:.1%} to {one['high']:.1%})"),
                ("the largest role alone", f"{one['largest_role']:.1%}"),
                ("as often right by luck", f"p = {one['p_value']:.2g}"),
            ],
        )
        for one in record.get("results") or []
    )  # fmt: skip


def settings(record: dict[str, Any]) -> str:
    """Write what was asked."""
    rows = [(key, record.get(key)) for key in ("items", "known_roles", "discrepancy", "residual", "p_values")]
    tables = definitions("Settings", (record.get("hyperparameters") or {}).items())
    tables += definitions("Found", [(key, value) for key, value in rows if value is not None])
    tables += definitions("Run", [("seconds", duration(record["seconds"]))] if record.get("seconds") else [])
    typed = f'<pre class="command"><code>{escape(record["command"])}</code></pre>' if record.get("command") else ""
    return section("settings", "Every setting", f'{typed}<div class="tables">{tables}</div>')
