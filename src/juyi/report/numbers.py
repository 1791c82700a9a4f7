"""Where labels are numbers: what each model tells of the target, row by row, as a chart."""

from __future__ import annotations

from typing import Any

from juyi.report.charts import Figure
from juyi.report.markup import escape, finite, section
from juyi.report.summary import FLOOR

NOTE = (
    "What each model tells of the target's rows, in their order; the dots are the labels that the run was given. Where "
    "the lines lie far apart they cannot all be right, and a label there says most."
)


def numbers(figure: dict[str, Any], record: dict[str, Any], drawn: dict[str, dict[str, Figure]]) -> str:
    """Show what the models tell of the target, a line each.

    Args:
        figure: what figures/numbers.json holds; empty for a run that tells classes.
        record: what run.json holds.
        drawn: charts that the page draws; this one is added.
    """
    told, rows = figure.get("told"), figure.get("row")
    if not isinstance(told, dict) or not isinstance(rows, list):
        return ""
    drawn["numbers"] = {"only": lines(figure, str(record.get("serves")))}
    place = '<div class="chart wide" id="numbers" role="img" aria-label="What each model tells of the target"></div>'
    return section("told", "What the models tell of the target", f"<figure>{place}</figure>", NOTE)


def lines(figure: dict[str, Any], serves: str) -> Figure:
    """Draw a line for each model, and a dot for each label that was given.

    Example:
        >>> figure = {"row": [0, 1], "told": {"source_only": [1.0, 2.0]}, "given": [None, 2.5], "unit": "°C"}
        >>> [(trace["name"], trace["y"]) for trace in lines(figure, "source_only")["data"]]
        [('source_only', [1.0, 2.0]), ('labels given', [2.5])]
    """
    rows, unit = figure["row"], escape(figure.get("unit") or "")
    names = [escape(name) for name in figure.get("name") or rows]
    hover = f"%{{text}}: %{{y:.4g}} {unit}".rstrip() + "<extra></extra>"
    colours = {FLOOR: "@before", serves: "@after"}
    data: list[Figure] = [
        {
            "type": "scatter", "mode": "lines", "x": rows, "y": [finite(value) for value in values], "text": names,
            "name": escape(model), "line": {"color": colours.get(model, "@neutral"), "width": 2.2},
            "hovertemplate": f"{escape(model)}, {hover}",
        }
        for model, values in figure["told"].items()
    ]  # fmt: skip
    known = [place for place, value in enumerate(figure.get("given") or []) if finite(value) is not None]
    if known:
        data.append({
            "type": "scatter", "mode": "markers", "x": [rows[place] for place in known],
            "y": [figure["given"][place] for place in known], "text": [names[place] for place in known],
            "name": "labels given", "marker": {"color": "@ink", "size": 9}, "hovertemplate": f"label, {hover}",
        })  # fmt: skip
    layout = {
        "xaxis": {"title": {"text": "row of the target", "standoff": 6}, "fixedrange": True, "nticks": 8},
        "yaxis": {"title": {"text": unit}, "fixedrange": True, "nticks": 6},
        "showlegend": True,
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        "margin": {"l": 56, "r": 10, "t": 36, "b": 42},
    }
    return {"data": data, "layout": layout}
