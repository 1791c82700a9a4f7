"""`juyi train DATA --net NET`: the supervised stage alone, for teachers and baselines."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from cyclopts import App

from juyi import adapt
from juyi.cli import options
from juyi.cli.adapt import start

METHOD = adapt.METHODS["source_only"]


def register(app: App, arguments: Sequence[str]) -> None:
    """Add the verb."""

    def train(**given: Any) -> None:
        """Learn a classifier from labelled DATA."""
        keys = ("test", "label", "size", "skip_bad")
        request = adapt.Request(
            source=given["data"], **{key: given[key] for key in keys}, command=shlex.join(["juyi", *arguments])
        )
        start(request, options.method_from(METHOD, given), given)

    parameters = [
        options.argument("data", "labelled data: a folder, a file, or NAME@SPLIT"),
        options.option("test", str | None, None, "labelled data, scored once, at the end"),
        *options.data_options(),
        *options.run_options(),
        options.config_option(),
        *options.method_options(METHOD),
    ]
    options.register(app, arguments, "train", train, parameters)
