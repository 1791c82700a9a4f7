"""`juyi adapt RUN --online STREAM`: follow a stream from the model of a finished run; a part of `juyi adapt`."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cyclopts import App

from juyi.adapt import online
from juyi.cli import options
from juyi.cli.config import read_config
from juyi.errors import SettingError
from juyi.runs import RunFolder

DEFAULT = "batch_norm_adaptation"
REQUEST = ("online", "test", "label", "size", "skip_bad", "net")
Finish = Callable[..., None]


def is_wanted(arguments: Sequence[str]) -> bool:
    """Tell whether a stream is named, on the command line or in the YAML file that it names."""
    if not arguments or arguments[0] != "adapt":
        return False
    if any(argument == "--online" or argument.startswith("--online=") for argument in arguments):
        return True
    path = options.value_of(arguments, "--config")
    return path is not None and read_config(Path(path)).get("online") is not None


def check_not_meant(arguments: Sequence[str]) -> None:
    """Raise a `SettingError` if a method of streams is named, but no stream."""
    name = options.value_of(arguments, "--method") if arguments and arguments[0] == "adapt" else None
    if name in online.METHODS:
        raise SettingError(
            f"--method {name}: follows a stream; name it: juyi adapt RUN --online STREAM --method {name}"
        )


def register(app: App, arguments: Sequence[str], finish: Finish) -> None:
    """Add `juyi adapt` as it is with a stream, with the settings of the method that the arguments name."""
    method = online.METHODS[options.named_method(arguments, online.METHODS, DEFAULT)]

    def adapt_(**given: Any) -> None:
        """Follow a stream from the model of a finished run: answer each batch as it comes, and adapt to it.

        The model that is not adapted answers beside it, so that you see whether adapting helped.  Labels that the
        stream's files have are not read.
        """
        if given["target"] is not None:
            raise SettingError(
                f"{given['target']}: with --online, the stream is what to adapt to; leave TARGET out, or --online"
            )
        request = online.Request(
            given["run"], **{key: given[key] for key in REQUEST}, command=shlex.join(["juyi", *arguments])
        )
        console = options.progress_console()
        started = options.method_from(method, given)
        folder: RunFolder = online.run(
            request, started, out=given["out"], overwrite=given["overwrite"], console=console
        )
        finish(folder, as_json=given["json"])

    parameters = [
        options.argument("run", "the folder of a finished run, whose model is the start"),
        options.argument("target", "left out: the stream takes its place", default=None),
        options.option("online", str, None, "the stream: a folder, a file, or NAME@SPLIT; rows come in its order"),
        options.option("method", str, DEFAULT, f"how to adapt: {', '.join(online.METHODS)}"),
        options.option(
            "test",
            str | None,
            None,
            "labelled data, scored once, at the end; where they are the stream, its answers are scored as they were",
        ),
        options.option("net", str | None, None, "module:factory, if the run's network is one of your own"),
        *options.data_options(),
        *options.run_options(),
        options.config_option(),
        *options.method_options(method),
    ]
    options.register(app, arguments, "adapt", adapt_, parameters)
