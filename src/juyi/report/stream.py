"""The section of a run that followed a stream: how it went from the first batch to the last."""

from __future__ import annotations

from typing import Any

from juyi.report.charts import Figure, model_colour
from juyi.report.markup import escape, finite, section

NOTE = (
    "Each batch was answered once, when it came, and no answer was revised. Where the two models agree, both are right "
    "or both are wrong: so the share on which they disagree bounds, exactly, by how much adapting can have changed the "
    "accuracy there. Shaded: batches that were held back, because they seemed to be ordered by class; the model that "
    "is not adapted answered them. Dotted: the weights had collapsed and went back to the start. Low entropy means "
    "sure answers, not right ones."
)


def stream(figure: dict[str, Any], record: dict[str, Any], drawn: dict[str, dict[str, Figure]]) -> str:
    """Show a stream: what the guard did, in words, and a panel each for accuracy, disagreement, classes and entropy.

    Args:
        figure: what figures/stream.json holds; empty for any other run.
        record: what run.json holds.
        drawn: charts that the page draws; the panels are added.
    """
    rows = numbers(figure.get("row"))
    if not rows:
        return ""
    places = []
    for position, (title, panel) in enumerate(panels(figure, rows)):
        drawn[f"stream-{position}"] = {"only": panel}
        what = escape(f"{title}, over the stream")
        place = f'<div class="chart loss" id="stream-{position}" role="img" aria-label="{what}"></div>'
        places.append(f"<figure><figcaption>{escape(title)}</figcaption>{place}</figure>")
    told = f'<p class="what">{escape(told_of(record))}</p>' if record.get("online") else ""
    return section("stream", "Over the stream", f'{told}<div class="pair">{"".join(places)}</div>', NOTE)


def told_of(record: dict[str, Any]) -> str:
    """Say what the guard did over a whole stream.

    Example:
        >>> told_of({"method": "tent", "online": {"batches": 10, "held_back": 1, "disagreement": 0.25}})
        'tent: 10 batches, 1 held back; answers differ from those without adapting on 25.0 %.'
    """
    online = record.get("online") or {}
    parts = [f"{online.get('batches')} batches, {online.get('held_back', 0)} held back"]
    parts += [f"went back to the start {online['resets']}×"] if online.get("resets") else []
    share = finite(online.get("disagreement"))
    parts += [] if share is None else [f"answers differ from those without adapting on {share:.1%}".replace("%", " %")]
    scored = f" Scored: {online['scored']}." if online.get("scored") else ""
    return f"{record.get('method')}: {'; '.join(parts)}.{scored}"


def panels(figure: dict[str, Any], rows: list[float | None]) -> list[tuple[str, Figure]]:
    """Draw the panels that the figure has numbers for, as title and chart."""
    kept = figure.get("accuracy")
    accuracy = kept if isinstance(kept, dict) else {}
    models = [(str(model), values, model_colour(model, k)) for k, (model, values) in enumerate(accuracy.items())]
    classes = [
        ("this stream", figure.get("classes"), "@after"),
        ("if mixed", figure.get("expected_classes"), "@neutral"),
    ]
    wanted = [
        ("Accuracy", models, True),
        ("Disagreement with the model that is not adapted", [("", figure.get("disagreement"), "@after")], True),
        ("Classes that the answers name, in effect", classes, False),
        ("Mean entropy of the answers, in nats", [("", figure.get("entropy"), "@target")], False),
    ]
    found = []
    for title, lines, is_share in wanted:
        traces = [line(rows, numbers(values), name, colour, is_share) for name, values, colour in lines if values]
        if traces:
            found.append((title, {"data": traces, "layout": layout(figure, rows, is_share, len(traces) > 1)}))
    return found


def line(rows: list[float | None], values: list[float | None], name: str, colour: str, is_share: bool) -> Figure:
    """Draw one line over the stream."""
    shown = "%{y:.1%}" if is_share else "%{y:.2f}"
    return {
        "type": "scatter",
        "mode": "lines+markers" if len(rows) < 3 else "lines",
        "x": rows,
        "y": values,
        "name": escape(name),
        "line": {"color": colour, "width": 1.8},
        "hovertemplate": f"{escape(name)} up to row %{{x:,}}: {shown}<extra></extra>".lstrip(),
    }


def layout(figure: dict[str, Any], rows: list[float | None], is_share: bool, legend: bool) -> dict[str, Any]:
    """Lay a panel out: stretches that were held back are shaded, resets are dotted lines."""
    return {
        "xaxis": {"title": {"text": "rows answered", "standoff": 6}, "fixedrange": True, "rangemode": "tozero"},
        "yaxis": {
            "rangemode": "tozero",
            "fixedrange": True,
            "nticks": 5,
            **({"tickformat": ".0%"} if is_share else {}),
        },
        "showlegend": legend,
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        "margin": {"l": 46, "r": 10, "t": 34 if legend else 12, "b": 40},
        "shapes": [*held_back(rows, numbers(figure.get("held_back"))), *resets(rows, numbers(figure.get("resets")))],
    }


def held_back(rows: list[float | None], shares: list[float | None]) -> list[dict[str, Any]]:
    """Shade the stretches of which at least half was held back.

    Example:
        >>> [(shape["x0"], shape["x1"]) for shape in held_back([10, 20, 30, 40], [0, 1, 1, 0])]
        [(10, 30)]
    """
    stretches: list[list[float]] = []
    before = 0.0
    for row, share in zip(rows, shares, strict=False):
        if row is not None and share is not None and share >= 0.5:
            if stretches and stretches[-1][1] == before:
                stretches[-1][1] = row
            else:
                stretches.append([before, row])
        before = row if row is not None else before
    look = {"type": "rect", "yref": "paper", "y0": 0, "y1": 1, "layer": "below", "opacity": 0.14, "line": {"width": 0}}
    return [{**look, "x0": start, "x1": end, "fillcolor": "#8a8f98"} for start, end in stretches]


def resets(rows: list[float | None], counts: list[float | None]) -> list[dict[str, Any]]:
    """Mark where the weights went back to the start."""
    look = {"type": "line", "yref": "paper", "y0": 0, "y1": 1, "line": {"color": "@hurt", "width": 1.2, "dash": "dot"}}
    return [{**look, "x0": row, "x1": row} for row, count in zip(rows, counts, strict=False) if count and row]


def numbers(values: Any) -> list[float | None]:
    """Read a list of numbers; what is none is a gap."""
    return [finite(value) for value in values] if isinstance(values, list) else []
