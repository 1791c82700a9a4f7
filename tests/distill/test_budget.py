"""Students for a budget: it is kept, the best of the candidates is taken, and a run goes on to the same bits."""

import pytest

from juyi import distill
from juyi.adapt import Request as Data
from juyi.adapt import SourceOnly, run
from juyi.check.common import same
from juyi.distill import ZSKD, Hinton
from juyi.errors import SettingError
from juyi.runs import RunFolder
from juyi.runs.files import read_tensors
from juyi.training import stage_run

QUICK = {"batch": 32, "precision": "float32", "device": "cpu"}


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    place = tmp_path_factory.mktemp("teacher") / "run"
    return str(run(Data("digits@train"), SourceOnly(net="lenet5", epochs=6, **QUICK), out=place).path)


def go(teacher, out, method=None, data="digits@train", **limits):
    request = distill.Request(teacher, data, alone=False, **limits)
    return distill.run(request, method or Hinton(epochs=2, **QUICK), out=out)


def test_the_best_candidate_is_taught_in_full_and_keeps_the_budget(teacher, tmp_path):
    folder = go(teacher, tmp_path / "run", max_params="8k", max_macs="200k")
    record = folder.read()
    found = record["budget"]
    assert found["limits"] == {"parameters": 8_000, "macs": 200_000}
    assert len(found["candidates"]) == 3 and "accuracy on" in found["compared_by"]
    for candidate in found["candidates"]:
        assert candidate["parameters"] <= 8_000 and candidate["macs"] <= 200_000
        assert candidate["low"] <= candidate["value"] <= candidate["high"]
        assert f"candidate_{candidate['name']}" in record["seconds"]
    best = max(found["candidates"], key=lambda c: (c["value"], -c["parameters"]))
    assert found["chosen"] == best["name"] == record["network"]["name"]
    assert record["network"]["parameters"] == best["parameters"]
    assert [path.stem for path in folder.models.glob("*.json")] == ["hinton"]  # candidates leave none


def test_a_run_that_was_killed_among_the_candidates_goes_on_to_the_same_bits(teacher, tmp_path, monkeypatch):
    whole = go(teacher, tmp_path / "whole", max_params="8k")
    for stop in (10, 90, 200):
        steps, real = iter(range(10**6)), stage_run._take_turn

        def take_turn(*arguments, steps=steps, stop=stop, real=real):
            if next(steps) == stop:
                raise KeyboardInterrupt
            real(*arguments)

        out = tmp_path / f"stopped-{stop}"
        with monkeypatch.context() as patch:
            patch.setattr(stage_run, "_take_turn", take_turn)
            with pytest.raises(KeyboardInterrupt):
                go(teacher, out, max_params="8k")
        distill.resume(RunFolder.open(out), methods=distill.METHODS)
        one, other = (read_tensors(p / "models" / "hinton.safetensors")[0] for p in (whole.path, out))
        assert same(one, other)
        assert RunFolder.open(out).read()["budget"] == whole.read()["budget"]


def test_without_data_candidates_are_compared_on_impressions(teacher, tmp_path, monkeypatch):
    monkeypatch.setattr("juyi.distill.budget.MADE", 200)
    method = ZSKD(impressions=100, at_once=100, steps=2, epochs=1, **QUICK)
    record = go(teacher, tmp_path / "run", method, None, max_params="7k").read()
    assert record["budget"]["compared_by"] == "agreement with the teacher on 20 impressions"
    assert all(candidate["parameters"] <= 7_000 for candidate in record["budget"]["candidates"])
    assert record["network"]["name"] == record["budget"]["chosen"]


def test_a_named_student_has_to_keep_the_budget(teacher, tmp_path):
    record = go(teacher, tmp_path / "run", Hinton(student="mlp-4", epochs=1, **QUICK), max_params="4k").read()
    assert record["budget"]["chosen"] == "mlp-4" and "compared_by" not in record["budget"]
    with pytest.raises(
        SettingError, match=r"--student lenet5: is over the budget \(61,7[0-9]+ parameters, 416,520 mul"
    ):
        go(teacher, tmp_path / "other", Hinton(student="lenet5", epochs=1, **QUICK), max_params="4k")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    "limits, line",
    [
        ({"max_params": "20"}, "--max-params 20: no student is so small; the nearest is"),
        ({"max_params": "lots"}, "--max-params lots: is no number above 0"),
        ({"max_latency": "5"}, "--max-latency 5: is no number above 0 with a unit"),
    ],
    ids=str,
)
def test_a_budget_that_cannot_be_kept_writes_nothing(teacher, tmp_path, limits, line):
    with pytest.raises(SettingError, match=line):
        go(teacher, tmp_path / "run", **limits)
    assert not (tmp_path / "run").exists()
