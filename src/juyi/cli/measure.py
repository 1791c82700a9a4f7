"""`juyi measure SOURCE TARGET`: how far apart two sets of data are, what theory says, which candidate is best."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cyclopts import App
from rich.table import Table
from rich.text import Text

from juyi import __version__, similarity
from juyi.cli import options
from juyi.cli.compare import printable
from juyi.errors import SettingError
from juyi.report import check_place, write_similarity
from juyi.report.similarity_words import figure, interval, p_text, says, title
from juyi.training.machine import now

PAGE = Path("measure.html")
KEPT = ("target_labels", "label", "size", "skip_bad", "rows", "seed")
HEADS = {
    "distance": "how far apart",
    "feature": "which features differ (corrected p)",
    "classifier": "a classifier of the source, there and here",
    "bound": "estimated bounds",
    "class_share": "class shares of the target, estimated",
    "transferability": "how well the features suit the target's classes",
}
MOST = 10
"""So many lines of a group are printed; the page and --json have them all."""


def register(app: App, arguments: Sequence[str]) -> None:
    """Add the verb."""

    def measure_(**given: Any) -> None:
        """Measure how far apart SOURCE and TARGET are, what theory says of that, and which candidate is best.

        Vectors are taken as they are, images through --backbone.  The target's labels are not read, unless
        --target-labels gives them; with some, candidates are ranked by LogME, LEEP and others, without any by
        distance.  Candidates are further sources, or further backbones (runs, hub/NAME), separated by commas:
        --candidates other@train,third@train.  A distance is no verdict on transferring.  Writes a page.
        """
        check_place(given["out"], overwrite=given["overwrite"])
        console = options.progress_console()
        found = similarity.measure(
            given["source"],
            given["target"],
            backbone=given["backbone"],
            weights=given["weights"],
            net=given["net"],
            candidates=named(given["candidates"]),
            rank_by=given["rank_by"],
            settings=similarity.Settings(**{key: given[key] for key in KEPT}),
            tell=console.print,
        )
        content = found.as_json()
        page = write_similarity(
            {
                **content, "figures": found.figures, "command": shlex.join(["juyi", *arguments]), "started": now(),
                "versions": {"juyi": __version__},
            },
            given["out"],
            overwrite=given["overwrite"],
        )  # fmt: skip
        if given["json"]:
            options.print_json(content)
            return
        show(content)
        print(f"page: {page}")

    parameters = [
        options.argument("source", "data: a folder, a file, or NAME@SPLIT; with labels, theory can speak as well"),
        options.argument("target", "the data of the place where a model has to work"),
        options.option(
            "backbone", str, similarity.PIXELS,
            "for images: pixels, a finished run, RUN/models/NAME, hub/NAME, or a network with --weights",
        ),
        options.option("weights", str | None, None, "safetensors file for a backbone named like lenet or resnet18"),
        options.option("net", str | None, None, "module:factory, if the run's network is one of your own"),
        options.option("target_labels", str, "0", "target labels to use: 0, N a class, all, or a CSV (name,label)"),
        options.option(
            "candidates", str | None, None, "further sources, or further backbones, to rank, separated by commas"
        ),
        options.option(
            "rank_by", str | None, None,
            "score that sorts candidates [default: leep or log_me with labels, else proxy_a_distance]",
            show_default=False,
        ),
        options.option("rows", int, 10_000, "rows of a side that are measured at most, drawn at random"),
        options.option("seed", int, 0, "of every draw"),
        *options.data_options(),
        options.option("out", Path, PAGE, "the page"),
        options.option("overwrite", bool, False, "replace a page that is there"),
        *options.show_options("print the results as JSON"),
    ]  # fmt: skip
    options.register(app, arguments, "measure", measure_, parameters)


def named(candidates: str | None) -> list[str]:
    """Take a list of candidates apart.

    Raises:
        SettingError: one is empty.

    Example:
        >>> named("digits@test, mnist@test"), named(None)
        (['digits@test', 'mnist@test'], [])
    """
    if candidates is None:
        return []
    names = [name.strip() for name in candidates.split(",")]
    if not all(names):
        raise SettingError(f"--candidates {candidates!r}: holds an empty name; separate names by one comma each")
    return names


def show(content: dict[str, Any]) -> None:
    """Print what was found: the sentence, warnings, a table a group, the ranking."""
    print(printable(content["sentence"]))
    if content["warnings"]:
        print("", *(f"Warning: {printable(line)}" for line in content["warnings"]), sep="\n")
    if content["ranking"]:
        show_ranking(content["ranking"])
    for group, head in HEADS.items():
        rows = [one for one in content["results"] if one["group"] == group]
        if rows:
            show_group(head, group, rows)
    print("", *map(printable, content["notes"]), sep="\n")


def show_group(head: str, group: str, rows: Sequence[dict[str, Any]]) -> None:
    """Print one group of results."""
    if group == "class_share":
        lines = class_lines(head, rows)
    else:
        lines = [(head, *wanted(rows[0], group, HEAD))]
        lines += [(name_of(one, group), *wanted(one, group, one)) for one in rows]
    print()
    print_lines(lines[: MOST + 1])
    if len(lines) > MOST + 1:
        print(f"and {len(lines) - MOST - 1:,} more: see the page")
    if group == "bound":
        reasons = dict.fromkeys(one["note"] for one in rows if one["value"] is None)
        print(*map(printable, reasons), sep="\n", end="\n" if reasons else "")


HEAD = {"value": "figure", "interval": "95 % interval", "p_value": "p"}
COLUMNS = {"bound": ("value",), "classifier": ("value", "interval"), "transferability": ("value", "interval")}


def wanted(one: dict[str, Any], group: str, cells: dict[str, Any]) -> list[str]:
    """Write the cells of a line that its group has; those of the head are words already."""
    found = []
    for column in COLUMNS.get(group, ("value", "interval", "p_value")):
        if cells is HEAD:
            found.append(HEAD[column])
        elif column == "value":
            found.append(value_of(one, group))
        else:
            found.append(interval(one, group) if column == "interval" else p_text(one["p_value"]))
    return found


def name_of(one: dict[str, Any], group: str) -> str:
    """Name a result; a bound with what it bounds."""
    name = title(one["name"])
    return f"{name}: {says(one['name'])}" if group == "bound" else name


def value_of(one: dict[str, Any], group: str) -> str:
    """Write a figure, or that it is unknown or says nothing."""
    if one["value"] is None:
        return "unknown"
    vacuous = " (says nothing)" if group == "bound" and "vacuous" in one["note"] else ""
    return figure(one["value"], one["name"], group) + vacuous


def class_lines(head: str, rows: Sequence[dict[str, Any]]) -> list[Sequence[str]]:
    """Write the shares of the classes, a line a class and a column an estimator."""
    by: dict[str, dict[str, str]] = {}
    for one in rows:
        between = interval(one, "class_share")
        cell = value_of(one, "class_share") + (f" ({between})" if between else "")
        by.setdefault(title(one["name"]), {})[one["name"].partition("[")[0]] = cell
    names = list(dict.fromkeys(one["name"].partition("[")[0] for one in rows))
    lines: list[Sequence[str]] = [(head, *(title(name) for name in names))]
    return lines + [(name, *(cells.get(one, "–") for one in names)) for name, cells in by.items()]


def show_ranking(ranking: dict[str, Any]) -> None:
    """Print the candidates, best first."""
    names = list(dict.fromkeys([ranking["by"], *(one["name"] for row in ranking["rows"] for one in row["scores"])]))
    lines = [("candidate", f"{title(ranking['by'])}, 95 % interval", *(title(name) for name in names[1:]))]
    for row in ranking["rows"]:
        scores = {one["name"]: one for one in row["scores"]}
        cells = [figure(scores[name]["value"], name) if name in scores else "–" for name in names]
        between = interval(scores[names[0]]) if names[0] in scores else ""
        lines.append((row["candidate"], f"{cells[0]} ({between})" if between else cells[0], *cells[1:]))
    print("", printable(ranking["sentence"]), "", sep="\n")
    print_lines(lines)


def print_lines(lines: Sequence[Sequence[str]]) -> None:
    """Print lines as a table, the first as its head."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for head in lines[0]:
        table.add_column(printable(head), overflow="fold")
    for line in lines[1:]:
        table.add_row(*(Text(printable(cell)) for cell in line))
    options.table_console().print(table)
