"""Of a distillation under a budget: the candidates, what each costs and how well it did, and which was taken."""

from __future__ import annotations

from typing import Any

from juyi.report.charts import Figure
from juyi.report.exported import count, milliseconds, table
from juyi.report.markup import escape, finite, quantity, section, weight
from juyi.report.summary import interval_text

NOTE = (
    "One network of each kind, as wide as the budget lets it be, was taught briefly; the one that did best was taught "
    "in full, and is the student. Bars are 95 % intervals. A brief trial may err where candidates are close."
)
COSTS = {
    "parameters": ("parameters", count), "macs": ("multiplications a row", count), "bytes": ("ONNX file", weight),
    "latency": ("one row", milliseconds),
}  # fmt: skip


def budget(record: dict[str, Any], drawn: dict[str, dict[str, Figure]]) -> str:
    """Show the candidates as a chart and a table; nothing where there was no budget.

    Example:
        >>> one = {"name": "lenet5-0.4", "parameters": 9622, "macs": 78372, "value": 0.9}
        >>> found = {"limits": {"parameters": 10000}, "candidates": [one], "chosen": "lenet5-0.4"}
        >>> "at most 10,000 parameters" in budget({"budget": found}, {})
        True
    """
    found = record.get("budget") or {}
    candidates = [one for one in found.get("candidates") or [] if isinstance(one, dict)]
    if not candidates:
        return ""
    limits = found.get("limits") or {}
    said = ", ".join(f"at most {show(limits[key])} {name}" for key, (name, show) in COSTS.items() if key in limits)
    shown = [(key, *COSTS[key]) for key in COSTS if any(finite(one.get(key)) is not None for one in candidates)]
    judged = any(finite(one.get("value")) is not None for one in candidates)
    head = ("", *(name for _, name, _ in shown), *([str(found.get("compared_by") or "result")] if judged else []))
    rows = [
        (
            escape(one.get("name")) + (" <small>taken</small>" if one.get("name") == found.get("chosen") else ""),
            [show(one.get(key)) for key, _, show in shown] + ([_value(one)] if judged else []),
        )
        for one in candidates
    ]
    chart = ""
    if judged and len(candidates) > 1:
        cost = "parameters" if "macs" in limits else "macs"  # the limited one is nearly the same for all
        drawn["candidates"] = {"only": pareto(candidates, cost, str(found.get("chosen")))}
        chart = (
            '<figure><div class="chart wide" id="candidates" role="img" aria-label="What each candidate costs, and how '
            'well it did"></div></figure>'
        )
    return section("budget", f"A student of {said}", chart + table(head, rows), NOTE)


def _value(one: dict[str, Any]) -> str:
    interval = interval_text({**one, "name": "accuracy"})
    return f"{quantity(one.get('value'))} <small>{interval}</small>"


def pareto(candidates: list[dict[str, Any]], cost: str, chosen: str) -> Figure:
    """Draw how well candidates did over what they cost, on a logarithmic axis.

    Example:
        >>> one = {"name": "a", "parameters": 10, "value": 0.9, "low": 0.8, "high": 0.95}
        >>> pareto([one], "parameters", "a")["data"][0]["y"]
        [90.0]
    """
    title, show = COSTS[cost]
    traces = []
    for one in candidates:
        share = 100 * (finite(one.get("value")) or 0.0)
        above, below = (abs(100 * (finite(one.get(end)) or 0.0) - share) for end in ("high", "low"))
        colour = "@after" if one.get("name") == chosen else "@before"
        name = escape(one.get("name"))
        traces.append(
            {
                "type": "scatter", "mode": "markers+text", "x": [one.get(cost)], "y": [share], "text": [name],
                "textposition": "middle right", "cliponaxis": False, "marker": {"size": 10, "color": colour},
                "error_y": {"type": "data", "array": [above], "arrayminus": [below], "color": colour, "thickness": 1.2},
                "hovertemplate": f"{name}: {show(one.get(cost))}, %{{y:.1f}} %<extra></extra>",
            }
        )  # fmt: skip
    layout = {
        "xaxis": {"type": "log", "title": {"text": title, "standoff": 6}, "fixedrange": True, "dtick": "D2"},
        "yaxis": {"title": {"text": "right, %"}, "fixedrange": True, "nticks": 6},
        "showlegend": False,
        "margin": {"l": 56, "r": 110, "t": 12, "b": 46},
    }
    return {"data": traces, "layout": layout}
