"""`juyi demo`: the main job on data that come with the installation, in about a minute of an idle machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cyclopts import App

from juyi import adapt
from juyi.cli import options
from juyi.cli.adapt import start


def register(app: App, arguments: Sequence[str]) -> None:
    """Add the verb."""

    def demo(**given: Any) -> None:
        """Adapt from plain digits to digits on photographs; needs no data from outside."""
        seed = f" --seed {given['seed']}" if given["seed"] else ""
        request = adapt.Request(
            "digits@train", "digits_m@train", "digits_m@test",
            command="juyi adapt digits@train digits_m@train --test digits_m@test --epochs 60" + seed,
        )  # fmt: skip
        method = options.method_from(adapt.METHODS["dann"], {"epochs": 60, "seed": given["seed"]})
        start(request, method, given)

    parameters = [
        options.option("out", Path, Path("juyi-demo"), "the run's folder"),
        options.option("seed", int, 0, "seed"),
        options.option("overwrite", bool, False, "replace a demo that is there"),
        *options.show_options(),
    ]
    options.register(app, arguments, "demo", demo, parameters)
