"""Of a fine-tuning: accuracy against labels a class, and what methods the cross-validation compared."""

from __future__ import annotations

from typing import Any

from juyi.report.charts import CLASS_COLOURS, Figure, share_bars
from juyi.report.markup import escape, finite, label, section
from juyi.report.summary import FLOORS, interval_text

CURVE_NOTE = (
    "Accuracy on the test against the number of labels of each class that were learnt from; the bars are 95 % "
    "intervals over test rows, for one draw of labels. Where the line of the backbone lies above the one from scratch, "
    "what it learnt before is worth that many labels."
)
COMPARED_NOTE = (
    "Each method learnt from a part of the labels and was asked about the rest, in turn; no test was looked at. The "
    "first of the best was taken."
)
CLIENTS_NOTE = (
    "How much of its held-out rows each client's personal model tells, mean over clients; no test was looked at. The "
    "best was taken, so the figure of the best is a little too good."
)


def curve(figure: dict[str, Any], drawn: dict[str, dict[str, Figure]]) -> str:
    """Show accuracy against labels a class, a line a model, as a chart and, folded away, as a table."""
    points = [p for p in figure.get("points") or [] if finite(p.get("labels")) and finite(p.get("value")) is not None]
    models = list(dict.fromkeys(str(point.get("model")) for point in points))
    numbers = sorted({point["labels"] for point in points})
    if len(numbers) < 2:
        return ""
    traces = [_line([p for p in points if p.get("model") == name], name, number) for number, name in enumerate(models)]
    drawn["label-curve"] = {
        "only": {
            "data": traces,
            "layout": {
                "xaxis": {
                    "type": "log", "title": {"text": "labels of each class", "standoff": 6}, "fixedrange": True,
                    "tickvals": numbers, "ticktext": [f"{number:,}" for number in numbers],
                },
                "yaxis": {"title": {"text": "accuracy, %"}, "fixedrange": True, "nticks": 6},
                "showlegend": True,
                "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
                "margin": {"l": 56, "r": 10, "t": 40, "b": 46},
            },
        }
    }  # fmt: skip
    place = '<div class="chart wide" id="label-curve" role="img" aria-label="Accuracy against labels a class"></div>'
    head = "".join(f"<th>{number:,}</th>" for number in numbers)
    rows = ""
    for name in models:
        mine = {p["labels"]: p for p in points if p.get("model") == name}
        cells = "".join(f"<td>{_cell(mine.get(number))}</td>" for number in numbers)
        rows += f"<tr><th>{escape(label(name))}</th>{cells}</tr>"
    table = (
        '<details><summary>As a table</summary><div class="wide-table"><table class="matrix"><thead><tr>'
        f"<th>labels of each class</th>{head}</tr></thead><tbody>{rows}</tbody></table></div></details>"
    )
    return section("labels", "How many labels does it take", f"<figure>{place}</figure>{table}", CURVE_NOTE)


def _cell(point: dict[str, Any] | None) -> str:
    if point is None:
        return "–"
    return f"{100 * point['value']:.1f} % <small>{interval_text({**point, 'name': 'accuracy'})}</small>"


def _line(points: list[dict[str, Any]], name: str, number: int) -> Figure:
    points = sorted(points, key=lambda point: float(point["labels"]))
    colour = "@before" if name in FLOORS else f"@class{number % CLASS_COLOURS}"
    return {
        "type": "scatter", "mode": "lines+markers", "name": escape(label(name)), "x": [p["labels"] for p in points],
        "line": {"color": colour, "width": 2.2}, "marker": {"size": 7, "color": colour},
        **share_bars(points, colour),
        "hovertemplate": "%{x} labels of each class: %{y:.1f} %<extra></extra>",
    }  # fmt: skip


def compared(record: dict[str, Any]) -> str:
    """Write how often each candidate was right by cross-validation, the chosen one marked."""
    found = record.get("compared") or {}
    candidates = found.get("candidates") or {}
    rows = "".join(
        f"<tr><th>{escape(name)}{' <small>chosen</small>' if name == found.get('chosen') else ''}</th>"
        f"<td>{_cell(one if finite(one.get('value')) is not None else None)}</td></tr>"
        for name, one in candidates.items()
        if isinstance(one, dict)
    )
    table = f'<div class="wide-table"><table class="matrix"><tbody>{rows}</tbody></table></div>' if rows else ""
    note = CLIENTS_NOTE if record.get("room") == "personalize" else COMPARED_NOTE
    return section("compared", "What was compared", table, note)
