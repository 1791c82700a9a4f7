"""What the pages say of the benchmark of verdicts is what its results hold, and these are what its records give."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BENCH = ROOT / "bench" / "verdicts"
FOUND = json.loads((BENCH / "results.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def judge():
    sys.path.insert(0, str(BENCH))
    spec = importlib.util.spec_from_file_location("judge", BENCH / "judge.py")
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    yield made
    sys.path.remove(str(BENCH))


def test_the_table_is_that_of_the_results(judge):
    assert judge.shown(FOUND) in (BENCH / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", ["README.md", "README.zh-CN.md"])
def test_the_readme_says_what_the_results_hold(page):
    text = " ".join((ROOT / page).read_text(encoding="utf-8").split())
    first, bench, again = (FOUND[key] for key in ("first_opening", "benchmark", "confirmation"))
    said = [f"{first['wrong_among_given']['value'] * 100:.1f} %", f"{again['cannot_tell']['value'] * 100:.1f} %"]
    said += [f"{again['wrong_among_given']['value'] * 100:.1f} %", str(again["given"]), str(again["pairs"])]
    for found in (bench, again):
        said += [f"{found['regret'][who]['mean'] * 100:.1f}" for who in ("chosen", "source_only")]
        said.append(f"{found['regret']['chosen']['worst'] * 100:.1f}")
    assert [figure for figure in said if figure not in text] == []


def test_records_give_the_results(judge):
    """Some of them, judged anew: the same choice and the same verdicts."""
    for name, folder in (("benchmark", "records"), ("confirmation", "confirmation")):
        stored = {(one["pair"], one["seed"]): one for one in FOUND[name]["records"]}
        for place in sorted((BENCH / folder).glob("*.json"))[::14]:
            found = judge.judge(place)
            known = stored[found["pair"], found["seed"]]
            assert (found["chosen"], found["serves"], found["oracle"]) == (
                known["chosen"],
                known["serves"],
                known["oracle"],
            )
            assert [v["answer"] for v in found["verdicts"]] == [v["answer"] for v in known["verdicts"]]


def test_there_are_as_many_pairs_and_verdicts_as_promised():
    assert FOUND["benchmark"]["pairs"] >= 30 and FOUND["benchmark"]["verdicts"] >= 200
    assert {one["pair"] for one in FOUND["benchmark"]["records"]} & {
        one["pair"] for one in FOUND["confirmation"]["records"]
    } == set()
