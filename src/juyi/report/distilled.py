"""Of a distillation: how much smaller the student is, what it learnt from where there were no data, temperatures."""

from __future__ import annotations

from typing import Any

from juyi.report.charts import Figure, share_bars
from juyi.report.markup import escape, finite, image, quantity, section

MADE_NOTE = (
    "Where there were no data, the method made its own, from the teacher alone. These are some of them, under the "
    "class that the teacher answers, with how sure it is. They need not look like anything to a person: what counts is "
    "whether a student that learns from them is right on real rows."
)
PERTURBED_NOTE = (
    "The same small change, added to whatever row. Grey is no change, black and white are the largest. Below, rows as "
    "they are and with the first perturbation, and what the teacher says of both; framed where that differs."
)
TEMPERATURE_NOTE = (
    "The same student, trained at each temperature T, on rows that were held out; the bars are 95 % intervals. High T "
    "shows more of what the teacher thinks of the wrong answers, low T less; small students do better with less."
)


def sizes(record: dict[str, Any]) -> str:
    """Say in a sentence how large teacher and student are; empty if perturbations were made, and no student.

    Example:
        >>> network = {"name": "lenet5_half", "parameters": 100, "teacher_parameters": 400}
        >>> "4.0 times smaller" in sizes({"network": network})
        True
    """
    network = record.get("network") or {}
    small, large = finite(network.get("parameters")), finite(network.get("teacher_parameters"))
    if not small or not large or any(result.get("name") == "fooling_rate" for result in record.get("results") or []):
        return ""
    ratio = f"{large / small:.1f} times smaller" if large >= small else f"{small / large:.1f} times larger"
    widths = [("teacher", large, "before"), (f"student, {network.get('name')}", small, "after")]
    rows = "".join(
        f'<li class="{kind}"><span class="name">{escape(name)}</span><span class="big">{count:,.0f}</span>'
        f'<svg class="bar {kind}" viewBox="0 0 100 12" preserveAspectRatio="none" aria-hidden="true">'
        '<line class="track" x1="0" x2="100" y1="6" y2="6"/>'
        f'<line class="reach" x1="0" x2="{100 * count / max(small, large):.2f}" y1="6" y2="6"/></svg></li>'
        for name, count, kind in widths
    )
    return section(
        "sizes", "Parameters", f'<ul class="figures">{rows}</ul>', f"The student is {ratio} than its teacher."
    )


def impressions(figure: dict[str, Any]) -> str:
    """Show what a method without data has made, a row of pictures for each class."""
    groups: dict[str, list[str]] = {str(name): [] for name in figure.get("classes") or []}
    for entry in figure.get("images") or []:
        name, sure = str(entry.get("class")), quantity(entry.get("confidence"))
        if "class" in entry and (drawn := image(entry.get("png"), f"made for {name}, {sure}")):
            groups.setdefault(name, []).append(f"<li>{drawn}<small>{escape(sure)}</small></li>")
    rows = "".join(
        f'<div class="made"><b>{escape(name)}</b><ul>{"".join(cards)}</ul></div>'
        for name, cards in groups.items()
        if cards
    )
    missing = [name for name, cards in groups.items() if not cards]
    if rows and missing:
        rows += f'<p class="hint">None that the teacher takes for {escape(", ".join(missing[:10]))}.</p>'
    return section("impressions", "What it learnt from", rows, MADE_NOTE)


def perturbations(figure: dict[str, Any]) -> str:
    """Show the first perturbations, and rows before and after, with what the teacher says of each."""
    drawn = [image(png, "a perturbation") for png in figure.get("perturbations") or []]
    rows = []
    for entry in figure.get("rows") or []:
        said = [str(entry.get(f"says_{when}")) for when in ("before", "after")]
        pair = [image(entry.get(when), f"{when}: {name}") for when, name in zip(("before", "after"), said, strict=True)]
        changed = " differ" if said[0] != said[1] else ""
        rows.append(
            f'<li class="card{changed}">{"".join(pair)}<span class="says before">{escape(said[0])}</span>'
            f'<span class="says after">{escape(said[1])}</span></li>'
        )
    body = f'<div class="made"><b>perturbations</b><ul>{"".join(f"<li>{one}</li>" for one in drawn)}</ul></div>'
    body += f'<ul class="cards">{"".join(rows)}</ul>'
    return section("perturbations", "One perturbation for every row", body if any(drawn) else "", PERTURBED_NOTE)


def temperatures(figure: dict[str, Any], drawn: dict[str, dict[str, Figure]]) -> str:
    """Show how right students are at each temperature, as a chart."""
    points = [point for point in figure.get("points") or [] if finite(point.get("temperature"))]
    if len(points) < 2:
        return ""
    drawn["temperature"] = {"only": curve(points)}
    place = '<div class="chart wide" id="temperature" role="img" aria-label="Accuracy at each temperature"></div>'
    return section("temperatures", "Accuracy and temperature", f"<figure>{place}</figure>", TEMPERATURE_NOTE)


def curve(points: list[dict[str, Any]]) -> Figure:
    """Draw shares over temperature, on a logarithmic axis, with their intervals.

    Example:
        >>> point = {"temperature": 4, "value": 0.9, "low": 0.8, "high": 0.95, "name": "accuracy"}
        >>> curve([point])["data"][0]["error_y"]["array"]
        [5.0]
    """
    trace = {
        "type": "scatter", "mode": "lines+markers", "x": [point["temperature"] for point in points],
        "line": {"color": "@after", "width": 2.2}, "marker": {"size": 8},
        **share_bars(points, "@after"),
        "hovertemplate": "T = %{x:g}: %{y:.1f} %<extra></extra>",
    }  # fmt: skip
    ticks = [point["temperature"] for point in points]
    what = escape(points[0].get("name") or "accuracy")
    layout = {
        "xaxis": {
            "type": "log", "title": {"text": "temperature T", "standoff": 6}, "fixedrange": True,
            "tickvals": ticks, "ticktext": [f"{tick:g}" for tick in ticks],
        },
        "yaxis": {"title": {"text": f"{what}, %"}, "fixedrange": True, "nticks": 6},
        "showlegend": False,
        "margin": {"l": 56, "r": 10, "t": 12, "b": 46},
    }  # fmt: skip
    return {"data": [trace], "layout": layout}
