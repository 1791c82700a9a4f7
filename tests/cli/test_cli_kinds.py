"""Which methods suit which data: the questions of `juyi methods`, and the map that is made of the same facts."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

from juyi.cli.kinds import QUESTIONS, fitting, kind_of
from juyi.cli.methods import ROOMS

SCRIPT = Path(__file__).parents[2] / "docs" / "make_map.py"


def test_a_question_leaves_the_methods_that_can_be_used(juyi):
    found = json.loads(juyi("methods", "--carried", "instances", "--target-labels", "none", "--json").out)["methods"]
    assert {"rulsif", "bbse", "kliep"} <= {row["name"] for row in found}
    assert {row["carries"] for row in found} == {"instances"} and "dann" not in {row["name"] for row in found}
    numbers = json.loads(juyi("methods", "--tells", "numbers", "--json").out)["methods"]
    assert "bbse" not in {row["name"] for row in numbers} and "coral" in {row["name"] for row in numbers}


def test_labels_that_one_has_need_not_be_used():
    names = {answer: set(fitting(ROOMS, {"target_labels": answer}).get("adapt", {})) for answer in ("none", "some")}
    assert names["none"] < names["some"] and "target_only" in names["some"] - names["none"]


def test_an_answer_that_is_none_is_refused(juyi):
    said = juyi("methods", "--columns", "othr")
    assert said.code == 2 and "--columns othr: is not allowed; did you mean other?" in said.err


@pytest.mark.parametrize("room", ["adapt", "adapt.online", "finetune"])
def test_every_method_of_these_rooms_is_on_the_map(room):
    for method in ROOMS[room].values():
        assert kind_of(method)["carries"] in QUESTIONS["carried"][1]


def test_the_map_is_what_the_methods_say(monkeypatch):
    spec = importlib.util.spec_from_file_location("make_map", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setattr(sys, "argv", ["make_map.py", "--check"])
    spec.loader.exec_module(module)
    assert module.main() == 0
