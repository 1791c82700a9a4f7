"""`juyi resume RUN`: go on with a run that was stopped, to the same bits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cyclopts import App

from juyi import adapt, distill, finetune, personalize, pretrain
from juyi.adapt import online
from juyi.cli import options
from juyi.cli.adapt import finish
from juyi.report import write_progress
from juyi.runs import RunFolder


def register(app: App, arguments: Sequence[str]) -> None:
    """Add the verb."""

    def resume(**given: Any) -> None:
        """Go on with a run that was stopped or killed; it ends as if it had not been, to the bit."""
        folder = RunFolder.open(given["run"])
        console = options.progress_console()
        record = folder.read()
        if record.get("room") == "distill":
            distill.resume(folder, console=console, methods=distill.METHODS, net=given["net"], teacher=given["teacher"])
        elif record.get("room") == "pretrain":
            pretrain.resume(folder, console=console, methods=pretrain.METHODS, net=given["net"])
        elif record.get("room") == "finetune":
            finetune.resume(folder, console=console, methods=finetune.METHODS, net=given["net"])
        elif record.get("room") == "personalize":
            personalize.resume(
                folder, console=console, methods=personalize.METHODS, net=given["net"], show=write_progress
            )
        elif "online" in record:
            online.resume(folder, console=console, methods=online.METHODS, net=given["net"])
        else:
            adapt.resume(folder, console=console, methods=adapt.METHODS, net=given["net"])
        finish(folder, as_json=given["json"])

    parameters = [
        options.argument("run", "the folder of the run"),
        options.option("net", str | None, None, "module:factory again, if the run's network is one of your own"),
        options.option("teacher", str | None, None, "module:factory again, if a distillation's teacher is your own"),
        *options.show_options(),
    ]
    options.register(app, arguments, "resume", resume, parameters)
