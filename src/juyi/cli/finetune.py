"""`juyi finetune BACKBONE FEW`: a classifier from a backbone and a few labels."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from cyclopts import App

from juyi import finetune
from juyi.cli import options
from juyi.cli.adapt import finish
from juyi.finetune.suggest import CSV, SHEET
from juyi.report.suggested import write_suggested

DEFAULT = "linear"
REQUEST = (
    "backbone", "few", "labels", "labels_per_class", "unlabelled", "test", "beside", "curve", "label", "size",
    "skip_bad",
)  # fmt: skip


def register(app: App, arguments: Sequence[str]) -> None:
    """Add the verb, with the settings of the method that the arguments name."""
    name = DEFAULT
    if arguments and arguments[0] == "finetune":
        name = options.named_method(arguments, finetune.METHODS, DEFAULT)
    method = finetune.METHODS[name]

    def finetune_(**given: Any) -> None:
        """Make a classifier of a BACKBONE (juyi pretrain, or any other) and of data with a FEW labels.

        The same network is trained on these labels from scratch beside it, so that you see whether the backbone
        helped.  With --suggest N, nothing is learnt: N images that are worth a label first are named instead.
        """
        if given["suggest"] is not None:
            return show_suggested(given)
        request = finetune.Request(**{key: given[key] for key in REQUEST}, command=shlex.join(["juyi", *arguments]))
        settings = options.method_from(method, {**given, "backbone": None})
        console = options.progress_console()
        folder = finetune.run(request, settings, out=given["out"], overwrite=given["overwrite"], console=console)
        finish(folder, as_json=given["json"])

    def show_suggested(given: dict[str, Any]) -> None:
        found = finetune.suggest(
            given["backbone"], given["few"], given["suggest"], out=given["out"], overwrite=given["overwrite"],
            weights=given["weights"], seed=given["seed"], size=given["size"], skip_bad=given["skip_bad"],
        )  # fmt: skip
        cards = found.cards()
        sheet = (
            write_suggested(found.folder / SHEET, found.backbone, found.data.name, cards)
            if found.data.is_images
            else None
        )
        if given["json"]:
            rows = [{"name": card["name"], "like": card["like"]} for card in cards]
            options.print_json({"suggested": rows, "file": str(found.folder / CSV), "sheet": sheet})
            return
        print(f"{len(cards)} of {found.data.size:,} rows to label first: {found.folder / CSV}")
        if sheet:
            print(f"their pictures: {sheet}")
        print(f"then: juyi finetune {given['backbone']} {given['few']} --labels {found.folder / CSV}")

    parameters = [
        options.argument(
            "backbone", "a run, RUN/models/NAME, a named network or module:factory with --weights, or hub/NAME"
        ),
        options.argument("few", "labelled data: a folder, a file, or NAME@SPLIT"),
        options.option("method", str, DEFAULT, f"how to tune: {', '.join(finetune.METHODS)}"),
        options.option(
            "labels_per_class",
            int | None,
            None,
            "labels used of each class [default: all]",
            show_default=False,
        ),
        options.option("labels", str | None, None, "a CSV file (name,label) with labels of some rows of FEW"),
        options.option("suggest", int | None, None, "name so many rows to label first, and learn nothing"),
        options.option("unlabelled", str | None, None, "more rows without labels, for methods that make use of them"),
        options.option("test", str | None, None, "labelled data, scored once, at the end"),
        options.option("beside", bool, True, "train the same network from scratch beside it"),
        options.option("curve", str, "", "also learn from so many labels a class, for the figure, such as 1,10,100"),
        *options.data_options(),
        *options.run_options(),
        options.config_option(),
        *[option for option in options.method_options(method) if option.name != "backbone"],
    ]
    options.register(app, arguments, "finetune", finetune_, parameters)
