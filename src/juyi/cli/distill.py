"""`juyi distill TEACHER [DATA] --student NET`: a small network learns what a large one knows."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from cyclopts import App

from juyi import distill
from juyi.cli import options
from juyi.cli.adapt import finish

DEFAULT = "hinton"
TOLD = ("teacher_weights", "teacher_shape", "teacher_mean", "teacher_spread", "teacher_classes")
BUDGET = {
    "max_params": "the most parameters, such as 50k",
    "max_bytes": "the largest ONNX file, such as 200kB",
    "max_macs": "the most multiplications for a row, such as 1M",
    "max_latency": "the longest that a row may take on this machine (onnxruntime, one thread), such as 5ms",
}
REQUEST = (
    "teacher",
    "data",
    "test",
    "alone",
    "temperatures",
    "correct_bias",
    "label",
    "size",
    "skip_bad",
    *BUDGET,
    *TOLD,
)


def register(app: App, arguments: Sequence[str]) -> None:
    """Add the verb, with the settings of the method that the arguments name."""
    name = DEFAULT
    if arguments and arguments[0] == "distill":
        name = options.named_method(arguments, distill.METHODS, DEFAULT)
    method = distill.METHODS[name]

    def distill_(**given: Any) -> None:
        """Teach a small STUDENT what a large TEACHER knows, on labelled, unlabelled or other people's DATA, or on none.

        First train the teacher (juyi train), or bring one.  Without DATA name a method that makes its own:
        --method zskd or dafl.  Where DATA have labels, the same student learns from them alone too, so that you see
        whether distilling helped.
        """
        request = distill.Request(**{key: given[key] for key in REQUEST}, command=shlex.join(["juyi", *arguments]))
        settings = options.method_from(method, {**given, "teacher": None})
        console = options.progress_console()
        folder = distill.run(request, settings, out=given["out"], overwrite=given["overwrite"], console=console)
        finish(folder, as_json=given["json"])

    parameters = [
        options.argument(
            "teacher",
            "the model that is distilled: a run, module:factory with --teacher-weights, a .pt2 or .onnx file, "
            "hub/NAME; several with commas between are an ensemble",
        ),
        options.argument("data", "what to learn on: a folder, a file, or NAME@SPLIT; or nothing", default=None),
        options.option("method", str, DEFAULT, f"how to distil: {', '.join(distill.METHODS)}"),
        options.option("test", str | None, None, "labelled data, scored once, at the end"),
        options.option("alone", bool, True, "train the student on the labels alone as well, where there are labels"),
        options.option(
            "temperatures", str, "", "also train students at these temperatures, for the figure, such as 1,4,20"
        ),
        options.option(
            "correct_bias", str | None, None, "data, labelled or not, by which the student's class biases are corrected"
        ),
        *[
            options.option(name, str | None, None, f"a budget for --student auto: {what}")
            for name, what in BUDGET.items()
        ],
        options.option("teacher_weights", str | None, None, "weights of module:factory: .safetensors, or .pt"),
        options.option("teacher_shape", str, "", "shape of the teacher's rows, such as 1x28x28"),
        options.option("teacher_mean", str, "", "what the teacher's pixels, 0 to 1, are less, such as 0.1307"),
        options.option("teacher_spread", str, "", "what they are then divided by, such as 0.3081"),
        options.option("teacher_classes", str, "", "the teacher's classes in their order, such as cat,dog"),
        *options.data_options(),
        *options.run_options(),
        options.config_option(),
        *[option for option in options.method_options(method) if option.name != "teacher"],
    ]
    options.register(app, arguments, "distill", distill_, parameters)
