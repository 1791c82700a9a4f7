"""`juyi adapt SOURCE TARGET`: learn from labels there, work here; streams, relations and estimators stand beside it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from cyclopts import App

from juyi import adapt
from juyi.adapt import estimators as adapt_estimators
from juyi.cli import estimators, online, options, relations
from juyi.report import summary_lines, write_report
from juyi.runs import RunFolder
from juyi.training import join_processes

DEFAULT = "dann"
ELSEWHERE = (relations.METHOD, *adapt_estimators.METHODS)
"""Methods that hold no network, and have options of their own."""
REQUEST = (
    "source", "target", "test", "target_labels", "label", "size", "intersect_classes", "skip_bad", "unknown", "rehearse"
)  # fmt: skip


def register(app: App, arguments: Sequence[str]) -> None:
    """Add the verb, with the settings of the method that the arguments name."""
    if online.is_wanted(arguments):
        return online.register(app, arguments, finish)
    if relations.is_wanted(arguments):
        return relations.register(app, arguments)
    if estimators.is_wanted(arguments):
        return estimators.register(app, arguments)
    online.check_not_meant(arguments)
    name = DEFAULT
    if arguments and arguments[0] == "adapt":
        name = options.named_method(arguments, adapt.METHODS, DEFAULT)
    method = adapt.METHODS[name]

    def adapt_(**given: Any) -> None:
        """Learn from labelled data there and unlabelled data here; work here.

        SourceOnly is trained beside the method, so that you see whether adapting helped.  Labels that the
        target's files have are not read, unless --target-labels gives them.
        """
        request = adapt.Request(**{key: given[key] for key in REQUEST}, command=shlex.join(["juyi", *arguments]))
        start(request, options.method_from(method, given), given)

    parameters = [
        options.argument(
            "source",
            "labelled data: a folder, a file, or NAME@SPLIT; or a finished run (--online, source-free methods)",
        ),
        options.argument("target", "data of the place where the model has to work; or --online STREAM"),
        options.option("method", str, DEFAULT, f"how to adapt: {', '.join((*adapt.METHODS, *ELSEWHERE))}"),
        options.option("test", str | None, None, "labelled data of the target, scored once, at the end"),
        options.option("target_labels", str, "0", "target labels to use: 0, N a class, all, or a CSV (name,label)"),
        options.option(
            "online", str | None, None, "follow a stream: juyi adapt RUN --online STREAM, RUN a finished run"
        ),
        options.option("unknown", bool, False, "target and test may hold rows of classes that the source lacks"),
        options.option(
            "rehearse", bool, False, "try the method on a part of the source in the target's look first, labels known"
        ),
        options.option("intersect_classes", bool, False, "go on with the classes that both domains have"),
        *options.data_options(),
        *options.run_options(),
        options.config_option(),
        *options.method_options(method),
    ]
    options.register(app, arguments, "adapt", adapt_, parameters)


def start(request: adapt.Request, method: adapt.Adapter, given: dict[str, Any]) -> None:
    """Carry out a request, write the report, and print the result."""
    console = options.progress_console()
    folder = adapt.run(request, method, out=given["out"], overwrite=given["overwrite"], console=console)
    finish(folder, as_json=given["json"])


def finish(folder: RunFolder, *, as_json: bool) -> None:
    """Write the report of a finished run and print its summary."""
    if not join_processes().is_first:
        return
    page = write_report(folder)
    if as_json:
        options.print_record(folder)
        return
    for line in summary_lines(folder.read()):
        print(line)
    print(f"report: {page}")
