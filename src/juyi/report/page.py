"""The page: one file that needs no network, shows a run, and says first whether transferring helped."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from plotly.offline import get_plotlyjs

from juyi.errors import ForeignFileError
from juyi.report import charts, distilled, finetuned, personalized, pretrained, sections
from juyi.report.budget import budget
from juyi.report.exported import exported
from juyi.report.markup import definitions, escape, label, script_json, section
from juyi.report.numbers import numbers
from juyi.report.settled import settled
from juyi.report.stream import stream
from juyi.report.summary import FLOOR
from juyi.report.without_labels import without_labels
from juyi.runs.files import read_json, write_text
from juyi.runs.folder import RunFolder

Variants = dict[str, charts.Figure]
FIGURES = (
    "maps", "class_balance", "least_sure", "stream", "numbers", "impressions", "temperature", "perturbations",
    "pretraining", "views", "neighbours", "feature_map", "labels", "clients", "rounds",
)  # fmt: skip
LOSS_NOTE = "The losses are means over an epoch."
ROUND_NOTE = "The losses are means over the clients that took part in a round, each while it learnt."
DOMAIN_NOTE = (
    f"{LOSS_NOTE} Where there is a loss named <em>domain</em>, it tells how well the critic "
    "parts source from target: at the dotted line, log 2 ≈ 0.693, it does no better than a coin. That is what aligning "
    "aims at, but it is no verdict: features can be mixed perfectly and the classes be mixed up with them."
)
MAPS_NOTE = (
    "What the network makes of each image (its features), laid out so that neighbours stay neighbours (t-SNE). Where "
    "the colours part, the network sees two worlds; where they mix, one. Axes and distances between far groups mean "
    "nothing, and a beautiful map is no proof."
)
BALANCE_NOTE = (
    "How often each class occurs in the labelled source, and how often each model predicts it on the target. Large "
    "differences come from a different mix of classes, or from a model that has collapsed."
)


def write_report(run: RunFolder) -> Path:
    """Write report.html of a run, from nothing but what its folder holds.

    The page is one file: plotly.js, styles, data and pictures are in it, and its content policy forbids it to load
    anything or to run any script but its own two.  Sections whose figure the run did not keep are left out.

    Args:
        run: a run folder; run.json must be there, log.jsonl and figures/*.json may be.

    Returns:
        The path of the page.

    Raises:
        ForeignFileError: run.json is damaged.
        WriteError: the page cannot be written.

    Example:
        >>> import tempfile
        >>> folder = RunFolder.create(Path(tempfile.mkdtemp()) / "run", "dann")
        >>> folder.write({"method": "dann", "verdict": {"answer": "helped", "sentence": "Adapting helped."}})
        >>> path = write_report(folder)
        >>> path.name, "Adapting helped." in path.read_text(encoding="utf-8")
        ('report.html', True)
    """
    figures = {name: read_figure(run, name) for name in FIGURES}
    write_text(run.report, render(run.read(), read_log(run.log), figures))
    return run.report


def render(record: dict[str, Any], log: list[dict[str, Any]], figures: Mapping[str, dict[str, Any]]) -> str:
    """Assemble the page from the record, the log's lines and the figures; an absent figure is an empty dict."""
    drawn: dict[str, Variants] = {}
    parts = [
        sections.warnings(record),
        sections.results(record),
        *personalized.parts(record, figures.get("clients") or {}, figures.get("rounds") or {}, drawn),
        distilled.sizes(record),
        budget(record, drawn),
        exported(record),
        distilled.impressions(figures.get("impressions") or {}),
        distilled.perturbations(figures.get("perturbations") or {}),
        distilled.temperatures(figures.get("temperature") or {}, drawn),
        finetuned.curve(figures.get("labels") or {}, drawn),
        finetuned.compared(record),
        pretrained.representation(record),
        pretrained.watched(figures.get("pretraining") or {}, drawn),
        pretrained.views(figures.get("views") or {}),
        pretrained.neighbours(figures.get("neighbours") or {}),
        pretrained.feature_map(figures.get("feature_map") or {}, drawn),
        settled(record),
        without_labels(record),
        stream(figures.get("stream") or {}, record, drawn),
        numbers(figures.get("numbers") or {}, record, drawn),
        maps(figures.get("maps") or {}, drawn),
        balance(figures.get("class_balance") or {}, drawn),
        sections.least_sure(figures.get("least_sure") or {}, record),
        losses(log, drawn),
        sections.settings(record),
    ]
    body = header(record) + sections.opening(record) + contents(parts) + "".join(parts)
    return document(title(record), body, drawn)


def document(
    name: str, body: str, drawn: dict[str, Variants], made_from: str = "the run’s folder", script: str = ""
) -> str:
    """Put the body into a document with its style, its data and its scripts; plotly.js only if there is a chart."""
    behaviour = files("juyi.report").joinpath("behaviour.js")
    scripts = [get_plotlyjs(), behaviour.read_text(encoding="utf-8")] if drawn else []
    scripts += [script] if script else []
    allowed = " ".join(f"'{fingerprint(script)}'" for script in scripts) or "'none'"
    head = head_of(name, f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src {allowed}")
    data = f'<script type="application/json" id="charts">{script_json(drawn)}</script>' if drawn else ""
    run = "".join(f"<script>{script}</script>" for script in scripts)
    foot = f"<footer>Made by Juyi from {made_from}. This page is one file and loads nothing.</footer>"
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head>'
        f"<body><main>{body}{foot}</main>{data}{run}</body></html>\n"
    )


def head_of(name: str, policy: str) -> str:
    """Write what stands in the head of every page: its content policy, its title, its style."""
    style = files("juyi.report").joinpath("style.css").read_text(encoding="utf-8")
    return (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f'<meta name="color-scheme" content="light dark"><title>{escape(name)} – Juyi</title><style>{style}</style>'
    )


def fingerprint(script: str) -> str:
    """Name a script as a content policy does: by its SHA-256, so that no other script runs.

    Example:
        >>> fingerprint("")
        'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='
    """
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"


def title(record: dict[str, Any]) -> str:
    """Name the run by its method and its data."""
    data = record.get("data") or {}
    roles = ("source", "target", "teacher", "data", "images", "backbone", "few", "clients")
    names = [str((data.get(role) or {}).get("name")) for role in roles if data.get(role)]
    return f"{record.get('method') or 'a run'}: {' → '.join(names)}" if names else str(record.get("method") or "a run")


def header(record: dict[str, Any]) -> str:
    """Write who made the page, when, and what the run is."""
    started = str(record.get("started") or "")[:16].replace("T", " ")
    return (
        '<header><p class="brand"><b>Juyi</b> <span lang="zh">举一反三</span>'
        f"<time>{escape(started)}</time></p><h1>{escape(title(record))}</h1></header>"
    )


def contents(parts: list[str]) -> str:
    """Link to the sections that the page has."""
    found = re.findall(
        r'<section id="([a-z-]+)" aria-labelledby="[a-z-]+"><h2 id="[a-z-]+">([^<]*)</h2>', "".join(parts)
    )
    links = "".join(f'<a href="#{identity}">{heading}</a>' for identity, heading in found)
    return f'<nav aria-label="Sections">{links}</nav>' if len(found) > 2 else ""


def chart(
    identity: str,
    what: str,
    variants: Variants,
    drawn: dict[str, Variants],
    kind: str = "",
    height: float | None = None,
) -> str:
    """Reserve a chart's place, and remember what is to be drawn there; the height, in rem, is else its kind's."""
    drawn[identity] = variants
    style = "" if height is None else f' style="height:{height:.1f}rem"'
    return f'<div class="chart {kind}" id="{identity}"{style} role="img" aria-label="{escape(what)}"></div>'


def maps(figure: dict[str, Any], drawn: dict[str, Variants]) -> str:
    """Show the maps side by side, with a switch between colours by domain and by class."""
    shown = [one for one in figure.get("maps") or [] if isinstance(one, dict)]
    panels = []
    for position, one in enumerate(shown):
        model = str(one.get("model"))
        when = "Before adapting" if model == FLOOR else "After adapting"
        what = f"Map of the features of source and target, {when.lower()} ({model})"
        place = chart(f"map-{position}", what, charts.map_variants(figure, one), drawn, "map")
        panels.append(f"<figure><figcaption>{when} <small>{escape(model)}</small></figcaption>{place}</figure>")
    if not panels:
        return ""
    body = (
        f'{colour_switch(figure)}<div class="pair">{"".join(panels)}</div>'
        '<p class="hint">Drag to zoom in, double-click to go back.</p>'
    )
    return section("maps", "What the network sees", body, MAPS_NOTE)


def colour_switch(figure: dict[str, Any]) -> str:
    """Write the maps' key, and the switch between colours by domain and by class where there are classes."""
    choices = "".join(
        f'<label><input type="radio" name="view" value="{view}"{" checked" if view == "domain" else ""}>{view}</label>'
        for view in ("domain", "class")
    )
    keys = [("source", "source"), ("target", "target")]
    domains = "".join(f'<li><i class="dot" style="background:var(--{c})"></i>{n}</li>' for n, c in keys)
    if not figure.get("classes"):
        return f'<div class="controls"><ul class="key domain">{domains}</ul></div>'
    classes = "".join(
        f'<li><i class="dot" style="background:var(--class{i % charts.CLASS_COLOURS})"></i>{escape(name)}</li>'
        for i, name in enumerate(figure["classes"])
    )
    shapes = '<li class="shape">● source, by its label</li><li class="shape">✕ target, by the model’s prediction</li>'
    return (
        f'<div class="controls"><fieldset class="switch"><legend>Colour by</legend>{choices}</fieldset>'
        f'<ul class="key domain">{domains}</ul><ul class="key class" hidden>{shapes}{classes}</ul></div>'
    )


def balance(figure: dict[str, Any], drawn: dict[str, Variants]) -> str:
    """Show the class balance, as a chart and, folded away, as a table."""
    if not figure.get("classes"):
        return ""
    place = chart("balance", "Shares of the classes", {"only": charts.class_balance(figure)}, drawn, "wide")
    columns = {"source": figure.get("source") or [], **(figure.get("predicted") or {})}
    columns |= {"estimate": figure["estimated"]} if figure.get("estimated") else {}
    rows = [
        (name, ", ".join(f"{label(c)} {shares[i]:.1%}" for c, shares in columns.items() if i < len(shares)))
        for i, name in enumerate(figure["classes"])
    ]
    table = f"<details><summary>As a table</summary>{definitions('Share of each class', rows)}</details>"
    return section(
        "class-balance", "Class balance of the predictions", f"<figure>{place}</figure>{table}", BALANCE_NOTE
    )


def losses(log: list[dict[str, Any]], drawn: dict[str, Variants]) -> str:
    """Show the losses of every stage, a panel each; stages of one epoch only if there are no longer ones."""
    drawings = charts.loss_panels(log)
    longest = max((len(figure["data"][0]["x"]) for _, figure in drawings), default=0)
    panels = []
    for position, (name, figure) in enumerate(drawings):
        if len(figure["data"][0]["x"]) == 1 < longest:
            continue
        place = chart(f"loss-{position}", f"Losses over the epochs: {name}", {"only": figure}, drawn, "loss")
        panels.append(f"<figure><figcaption>{escape(name)}</figcaption>{place}</figure>")
    body = f'<div class="pair">{"".join(panels)}</div>' if panels else ""
    has_critic = any("domain" in (line.get("losses") or {}) for line in log)
    in_rounds = any(line.get("stage") == charts.ROUNDS for line in log)
    note = DOMAIN_NOTE if has_critic else ROUND_NOTE if in_rounds else LOSS_NOTE
    return section("losses", "How it learnt", body, note)


def read_figure(run: RunFolder, name: str) -> dict[str, Any]:
    """Read a figure that the run kept; empty if it kept none, or one that is damaged (the page is made without it)."""
    try:
        content = read_json(run.figures / f"{name}.json")
    except ForeignFileError:
        return {}
    return content if isinstance(content, dict) else {}


def read_log(path: Path) -> list[dict[str, Any]]:
    """Read log.jsonl; lines that are no JSON object are skipped (the last one is cut short if the run was killed)."""
    lines = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []:
        try:
            content = json.loads(line)
        except ValueError:
            continue
        if isinstance(content, dict):
            lines.append(content)
    return lines
