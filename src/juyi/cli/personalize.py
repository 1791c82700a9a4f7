"""`juyi personalize CLIENTS`: a model for each client out of what all can teach."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cyclopts import App

from juyi import personalize
from juyi.cli import options
from juyi.cli.adapt import finish
from juyi.personalize.flower.launch import make
from juyi.report import write_progress

DEFAULT = "ditto"
REQUEST = (
    "clients", "partition", "client_column", "test", "newcomers", "newcomer_rows", "gate", "label", "size", "skip_bad",
    "engine", "patience",
)  # fmt: skip


def register(app: App, arguments: Sequence[str]) -> None:
    """Add the verb, with the settings of the method that the arguments name."""
    name = DEFAULT
    if arguments and arguments[0] == "personalize":
        name = options.named_method(arguments, personalize.METHODS, DEFAULT)
    method = personalize.METHODS[name]

    def personalize_(**given: Any) -> None:
        """Make a model for each of the CLIENTS out of what all can teach; their rows stay with them.

        Each client's model is held against the general one (fedavg), that one fine-tuned (fedavg_ft), and a model that
        the client trains alone (local); it serves the one that its own held-out rows prefer.
        """
        request = personalize.Request(
            clients=given["data"], number=given["clients"],
            **{key: given[key] for key in REQUEST if key != "clients"}, command=shlex.join(["juyi", *arguments]),
        )  # fmt: skip
        settings = options.method_from(method, given)
        if given["make_app"] is not None:
            make(Path(given["make_app"]), request, settings, given["host"])
            print(f"written to {given['make_app']}: app, server, and a folder for each of {given['clients']} clients")
            return
        folder = personalize.run(
            request, settings, methods=personalize.METHODS, out=given["out"], overwrite=given["overwrite"],
            console=options.progress_console(), show=write_progress,
        )  # fmt: skip
        finish(folder, as_json=given["json"])

    parameters = [
        options.argument(
            "data",
            "a folder with a folder for each client, a table with --client-column, several splits or sets "
            "(separated by commas), or data that --partition deals out",
        ),
        options.option("method", str, DEFAULT, f"how to personalise: {', '.join(personalize.METHODS)}"),
        options.option("clients", int | None, None, "to how many clients the data are dealt out"),
        options.option(
            "partition",
            str | None,
            None,
            "how: even, pathological:CLASSES, dirichlet:ALPHA, quantity:ALPHA, or domains (each group is a client)",
        ),
        options.option("client_column", str | None, None, "the column of a table that says whose a row is"),
        options.option("test", str | None, None, "labelled data, scored once, at the end [default: a part of each's]"),
        options.option("newcomers", int, 0, "clients that are not there in training, and come later"),
        options.option("newcomer_rows", int, 20, "labelled rows that a newcomer has"),
        options.option("engine", str, "simulator", "simulator, or flower: each client in processes of its own"),
        options.option("make_app", str | None, None, "write into this folder what several machines need, and stop"),
        options.option("host", str, "127.0.0.1", "with --make-app: the name by which clients reach the server"),
        options.option("patience", float, 600.0, "seconds that the server waits for a client, with --engine flower"),
        options.option("gate", bool, True, "let each client serve what its held-out rows prefer"),
        *options.data_options(),
        *options.run_options(),
        options.config_option(),
        *options.method_options(method),
    ]
    options.register(app, arguments, "personalize", personalize_, parameters)
