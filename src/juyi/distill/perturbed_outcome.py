"""What an attack found: how often its perturbations change what the teacher says, beside random signs."""

from __future__ import annotations

from typing import Any

import numpy as np

from juyi.data.domain import Domain
from juyi.distill.outcome import write_array, write_impressions
from juyi.distill.request import Given
from juyi.measure import wilson_interval
from juyi.measure.figures import clean, picture
from juyi.runs import RunFolder
from juyi.runs.files import write_json
from juyi.training import Rows, compute_rows
from juyi.training.recording import note_opening


def write_perturbations(folder: RunFolder, record: dict[str, Any], given: Given, method: Any) -> None:
    """Write perturbations, fooling rates on held-out rows and the test (opened once, last), and pictures.

    Args:
        folder: where to.
        record: what run.json will hold.
        given: the data.
        method: a fitted method with `perturbations_`, `perturb` and `fooling_rate`.
    """
    write_array(folder, "perturbations.npz", x=method.perturbations_)
    made = getattr(method, "impressions_", None)
    if made is not None:
        write_impressions(folder, made, method.impression_scores_)
    results: list[dict[str, Any]] = record["results"]
    for data, role in ((given.validation, "held_out"), (given.test, "test")):
        if data is None:
            continue
        if role == "test":
            note_opening(folder, record, data.name)
        results += fooling_results(data, role, record["serves"], method)
    record["verdict"] = {"answer": None, "sentence": sentence(results, method.epsilon)}
    shown = given.test or given.validation or made
    if shown is not None and shown.is_images:
        write_json(folder.figures / "perturbations.json", perturbations_figure(shown, method))


def fooling_results(data: Domain, role: str, model: str, method: Any) -> list[dict[str, Any]]:
    """Return, as run.json holds them, the fooling rates of the first perturbation and of random signs."""
    found = method.fooling_rate(data)
    random = found.random[0]
    rates = {
        model: (found.rate, found.low, found.high),
        "random_signs": (random, *wilson_interval(round(random * found.n), found.n)),
    }
    on = {"data": data.name, "role": role}
    return [
        {"name": "fooling_rate", "model": name, "value": value, "low": low, "high": high, "n": found.n, "on": on}
        | {"saw_target_labels": False}
        for name, (value, low, high) in rates.items()
    ]


def sentence(results: list[dict[str, Any]], epsilon: float) -> str:
    """Say what came out, from the last rows that were looked at."""
    if not results:
        return "Nothing is known of how often the perturbations fool the teacher: name real rows with --test."
    mine, signs = results[-2:]
    return (
        f"One perturbation of at most {epsilon:.3g} of the range changes what the teacher says of {mine['value']:.1%} "
        f"of {mine['n']:,} rows. Random signs of the same size change {signs['value']:.1%}."
    )


def perturbations_figure(rows: Domain, method: Any, count: int = 8) -> dict[str, Any]:
    """Build figures/perturbations.json: the first perturbations, and rows before and after the first of them."""
    some = rows.select(np.linspace(0, rows.size - 1, min(count, rows.size)).astype(np.int64))
    perturbed = np.clip(np.rint(method.perturb(some)), 0, 255).astype(np.uint8)
    teacher = method.net_.asked
    largest = max(float(np.abs(method.perturbations_).max()), 1e-6)
    grey = np.clip(np.rint(127.5 + 127.5 * method.perturbations_[:4] / largest), 0, 255).astype(np.uint8)
    said = [
        compute_rows(teacher.scores, Rows(Domain(x, name=rows.name), teacher.device)).argmax(1).tolist()
        for x in (np.ascontiguousarray(some.x), perturbed)
    ]
    names = [clean(name) for name in teacher.classes]
    return {
        "perturbations": [picture(image) for image in grey],
        "rows": [
            {"before": picture(x), "after": picture(y), "says_before": names[a], "says_after": names[b]}
            for x, y, a, b in zip(some.x, perturbed, *said, strict=True)
        ],
    }
