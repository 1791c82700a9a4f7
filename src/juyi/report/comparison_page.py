"""comparison.html: several runs on one page that needs no network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from juyi.errors import SettingError
from juyi.report import sections
from juyi.report.charts import Figure, shorten
from juyi.report.comparison import BOUND, Comparison
from juyi.report.markup import escape, finite, plain, section
from juyi.report.page import Variants, chart, contents, document
from juyi.report.standing import Row
from juyi.report.summary import over_clients
from juyi.runs.files import write_text

OPENINGS = {
    "best": ("helped", "▲", "One is best"),
    "cannot_tell": ("cannot_tell", "?", "Cannot tell which is best"),
    "not_comparable": ("no_difference", "≠", "Cannot be ranked"),
}
MOST_NUMBERS = 8
"""So many runs have their disagreement written into the heat map; with more, it is read by pointing."""
ACCURACY_NOTE = "The thin line on each bar is the 95 % interval: it covers the choice of {}, not that of the seed."


def write_comparison(comparison: Comparison, path: Path, *, overwrite: bool = False) -> Path:
    """Write the page of a comparison: one file, with everything in it, that loads nothing.

    Args:
        comparison: see `compare`.
        path: where to, such as comparison.html.
        overwrite: replace a file that is there.

    Returns:
        The path.

    Raises:
        SettingError: there is such a file already (without `overwrite`), or the path is a folder.
        WriteError: the page cannot be written.

    Example:
        >>> from juyi.report.standing import Standing
        >>> import tempfile
        >>> nothing = Comparison((), (), Standing("cannot_tell", "Nobody knows."), (), (), (), {}, (), ())
        >>> path = write_comparison(nothing, Path(tempfile.mkdtemp()) / "comparison.html")
        >>> "Nobody knows." in path.read_text(encoding="utf-8")
        True
    """
    check_place(path, overwrite=overwrite)
    write_text(path, render(comparison))
    return path


def check_place(path: Path, *, overwrite: bool) -> None:
    """Refuse a place where no page can be put.

    Raises:
        SettingError: there is such a file already (without `overwrite`), or the path is a folder.
    """
    if path.is_dir():
        raise SettingError(f"--out {path}: is a folder; name a file, such as {path / 'comparison.html'}")
    if path.exists() and not overwrite:
        raise SettingError(f"--out {path}: is there already; add --overwrite to replace it, or name another --out")


def render(comparison: Comparison) -> str:
    """Assemble the page."""
    drawn: dict[str, Variants] = {}
    parts = [
        section("warnings", "Warnings", sections.listed("warnings", comparison.warnings)),
        accuracies(comparison, drawn),
        runs_table(comparison),
        disagreements(comparison, drawn),
        differences(comparison),
        section("notes", "How to read the figures", sections.listed("notes", comparison.notes)),
    ]
    name = f"Comparison of {len(comparison.runs)} runs"
    kind, symbol, word = OPENINGS[comparison.standing.answer]
    head = (
        f'<header><p class="brand"><b>Juyi</b> <span lang="zh">举一反三</span></p><h1>{name}</h1></header>'
        f'<section class="verdict {kind}" aria-labelledby="verdict-title">'
        f'<h2 id="verdict-title"><span class="symbol" aria-hidden="true">{symbol}</span> {word}</h2>'
        f'<p class="sentence">{sections.sentence_html(comparison.standing.sentence)}</p></section>'
    )
    return document(name, head + contents(parts) + "".join(parts), drawn, "the runs’ folders")


def accuracies(comparison: Comparison, drawn: dict[str, Variants]) -> str:
    """Show every row's figure as a bar with its interval."""
    rows = [row for row in comparison.rows if row.value is not None]
    if not rows:
        return ""
    drawn_from = "clients" if all(over_clients(row.result) for row in rows) else "these rows"
    what, height = "Accuracy of each run with its 95 % interval", 3 + 2.9 * len(rows)
    place = chart("accuracy", what, {"only": bars(rows)}, drawn, height=height)
    return section("accuracies", "Accuracy", f"<figure>{place}</figure>", ACCURACY_NOTE.format(drawn_from))


def bars(rows: list[Row]) -> Figure:
    """Draw horizontal bars with intervals, the first row on top; what each is on stands below its name."""
    places = list(range(len(rows)))
    values = [row.value or 0.0 for row in rows]
    ends = [(finite(row.result.get("low")), finite(row.result.get("high"))) for row in rows]
    ons = [str((row.result.get("on") or {}).get("data")) for row in rows]
    told = [f"{row.model} on {on}" if len(set(ons)) > 1 else row.model for row, on in zip(rows, ons, strict=True)]
    names = [
        f"{escape(shorten(row.title, 34))}<br>{escape(shorten(what, 34))}" for row, what in zip(rows, told, strict=True)
    ]
    hover = [
        f"<b>{escape(row.title)}</b>, {escape(row.model)}<br>{escape(row.cells()['accuracy (95 % interval)'])}"
        f"<br>on {escape(on)}"
        for row, on in zip(rows, ons, strict=True)
    ]
    error = {
        "type": "data", "symmetric": False, "thickness": 1.6, "width": 5, "color": "@ink",
        "array": [0 if end[1] is None else end[1] - value for end, value in zip(ends, values, strict=True)],
        "arrayminus": [0 if end[0] is None else value - end[0] for end, value in zip(ends, values, strict=True)],
    }  # fmt: skip
    trace = {
        "type": "bar", "orientation": "h", "x": values, "y": places, "error_x": error,
        "marker": {"color": ["@before" if row.is_floor else "@after" for row in rows]},
        "text": hover, "hoverinfo": "text", "textposition": "none",
    }  # fmt: skip
    layout = {
        "xaxis": {"range": [0, 1.005], "nticks": 6, "tickformat": ".0%", "fixedrange": True, "showgrid": True},
        "yaxis": {"tickmode": "array", "tickvals": places, "ticktext": names, "autorange": "reversed",
                  "fixedrange": True, "showgrid": False, "zeroline": False},
        "bargap": 0.42, "showlegend": False, "margin": {"l": 10, "r": 16, "t": 8, "b": 30},
    }  # fmt: skip
    return {"data": [trace], "layout": layout}


def runs_table(comparison: Comparison) -> str:
    """Write the table of all rows; where all are on the same data, these stand above it."""
    every = [row.cells() for row in comparison.rows]
    ons = {cells["on"] for cells in every}
    heads = [head for head in (every[0] if every else []) if head != "on" or len(ons) > 1]
    body = []
    for row, cells in zip(comparison.rows, every, strict=True):
        html = {head: escape(cells[head]) for head in heads}
        mark = ' <span class="best">best</span>' if row is comparison.standing.best else ""
        value, _, interval = html[heads[2]].partition(" (")
        gain, _, answer = html[heads[3]].partition(": ")
        html[heads[0]] = f"<strong>{html[heads[0]]}</strong>"
        html[heads[2]] = f"<b>{value}</b>{mark}<small>{interval.removesuffix(')')}</small>"
        html[heads[3]] = f"{gain}<small>{answer}</small>"
        shown = list(html.items())
        shown.insert(3, ("interval", sections.bar(row.result)))
        body.append("<tr>" + "".join(f'<td data-label="{k}"><span>{v}</span></td>' for k, v in shown) + "</tr>")
    head = "".join(f'<th scope="col">{escape(h)}</th>' for h in (*heads[:3], "0 to 100 %", *heads[3:]))
    table = f'<table class="results runs"><thead><tr>{head}</tr></thead><tbody>{"".join(body)}</tbody></table>'
    lead = f"All on {escape(next(iter(ons)))}." if len(ons) == 1 else ""
    return section("runs", "Runs", table if body else "", lead)


def disagreements(comparison: Comparison, drawn: dict[str, Variants]) -> str:
    """Show the share of rows for which each two runs predict differently: a heat map, and a table."""
    known = [share for row in comparison.disagreement for share in row if share is not None]
    reasons = [
        f"{comparison.runs[i]} and {comparison.runs[j]}: not known, {why}" for (i, j), why in comparison.reasons.items()
    ]
    body = sections.listed("gaps", reasons)
    if known:
        what, height = "Disagreement of each two runs", 4.5 + 2.75 * len(comparison.runs)
        place = chart("matrix", what, {"only": heat_map(comparison)}, drawn, height=height)
        heads = "".join(f'<th scope="col">{escape(run)}</th>' for run in comparison.runs)
        lines = "".join(
            f'<tr><th scope="row">{escape(run)}</th>{"".join(f"<td>{percent(share)}</td>" for share in shares)}</tr>'
            for run, shares in zip(comparison.runs, comparison.disagreement, strict=True)
        )
        table = f'<table class="matrix"><thead><tr><td></td>{heads}</tr></thead><tbody>{lines}</tbody></table>'
        body = (
            f'<figure>{place}</figure><details><summary>As a table</summary><div class="wide-table">{table}</div>'
            f"</details>{body}"
        )
    rows = f"the {comparison.target_rows[0]:,} target rows" if len(comparison.target_rows) == 1 else "target rows"
    return section("disagreement", "Where the runs disagree", body, f"The share of {rows} for which each two runs "
                   f"predict different classes. {BOUND} No label is needed to know it.")  # fmt: skip


def percent(share: float | None) -> str:
    """Write a share, a dash where there is none.

    Example:
        >>> percent(0.1234), percent(None)
        ('12.3 %', '–')
    """
    return "–" if share is None else f"{share * 100:.1f} %"


def heat_map(comparison: Comparison) -> Figure:
    """Draw the matrix; with few runs, its numbers are in it."""
    places = list(range(len(comparison.runs)))
    names = [escape(shorten(run, 26)) for run in comparison.runs]
    hover = [
        [
            f"{escape(one)}<br>{escape(other)}<br><b>{percent(share)}</b>"
            for other, share in zip(comparison.runs, shares, strict=True)
        ]
        for one, shares in zip(comparison.runs, comparison.disagreement, strict=True)
    ]
    largest = max(share for shares in comparison.disagreement for share in shares if share is not None)
    trace: dict[str, Any] = {
        "type": "heatmap", "x": places, "y": places, "z": comparison.disagreement,
        "zmin": 0, "zmax": largest or 0.01, "xgap": 2, "ygap": 2,
        "colorscale": [[0, "@ground"], [1, "@source"]], "showscale": len(places) > MOST_NUMBERS,
        "hovertext": hover, "hoverinfo": "text", "colorbar": {"tickformat": ".0%", "thickness": 12},
    }  # fmt: skip
    if len(places) <= MOST_NUMBERS:
        trace |= {"text": [[percent(s) for s in row] for row in comparison.disagreement], "texttemplate": "%{text}"}
    ticks = {"tickmode": "array", "tickvals": places, "ticktext": names, "fixedrange": True, "showgrid": False}
    layout = {
        "xaxis": {**ticks, "side": "top", "zeroline": False},
        "yaxis": {**ticks, "autorange": "reversed", "zeroline": False},
        "margin": {"l": 10, "r": 10, "t": 30, "b": 10},
    }
    return {"data": [trace], "layout": layout}


def differences(comparison: Comparison) -> str:
    """List the settings in which the runs differ; what is the same in all is left out."""
    if not comparison.settings:
        return ""
    heads = "".join(f'<th scope="col">{escape(run)}</th>' for run in comparison.runs)
    lines = "".join(
        f'<tr><th scope="row">{escape(key)}</th>{"".join(f"<td>{escape(plain(value))}</td>" for value in values)}</tr>'
        for key, values in comparison.settings
    )
    table = f'<table class="matrix"><thead><tr><td></td>{heads}</tr></thead><tbody>{lines}</tbody></table>'
    lead = "What is the same in all runs is left out; a dash means that a run has no such setting."
    return section("settings", "Settings that differ", f'<div class="wide-table">{table}</div>', lead)
