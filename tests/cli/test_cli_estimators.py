"""`juyi adapt` with methods that hold no network: other columns, rows that arrive, forests."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import skops.io
from sklearn.ensemble import RandomForestClassifier

from juyi.adapt.estimators import METHODS
from juyi.report.answers_page import render

RNG = np.random.default_rng(0)
RULE = RNG.normal(size=6)


def table(path, x, labels=None, prefix="c"):
    with Path(path).open("w", newline="", encoding="utf-8") as file:
        lines = csv.writer(file)
        lines.writerow([*(f"{prefix}{k}" for k in range(x.shape[1])), *(["label"] if labels is not None else [])])
        lines.writerows(
            [*(f"{v:.5f}" for v in row), *([] if labels is None else [labels[i]])] for i, row in enumerate(x)
        )


@pytest.fixture
def tables():
    """Two sensors of one thing, and a stream whose rule is reversed for a while."""
    y = np.arange(300) % 3
    hidden = 2 * np.eye(4)[y] + RNG.normal(size=(300, 4))
    old, new = (hidden @ RNG.normal(size=(4, d)) + 0.3 * RNG.normal(size=(300, d)) for d in (8, 5))
    names = np.array(["a", "b", "c"])[y]
    table("old.csv", old[:200], names[:200])
    table("new.csv", new[180:260], names[180:260], "s")
    table("test.csv", new[260:], names[260:], "s")
    with Path("pairs.csv").open("w", encoding="utf-8") as file:
        file.write("source,target\n" + "".join(f"{180 + i},{i}\n" for i in range(20)))
    x = RNG.normal(size=(900, 6))
    rule = x @ RULE > 0
    table("past.csv", x[:300], rule[:300])
    table("stream.csv", x[300:], np.concatenate([rule[300:500], ~rule[500:]]))
    table("bare.csv", x[300:] * 3 + 2)


def record_of(folder):
    return json.loads((Path(folder) / "answers.json").read_text(encoding="utf-8"))


def answers_of(folder):
    with (Path(folder) / "predictions.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("name", ["coot", "cca", "dama"])
def test_other_columns_with_a_few_labels(juyi, tables, name):
    said = juyi("adapt", "old.csv", "new.csv", "--method", name, "--target-labels", "3", "--test", "test.csv",
                "--label", "label", "--out", "out")  # fmt: skip
    assert said.code == 0 and "target_only" in said.out, said
    found = record_of("out")
    assert [one["model"] for one in found["results"]] == [name, "target_only"]
    assert found["target_labels"] == 9 and found["verdict"]["evidence"] == "test_labels"
    rows = answers_of("out")
    assert len(rows) == 80 and set(rows[0]) == {"name", name, "target_only"} and rows[0][name] in "abc"
    assert name in Path("out/report.html").read_text(encoding="utf-8")


def test_pairs_tie_two_sensors_together(juyi, tables):
    said = juyi("adapt", "old.csv", "new.csv", "--method", "cca", "--pairs", "pairs.csv", "--test", "test.csv",
                "--label", "label", "--out", "out")  # fmt: skip
    assert said.code == 0, said
    found = record_of("out")
    assert found["target_labels"] == 0 and found["results"][0]["value"] > 0.5 and found["verdict"] is None


def test_a_stream_is_answered_before_its_labels_are_read(juyi, tables):
    said = juyi("adapt", "past.csv", "stream.csv", "--method", "online_transfer", "--aggressiveness", "0.1",
                "--target-labels", "all", "--label", "label", "--out", "out")  # fmt: skip
    assert said.code == 0 and "Adapting helped" in said.out, said
    found = record_of("out")
    assert [one["rows"] for one in found["history"]] == [100, 200, 300, 400, 500, 600]
    wrong = {key: sum(one["mistakes"][key] for one in found["history"]) for key in ("online_transfer", "source_only")}
    answers = answers_of("out")
    with Path("stream.csv").open(encoding="utf-8") as file:
        right = [row["label"] for row in csv.DictReader(file)]
    for key, count in wrong.items():
        assert sum(row[key] != label for row, label in zip(answers, right, strict=True)) == count
        accuracy = next(one for one in found["results"] if one["model"] == key)
        assert accuracy["value"] == pytest.approx(1 - count / 600)
    assert wrong["online_transfer"] < wrong["source_only"] / 2
    page = Path("out/report.html").read_text(encoding="utf-8")
    assert "Old and new" in page and "Mistakes" in page


def test_a_stream_without_labels(juyi, tables):
    said = juyi("adapt", "past.csv", "bare.csv", "--method", "streaming_coral", "--test", "stream.csv",
                "--label", "label", "--out", "out")  # fmt: skip
    assert said.code == 0, said
    assert juyi("adapt", "past.csv", "bare.csv", "--method", "streaming_coral", "--label", "label", "--out",
                "two").code == 0  # fmt: skip
    assert record_of("two")["verdict"]["evidence"] == "label_free" and record_of("two")["results"] == []


def test_a_stored_forest_needs_no_row_of_the_source(juyi, tables):
    with Path("past.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    x = np.array([[float(row[f"c{k}"]) for k in range(6)] for row in rows])
    skops.io.dump(RandomForestClassifier(20, random_state=0).fit(x, [row["label"] for row in rows]), "forest.skops")
    table("changed.csv", x, [row["label"] == "False" for row in rows])
    common = ["--target-labels", "60", "--label", "label", "--test", "changed.csv"]
    assert juyi("adapt", "forest.skops", "changed.csv", "--method", "transfer_forest", *common, "--out", "f").code == 0
    value = {one["model"]: one["value"] for one in record_of("f")["results"]}
    assert value["source_only"] < 0.2 and value["transfer_forest"] > 0.6
    assert record_of("f")["rows"]["source"] == 0


def test_numbers_by_a_forest(juyi):
    x = RNG.normal(size=(300, 3))
    table("there.csv", x[:150], [f"{v:.3f}" for v in 10 * x[:150, 0]])
    table("here.csv", x[150:], [f"{v:.3f}" for v in -10 * x[150:, 0]])
    said = juyi("adapt", "there.csv", "here.csv", "--method", "transfer_forest", "--target-labels", "all", "--test",
                "here.csv", "--label", "label", "--out", "out")  # fmt: skip
    assert said.code == 0 and "mean absolute error" in said.out, said
    method, floor = record_of("out")["results"]
    assert method["name"] == "mean_absolute_error" and method["value"] < floor["value"] / 2


def test_a_yaml_file_names_the_method(juyi, tables):
    Path("c.yaml").write_text("method: dama\ntarget_labels: '3'\nlabel: label\nout: out\n", encoding="utf-8")
    assert juyi("adapt", "old.csv", "new.csv", "--config", "c.yaml").code == 0
    assert record_of("out")["method"] == "dama"


def test_what_cannot_be_done_is_refused_and_nothing_is_written(juyi, refused, tables):
    asked = ("adapt", "old.csv", "new.csv", "--label", "label", "--out", "out")
    refused([*asked, "--method", "coot"], "nothing ties the two together")
    refused([*asked, "--method", "cca", "--pairs", "none.csv"], "none.csv", "cannot be read")
    Path("p.csv").write_text("source,target\n1,2\n1,900\n", encoding="utf-8")
    refused([*asked, "--method", "cca", "--pairs", "p.csv"], "p.csv, line 3", "900 is no row of new.csv")
    Path("p.csv").write_text("a,b\n", encoding="utf-8")
    refused([*asked, "--method", "cca", "--pairs", "p.csv"], "p.csv, line 1", "source,target")
    Path("p.csv").write_text("source,target\n1\n", encoding="utf-8")
    refused([*asked, "--method", "cca", "--pairs", "p.csv"], "p.csv, line 2", "1 cells")
    refused([*asked, "--method", "online_transfer", "--target-labels", "all"], "columns")
    refused([*asked, "--method", "transfer_forest", "--target-labels", "3"], "columns")
    refused([*asked, "--method", "coot", "--target-labels", "3", "--test", "old.csv"], "columns")
    stream = ("adapt", "past.csv", "stream.csv", "--label", "label", "--out", "out")
    refused([*stream, "--method", "online_transfer"], "--target-labels all")
    refused([*stream, "--method", "streaming_coral", "--pairs", "pairs.csv"], "--pairs")
    lines = [line.split(",") for line in Path("stream.csv").read_text(encoding="utf-8").splitlines()]
    swapped = "\n".join(",".join([second, first, *rest]) for first, second, *rest in lines)
    Path("swapped.csv").write_text(swapped, encoding="utf-8")
    refused(["adapt", "past.csv", "swapped.csv", "--method", "streaming_coral", "--out", "out"], "another order")
    assert juyi(*asked, "--method", "dama", "--target-labels", "3").code == 0
    refused([*asked, "--method", "dama", "--target-labels", "3"], "--overwrite")


def test_the_methods_are_these_and_help_names_them(juyi):
    assert set(METHODS) == {"coot", "cca", "dama", "online_transfer", "streaming_coral", "transfer_forest"}
    assert all(name in juyi("adapt", "--help").out for name in ("coot", "transfer_forest", "relational"))
    assert "--keep" in juyi("adapt", "--method", "online_transfer", "--help").out


def test_the_page_holds_whatever_the_record_lacks():
    odd = {"method": "<b>", "verdict": {"answer": "x", "sentence": "<i>"}, "history": [None, {}, {"rows": 3}]}
    assert "<b></b>" not in render(odd) and "<i></i>" not in render({}) and "&lt;b&gt;" in render(odd)
