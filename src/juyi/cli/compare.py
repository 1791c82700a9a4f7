"""`juyi compare RUN...`: several finished runs beside one another."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter
from rich.table import Table
from rich.text import Text

from juyi.adapt.choose_runs import choose_among
from juyi.cli import options
from juyi.errors import InputError
from juyi.report import Comparison, check_place, compare, disagreement_lines, write_comparison

PAGE = Path("comparison.html")


def register(app: App, arguments: Sequence[str]) -> None:
    """Add the verb."""

    def compare_(**given: Any) -> None:
        """Put finished runs beside one another: accuracy with intervals, time, memory, where they disagree.

        Prints a table and writes a page.  A run is called best only if the test can tell; runs with another test or
        another target are shown, but not ranked.
        """
        check_place(given["out"], overwrite=given["overwrite"])
        comparison = compare(given["runs"])
        page = write_comparison(comparison, given["out"], overwrite=given["overwrite"])
        if given["json"]:
            options.print_json(comparison.as_json())
            return
        show(comparison)
        print(*chosen(given["runs"]), f"page: {page}", sep="\n")

    runs = Annotated[str, Parameter(help="folders of finished runs, two or more")]
    parameters = [
        inspect.Parameter("runs", inspect.Parameter.VAR_POSITIONAL, annotation=runs),
        options.option("out", Path, PAGE, "the page"),
        options.option("overwrite", bool, False, "replace a page that is there"),
        *options.show_options("print the comparison as JSON"),
    ]
    options.register(app, arguments, "compare", compare_, parameters)


def chosen(runs: Sequence[str]) -> list[str]:
    """Say which model of these runs would be chosen without a label; nothing where they cannot be compared so."""
    try:
        choice = choose_among(runs, moments=True)
    except InputError:
        return []
    agreement = choice.agreement[choice.name]
    out = f"; out: {', '.join(choice.out)}" if len(choice.out) < 9 else f"; {len(choice.out)} are out"
    return [
        printable(
            f"without labels, of these and their epochs, {choice.name} would be chosen "
            f"(it answers as the ensemble on {agreement * 100:.1f} % of the target{out if choice.out else ''})"
        )
    ]


def show(comparison: Comparison) -> None:
    """Print what a comparison says: who was hurt, the table, what is best, the notes, the disagreement."""
    hurt = [line for line in comparison.warnings if line.endswith(": adapting hurt.")]
    for line in hurt:
        print(printable(line))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for head in comparison.rows[0].cells():
        table.add_column(head, overflow="fold")
    for row in comparison.rows:
        cells = row.cells()
        if row is comparison.standing.best:
            cells["accuracy (95 % interval)"] += "  best"
        table.add_row(*(Text(printable(cell)) for cell in cells.values()))
    options.table_console().print(table)
    warned = [f"Warning: {line}" for line in comparison.warnings if line not in hurt]
    for block in ([comparison.standing.sentence, *warned], disagreement_lines(comparison), comparison.notes):
        print("", *map(printable, block), sep="\n")


def printable(line: str) -> str:
    """Replace what a terminal would obey: names come from files."""
    return "".join(sign if sign.isprintable() else " " for sign in line)
