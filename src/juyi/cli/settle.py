"""`juyi settle RUN`: a few labels where two models disagree decide which is better."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cyclopts import App

from juyi import adapt
from juyi.adapt.settle import Answered, Asked, answer, ask
from juyi.cli import options
from juyi.cli.compare import printable
from juyi.errors import SettingError
from juyi.report import write_report
from juyi.report.sheet import write_sheet
from juyi.runs import RunFolder


def register(app: App, arguments: Sequence[str]) -> None:
    """Add the verb."""

    def settle(**given: Any) -> None:
        """Settle by a few labels whether adapting helped, where RUN alone cannot tell.

        Writes RUN/settle/ask.csv, rows drawn at random from those on which the two models disagree, and for images
        RUN/settle/sheet.html, on which they can be labelled by clicking.  Fill them in, in the order of the file, and
        give them back with --labels: the verdict holds at whatever label you stop.
        """
        folder = RunFolder.open(given["run"])
        if given["labels"] is not None:
            if given["rows"] is not None or given["more"]:
                raise SettingError("--labels: gives labels back, --rows and --more ask for them; give one")
            show_answer(folder, answer(folder, given["labels"], methods=adapt.METHODS, net=given["net"]), given["json"])
            return
        asked = ask(folder, methods=adapt.METHODS, rows=given["rows"], more=given["more"], net=given["net"])
        if asked.sheet is not None:
            write_sheet(asked.sheet, folder.read(), asked.draw.classes, asked.cards())
        show_asked(asked, given["json"])

    parameters = [
        options.argument("run", "the folder of a finished run of juyi adapt"),
        options.option("labels", Path | None, None, "the file that was filled in: a CSV (id,name,label)"),
        options.option("rows", int | None, None, "how many rows to ask for [default: as many as will likely do]",
                       show_default=False),
        options.option("more", bool, False, "add rows (--rows of them) to those that were asked for; labels are kept"),
        options.option("net", str | None, None, "module:factory, if the run began with a network of your own"),
        *options.show_options(),
    ]  # fmt: skip
    options.register(app, arguments, "settle", settle, parameters)


def show_asked(asked: Asked, as_json: bool) -> None:
    """Print how many labels would settle it, and where the files are."""
    drawn, run = asked.draw, asked.draw.run.path
    if as_json:
        files = {"ask": str(asked.path), "sheet": str(asked.sheet) if asked.sheet else None}
        numbers = {"rows": asked.rows, "disagreeing": drawn.size, "total": drawn.total}
        options.print_json({**files, **numbers, "likely": asked.likely, "worst": asked.worst})
        return
    left_out = f" ({drawn.given:,} whose label was given are left out)" if drawn.given else ""
    print(
        f"{drawn.model} and {drawn.floor} answer differently on {drawn.size:,} of {drawn.total:,} target rows{left_out}"
    )
    close = f", {asked.worst:,} if it is close" if asked.worst > asked.likely else ""
    print(f"labels that likely settle which is better: {asked.likely:,}{close}, {drawn.size:,} at most")
    known = f", {len(asked.labels):,} of them labelled" if asked.labels else ""
    print(f"rows to label, in this order: {asked.path} ({asked.rows:,}{known})")
    if asked.sheet:
        print(f"their pictures, to label by clicking: {asked.sheet}")
    print(f"then: juyi settle {run} --labels {asked.path}")


def show_answer(folder: RunFolder, answered: Answered, as_json: bool) -> None:
    """Write the report anew, and print what was settled."""
    page = write_report(folder)
    if as_json:
        options.print_record(folder)
        return
    verdict, used = answered.verdict, answered.verdict["labels_used"]
    print(printable(verdict["sentence"]))
    if answered.first_open is not None:
        print(
            f"note: {answered.given - used:,} labels were not used: row {used + 1:,}, "
            f"{printable(answered.first_open)}, has none, and labels count in the drawn order"
        )
    if answered.kept:
        print("note: the verdict from the test's labels is kept; this stands beside it, as settled")
    if verdict["answer"] == "cannot_tell":
        print(f"for more rows: juyi settle {folder.path} --more")
    elif verdict["answer"] == "hurt":
        print(f"to predict without it: juyi predict {folder.path} DATA --model {answered.draw.floor}")
    print(f"labels, to train with from now on: --target-labels {folder.settle / 'labels.csv'}")
    print(f"report: {page}")
