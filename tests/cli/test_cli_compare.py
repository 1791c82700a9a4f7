"""`juyi compare`: real runs beside one another, and everything that cannot be compared."""

import csv
import json
import shutil
from pathlib import Path

import pytest

import juyi as package
from cli.cli_data import QUICK, arrays
from juyi.cli import main
from juyi.runs import RunFolder

DIGITS = ("digits@train[:120]", "digits_m@train[:120]", "--net", "lenet5", *QUICK)
TEST = ("--test", "digits_m@test[:80]")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Real runs, made once: two methods on the same data, one on another test, one without a test, one training."""
    folder = tmp_path_factory.mktemp("compared")
    calls = [
        ["adapt", *DIGITS, *TEST],
        ["adapt", *DIGITS, *TEST, "--method", "mcc"],
        ["adapt", *DIGITS, "--test", "digits_m@test[:70]", "--out", "runs/other"],
        ["adapt", *DIGITS, "--target-labels", "1", "--out", "runs/untested"],
        ["train", DIGITS[0], *DIGITS[2:], "--out", "runs/trained"],
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("JUYI_CACHE", str(tmp_path_factory.mktemp("cache")))
        assert [main([*call]) for call in calls] == [0] * len(calls)
    return folder


@pytest.fixture
def runs(made, tmp_path):
    """A copy of these runs in this test's folder."""
    shutil.copytree(made / "runs", tmp_path / "runs")
    return tmp_path / "runs"


def predictions(run, model):
    with Path(run, "predictions.csv").open(newline="", encoding="utf-8") as file:
        return {row["name"]: row[model] for row in csv.DictReader(file)}


def test_two_runs_in_a_table_and_on_a_page(runs, juyi):
    said = juyi("compare", "runs/mcc-1", "runs/dann-1")
    assert (said.code, said.err) == (0, "")
    lines = said.out.splitlines()
    first, second, floor = (line.split() for line in lines[1:4])
    assert (first[:2], second[:2]) == (["runs/mcc-1", "mcc"], ["runs/dann-1", "dann"])
    assert floor[:4] == ["beside", "runs/mcc-1,", "runs/dann-1", "source_only"]
    assert lines[0].split()[:2] == ["run", "method"] and "digits_m@test[:80], 80 rows" in lines[1]
    assert (" MB" in lines[1] or " GB" in lines[1]) and " s " in lines[1]
    assert lines[-1] == "page: comparison.html"
    assert Path("comparison.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    one, other = predictions("runs/dann-1", "dann"), predictions("runs/mcc-1", "mcc")
    share = sum(one[name] != other[name] for name in one) / 120
    assert [line.split()[-3:] for line in lines if line.startswith("  1 ")] == [["–", f"{share * 100:.1f}", "%"]]
    assert "1 runs/mcc-1" in said.out and "of the 120 target rows" in said.out


def test_disagreement_bounds_the_difference_on_the_true_labels(runs, juyi):
    said = juyi("compare", "runs/mcc-1", "runs/dann-1", "--json")
    share = json.loads(said.out)["disagreement"]["shares"][0][1]
    target = package.load("digits_m@train[:120]")
    truth = {target.row_name(row): target.classes[target.y[row]] for row in range(target.size)}
    right = [
        sum(predictions(f"runs/{method}-1", method)[name] == truth[name] for name in truth)
        for method in ("mcc", "dann")
    ]
    assert abs(right[0] - right[1]) / 120 <= share + 1e-12


def test_for_programs(runs, juyi):
    said = juyi("compare", "runs/dann-1", "runs/mcc-1", "--json", "--out", "pages/two.html")
    assert (said.code, said.err) == (0, "")
    found = json.loads(said.out)
    assert Path("pages/two.html").is_file()
    for row, run in zip(found["rows"], ("runs/dann-1", "runs/mcc-1"), strict=False):
        record = RunFolder.open(run).read()
        assert row["runs"] == [run] and row["result"] in record["results"] and row["verdict"] == record["verdict"]
        assert row["seconds"] == [record["seconds"][record["method"]]]
        assert row["peak_memory"] == record["peak_memory"] > 2**26
    assert [row["is_floor"] for row in found["rows"]] == [False, False, True]
    assert found["standing"]["answer"] in {"best", "cannot_tell"}


def test_another_test_is_shown_but_not_ranked(runs, juyi):
    said = juyi("compare", "runs/dann-1", "runs/other")
    assert said.code == 0
    assert "These runs cannot be ranked: their tests differ (digits_m@test[:80], 80 rows: runs/dann-1;" in said.out
    assert "2 runs/other 0.0 % –" in " ".join(said.out.split())  # the same seed and data: the same model
    assert "  best" not in said.out


def test_without_a_test_or_a_target(runs, juyi):
    said = juyi("compare", "runs/untested", "runs/trained", "runs/dann-1")
    assert said.code == 0
    lines = said.out.splitlines()
    assert "digits@train[:120] (source, held out), 12 rows" in lines[1] and "saw 10 target labels" in lines[1]
    assert lines[2].split()[:2] == ["runs/trained", "source_only"]
    assert "no test: runs/untested, runs/trained" in said.out and "no target: runs/trained" in said.out
    assert "no disagreement of runs/untested and runs/trained: without a target: runs/trained" in said.out
    assert (
        next(line for line in lines if line.startswith("  3 ")).split()[2] != "–"
    )  # the same rows, though some labels
    assert "target labels were given to runs/untested (10)" in said.out


def test_what_cannot_be_compared_is_refused_in_one_line(runs, refused):
    refused(["compare"], "RUN: name at least two runs to compare")
    refused(["compare", "runs/dann-1"], "RUN: name at least two runs", "juyi report RUN")
    refused(["compare", "runs/dann-1", "runs/nowhere"], "runs/nowhere: there is no such folder")
    refused(["compare", "runs/dann-1", "runs"], "runs: holds no run.json")
    refused(["compare", "runs/dann-1", "runs/mcc-1", "runs/../runs/dann-1"], "runs/../runs/dann-1: is named twice")
    refused(["compare", "runs/dann-1", "runs/mcc-1", "--out", "runs"], "--out runs: is a folder")
    refused(["compare", "runs/dann-1", "runs/mcc-1", "--outt", "x"], "--outt", "Did you mean --out?")
    Path("comparison.html").write_text("mine")
    refused(["compare", "runs/dann-1", "runs/mcc-1"], "--out comparison.html: is there already", "--overwrite")


def test_damaged_and_unfinished_runs_are_refused_in_one_line(runs, refused):
    command = ["compare", "runs/dann-1", "runs/mcc-1"]
    place, record = runs / "mcc-1" / "predictions.csv", RunFolder(runs / "mcc-1").read()
    place.write_text("".join(place.read_text().splitlines(keepends=True)[:50]))
    refused(command, "runs/mcc-1/predictions.csv: is damaged (it has 49 rows, run.json says 120)")
    place.unlink()
    refused(command, "runs/mcc-1/predictions.csv: there is no such file")
    RunFolder(runs / "mcc-1").write({**record, "status": "running"})
    refused(command, "runs/mcc-1: is not finished (running); first: juyi resume runs/mcc-1")
    RunFolder(runs / "mcc-1").write({**record, "results": "none"})
    refused(command, "runs/mcc-1/run.json: is damaged (results is no list)")
    (runs / "mcc-1" / "run.json").write_text("{")
    refused(command, "run.json: is not a JSON file")


def test_a_page_is_replaced_if_asked(runs, juyi):
    Path("comparison.html").write_text("mine")
    assert juyi("compare", "runs/dann-1", "runs/mcc-1", "--overwrite").code == 0
    assert "mine" not in Path("comparison.html").read_text(encoding="utf-8")[:100]


def test_a_hostile_name_cannot_command_the_terminal(runs, juyi):
    hostile = runs / "\x1b[2J\x1b]0;title\x07"
    (runs / "mcc-1").rename(hostile)
    record = RunFolder(hostile).read()
    record["warnings"] = ["\x1b[31mred\r\nforged: line"]
    record["data"]["test"]["name"] = "\x1b[2J[bold]test[/bold]"
    RunFolder(hostile).write(record)
    for said in (juyi("compare", "runs/dann-1", hostile), juyi("compare", hostile, hostile)):
        assert not any(sign in said.out + said.err for sign in "\x1b\x07\r")
        assert "\nforged" not in said.out
    arrays("x.npz")
    assert "\x1b" not in juyi("compare", "runs/dann-1", "x.npz\x1b[2J").err


def test_on_a_narrow_terminal_nothing_is_lost(runs, juyi, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("FORCE_COLOR", "1")
    said = juyi("compare", "runs/dann-1", "runs/mcc-1")
    assert said.code == 0 and "…" not in said.out
