"""`juyi pretrain IMAGES`: a backbone learns from images without labels."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from cyclopts import App

from juyi import pretrain
from juyi.cli import options
from juyi.cli.adapt import finish

DEFAULT = "isif"
REQUEST = ("images", "watch", "test", "label", "size", "skip_bad")


def register(app: App, arguments: Sequence[str]) -> None:
    """Add the verb, with the settings of the method that the arguments name."""
    name = DEFAULT
    if arguments and arguments[0] == "pretrain":
        name = options.named_method(arguments, pretrain.METHODS, DEFAULT)
    method = pretrain.METHODS[name]

    def pretrain_(**given: Any) -> None:
        """Learn a backbone from IMAGES without labels; labels that they have are not read.

        What comes out has features, and no classes.  With labelled images to --watch it by, you see after each epoch
        how many of them their neighbours foretell; nothing is learnt from these.
        """
        request = pretrain.Request(**{key: given[key] for key in REQUEST}, command=shlex.join(["juyi", *arguments]))
        settings = options.method_from(method, given)
        console = options.progress_console()
        folder = pretrain.run(request, settings, out=given["out"], overwrite=given["overwrite"], console=console)
        finish(folder, as_json=given["json"])

    parameters = [
        options.argument("images", "images, labelled or not: a folder, a file, or NAME@SPLIT"),
        options.option("method", str, DEFAULT, f"how to learn: {', '.join(pretrain.METHODS)}"),
        options.option("watch", str | None, None, "labelled images to watch it by; nothing is learnt from them"),
        options.option("test", str | None, None, "labelled images, scored once, at the end, by the votes of --watch"),
        *options.data_options(),
        *options.run_options(),
        options.config_option(),
        *options.method_options(method),
    ]
    options.register(app, arguments, "pretrain", pretrain_, parameters)
