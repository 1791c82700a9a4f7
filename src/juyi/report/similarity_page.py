"""measure.html: how far apart two sets of data are, what theory says, and what it looks like, on one page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from juyi.report import charts, sections
from juyi.report import similarity_charts as drawings
from juyi.report.comparison_page import check_place
from juyi.report.markup import definitions, duration, escape, finite, label, section
from juyi.report.page import Variants, chart, colour_switch, contents, document
from juyi.report.similarity_tables import (
    big_figures,
    bounds_table,
    features_table,
    ranking_table,
    results_table,
    shares_table,
    typical_cards,
)
from juyi.report.similarity_words import title
from juyi.runs.files import write_text

OPENINGS = {
    "far": ("≠", "Far apart"),
    "apart": ("≠", "Apart, with an overlap"),
    "near": ("≈", "Near, but not alike"),
    "alike": ("=", "Nothing tells them apart"),
    "unknown": ("?", "Could not be measured"),
}
MAP_NOTE = (
    "Neighbours stay neighbours (t-SNE), on at most 600 rows a side. Where the colours part, the two look different; "
    "where they mix, alike. Axes and distances between far groups mean nothing."
)
OVERLAP_NOTE = (
    "What a linear classifier of the two sides thinks of rows that it has not seen. Two heaps at the two ends: it "
    "always knows; one heap in the middle: it cannot tell."
)
DISTANCES_NOTE = (
    "Each is a figure with its 95 % interval; p is the probability of one at least as large if the sides were equal. "
    "Some are in units of the features: compare them between data, not with each other."
)
FEATURES_NOTE = (
    "Each column, or each property of an image, by itself: the largest difference of the shares of rows that lie below "
    "some value, from 0 (alike) to 1 (never the same). At most ten are shown; grey ones may differ by chance."
)
THEORY_NOTE = (
    "Bounds on what a classifier of the source does on the target. They are estimates of bounds and never guarantees: "
    "a trained critic reaches a supremum only from below, and each rests on an assumption that only labels of the "
    "target could check."
)
SHARES_NOTE = (
    "The source’s shares are counted from its labels. The target’s are estimated without labels, which assumes that "
    "within a class the two sides look alike. Where the sides are far apart, this is doubtful, and so are they."
)
TRANSFER_NOTE = "How well the features suit the target’s classes, from the target labels that were given."


def write_similarity(content: dict[str, Any], path: Path, *, overwrite: bool = False) -> Path:
    """Write the page: one file, with everything in it, that loads nothing.

    Args:
        content: what `juyi.similarity.Similarity.as_json` gives, with its `figures`, and `command` and `started` if
            there are.
        path: where to, such as measure.html.
        overwrite: replace a file that is there.

    Returns:
        The path.

    Raises:
        SettingError: there is such a file already (without `overwrite`), or the path is a folder.
        WriteError: the page cannot be written.

    Example:
        >>> import tempfile
        >>> content = {"source": "there", "target": "here", "answer": "far", "sentence": "They are far apart."}
        >>> path = write_similarity(content, Path(tempfile.mkdtemp()) / "measure.html")
        >>> "They are far apart." in path.read_text(encoding="utf-8")
        True
    """
    check_place(path, overwrite=overwrite)
    write_text(path, render(content))
    return path


def render(content: dict[str, Any]) -> str:
    """Assemble the page; a part that the content lacks is left out."""
    drawn: dict[str, Variants] = {}
    groups: dict[str, list[dict[str, Any]]] = {}
    for result in content.get("results") or []:
        groups.setdefault(str(result.get("group")), []).append(result)
    figures = content.get("figures") or {}
    names = {side: str(content.get(side)) for side in ("source", "target")}
    parts = [
        section("warnings", "Warnings", sections.listed("warnings", content.get("warnings") or [])),
        ranking(content.get("ranking") or {}, drawn),
        section("distances", "How far apart", results_table(groups.get("distance", [])), DISTANCES_NOTE),
        clouds(figures, names, drawn),
        features(groups.get("feature", []), figures.get("medians") or {}, drawn),
        typical(figures.get("typical") or {}, names),
        theory(groups),
        shares(figures.get("class_shares") or {}, drawn),
        section("transferability", "Transferability",
                results_table(groups.get("transferability", [])), TRANSFER_NOTE),
        section("notes", "What was done", sections.listed("notes", content.get("notes") or [])),
        settings(content),
    ]  # fmt: skip
    name = f"{names['source']} and {names['target']}: how far apart?"
    return document(name, head(content, name, groups) + contents(parts) + "".join(parts), drawn, "the data themselves")


def head(content: dict[str, Any], name: str, groups: dict[str, list[dict[str, Any]]]) -> str:
    """Write what the page is about, and the sentence, big."""
    symbol, word = OPENINGS.get(str(content.get("answer")), OPENINGS["unknown"])
    started = str(content.get("started") or "")[:16].replace("T", " ")
    sentence = str(content.get("sentence") or "").replace("𝒜-", "𝒜\N{NON-BREAKING HYPHEN}")
    through = f"<small>seen through {escape(content.get('backbone') or 'the features')}</small>"
    return (
        f'<header><p class="brand"><b>Juyi</b> <span lang="zh">举一反三</span><time>{escape(started)}</time></p>'
        f"<h1>{escape(name)} {through}</h1></header>"
        '<section class="verdict no_difference" aria-labelledby="verdict-title">'
        f'<h2 id="verdict-title"><span class="symbol" aria-hidden="true">{symbol}</span> {word}</h2>'
        f'<p class="sentence">{sections.sentence_html(sentence)}</p>{big_figures(groups)}'
        "</section>"
    )


def clouds(figures: dict[str, Any], names: dict[str, str], drawn: dict[str, Variants]) -> str:
    """Show the two clouds on one map, and beside it how well they are told apart."""
    panels, switch = [], ""
    figure = figures.get("map") or {}
    maps = [one for one in figure.get("maps") or [] if isinstance(one, dict)]
    if maps:
        variants = charts.map_variants(figure, maps[0])
        variants = variants if figure.get("classes") else {"domain": variants["domain"]}
        place = chart("map", "Map of the rows of source and target", variants, drawn, "map")
        panels.append(f"<figure><figcaption>The two clouds</figcaption>{place}</figure>")
        switch = colour_switch(figure)
    if figures.get("overlap"):
        what = "How sure a classifier is that rows are of the target"
        place = chart("overlap", what, {"only": drawings.overlap(figures["overlap"], names)}, drawn, "map")
        panels.append(f"<figure><figcaption>How well they are told apart</figcaption>{place}</figure>")
    if not panels:
        return ""
    hint = '<p class="hint">Drag to zoom in, double-click to go back.</p>'
    body = f'{switch}<div class="pair">{"".join(panels)}</div>{hint}'
    return section("clouds", "What it looks like", body, f"{MAP_NOTE} {OVERLAP_NOTE}")


def features(results: list[dict[str, Any]], medians: dict[str, Any], drawn: dict[str, Variants]) -> str:
    """Show which features differ most."""
    if not results:
        return ""
    rows = [(title(str(one.get("name"))), one, "@after" if differs(one) else "@neutral") for one in results]
    place = chart("features-chart", "How much each feature differs", {"only": drawings.bars(rows, "feature")}, drawn,
                  height=2.4 + 1.75 * len(rows))  # fmt: skip
    return section(
        "features",
        "Which features differ",
        f"<figure>{place}</figure>{features_table(results, medians)}",
        FEATURES_NOTE,
    )


def differs(result: dict[str, Any]) -> bool:
    """Tell whether a test rejects "no difference"."""
    p = finite(result.get("p_value"))
    return p is not None and p <= 0.05


def typical(figure: dict[str, Any], names: dict[str, str]) -> str:
    """Show the most and the least typical rows of each side."""
    lead = (
        "By a linear classifier of the two sides that has not seen the row; in percent, how sure it is that the row is "
        "of the target. The least typical of a side look most like the other: look there first, whether they are in "
        "the right place."
    )
    return section("typical", "Most and least typical", typical_cards(figure, names), lead)


def theory(groups: dict[str, list[dict[str, Any]]]) -> str:
    """Show what the classifier does where it can be judged, and the bounds."""
    rows = [*groups.get("classifier", []), *groups.get("bound", [])]
    return section("theory", "What theory says", bounds_table(rows), THEORY_NOTE)


def shares(figure: dict[str, Any], drawn: dict[str, Variants]) -> str:
    """Show the classes' shares on both sides."""
    if not figure.get("series"):
        return ""
    place = chart("shares-chart", "Shares of the classes", {"only": drawings.class_shares(figure)}, drawn, "wide")
    return section("shares", "Class balance", f"<figure>{place}</figure>{shares_table(figure)}", SHARES_NOTE)


def ranking(content: dict[str, Any], drawn: dict[str, Variants]) -> str:
    """Show the candidates, best first, by the score that decides, and the table of all scores."""
    rows: list[tuple[str, dict[str, Any], str]] = []
    for row in content.get("rows") or []:
        scores = {str(one.get("name")): one for one in row.get("scores") or []}
        if finite((scores.get(str(content.get("by"))) or {}).get("value")) is not None:
            colour = "@neutral" if row.get("cannot_be_told_from_best") else "@before"
            rows.append((str(row["candidate"]), scores[content["by"]], "@after" if not rows else colour))
    if not content.get("rows"):
        return ""
    body = ranking_table(content)
    if rows:
        what = f"{title(str(content['by']))} of each candidate with its 95 % interval"
        place = chart("ranking-chart", what, {"only": drawings.dots(rows)}, drawn, height=3 + 2.2 * len(rows))
        body = f"<figure><figcaption>{escape(title(str(content['by'])))}</figcaption>{place}</figure>{body}"
    body += sections.listed("notes", content.get("notes") or [])
    kind = "Which source" if content.get("kind") == "sources" else "Which backbone"
    return section("ranking", kind, body, escape(content.get("sentence") or ""))


def settings(content: dict[str, Any]) -> str:
    """Write what was asked and what was read."""
    tables = [definitions("Settings", (content.get("settings") or {}).items())]
    tables += [
        definitions(f"Data: {label(role)}", [(k, v) for k, v in entry.items() if k != "notes"])
        for role, entry in (content.get("data") or {}).items()
    ]
    run = [("seconds in all", duration(content["seconds"]))] if content.get("seconds") else []
    tables += [definitions("Run", run), definitions("Versions", (content.get("versions") or {}).items())]
    command = content.get("command")
    typed = f'<pre class="command"><code>{escape(command)}</code></pre>' if command else ""
    body = f'{typed}<div class="tables">{"".join(tables)}</div>' if typed or any(tables) else ""
    return section("settings", "Every setting", body)
