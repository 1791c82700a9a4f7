"""`juyi predict RUN DATA`: what the model of a run says of new data."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cyclopts import App

from juyi.cli import options
from juyi.data import load
from juyi.runs import RunFolder
from juyi.runs.files import write_text
from juyi.training import read_run


def register(app: App, arguments: Sequence[str]) -> None:
    """Add the verb."""

    def predict(**given: Any) -> None:
        """Predict the class of every row of DATA with the model that serves in RUN.

        Prints a table (name, prediction, confidence), or writes it with --out.
        """
        served = read_run(RunFolder.open(given["run"]), given["model"], given["net"])
        data = load(given["data"], label=given["label"], size=given["size"], skip_bad=given["skip_bad"])
        probabilities = served.predict_proba(data)
        rows = [
            {
                "name": data.row_name(row),
                "prediction": str(served.classes[p.argmax()]),
                "confidence": round(float(p.max()), 4),
            }
            for row, p in enumerate(probabilities)
        ]
        if given["json"]:
            print(json.dumps({"predictions": rows}, ensure_ascii=False))
            return
        text = io.StringIO()
        table = csv.DictWriter(text, ["name", "prediction", "confidence"], lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
        if given["out"]:
            write_text(given["out"], text.getvalue())
            print(f"{len(rows)} predictions: {given['out']}", file=sys.stderr)
        else:
            print(text.getvalue(), end="")

    parameters = [
        options.argument("run", "the folder of a finished run"),
        options.argument("data", "a folder, a file, or NAME@SPLIT"),
        options.option("model", str | None, None, "another model of the run, such as source_only"),
        options.option("net", str | None, None, "module:factory, if the run's network is one of your own"),
        options.option("out", Path | None, None, "write a CSV file instead of printing"),
        *options.data_options(),
        *options.show_options(),
    ]
    options.register(app, arguments, "predict", predict, parameters)
