"""Exports: are files equal to torch, what int8 without data loses, are budgets kept, is the best student chosen.

    JUYI_DATA=... python bench/export.py            write bench/results/export/PART.json, what is missing
    JUYI_DATA=... python bench/export.py latency    that part alone; on a machine that does nothing else
    python bench/export.py --show                   print what is in them

The models are the teachers `mnist_lenet5` and `cifar_cnn` of bench/run.py and, of each, a student of a quarter of the
parameters that learnt from 20,000 training rows.  Files are compared with torch on all 10,000 test images; int8 is
calibrated once with 200 impressions made from the model itself, once with 500 training rows.  For each budget the
student that `juyi distill` chooses and every other candidate are taught in full by the same settings, and scored on the
test.  Nothing was chosen by what this prints.
"""

from __future__ import annotations

import json
import sys
import tempfile
from functools import partial
from pathlib import Path

import torch
from rich.console import Console
from run import RESULTS, fill, find_teacher

import juyi
from juyi import distill, export
from juyi.distill import Hinton
from juyi.measure import paired_difference
from juyi.portable import OnnxModel, compare, measure_latency, write_int8, write_onnx
from juyi.runs import RunFolder
from juyi.training import Served

PLACES = RESULTS / "export"
SEEDS = range(3)
TASKS = {
    "mnist": ("mnist_lenet5", "lenet5_half", {"epochs": 6}),
    "cifar10": ("cifar_cnn", "cnn_small_half", {"epochs": 6, "batch_norm": "shared", "augment": "weak", "flip": True}),
}
BUDGETS = (
    {"max_params": "3k"},
    {"max_params": "15k"},
    {"max_macs": "150k"},
    {"max_bytes": "40kB"},
    {"max_latency": "60us"},
)
FULL = {"epochs": 12, "batch": 128, "learning_rate": 2e-3}


def main(wanted: list[str]) -> None:
    parts = {f"{name}-{seed}": partial(files, name, seed) for seed in SEEDS for name in TASKS}
    parts |= {f"budget-{number}": partial(budget, number) for number in range(len(BUDGETS))}
    parts |= {"latency": latency}
    for name, measure in parts.items():
        if not wanted or name in wanted:
            fill(PLACES / f"{name}.json", measure)


def student_of(name: str, seed: int) -> tuple[Path, Served]:
    """The teacher's folder, and a student taught on 20,000 rows."""
    run, student, settings = TASKS[name]
    folder = find_teacher(run, seed)
    method = Hinton(teacher=folder, student=student, batch=128, random_state=seed, **settings)
    return folder, method.fit(juyi.load(f"{name}@train[:20000]"))._served()


def files(name: str, seed: int) -> dict:
    """Write the files of a teacher and its student, and compare their answers on the test."""
    folder, student = student_of(name, seed)
    test, real = juyi.load(f"{name}@test"), juyi.load(f"{name}@train[:500]")
    found = {}
    for model, served in (("teacher", juyi.read_run(folder)), ("student", student)):
        with tempfile.TemporaryDirectory() as place:
            path = write_onnx(served, Path(place) / "model.onnx")
            file = OnnxModel(path)
            seen = compare(served, file, test.x)
            right = {"float32": file.scores(test.x).argmax(1) == test.y}
            made = export.calibration.calibration_rows(
                RunFolder(Path(place)), served, "impressions", {}, Console(quiet=True)
            )
            for kind, rows in (("int8_made", made), ("int8_real", real)):
                right[kind] = (
                    OnnxModel(write_int8(path, Path(place) / f"{kind}.onnx", rows.x)).scores(test.x).argmax(1) == test.y
                )
            sizes = {kind: (Path(place) / f"{kind}.onnx").stat().st_size for kind in ("model", "int8_made")}
        lost = {
            "float32_less_int8_made": paired_difference(right["float32"], right["int8_made"]),
            "int8_real_less_int8_made": paired_difference(right["int8_real"], right["int8_made"]),
        }
        found[model] = {
            "rows": seen.rows, "differ": seen.differ, "largest_difference": seen.largest, "bytes": sizes,
            "accuracy": {kind: float(hits.mean()) for kind, hits in right.items()},
            "lost": {kind: {"value": one.gain, "low": one.low, "high": one.high} for kind, one in lost.items()},
        }  # fmt: skip
    return {"command": f"python bench/export.py {name}-{seed}", "data": f"{name}@test", "seed": seed, "models": found}


def budget(number: int) -> dict:
    """Let the student be chosen, then teach every candidate in full."""
    limits = BUDGETS[number]
    teacher = str(find_teacher("mnist_lenet5", 0))
    words = {"teacher": teacher, "data": "mnist@train[:20000]", "test": "mnist@test", "alone": False}
    with tempfile.TemporaryDirectory() as place:
        chosen = distill.run(distill.Request(**words, **limits), Hinton(**FULL), out=Path(place) / "auto").read()
        accuracies = {chosen["budget"]["chosen"]: accuracy(chosen)}
        for candidate in chosen["budget"]["candidates"]:
            if candidate["name"] not in accuracies:
                method = Hinton(student=candidate["name"], **FULL)
                record = distill.run(distill.Request(**words), method, out=Path(place) / candidate["name"]).read()
                accuracies[candidate["name"]] = accuracy(record)
    chosen_budget = chosen["budget"]
    below = max(accuracies.values()) - accuracies[chosen_budget["chosen"]]
    return {
        "command": f"python bench/export.py budget-{number}", "data": "mnist@test", "limits": limits,
        "budget": chosen_budget, "accuracy_in_full": accuracies, "below_the_best": below,
    }  # fmt: skip


def accuracy(record: dict) -> float:
    served = record["serves"]
    return next(
        r["value"] for r in record["results"]
        if (r["name"], r["model"], r["on"]["role"]) == ("accuracy", served, "test")
    )  # fmt: skip


def latency() -> dict:
    """Repeat the same measurement: how far are its figures apart?"""
    served = juyi.read_run(find_teacher("mnist_lenet5", 0))
    row = juyi.load("mnist@test").x[:1]
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        path = write_onnx(served, Path(place) / "model.onnx")
        small = write_int8(path, Path(place) / "int8.onnx", juyi.load("mnist@train[:500]").x)
        calls = {name: partial(OnnxModel(p).scores, row) for name, p in (("float32", path), ("int8", small))}
        found = [measure_latency(calls) for _ in range(7)]
    medians = {name: [one[name].median for one in found] for name in calls}
    return {
        "command": "python bench/export.py latency", "milliseconds": medians,
        "spread": {name: (max(m) - min(m)) / sorted(m)[len(m) // 2] for name, m in medians.items()},
        "spread_within": {name: [one[name].spread for one in found] for name in calls},
    }  # fmt: skip


def show() -> None:
    for place in sorted(PLACES.glob("*.json")):
        record = json.loads(place.read_text())
        for model, one in record.get("models", {}).items():
            lost = ", ".join(f"{kind} {100 * v['value']:+.2f} points" for kind, v in one["lost"].items())
            print(f"{place.stem} {model}: {one['differ']} of {one['rows']:,} differ; {lost}; {one['accuracy']}")
        if "limits" in record:
            below = f"{100 * record['below_the_best']:.2f} points below the best"
            print(
                f"{place.stem} {record['limits']}: {record['budget']['chosen']}, {below}; {record['accuracy_in_full']}"
            )
        if "spread" in record:
            print(f"{place.stem}: {record['milliseconds']}; {record['spread']}")


if __name__ == "__main__":
    show() if "--show" in sys.argv else main(sys.argv[1:])
