"""The tables and cards of the page that tells how far apart two sets of data are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from juyi.report.markup import escape, finite, image
from juyi.report.similarity_words import SHARES, figure, interval, number, p_text, says, title

Result = dict[str, Any]


def big_figures(groups: dict[str, list[Result]]) -> str:
    """Write the few figures that matter most, large: rows told apart, accuracy there, and what is sure of it here."""
    found = {
        str(one.get("name")): one for group in ("distance", "classifier", "bound") for one in groups.get(group, [])
    }
    cards = []
    if finite((apart := found.get("proxy_a_distance", {})).get("value")) is not None:
        values = {end: finite(apart.get(end)) for end in ("value", "low", "high")}
        told = {end: None if value is None else 0.5 + value / 4 for end, value in values.items()}
        cards.append(card("rows told apart", "50 % is chance", told, "after"))
    if finite((there := found.get("accuracy_source", {})).get("value")) is not None:
        cards.append(card("accuracy there", "held-out source rows", there, "before"))
    if finite((here := found.get("accuracy_target", {})).get("value")) is not None:
        cards.append(card("accuracy here", "by the given labels", here, "after"))
    elif finite((least := found.get("dis2_bound", {})).get("value")) is not None and not is_vacuous(least):
        bound = {"value": least["value"], "low": least["value"], "high": 1.0}
        cards.append(card("accuracy here", "at least", bound, "after", "an estimated bound, and no guarantee"))
    return f'<ul class="figures">{"".join(cards)}</ul>' if cards else ""


def card(name: str, small: str, result: Result, kind: str, under: str = "") -> str:
    """Write one share, large, with its bar and, under it, its interval or other words."""
    share = {**result, "name": SHARES[0]}
    ends = interval(share)
    under = under or (f"95 % interval {ends}" if ends else "")
    return (
        f'<li class="{kind}"><span class="name">{escape(name)} <small>{escape(small)}</small></span>'
        f'<span class="big">{escape(figure(share.get("value"), SHARES[0]))}</span>{bar(share, kind)}'
        f'<span class="range">{escape(under)}</span></li>'
    )


def bar(result: Result, kind: str = "after", top: float = 1.0) -> str:
    """Draw a figure and its interval on a line from 0 to `top`; the numbers stand beside it, so it has no text."""
    value = finite(result.get("value"))
    if value is None:
        return ""
    ends = [finite(result.get(end)) for end in ("low", "high")]
    left, right, at = (min(max(value if end is None else end, 0.0), top) / top * 100 for end in (*ends, value))
    return (
        f'<svg class="bar {kind}" viewBox="0 0 100 12" preserveAspectRatio="none" aria-hidden="true">'
        '<line class="track" x1="0" x2="100" y1="6" y2="6"/>'
        f'<line class="reach" x1="{left:.2f}" x2="{right:.2f}" y1="6" y2="6"/>'
        f'<line class="point" x1="{at:.2f}" x2="{at:.2f}" y1="1" y2="11"/></svg>'
    )


def is_vacuous(result: Result) -> bool:
    """Tell whether a bound says nothing; its note then has the word."""
    return "vacuous" in str(result.get("note"))


def table(kind: str, heads: Iterable[str], rows: Iterable[Iterable[tuple[str, str]]]) -> str:
    """Write a table whose rows fall apart into lines on a narrow screen; cells are HTML; nothing without rows."""
    body = "".join(
        "<tr>" + "".join(f'<td data-label="{escape(name)}"><span>{cell}</span></td>' for name, cell in row) + "</tr>"
        for row in rows
    )
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in heads)
    return f'<table class="results {kind}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>' if body else ""


def results_table(results: list[Result]) -> str:
    """Write distances, or scores: what each is, its figure, its p-value, its rows, and what its note says."""
    heads = ("measure", "figure, 95 % interval", "p", "rows")
    rows = []
    for one in results:
        rows.append((
            ("measure", named(one)),
            (heads[1], measured(one)),
            ("p", escape(p_text(one.get("p_value")))),
            ("rows", rows_text(one)),
        ))  # fmt: skip
    return table("measures", heads, rows)


def named(result: Result) -> str:
    """Write a measure's name, what it means, and its note."""
    name = str(result.get("name"))
    parts = [f"<strong>{escape(title(name))}</strong>", f"<small>{escape(says(name))}</small>"]
    if result.get("note"):
        parts.append(f'<small class="note">{escape(result["note"])}</small>')
    return "".join(parts)


def measured(result: Result, group: str = "") -> str:
    """Write a figure and its interval."""
    name = str(result.get("name"))
    value = finite(result.get("value"))
    if value is None:
        return "<b>unknown</b>"
    return f"<b>{escape(figure(value, name, group))}</b> <small>{escape(interval(result, group))}</small>"


def rows_text(result: Result) -> str:
    """Write on how many rows of each side a figure rests."""
    counts = [result.get(key) for key in ("n_source", "n_target")]
    return " + ".join(f"{n:,}" for n in counts if isinstance(n, int) and n > 0) or "–"


def bounds_table(results: list[Result]) -> str:
    """Write bounds: what each says, of what, and whether it says nothing."""
    heads = ("what", "figure", "rows")
    rows = []
    for one in results:
        value = measured(one)
        if is_vacuous(one):
            value = f'{value.partition(" <small>")[0]} <span class="vacuous">says nothing</span>'
        elif "bound" in str(one.get("name")):
            value = value.partition(" <small>")[0]
        rows.append((("what", named(one)), ("figure", value), ("rows", rows_text(one))))
    return table("measures", heads, rows)


def features_table(results: list[Result], medians: dict[str, Any]) -> str:
    """Write the features that differ most, folded away under the chart, with their medians on both sides."""
    heads = ("feature", "difference, 95 % interval", "corrected p", "median there", "median here")
    rows = []
    for one in results:
        name = title(str(one.get("name")))
        there, here = (escape(number(value)) for value in medians.get(name) or (None, None))
        cells = (f"<strong>{escape(name)}</strong>", measured(one, "feature"), escape(p_text(one.get("p_value"))))
        rows.append(list(zip(heads, (*cells, there, here), strict=True)))
    note = next((str(one["note"]) for one in results if one.get("note")), "")
    told = f'<p class="what">{escape(note)}</p>' if note else ""
    return f"<details><summary>As a table</summary>{table('measures columns', heads, rows)}{told}</details>"


def shares_table(content: dict[str, Any]) -> str:
    """Write the classes' shares, folded away under the chart."""
    series = content.get("series") or []
    heads = ("class", *(str(one["name"]) for one in series))
    rows = []
    for code, name in enumerate(content.get("classes") or []):
        cells = [("class", f"<strong>{escape(name)}</strong>")]
        for one in series:
            result = {"name": "share", "value": one["shares"][code]}
            if one.get("low"):
                result |= {"low": one["low"][code], "high": one["high"][code]}
            cells.append((str(one["name"]), measured(result, "class_share")))
        rows.append(cells)
    notes = "".join(f"<p class='what'>{escape(note)}</p>" for note in content.get("notes") or [])
    return f"{notes}<details><summary>As a table</summary>{table('measures', heads, rows)}</details>"


def ranking_table(content: dict[str, Any]) -> str:
    """Write every score of every candidate; the one that decides comes first."""
    rows = content.get("rows") or []
    by = str(content.get("by"))
    names = list(dict.fromkeys([by, *(str(one.get("name")) for row in rows for one in row.get("scores") or [])]))
    heads = ("candidate", *(title(name) for name in names))
    lines = []
    for place, row in enumerate(rows):
        scores = {str(one.get("name")): one for one in row.get("scores") or []}
        tied = row.get("cannot_be_told_from_best") and len(rows) > 1
        mark = "cannot be told from the best" if tied and place else "" if place or tied else "best"
        cells = [("candidate", f'<strong>{escape(row.get("candidate"))}</strong> <small class="best">{mark}</small>')]
        cells += [(title(name), measured(scores[name]) if name in scores else "–") for name in names]
        lines.append(cells)
    return f'<div class="wide-table">{table("measures scores", heads, lines)}</div>'


def typical_cards(content: dict[str, Any], names: dict[str, str]) -> str:
    """Show the most and least typical rows of each side: pictures, or names with the columns that speak for it."""
    parts = []
    for group in content.get("groups") or []:
        entries = "".join(
            filter(None, (entry(row, content.get("kind") == "images") for row in group.get("rows") or []))
        )
        how = "Most" if group.get("most") else "Least"
        side = str(group.get("side"))
        heading = f'<h3><i class="dot" style="background:var(--{side})"></i>{how} typical of {escape(names[side])}</h3>'
        kind = "cards small" if content.get("kind") == "images" else "reasons"
        if entries and side in names:
            parts.append(f'<div>{heading}<ul class="{kind}">{entries}</ul></div>')
    return f'<div class="halves">{"".join(parts)}</div>' if parts else ""


def entry(row: dict[str, Any], is_image: bool) -> str:
    """Show one row; nothing if its picture is damaged."""
    name, sure = str(row.get("name")), finite(row.get("probability")) or 0.0
    file = escape(name.rsplit("/", 1)[-1])
    if not is_image:
        because = ", ".join(f"{escape(column)} {number(value)}" for column, value in row.get("because") or [])
        return f"<li><strong>{escape(name)}</strong> <small>{sure:.0%}</small> {because}</li>"
    drawn = image(row.get("png"), name)
    if not drawn:
        return ""
    return (
        f'<li class="card">{drawn}<span class="file" title="{escape(name)}">{file}</span><small>{sure:.1%}</small></li>'
    )
