"""`juyi export RUN`: a checked ONNX file, eight-bit integers, and the account."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cyclopts import App

from juyi import export
from juyi.cli import options
from juyi.report import account_lines, write_model_page, write_report
from juyi.runs import RunFolder


def register(app: App, arguments: Sequence[str]) -> None:
    """Add the verb."""

    def export_(**given: Any) -> None:
        """Write the model that serves in RUN as one ONNX file, which other programs run without torch.

        The file is asked the same rows as the model, and written only if it answers the same.  With --int8 a second
        one is written, of eight-bit integers, and it is said whether it is worth it.  With --test the account is made
        of all that the run has: accuracy, faithfulness to the teacher, calibration.

        The file of a backbone (of juyi pretrain) gives features and no classes: nothing is scored, so there is no
        --test, and --int8 needs data to --calibrate.
        """
        keys = ("run", "model", "net", "int8", "calibrate", "test", "out", "label", "size", "skip_bad")
        request = export.Request(**{key: given[key] for key in keys})
        found = export.run(request, console=options.progress_console())
        folder = RunFolder.open(given["run"])
        page, trial = write_report(folder), write_model_page(folder)
        if given["json"]:
            options.print_json(found)
            return
        for line in account_lines(found):
            print(line)
        if trial:
            print(f"try it on pictures: {trial}")
        print(f"report: {page}")

    parameters = [
        options.argument("run", "the folder of a finished run"),
        options.option("onnx", bool, True, "the format; there is no other", negative=""),
        options.option("int8", bool, False, "also write a file of eight-bit integers"),
        options.option(
            "calibrate",
            str,
            "impressions",
            "data for --int8, without labels; impressions are made from the model itself, if it knows classes",
        ),
        options.option("test", str | None, None, "labelled data, on which the account is made; not for backbones"),
        options.option("model", str | None, None, "another model of the run, such as source_only"),
        options.option("net", str | None, None, "module:factory, if the run's network is one of your own"),
        options.option("out", Path | None, None, "the folder for the files [default: RUN/export]", show_default=False),
        *options.data_options(),
        *options.show_options("print the account as JSON"),
    ]
    options.register(app, arguments, "export", export_, parameters)
