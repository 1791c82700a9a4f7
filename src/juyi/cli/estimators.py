"""`juyi adapt SOURCE TARGET` with a method that holds no network: other columns, rows that arrive, forests."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cyclopts import App

from juyi.adapt import estimators
from juyi.cli import options
from juyi.cli.compare import printable
from juyi.report import write_answers
from juyi.report.markup import quantity

PAGE = "report.html"
REQUEST = ("source", "target", "test", "target_labels", "pairs", "label")


def is_wanted(arguments: Sequence[str]) -> bool:
    """Tell whether such a method is named, on the command line or in the YAML file that it names."""
    return options.method_asked_for("adapt", arguments) in estimators.METHODS


def register(app: App, arguments: Sequence[str]) -> None:
    """Add `juyi adapt` as it is for the method that is named."""
    name = str(options.method_asked_for("adapt", arguments))
    method = estimators.METHODS[name]

    def adapt_(**given: Any) -> None:
        """Learn there, answer here, with a method that holds no network.

        Beside the method stands what there is without it: the few target labels alone where columns are other ones,
        else the source's model as it is.  Writes a folder with predictions.csv, answers.json and a page.
        """
        request = estimators.Request(**{key: given[key] for key in REQUEST}, command=shlex.join(["juyi", *arguments]))
        made = options.method_from(method, given)
        record = estimators.answer(request, made, out=given["out"], overwrite=given["overwrite"])
        page = write_answers(record, given["out"] / PAGE)
        if given["json"]:
            return options.print_json(record)
        show(record, given["out"])
        print(f"report: {page}")

    parameters = [
        options.argument("source", "labelled data: a file, or NAME@SPLIT; for transfer_forest a file of skops as well"),
        options.argument("target", "data of the place where the model has to work; rows that arrive in their order"),
        options.option("method", str, name, ", ".join(estimators.METHODS)),
        options.option("test", str | None, None, "labelled data of the target, scored once, at the end"),
        options.option("target_labels", str, "0", "target labels to use: 0, N a class, all, or a CSV (name,label)"),
        options.option("pairs", str | None, None, "a CSV (source,target) of rows that are of the same thing"),
        options.option("label", str | None, None, "column of the labels, in tables"),
        options.option("out", Path, Path("answers"), "the folder"),
        options.option("overwrite", bool, False, "replace what is in that folder"),
        *options.show_options("print what answers.json holds, for programs"),
        options.config_option(),
        *options.method_options(method),
    ]
    options.register(app, arguments, "adapt", adapt_, parameters)


def show(record: dict[str, Any], out: Path) -> None:
    """Print what was found."""
    if record["verdict"]:
        print(printable(record["verdict"]["sentence"]))
    for line in record["warnings"]:
        print(f"- {printable(line)}")
    for one in record["results"]:
        value, low, high = (quantity(one[key], one["name"], one.get("unit")) for key in ("value", "low", "high"))
        what = one["name"].replace("_", " ")
        print(f"{one['model']}: {what} {value} ({low} to {high}) on {one['n']:,} rows of the {one['on']['role']}")
    print(f"answers: {out / 'predictions.csv'}")
