"""The charts of a run with clients: their accuracies, the rounds, and how classes are shared out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from juyi.report.charts import Figure, shorten
from juyi.report.clients import GENERAL, LOCAL, ClientLine, in_words
from juyi.report.markup import escape

MOST_NAMES = 24
"""So many clients have their names written under the chart; of more they are read by pointing."""
OTHERS = ("@class0", "@class6", "@class8", "@class2", "@class11", "@class10")
"""Colours of models that have none of their own."""
_LEGEND = {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"}


def spoken(model: str, personal: str) -> str:
    """Name a model in a legend or a sentence.

    Example:
        >>> spoken("fedavg", "ditto"), spoken("local", "ditto"), spoken("fedavg_ft", "ditto")
        ('general model (fedavg)', 'local model', 'fedavg_ft')
    """
    words = in_words(model, personal)
    return f"{words} ({model})" if words and model != LOCAL else words or model


def colour_of(model: str, personal: str, position: int) -> str:
    """Choose a model's colour, the same in all charts of the run."""
    own = {personal: "@after", GENERAL: "@before", LOCAL: "@class1"}
    return own.get(model, OTHERS[position % len(OTHERS)])


def dots(clients: Sequence[ClientLine], models: Sequence[str], personal: str) -> Figure:
    """Draw a column of dots for each client, in the order given: one for each model, a ring around what it serves."""
    size = 9 if len(clients) <= MOST_NAMES else 7 if len(clients) <= 80 else 5
    shift = 0.2 if len(clients) <= 80 else 0.0
    hover = [told(client, models, personal) for client in clients]
    symbols = {GENERAL: "square", LOCAL: "diamond"}
    data: list[Figure] = [_reaches(clients, models)]
    rings: dict[str, list[Any]] = {"x": [], "y": [], "text": []}
    for position, model in enumerate(models):
        known = [place for place, client in enumerate(clients) if model in client.accuracy]
        where = [place + shift * (position - (len(models) - 1) / 2) for place in known]
        values = [100 * clients[place].accuracy[model] for place in known]
        data.append({
            "type": "scatter", "mode": "markers", "x": where, "y": values, "text": [hover[place] for place in known],
            "hoverinfo": "text", "name": escape(spoken(model, personal)), "cliponaxis": False,
            "marker": {"color": colour_of(model, personal, position), "size": size,
                       "symbol": symbols.get(model, "circle")},
        })  # fmt: skip
        for place, x, y in zip(known, where, values, strict=True):
            if clients[place].serves == model:
                for key, value in (("x", x), ("y", y), ("text", hover[place])):
                    rings[key].append(value)
    data.append({
        "type": "scatter", "mode": "markers", **rings, "hoverinfo": "text", "name": "the one that it serves",
        "cliponaxis": False,
        "marker": {"color": "@ink", "symbol": "circle-open", "size": size + (6 if size > 5 else 3),
                   "line": {"width": 1.6 if size > 5 else 1}},
    })  # fmt: skip
    named = len(clients) <= MOST_NAMES
    ticks = {
        "tickmode": "array",
        "tickvals": list(range(len(clients))) if named else [],
        "ticktext": [escape(shorten(client.name, 14)) for client in clients] if named else [],
    }
    layout = {
        "xaxis": {**ticks, "title": {"text": "clients, the worst served first", "standoff": 8}, "fixedrange": True,
                  "range": [-0.7, len(clients) - 0.3], "zeroline": False},
        "yaxis": {"title": {"text": "accuracy, %"}, "range": [-4, 104], "fixedrange": True, "nticks": 6,
                  "zeroline": False},
        "showlegend": True, "legend": _LEGEND, "hovermode": "closest", "margin": {"l": 56, "r": 10, "t": 40, "b": 46},
    }  # fmt: skip
    return {"data": data, "layout": layout}


def _reaches(clients: Sequence[ClientLine], models: Sequence[str]) -> Figure:
    """A thin line from a client's lowest to its highest dot, which holds the column together."""
    x: list[int | None] = []
    y: list[float | None] = []
    for place, client in enumerate(clients):
        values = [100 * client.accuracy[model] for model in models if model in client.accuracy]
        if values:
            x += [place, place, None]
            y += [min(values), max(values), None]
    return {
        "type": "scatter", "mode": "lines", "x": x, "y": y, "line": {"color": "@line", "width": 2},
        "hoverinfo": "skip", "showlegend": False,
    }  # fmt: skip


def told(client: ClientLine, models: Sequence[str], personal: str) -> str:
    """Say what is known of a client, in the little HTML that charts read."""
    lines = [f"<b>{escape(client.name)}</b>", f"{client.rows:,} rows learnt from, {client.tested:,} tested"]
    for model in models:
        if model in client.accuracy:
            lines.append(f"{escape(spoken(model, personal))}: {100 * client.accuracy[model]:.1f} %")
    if client.serves:
        lines.append(f"serves: {escape(client.serves)}")
    return "<br>".join(lines)


Points = list[tuple[float, float]]


def lines(looks: dict[str, Points], kept: dict[str, float | None], personal: str) -> Figure:
    """Draw how much of the held-out rows each model tells by rounds; the round that was kept has a large dot."""
    data: list[Figure] = []
    for position, (model, points) in enumerate(looks.items()):
        name = spoken(model, personal)
        colour = colour_of(model, personal, position)
        marks = ["kept" if at == kept.get(model) else "" for at, _ in points]
        data.append({
            "type": "scatter", "mode": "lines+markers", "x": [at for at, _ in points],
            "y": [100 * value for _, value in points], "name": escape(name),
            "text": [
                f"{escape(name)}<br>round {at:g}: {100 * value:.1f} %{', kept' if mark else ''}"
                for (at, value), mark in zip(points, marks, strict=True)
            ],
            "hoverinfo": "text", "line": {"color": colour, "width": 2.2},
            "marker": {"color": colour, "size": [12 if mark else 5 for mark in marks], "opacity": 1,
                       "line": {"width": 0}},
        })  # fmt: skip
    longest = max(at for points in looks.values() for at, _ in points)
    ticks = {"dtick": 1} if longest < 8 else {"tickformat": "d", "nticks": 9}
    layout = {
        "xaxis": {"title": {"text": "round", "standoff": 6}, "fixedrange": True, **ticks},
        "yaxis": {"title": {"text": "held-out rows told, %"}, "fixedrange": True, "nticks": 6, "rangemode": "tozero"},
        "showlegend": True, "legend": _LEGEND, "margin": {"l": 56, "r": 12, "t": 40, "b": 46},
    }  # fmt: skip
    return {"data": data, "layout": layout}


def cells(clients: Sequence[ClientLine], classes: Sequence[str]) -> Figure:
    """Draw a cell for each client and class, coloured by the root of the number of rows."""
    counts = [[client.classes[code] if code < len(client.classes) else 0 for client in clients]
              for code in range(len(classes))]  # fmt: skip
    most = max((number for row in counts for number in row), default=0)
    steps = sorted({round(most * part) for part in (0.0, 0.2, 1.0)})
    gap = 2 if len(clients) <= MOST_NAMES and len(classes) <= MOST_NAMES else 1
    trace = {
        "type": "heatmap", "x": list(range(len(clients))), "y": list(range(len(classes))),
        "z": [[math.sqrt(number) for number in row] for row in counts], "zmin": 0, "zmax": math.sqrt(most) or 1,
        "hovertext": [
            [f"<b>{escape(client.name)}</b><br>class {escape(name)}: {number:,} of {client.rows:,} rows"
             for client, number in zip(clients, row, strict=True)]
            for name, row in zip(classes, counts, strict=True)
        ],
        "hoverinfo": "text", "xgap": gap, "ygap": gap, "colorscale": [[0, "@ground"], [1, "@source"]],
        "colorbar": {"thickness": 12, "title": {"text": "rows"}, "tickvals": [math.sqrt(step) for step in steps],
                     "ticktext": [f"{step:,}" for step in steps], "outlinewidth": 0},
    }  # fmt: skip
    layout = {
        "xaxis": {**_thinned([client.name for client in clients]), "showgrid": False, "zeroline": False,
                  "title": {"text": "clients", "standoff": 8}, "fixedrange": True},
        "yaxis": {**_thinned(list(classes), 40), "showgrid": False, "zeroline": False, "fixedrange": True,
                  "title": {"text": "classes"}, "autorange": "reversed"},
        "margin": {"l": 56, "r": 10, "t": 12, "b": 46},
    }  # fmt: skip
    return {"data": [trace], "layout": layout}


def _thinned(names: list[str], most: int = MOST_NAMES) -> dict[str, Any]:
    """Ticks with names; of more than that half as many, evenly spaced."""
    step = 1 if len(names) <= most else -(-len(names) // (most // 2))
    places = list(range(0, len(names), step))
    return {
        "tickmode": "array",
        "tickvals": places,
        "ticktext": [escape(shorten(names[place], 14)) for place in places],
    }
