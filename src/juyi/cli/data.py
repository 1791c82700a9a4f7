"""`juyi data list|check|make`: what data there are, whether some can be used, and recipes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cyclopts import App
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from juyi.cli import options
from juyi.data import Domain, KnownData, align, contact_sheet, describe, known_data, load, make


def register(app: App, arguments: Sequence[str]) -> None:
    """Add the verb and its three parts."""
    data = App(name="data", help="List, check and make data.")
    app.command(data)
    rest = arguments[1:] if arguments and arguments[0] == "data" else ()

    def list_(**given: Any) -> None:
        """List the data that can be named, and where they come from."""
        found = known_data()
        if given["json"]:
            options.print_json({"data": [vars(entry) for entry in found]})
        else:
            _show(found)

    def check(**given: Any) -> None:
        """Read DATA and say what they are; with --beside, whether the two fit together."""
        keys = {key: given[key] for key in ("label", "size", "skip_bad")}
        domains = [load(name, **keys) for name in (given["data"], given["beside"]) if name]
        if given["beside"]:
            domains = list(align(*domains, size=given["size"]))
        sheet = contact_sheet(domains[0], given["sheet"]) if given["sheet"] else None
        if given["json"]:
            records = [_record(domain) for domain in domains]
            options.print_json({"data": records, **({"sheet": str(sheet)} if sheet else {})})
            return
        for domain in domains:
            print(*describe(domain), sep="\n  ")
        if given["beside"]:
            print("the two fit together; the notes say what was changed for that")
        if sheet:
            print(f"sheet: {sheet}")

    def make_(**given: Any) -> None:
        """Make data by their recipe now; else it is done on first use."""
        paths = _make_watched(given["name"])
        if given["json"]:
            options.print_json({"files": [str(path) for path in paths]})
            return
        print(*paths, sep="\n")

    options.register(data, rest, "list", list_, options.show_options("print the list as JSON"))
    options.register(
        data, rest, "check", check,
        [
            options.argument("data", "a folder, a file, or NAME@SPLIT"),
            options.option("beside", str | None, None, "a second domain, compared with the first"),
            options.option("sheet", Path | None, None, "write a sheet of pictures of DATA, PNG, to this file"),
            *options.data_options(),
            *options.show_options("print what was found as JSON"),
        ],
    )  # fmt: skip
    options.register(
        data, rest, "make", make_,
        [options.argument("name", "the recipe: mnist_m"), *options.show_options("print the files as JSON")],
    )  # fmt: skip


def _show(found: Sequence[KnownData]) -> None:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for head in ("name", "rows", "kind", "from", ""):
        table.add_column(head, overflow="fold", justify="right" if head == "rows" else "left")
    for entry in found:
        splits: list[tuple[str, int | None]] = list(entry.rows.items()) or [("SPLIT", None)]
        for number, (split, rows) in enumerate(splits):
            name = Text(f"{entry.name}@{split}", style="" if entry.available else "dim")
            first = (entry.kind, entry.where, entry.why_not) if number == 0 else (entry.kind, entry.where, "")
            table.add_row(name, Text("" if rows is None else f"{rows:,}"), *(Text(cell) for cell in first))
    console = options.table_console()
    console.print(table)
    console.print("\na folder of images, a .csv, .parquet or .npz file can be given by its path; juyi data check DATA")


def _record(domain: Domain) -> dict[str, Any]:
    counts = domain.class_counts() if domain.classes is not None else ()
    return {
        "name": domain.name,
        "rows": domain.size,
        "kind": "images" if domain.is_images else "features",
        "shape": list(domain.x.shape[1:]),
        "labelled": int(domain.labelled.sum()),
        "classes": {name: int(n) for name, n in zip(domain.classes or (), counts, strict=True)},
        "groups": list(domain.groups or ()),
        "notes": list(domain.notes),
    }


def _make_watched(name: str) -> list[Path]:
    """Make data with a bar on standard error, where that is a terminal."""
    console = options.progress_console()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        tasks: dict[str, TaskID] = {}

        def tell(split: str, done: int, total: int) -> None:
            if split not in tasks:
                tasks[split] = bar.add_task(f"{name}@{split}", total=total)
                if not console.is_terminal:
                    console.print(f"making {name}@{split}, {total:,} images")
            bar.update(tasks[split], completed=done)

        return make(name, progress=tell)
