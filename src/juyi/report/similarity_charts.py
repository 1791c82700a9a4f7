"""The charts of the page that tells how far apart two sets of data are; see `charts` for how they are written."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from juyi.report.charts import Figure, shorten
from juyi.report.markup import escape, finite
from juyi.report.similarity_words import figure as shown
from juyi.report.similarity_words import interval, p_text, title

SIDES = (("source", "@source"), ("target", "@target"))


def overlap(content: dict[str, Any], names: dict[str, str]) -> Figure:
    """Draw, for each side, how sure a linear classifier is that a row which it has not seen is of the target."""
    edges = content.get("edges") or []
    middles = [(low + high) / 2 for low, high in pairwise(edges)]
    data = [
        {
            "type": "bar", "x": middles, "y": content.get(side) or [], "name": f"{side}: {escape(names[side])}",
            "marker": {"color": colour}, "opacity": 0.75, "textposition": "none", "hoverinfo": "text",
            "text": [f"{side}: {share:.1%} of its rows" for share in content.get(side) or []],
        }
        for side, colour in SIDES
    ]  # fmt: skip
    layout = {
        "barmode": "overlay", "bargap": 0.08, "showlegend": False,
        "xaxis": {"title": {"text": "of the target, thinks the classifier", "standoff": 8}, "range": [0, 1],
                  "tickformat": ".0%", "fixedrange": True, "nticks": 6},
        "yaxis": {"tickformat": ".0%", "rangemode": "tozero", "fixedrange": True, "nticks": 5},
        "margin": {"l": 46, "r": 22, "t": 8, "b": 46},
    }  # fmt: skip
    return {"data": data, "layout": layout}


def bars(rows: list[tuple[str, dict[str, Any], str]], group: str = "") -> Figure:
    """Draw estimates as horizontal bars with their intervals, the first on top.

    Args:
        rows: for each bar its name, the estimate, and its colour.
        group: of the estimates.
    """
    values, error, shared, layout = _rows(rows, group)
    trace = {**shared, "type": "bar", "orientation": "h", "x": values, "error_x": error, "textposition": "none"}
    trace["marker"] = {"color": [colour for _, _, colour in rows]}
    return {"data": [trace], "layout": {**layout, "bargap": 0.4}}


def dots(rows: list[tuple[str, dict[str, Any], str]], group: str = "") -> Figure:
    """Draw estimates as dots with their intervals, for figures whose 0 has no meaning; see `bars`."""
    values, error, shared, layout = _rows(rows, group)
    trace = {**shared, "type": "scatter", "mode": "markers", "x": values, "error_x": error}
    trace["marker"] = {"color": [colour for _, _, colour in rows], "size": 13}
    axis = {**layout["xaxis"], "zeroline": False}
    return {"data": [trace], "layout": {**layout, "xaxis": axis}}


def _rows(rows: list[tuple[str, dict[str, Any], str]], group: str) -> tuple[list[float], Figure, Figure, Figure]:
    """Return the values, their intervals, what all traces share, and the layout."""
    places = list(range(len(rows)))
    values = [finite(result.get("value")) or 0.0 for _, result, _ in rows]
    ends = [(finite(result.get("low")), finite(result.get("high"))) for _, result, _ in rows]
    hover = [
        f"<b>{escape(name)}</b><br>{escape(title(str(result.get('name'))) if group != 'feature' else '')} "
        f"{shown(result.get('value'), str(result.get('name')), group)}"
        f"<br>95 % interval {interval(result, group) or '–'}<br>p {p_text(result.get('p_value'))}"
        for name, result, _ in rows
    ]
    layout: dict[str, Any] = {
        "xaxis": {"nticks": 6, "fixedrange": True, "showgrid": True, "zeroline": True},
        "yaxis": {"tickmode": "array", "tickvals": places, "ticktext": [escape(shorten(n, 30)) for n, _, _ in rows],
                  "range": [len(rows) - 0.4, -0.6], "fixedrange": True, "showgrid": False, "zeroline": False},
        "showlegend": False, "margin": {"l": 10, "r": 16, "t": 8, "b": 30},
    }  # fmt: skip
    return values, error_bars(values, ends), {"y": places, "text": hover, "hoverinfo": "text"}, layout


def error_bars(values: list[float], ends: list[tuple[float | None, float | None]]) -> Figure:
    """Draw intervals as thin lines; none where an end is not known."""
    above = [0 if high is None else max(0.0, high - value) for (_, high), value in zip(ends, values, strict=True)]
    below = [0 if low is None else max(0.0, value - low) for (low, _), value in zip(ends, values, strict=True)]
    return {
        "type": "data", "symmetric": False, "thickness": 1.6, "width": 4, "color": "@ink",
        "array": above, "arrayminus": below,
    }  # fmt: skip


def class_shares(content: dict[str, Any]) -> Figure:
    """Draw the classes' shares: counted in the source, estimated for the target with intervals, counted where given."""
    classes = [str(name) for name in content.get("classes") or []]
    codes = list(range(len(classes)))
    data = []
    for series in content.get("series") or []:
        values = [finite(share) or 0.0 for share in series["shares"]]
        ends = [
            (finite(low), finite(high))
            for low, high in zip(series.get("low") or values, series.get("high") or values, strict=True)
        ]
        name = escape(series["name"])
        data.append({
            "type": "bar", "x": codes, "y": values, "name": name, "marker": {"color": series["colour"]},
            "hoverinfo": "text", "textposition": "none",
            "text": [f"{escape(classes[k])}<br>{name}: {value:.1%}" for k, value in enumerate(values)],
            **({"error_y": error_bars(values, ends)} if series.get("low") else {}),
        })  # fmt: skip
    layout = {
        "barmode": "group", "bargap": 0.3, "bargroupgap": 0.06,
        "xaxis": {"tickmode": "array", "tickvals": codes, "ticktext": [escape(shorten(c)) for c in classes],
                  "fixedrange": True},
        "yaxis": {"tickformat": ".0%", "rangemode": "tozero", "fixedrange": True, "nticks": 5},
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        "margin": {"l": 46, "r": 8, "t": 36, "b": 36},
    }  # fmt: skip
    return {"data": data, "layout": layout}
