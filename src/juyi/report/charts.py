"""The charts of the page, as plotly figures in plain JSON.

Colours are names with an @ before them ("@source"): behaviour.js puts the theme's own in their place, so that a chart
follows light and dark.  Every text that comes from data is HTML-escaped here, since plotly reads a little HTML.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from juyi.report.markup import escape, finite, label
from juyi.report.summary import FLOORS

Figure = dict[str, Any]
CLASS_COLOURS = 12
CHANCE = math.log(2)
ROUNDS = "rounds"
"""The stage of a run with clients; what it counts is a round."""
HELD_OUT = "held_out"
"""Logged beside losses, and none: it has a chart of its own."""
_AXIS = {"visible": False, "zeroline": False, "showgrid": False}
MAP_LAYOUT = {
    "xaxis": _AXIS,
    "yaxis": {**_AXIS, "scaleanchor": "x", "scaleratio": 1},
    "showlegend": False,
    "margin": {"l": 4, "r": 4, "t": 4, "b": 4},
    "hovermode": "closest",
    "dragmode": "pan",
}
"""Of maps: no axes, and both of one scale."""


def map_variants(figure: dict[str, Any], which: dict[str, Any]) -> dict[str, Figure]:
    """Draw one model's map twice: coloured by domain, and by class.

    Args:
        figure: what figures/maps.json holds.
        which: one entry of its "maps".

    Returns:
        {"domain": …, "class": …}.
    """
    classes = [escape(name) for name in figure.get("classes") or []]
    source, target = which.get("source") or [], which.get("target") or []
    label_source = (figure.get("source") or {}).get("label") or [None] * len(source)
    prediction = which.get("prediction") or [None] * len(target)
    hover_source = [f"source, labelled <b>{class_name(classes, code)}</b>" for code in label_source]
    hover_target = [f"target, predicted <b>{class_name(classes, code)}</b>" for code in prediction]
    by_domain = [
        points(source, hover_source, "source", "@source", "circle"),
        points(target, hover_target, "target", "@target", "circle"),
    ]
    by_class = []
    for code, shown in enumerate(classes):
        colour = f"@class{code % CLASS_COLOURS}"
        for side, codes, hover, symbol in (
            (source, label_source, hover_source, "circle"),
            (target, prediction, hover_target, "x"),
        ):
            rows = [i for i, one in enumerate(codes) if one == code]
            if rows:
                by_class.append(points([side[i] for i in rows], [hover[i] for i in rows], shown, colour, symbol))
    return {"domain": {"data": by_domain, "layout": MAP_LAYOUT}, "class": {"data": by_class, "layout": MAP_LAYOUT}}


def class_name(classes: list[str], code: object) -> str:
    """Name a class by its code; a dash for a code that has none.

    Example:
        >>> class_name(["cat"], 0), class_name(["cat"], None)
        ('cat', '–')
    """
    return classes[code] if isinstance(code, int) and 0 <= code < len(classes) else "–"


def points(where: list[list[float]], hover: list[str], name: str, colour: str, symbol: str) -> Figure:
    """Draw points: one trace."""
    size = 5 if len(where) > 250 or symbol == "x" else 6
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [point[0] for point in where],
        "y": [point[1] for point in where],
        "text": hover,
        "hoverinfo": "text",
        "name": name,
        "marker": {"color": colour, "symbol": symbol, "size": size, "opacity": 0.62, "line": {"width": 0}},
    }


def class_balance(figure: dict[str, Any]) -> Figure:
    """Draw how often each class occurs in the source, and how often each model predicts it on the target."""
    names = [str(name) for name in figure.get("classes") or []]
    classes, ticks = [escape(name) for name in names], [escape(shorten(name)) for name in names]
    series = [(escape(figure.get("source_name") or "source, by its labels"), figure.get("source") or [], "@neutral")]
    for position, (model, shares) in enumerate((figure.get("predicted") or {}).items()):
        series.append((f"target, by {escape(model)}", shares, model_colour(model, position)))
    if figure.get("estimated"):
        series.append(("source as it was drawn: the estimate", figure["estimated"], "@source"))
    codes = list(range(len(classes)))
    data = [
        {
            "type": "bar",
            "x": codes,
            "y": shares,
            "name": shown,
            "marker": {"color": colour},
            "text": [f"{classes[i]}<br>{shown}: {share:.1%}" for i, share in enumerate(shares[: len(classes)])],
            "hoverinfo": "text",
            "textposition": "none",
        }
        for shown, shares, colour in series
    ]
    layout = {
        "barmode": "group",
        "bargap": 0.3,
        "bargroupgap": 0.06,
        "xaxis": {
            "tickmode": "array",
            "tickvals": codes,
            "ticktext": ticks,
            "fixedrange": True,
        },
        "yaxis": {"tickformat": ".0%", "rangemode": "tozero", "fixedrange": True, "nticks": 5},
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        "margin": {"l": 46, "r": 8, "t": 36, "b": 36},
    }
    return {"data": data, "layout": layout}


def shorten(text: str, width: int = 18) -> str:
    """Cut a tick's text that is long.

    Example:
        >>> shorten("a class with quite a long name")
        'a class with quit…'
    """
    return text if len(text) <= width else text[: width - 1] + "…"


def model_colour(model: str, position: int) -> str:
    """Choose a model's colour: one for the model without transfer, others for the rest.

    Example:
        >>> model_colour("source_only", 0), model_colour("dann", 1)
        ('@before', '@after')
    """
    return "@before" if model in FLOORS else "@after" if position < 2 else f"@class{position % CLASS_COLOURS}"


def share_bars(points: Iterable[dict[str, Any]], colour: str) -> Figure:
    """Shares in percent and the bars of their intervals, as a part of a trace.

    Example:
        >>> share_bars([{"value": 0.9, "low": 0.8, "high": 0.95}], "@after")["error_y"]["array"]
        [5.0]
    """
    ends = [[100 * (finite(point.get(end)) or 0.0) for end in ("low", "value", "high")] for point in points]
    return {
        "y": [value for _, value, _ in ends],
        "error_y": {
            "type": "data", "color": colour, "thickness": 1.2,
            "array": [round(abs(high - value), 3) for _, value, high in ends],
            "arrayminus": [round(abs(low - value), 3) for low, value, _ in ends],
        },
    }  # fmt: skip


def loss_panels(lines: Iterable[dict[str, Any]]) -> list[tuple[str, Figure]]:
    """Draw the losses over the epochs, a panel for each model and stage that has any.

    A run that was resumed may have logged an epoch twice: the later line counts.

    Args:
        lines: of log.jsonl.

    Returns:
        Titles (plain text, not escaped) with figures, in the order in which the stages ran.
    """
    stages: dict[tuple[str, str], dict[float, dict[str, Any]]] = {}
    for line in lines:
        epoch, losses = finite(line.get("epoch")), line.get("losses")
        losses = {name: v for name, v in losses.items() if name != HELD_OUT} if isinstance(losses, dict) else {}
        if epoch is not None and losses:
            key = (str(line.get("model", "")), str(line.get("stage", "")))
            stages.setdefault(key, {})[epoch] = losses
    return [
        (" · ".join(part for part in key if part), loss_figure(epochs, "round" if key[1] == ROUNDS else "epoch"))
        for key, epochs in stages.items()
    ]


def loss_figure(epochs: dict[float, dict[str, Any]], unit: str = "epoch") -> Figure:
    """Draw one stage's losses; the one named "domain" stands beside its chance line, log 2."""
    at = sorted(epochs)
    ticks = {"dtick": 1} if len(at) < 8 else {"tickformat": "d", "nticks": 7}  # no half epochs
    names = list(dict.fromkeys(name for epoch in at for name in epochs[epoch]))
    data: list[dict[str, Any]] = []
    for position, name in enumerate(names):
        colour = "@target" if name == "domain" else "@source" if position == 0 else f"@class{(position + 1) % 12}"
        data.append(
            {
                "type": "scatter",
                "mode": "lines+markers" if len(at) < 3 else "lines",
                "x": at,
                "y": [finite(epochs[epoch].get(name)) for epoch in at],
                "name": escape(label(name)),
                "line": {"color": colour, "width": 2.2},
                "hovertemplate": f"{unit} %{{x}}: %{{y:.4f}}<extra></extra>",
            }
        )
    layout: dict[str, Any] = {
        "xaxis": {"title": {"text": unit, "standoff": 6}, "fixedrange": True, **ticks},
        "yaxis": {"rangemode": "tozero", "fixedrange": True, "nticks": 5},
        "showlegend": True,
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        "margin": {"l": 40, "r": 10, "t": 34, "b": 40},
    }
    if "domain" in names:
        line = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": CHANCE, "y1": CHANCE}
        layout["shapes"] = [{**line, "line": {"color": "@target", "width": 1.2, "dash": "dot"}}]
        words = {"text": "chance, log 2", "xref": "paper", "x": 1, "y": CHANCE, "showarrow": False}
        layout["annotations"] = [{**words, "xanchor": "right", "yanchor": "bottom", "font": {"size": 11}}]
    return {"data": data, "layout": layout}
