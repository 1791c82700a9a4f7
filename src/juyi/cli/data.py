"""`juyi data list|check|make`: what data there are, whether some can be used, and recipes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cyclopts import App

from juyi.cli import options
from juyi.data import align, contact_sheet, describe, known_data, load, make


def register(app: App, arguments: Sequence[str]) -> None:
    """Add the verb and its three parts."""
    data = App(name="data", help="List, check and make data.")
    app.command(data)
    rest = arguments[1:] if arguments and arguments[0] == "data" else ()

    def list_(**given: Any) -> None:
        """List the data that can be named, and where they come from."""
        found = known_data()
        if given["json"]:
            print(json.dumps({"data": [vars(entry) for entry in found]}, ensure_ascii=False, default=str))
            return
        for entry in found:
            print(entry)

    def check(**given: Any) -> None:
        """Read DATA and say what they are; with --beside, whether the two fit together."""
        keys = {key: given[key] for key in ("label", "size", "skip_bad")}
        domains = [load(name, **keys) for name in (given["data"], given["beside"]) if name]
        if given["beside"]:
            domains = list(align(*domains, size=given["size"]))
        lines = {domain.name: describe(domain) for domain in domains}
        if given["sheet"]:
            contact_sheet(domains[0], given["sheet"])
        if given["json"]:
            print(json.dumps(lines, ensure_ascii=False))
            return
        for name, described in lines.items():
            print(name, *(f"  {line}" for line in described), sep="\n")

    def make_(**given: Any) -> None:
        """Make data by their recipe now (it would be done on first use)."""
        print(make(given["name"]))

    show = options.show_options()
    options.register(data, rest, "list", list_, show)
    options.register(
        data, rest, "check", check,
        [
            options.argument("data", "a folder, a file, or NAME@SPLIT"),
            options.option("beside", str | None, None, "a second domain, compared with the first"),
            options.option("sheet", Path | None, None, "write a sheet of pictures, PNG, to this file"),
            *options.data_options(),
            *show,
        ],
    )  # fmt: skip
    options.register(data, rest, "make", make_, [options.argument("name", "mnist_m"), *show])
