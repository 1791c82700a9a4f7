"""`juyi adapt SOURCE TARGET --method relational`: carry roles over by relations alone; a part of `juyi adapt`."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cyclopts import App

from juyi.adapt import relations
from juyi.cli import options
from juyi.cli.compare import printable
from juyi.errors import SettingError
from juyi.report import write_relations

METHOD = "relational"
PAGE = "report.html"


def is_wanted(arguments: Sequence[str]) -> bool:
    """Tell whether the method is named, on the command line or in the YAML file that it names."""
    return options.method_asked_for("adapt", arguments) == METHOD


def register(app: App, arguments: Sequence[str]) -> None:
    """Add `juyi adapt` as it is for relations."""

    def adapt_(**given: Any) -> None:
        """Carry roles over from one list of relations to another: teacher to students as boss to staff.

        SOURCE and TARGET are CSV files with the columns from, to and, if strengths differ, weight.  They need share
        neither items nor names; roles are needed on one side.  A permutation test says whether the match means
        anything.  Writes a folder with predictions.csv, relations.json and a page.
        """
        if given["roles"] is None:
            raise SettingError("--roles: is missing; name a CSV file (name,label) with roles of the source's items")
        known = None if given["target_labels"] == "0" else given["target_labels"]
        request = relations.Request(
            given["source"], given["target"], given["roles"], known, given["test"], shlex.join(["juyi", *arguments])
        )
        method = options.method_from(relations.Relational, given)
        record = relations.carry_over(request, method, out=given["out"], overwrite=given["overwrite"])
        page = write_relations(record, given["out"] / PAGE)
        if given["json"]:
            return options.print_json(record)
        show(record, given["out"])
        print(f"report: {page}")

    parameters = [
        options.argument("source", "a CSV file of relations: from,to or from,to,weight"),
        options.argument("target", "likewise, of the place where roles are sought"),
        options.option("method", str, METHOD, "relational"),
        options.option("roles", str | None, None, "a CSV file (name,label) with roles of the source's items"),
        options.option("target_labels", str, "0", "roles of target items to use: 0, or a CSV file (name,label)"),
        options.option("test", str | None, None, "a CSV file (name,label) with roles of the target, scored at the end"),
        options.option("out", Path, Path("relations"), "the folder"),
        options.option("overwrite", bool, False, "replace what is in that folder"),
        *options.show_options("print what relations.json holds, for programs"),
        options.config_option(),
        *options.method_options(relations.Relational),
    ]
    options.register(app, arguments, "adapt", adapt_, parameters)


def show(record: dict[str, Any], out: Path) -> None:
    """Print what was found."""
    print(printable(record["sentence"]))
    if record["warnings"]:
        print("", *(f"Warning: {printable(line)}" for line in record["warnings"]), "", sep="\n")
    for one in record["results"]:
        print(
            f"accuracy on {one['n']:,} items: {one['value']:.1%} ({one['low']:.1%} to {one['high']:.1%}); the "
            f"largest role alone {one['largest_role']:.1%}; by luck p = {one['p_value']:.2g}"
        )
    print(f"roles: {out / 'predictions.csv'}")
