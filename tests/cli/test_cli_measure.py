"""`juyi measure`: what is printed, for people and programs, the page, and everything that cannot be measured."""

import json
from pathlib import Path

import numpy as np
import pytest

from cli.cli_data import arrays, image_folder, table
from juyi.cli.measure import HEADS


@pytest.fixture
def tables():
    """Two tables of the same columns that differ in one of them."""
    table("there.csv", n=80)
    lines = Path(table("here.csv", n=80, seed=1)).read_text().splitlines()
    moved = [f"{float(first) + 9:.4f},{rest}" for first, rest in (line.split(",", 1) for line in lines[1:])]
    Path("here.csv").write_text("\n".join([lines[0], *moved]) + "\n")
    return "there.csv", "here.csv", "--label", "kind"


def test_a_pair_of_tables_in_words_a_table_and_on_a_page(juyi, tables):
    said = juyi("measure", *tables)
    assert said.code == 0
    lines = said.out.splitlines()
    assert lines[0].startswith("A linear classifier tells the two apart on ")
    assert "A distance is no verdict on transferring" in lines[0]
    rows = [line.split() for line in lines]
    assert any(row[:2] == ["proxy", "𝒜-distance"] for row in rows)
    assert [row[0] for row in rows if row and row[0] in ("length", "width")] == ["length", "width"]
    for head in ("how far apart", "which features differ", "estimated bounds", "class shares of the target"):
        assert head in said.out
    assert "transferability" not in said.out and "LogME" not in said.out  # no label of the target was given
    assert lines[-1] == "page: measure.html"
    page = Path("measure.html").read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>") and "juyi measure there.csv here.csv --label kind" in page
    assert said.err.splitlines()[0] == "reading there.csv" and "distance: mmd" in said.err


def test_for_programs(juyi, tables):
    said = juyi("measure", *tables, "--json", "--out", "pages/two.html", "--target-labels", "5", "--seed", "1")
    assert said.code == 0 and Path("pages/two.html").is_file()
    found = json.loads(said.out)
    assert {one["group"] for one in found["results"]} == set(HEADS)
    for one in found["results"]:
        assert {"group", "name", "value", "low", "high", "p_value", "n_source", "n_target", "note"} <= set(one)
        assert one["value"] is None or np.isfinite(one["value"])
    assert found["settings"]["target_labels"] == "5" and found["data"]["target"]["labelled"] == 10
    assert found["answer"] == "far" and found["ranking"] is None


def test_halves_of_one_folder_are_told_to_be_alike(juyi):
    image_folder("there", n=40)
    image_folder("here", n=40, seed=1)
    said = juyi("measure", "there", "here")
    assert said.code == 0 and said.out.startswith("Nothing tells the two apart")


def test_sources_are_ranked(juyi, tables):
    table("third.csv", n=80, seed=5)
    said = juyi("measure", "third.csv", "there.csv", *tables[2:], "--candidates", "here.csv")
    assert said.code == 0 and "The best source is third.csv: by proxy 𝒜-distance" in said.out
    places = [line.split()[0] for line in said.out.splitlines() if line.split()[:1] in (["third.csv"], ["here.csv"])]
    assert places[:2] == ["third.csv", "here.csv"]


def test_runs_are_ranked_as_backbones(finished, juyi):
    said = juyi("measure", "source.npz", "target.npz", "--backbone", "run", "--candidates", "run/models/source_only")
    assert said.code == 0, said.err
    assert "Cannot tell which backbone is best" in said.out or "The best backbone is" in said.out
    assert "the classifier is the network of run, judged on" in said.out
    assert "by ATC" not in said.out  # made for a model of the source alone, and this one has adapted


def test_few_labels_from_a_file_are_used(juyi, tables):
    table("here.csv", n=80, seed=1)
    Path("few.csv").write_text("name,label\n" + "".join(f"{i},{'cat' if i % 2 else 'dog'}\n" for i in range(20)))
    said = juyi("measure", *tables, "--target-labels", "few.csv")
    assert said.code == 0 and "accuracy here" in said.out and "LogME" in said.out
    assert "the two obey different rules" in said.out  # cat and dog are exchanged in that file


def test_hostile_columns_are_printed_and_drawn_as_text(juyi):
    columns = ("a\x1b[31m", "<img src=x onerror=1>")
    for seed, name in enumerate(("there.csv", "here.csv")):
        table(name, n=60, seed=seed, columns=columns)
    said = juyi("measure", "there.csv", "here.csv", "--label", "kind")
    assert said.code == 0 and "\x1b" not in said.out
    assert "<img src=x onerror" not in Path("measure.html").read_text(encoding="utf-8")


def wrong(path, **cells):
    return str(table(path, **cells))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["there.csv", "nothing.csv"], ["nothing.csv: there is no such file"]),
        (["there.csv", "digits@train"], ["features and digits@train images"]),
        (["there.csv", "other.csv"], ["have not a single column in common"]),
        (["there.csv", "one.csv"], ["one.csv: has a single row"]),
        (["there.csv", "nan.csv"], ["nan.csv, line 3: column width holds nan"]),
        (["there.csv", "same.csv"], ["all features are the same"]),
        (["there.csv", "here.csv", "--target-labels", "few.csv"], ["few.csv, line 2: here.csv has no row named 999"]),
        (["there.csv", "here.csv", "--target-labels", "odd.csv"], ["odd.csv, line 2: here.csv has no class cow"]),
        (["there.csv", "here.csv", "--target-labels", "two.csv"], ["two.csv, line 3: 0 is given a second label"]),
        (["there.csv", "here.csv", "--target-labels", "-1"], ["--target-labels: -1 labels cannot be kept"]),
        (["there.csv", "bare.csv", "--target-labels", "all"], ["bare.csv holds no label that could be given"]),
        (["there.csv", "here.csv", "--backbone", "resnet"], ["--backbone resnet: there is no such backbone"]),
        (["there.csv", "here.csv", "--backbone", "lenet"], ["not trained by its name alone"]),
        (["there.csv", "here.csv", "--weights", "w.safetensors"], ["pixels have no weights"]),
        (["there.csv", "here.csv", "--candidates", "a.csv,,b.csv"], ["holds an empty name"]),
        (["there.csv", "here.csv", "--candidates", "third.csv"], ["third.csv: there is no such file"]),
        (["there.csv", "here.csv", "--candidates", "pixels"], ["pixels is named twice"]),
        (["there.csv", "here.csv", "--candidates", "hub/a/b,there.csv"], ["rank either sources or backbones"]),
        (["there.csv", "here.csv", "--rank-by", "leep"], ["there is nothing to rank"]),
        (["there.csv", "here.csv", "--candidates", "more.csv", "--rank-by", "nce"], ["give some with --target-labels"]),
        (["there.csv", "here.csv", "--rows", "1"], ["--rows 1"]),
        (["there.csv", "here.csv", "--rows", "1.5"], ["1.5 is no whole number"]),
        (["there.csv", "here.csv", "--size", "8"], ["a size means nothing"]),
        (["there.csv", "here.csv", "--out", "taken.html"], ["taken.html: is there already; add --overwrite"]),
        (["there.csv"], ["TARGET is missing"]),
        (["there.csv", "here.csv", "--backbon", "pixels"], ["--backbon"]),
    ],
)  # fmt: skip
def test_what_cannot_be_measured_is_refused_in_one_line(juyi, arguments, words):
    table("there.csv")
    table("here.csv", seed=1)
    table("bare.csv", seed=1, label=None)
    table("more.csv", seed=2)
    table("other.csv", columns=("weight", "height"))
    table("one.csv", n=1)
    table("nan.csv", cells={(1, 1): "nan"})
    Path("same.csv").write_text("length,width,kind\n" + "1,1,cat\n" * 5)
    if "same.csv" in arguments:
        Path("there.csv").write_text("length,width,kind\n" + "1,1,cat\n" * 5)
    Path("few.csv").write_text("name,label\n999,cat\n")
    Path("odd.csv").write_text("name,label\n0,cow\n")
    Path("two.csv").write_text("name,label\n0,cat\n0,dog\n")
    Path("taken.html").write_text("mine")
    said = juyi("measure", *arguments, "--label", "kind")
    assert said.code == 2 and said.out == ""
    for word in words:
        assert word in said.line, said.line
    assert Path("taken.html").read_text() == "mine" and not Path("measure.html").exists()


def test_a_page_is_replaced_only_if_asked(juyi, tables):
    Path("measure.html").write_text("mine")
    assert juyi("measure", *tables).code == 2
    assert juyi("measure", *tables, "--overwrite").code == 0
    assert Path("measure.html").read_text(encoding="utf-8") != "mine"


def test_one_class_and_a_leak_are_warned_of(juyi):
    arrays("there.npz", classes=1)
    arrays("here.npz", classes=1)
    said = juyi("measure", "there.npz", "here.npz")
    assert said.code == 0
    assert "Warning: 80 of 80 rows of here.npz stand in there.npz as well" in said.out
    assert "are of one class, 0, so bounds and class shares are unknown" in said.out
