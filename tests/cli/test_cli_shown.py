"""What `methods` and `data` show, to people and to programs."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cli.cli_data import image_folder, pictures, table
from juyi.adapt import METHODS
from juyi.data import known_data


def test_methods_are_listed(juyi):
    for arguments in (["methods"], ["methods", "--room", "adapt"], ["methods", "--for", "adapt"]):
        said = juyi(*arguments)
        assert (said.code, said.err) == (0, "")
        lines = said.out.splitlines()
        for name in METHODS:
            assert any(line.split()[:2] == ["adapt", name] for line in lines)


def test_one_method_with_its_settings(juyi):
    said = juyi("methods", "dann")
    assert said.code == 0
    assert "JMLR 2016" in said.out
    rows = [line.split() for line in said.out.splitlines()]
    assert ["--critic-width", "100", "1", "to", "65,536"] in [row[:5] for row in rows]
    assert ["--seed", "0", "0", "or", "more"] in [row[:5] for row in rows]
    assert "Example:" not in said.out


def test_methods_for_programs(juyi):
    methods = json.loads(juyi("methods", "--room", "adapt", "--json").out)["methods"]
    assert [(entry["name"], entry["class"]) for entry in methods] == [(n, m.__name__) for n, m in METHODS.items()]
    assert methods[0]["settings"]["batch"]["default"] == 64
    (one,) = json.loads(juyi("methods", "adda", "--json").out)["methods"]
    assert one["class"] == "ADDA"


def test_data_are_listed_as_a_table(juyi, monkeypatch):
    image_folder("sets/pets/train")
    image_folder("sets/pets/test")
    monkeypatch.setenv("JUYI_DATA", "sets")
    said = juyi("data", "list")
    assert (said.code, said.err) == (0, "")
    rows = [line.split() for line in said.out.splitlines()]
    assert ["digits@train", "1,297", "images", "built", "in"] in rows
    assert ["pets@train", "images", "JUYI_DATA"] in rows
    assert ["pets@test", "images", "JUYI_DATA"] in rows
    assert any(row[:4] == ["mnist_m@train", "60,000", "images", "recipe"] and "mnist" in row for row in rows)
    assert "KnownData" not in said.out


def test_data_for_programs(juyi):
    found = json.loads(juyi("data", "list", "--json").out)["data"]
    assert [entry["name"] for entry in found] == [entry.name for entry in known_data()]
    assert found[0]["rows"] == {"train": 1297, "test": 500}


def test_data_are_checked_beside_others_and_shown_on_a_sheet(juyi):
    image_folder("here")
    image_folder("there", seed=1, size=14)
    said = juyi("data", "check", "here", "--beside", "there", "--sheet", "sheet.png")
    assert said.code == 0, said.err
    for words in ("here: 24 rows", "classes: 2 (cat 12, dog 12)", "note: all images resized from 14×14", "sheet.png"):
        assert words in said.out
    with Image.open("sheet.png") as sheet:
        assert sheet.format == "PNG"


def test_checked_data_for_programs(juyi):
    table("a.csv")
    said = juyi("data", "check", "a.csv", "--label", "kind", "--json")
    (entry,) = json.loads(said.out)["data"]
    assert entry["classes"] == {"cat": 20, "dog": 20}
    assert (entry["rows"], entry["kind"], entry["shape"], entry["labelled"]) == (40, "features", [2], 40)
    both = json.loads(juyi("data", "check", "a.csv", "--beside", "a.csv", "--label", "kind", "--json").out)["data"]
    assert len(both) == 2


@pytest.fixture
def ingredients(monkeypatch):
    """The digits and photographs of which `mnist_m` is made, a few."""
    for split in ("train", "test"):
        Path("sets/mnist").mkdir(parents=True, exist_ok=True)
        np.savez(f"sets/mnist/{split}.npz", x=pictures(12), y=np.arange(12) % 10)
    image_folder("sets/bsds500/train", ("all",), n=8, size=40)
    monkeypatch.setenv("JUYI_DATA", "sets")


def test_data_are_made_and_it_is_shown(juyi, ingredients):
    said = juyi("data", "make", "mnist_m")
    assert said.code == 0, said.err
    assert said.err.splitlines() == ["making mnist_m@train, 12 images", "making mnist_m@test, 12 images"]
    assert [Path(line).is_file() for line in said.out.split()] == [True, True]
    again = juyi("data", "make", "mnist_m", "--json")
    assert again.err == ""
    assert json.loads(again.out)["files"] == said.out.split()


def test_data_that_cannot_be_made(refused):
    refused(["data", "make", "mnist_m"], "mnist_m@train: is made from mnist and bsds500@train", "set JUYI_DATA")
