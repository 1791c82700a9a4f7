"""`juyi report RUN`: write the page of a run anew, from what its folder holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cyclopts import App

from juyi.cli import options
from juyi.report import summary_lines, write_report
from juyi.runs import RunFolder


def register(app: App, arguments: Sequence[str]) -> None:
    """Add the verb."""

    def report(**given: Any) -> None:
        """Write report.html of RUN anew and print the summary."""
        folder = RunFolder.open(given["run"])
        record = folder.read_finished()
        page = write_report(folder)
        if given["json"]:
            options.print_record(folder)
            return
        for line in summary_lines(record):
            print(line)
        print(f"report: {page}")

    parameters = [options.argument("run", "the folder of a finished run"), *options.show_options()]
    options.register(app, arguments, "report", report, parameters)
