"""A small run folder, made by hand, for the tests of the report; each fixture is a function that makes a part."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from juyi.measure import class_balance_figure, least_sure_figure, maps_figure, verdict_from_test, wilson_interval
from juyi.runs.files import write_json
from juyi.runs.folder import RunFolder

CLASSES = ["zero", "one", "two"]


def make_result(model: str, right: int, n: int = 500, role: str = "test", **more: Any) -> dict[str, Any]:
    low, high = wilson_interval(right, n)
    data = {"test": "digits_m@test", "target": "digits_m@train", "source_validation": "digits@train"}[role]
    measured = {"name": "accuracy", "model": model, "value": right / n, "low": low, "high": high, "n": n}
    return {**measured, "on": {"data": data, "role": role}, "saw_target_labels": False, **more}


def make_record(right: int = 421, right_floor: int = 260) -> dict[str, Any]:
    """What run.json holds; `right` of 500 test images are right."""
    n = np.arange(500)
    return {
        "command": "juyi adapt digits@train digits_m@train --test digits_m@test",
        "room": "adapt",
        "method": "dann",
        "hyperparameters": {"critic_width": 100, "reversal": 1.0},
        "seed": 0,
        "data": {
            "source": {"name": "digits@train", "fingerprint": "00ff00ff00ff00ff", "rows": 900, "shape": [3, 28, 28]},
            "target": {"name": "digits_m@train", "fingerprint": "11ff00ff00ff00ff", "rows": 900, "notes": ["resized"]},
        },
        "classes": CLASSES,
        "network": {"name": "dann_mnist", "parameters": 103256},
        "versions": {"juyi": "0.1.0", "torch": "2.13.0"},
        "machine": {"processor": "a processor", "cores": 2},
        "status": "finished",
        "started": "2026-03-04T10:22:31+00:00",
        "seconds": {"source_only": 12.3, "dann": 40.1},
        "target_labels": {"given": 0},
        "openings": [{"data": "digits_m@test", "when": "2026-03-04T10:24:02+00:00"}],
        "serves": "dann",
        "results": [make_result("dann", right), make_result("source_only", right_floor)],
        "verdict": verdict_from_test(n < right, n < right_floor, "dann"),
        "warnings": [],
        "notes": [],
    }


def make_run_folder(path: Path, content: dict[str, Any] | None = None, classes: list[str] = CLASSES) -> RunFolder:
    """Write a run with all its figures and a log of two stages."""
    run = RunFolder.create(path, "dann")
    run.write(content or make_record())
    generator = np.random.default_rng(0)
    source, target = generator.normal(size=(40, 4)), generator.normal(size=(30, 4)) + 3
    predictions = {"source_only": np.arange(30) % 2, "dann": np.arange(30) % 3}
    sides = {"source_only": (source, target), "dann": (source, target - 3)}
    write_json(run.figures / "maps.json", maps_figure(sides, np.arange(40) % 3, predictions, classes, 0))
    balance = class_balance_figure(classes, np.full(3, 1 / 3), predictions)
    write_json(run.figures / "class_balance.json", balance)
    images = generator.integers(0, 256, (30, 3, 8, 8), np.uint8)
    sure, floor = generator.dirichlet(np.ones(3), (2, 30))
    names = [f"{classes[0]}/{i}.png" for i in range(30)]
    write_json(run.figures / "least_sure.json", least_sure_figure(images, sure, floor, classes, names, count=5))
    write_log(run)
    return run


def write_log(run: RunFolder) -> None:
    lines = []
    for model, stage, losses in (("source_only", "supervised", ("label",)), ("dann", "align", ("label", "domain"))):
        for epoch in range(1, 5):
            values = dict.fromkeys(losses, 1.0 / epoch)
            lines.append(json.dumps({"model": model, "stage": stage, "epoch": epoch, "losses": values}))
    run.log.write_text("\n".join(lines) + "\n")


def make_comparable_run(
    path: Path,
    method: str = "dann",
    right: int = 421,
    right_floor: int = 260,
    says: str = "zero one two one",
    **more: Any,
) -> RunFolder:
    """Write what a comparison reads of a run: `says` is what the model predicts for the target's rows a, b, c, ..."""
    n, content = np.arange(500), make_record()
    classes = says.split()
    content |= {
        "method": method,
        "serves": method,
        "seconds": {"source_only": 12.3, method: 40.1},
        "peak_memory": 700_000_000,
        "results": [make_result("source_only", right_floor), make_result(method, right)],
        "verdict": verdict_from_test(n < right, n < right_floor, method),
    }
    content["data"]["target"]["rows"] = len(classes)
    content["data"]["test"] = {"name": "digits_m@test", "fingerprint": "22ff00ff00ff00ff", "rows": 500}
    run = RunFolder.create(path, method)
    run.write(content | more)
    rows = [f"{chr(97 + i)},zero,0.5,{c},0.9" for i, c in enumerate(classes)]
    head = f"name,source_only,source_only_confidence,{method},{method}_confidence"
    run.predictions.write_text("\n".join([head, *rows]) + "\n")
    return run


@pytest.fixture
def result() -> Callable[..., dict[str, Any]]:
    return make_result


@pytest.fixture
def record() -> Callable[..., dict[str, Any]]:
    return make_record


@pytest.fixture
def make_run() -> Callable[..., RunFolder]:
    return make_run_folder


@pytest.fixture
def make_comparable() -> Callable[..., RunFolder]:
    return make_comparable_run


@pytest.fixture
def runs(make_comparable, tmp_path):
    """Write runs by name, each with what differs from the usual one."""

    def make(**each):
        return [make_comparable(tmp_path / name, **differs) for name, differs in each.items()]

    return make


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    """One browser for all tests of a worker."""
    from report.browsing import start

    driver = start(tmp_path_factory.mktemp("profile"))
    yield driver
    driver.quit()
