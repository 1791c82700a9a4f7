"""`juyi settle`: real runs, labels of someone who knows, and what is refused in one line."""

import base64
import csv
import io
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import juyi as package
from cli.cli_data import QUICK, arrays
from juyi.cli import main
from juyi.runs import RunFolder

DIGITS = ("digits@train[:160]", "digits_m@train[:160]")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Real runs, made once: images; a table of which some labels are given; a training alone; one on a stream."""
    folder = tmp_path_factory.mktemp("settled")
    arrays(folder / "source.npz", classes=3)
    arrays(folder / "target.npz", n=120, seed=1, shift=2.5, classes=3)
    table = ["source.npz", "target.npz"]
    calls = [
        ["adapt", *DIGITS, "--net", "lenet5", *QUICK, "--out", "images"],
        ["adapt", *table, "--target-labels", "4", "--method", "deep_coral", *QUICK, "--out", "given"],
        ["train", "source.npz", *QUICK, "--out", "trained"],
        ["adapt", *table, "--method", "source_only", *QUICK, "--out", "alone"],
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("JUYI_CACHE", str(tmp_path_factory.mktemp("cache")))
        assert [main(call) for call in calls] == [0] * len(calls)
    let_differ(folder / "given")
    return folder


def let_differ(run, rows=50):
    """Let the two models of a small run differ on more rows than they do, as far as its folder tells."""
    place = Path(run, "predictions.csv")
    head, *lines = place.read_text().splitlines()
    cells = [line.split(",") for line in lines]
    for row in cells[:rows]:
        row[3] = "1" if row[1] == "0" else "0"
    place.write_text("\n".join([head, *map(",".join, cells)]) + "\n")


@pytest.fixture
def here(made, tmp_path):
    """A copy of these runs and their data in this test's folder."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return tmp_path


def rows_of(path):
    with Path(path).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def fill(path, data, to="filled.csv"):
    """Fill a file in by the labels that the target's own files have."""
    target = package.load(data)
    truth = {target.row_name(row): target.classes[target.y[row]] for row in range(target.size)}
    rows = rows_of(path)
    with Path(to).open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, ["id", "name", "label"], lineterminator="\n")
        table.writeheader()
        table.writerows({**row, "label": truth[row["name"]]} for row in rows)
    return truth


def predictions(run):
    return {row["name"]: row for row in rows_of(Path(run, "predictions.csv"))}


def test_images_are_asked_for_with_their_pictures_and_settled(here, juyi):
    said = juyi("settle", "images")
    assert (said.code, said.err) == (0, "")
    says = predictions("images")
    differ = [name for name, row in says.items() if row["dann"] != row["source_only"]]
    rows = rows_of("images/settle/ask.csv")
    assert f"answer differently on {len(differ)} of 160 target rows" in said.out
    assert f"images/settle/ask.csv ({len(rows)})" in said.out and "images/settle/sheet.html" in said.out
    assert f"{len(differ)} at most" in said.out and {row["name"] for row in rows} <= set(differ)
    page = Path("images/settle/sheet.html").read_text(encoding="utf-8")
    pictures = re.findall(r'<img src="data:image/png;base64,([^"]+)"', page)
    target = package.load(DIGITS[1])
    number = {target.row_name(row): row for row in range(target.size)}
    for row, png in zip(rows, pictures, strict=True):
        shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(png))))
        assert (shown == target.x[number[row["name"]]].transpose(1, 2, 0)).all()
    truth = fill("images/settle/ask.csv", DIGITS[1])
    said = juyi("settle", "images", "--labels", "filled.csv")
    assert said.code == 0 and said.out.splitlines()[-1] == "report: images/report.html"
    record = RunFolder("images").read()
    assert record["verdict"]["evidence"] == "settled" and record["verdict"]["sentence"] in said.out
    assert record["verdict"]["labels_used"] == len(rows)
    report = Path("images/report.html").read_text(encoding="utf-8")
    assert 'id="settled"' in report and record["verdict"]["sentence"].split(":")[0] in report
    assert "settle labels at" in report
    z = [
        (says[r["name"]]["dann"] == truth[r["name"]]) - (says[r["name"]]["source_only"] == truth[r["name"]])
        for r in rows
    ]
    assert record["verdict"]["gain"] == pytest.approx(len(differ) / 160 * np.mean(z))


def test_all_labels_are_exact_and_the_run_is_still_a_run(here, juyi):
    assert juyi("settle", "images", "--rows", "160").code == 0
    truth = fill("images/settle/ask.csv", DIGITS[1])
    said = juyi("settle", "images", "--labels", "filled.csv", "--json")
    verdict, says = json.loads(said.out)["verdict"], predictions("images")
    right = [sum(row[model] == truth_of for truth_of, row in zip(truth.values(), says.values(), strict=True))
             for model in ("dann", "source_only")]  # fmt: skip
    assert list(truth) == list(says)
    assert verdict["gain"] == verdict["low"] == verdict["high"] == pytest.approx((right[0] - right[1]) / 160)
    expected = {1: "helped", 0: "no_difference", -1: "hurt"}[int(np.sign(right[0] - right[1]))]
    assert verdict["answer"] == expected
    again = juyi("report", "images")
    assert again.code == 0 and verdict["sentence"] in again.out
    assert juyi("compare", "images", "alone").code == 0


def test_rounds_for_programs(here, juyi):
    said = juyi("settle", "images", "--rows", "3", "--json")
    asked = json.loads(said.out)
    assert asked["rows"] == 3 and asked["likely"] <= asked["worst"] <= asked["disagreeing"] <= asked["total"] == 160
    assert Path(asked["ask"]).is_file() and Path(asked["sheet"]).is_file()
    fill(asked["ask"], DIGITS[1])
    said = juyi("settle", "images", "--labels", "filled.csv")
    assert (
        said.out.startswith("These labels cannot tell yet") and "for more rows: juyi settle images --more" in said.out
    )
    said = juyi("settle", "images", "--more", "--rows", "5")
    assert "images/settle/ask.csv (8, 3 of them labelled)" in said.out
    rows = rows_of("images/settle/ask.csv")
    assert rows[:3] == rows_of("filled.csv") and [row["label"] for row in rows[3:]] == [""] * 5
    page = Path("images/settle/sheet.html").read_text(encoding="utf-8")
    assert page.count('<fieldset class="ask">') == 8 and f'"label":"{rows[0]["label"]}"' in page


def test_a_gap_is_said_with_its_row(here, juyi):
    juyi("settle", "images", "--rows", "6")
    fill("images/settle/ask.csv", DIGITS[1])
    lines = Path("filled.csv").read_text().splitlines()
    lines[4] = lines[4].rpartition(",")[0] + ","
    Path("filled.csv").write_text("\n".join(lines) + "\n")
    said = juyi("settle", "images", "--labels", "filled.csv")
    name = lines[4].split(",")[1]
    assert f"note: 2 labels were not used: row 4, {name}, has none" in said.out
    assert RunFolder("images").read()["verdict"]["labels_used"] == 3


def test_rows_whose_label_was_given_to_the_training_are_left_out(here, juyi):
    said = juyi("settle", "given", "--rows", "200")
    assert said.code == 0, said
    assert "of 108 target rows (12 whose label was given are left out)" in said.out and "sheet" not in said.out
    target = package.withhold_labels(package.load("target.npz"), 4, 0)
    given = {target.row_name(row) for row in np.flatnonzero(target.labelled)}
    asked = {row["name"] for row in rows_of("given/settle/ask.csv")}
    differ = {name for name, row in predictions("given").items() if row["deep_coral"] != row["source_only"]}
    assert asked == differ - given and len(given) == 12 and differ & given


def test_labels_that_are_trained_on_afterwards_settle_nothing_more(here, juyi, refused):
    juyi("settle", "given", "--rows", "200")
    fill("given/settle/ask.csv", "target.npz")
    assert juyi("settle", "given", "--labels", "filled.csv").code == 0
    labels = ["--target-labels", "given/settle/labels.csv", "--method", "deep_coral"]
    assert juyi("adapt", "source.npz", "target.npz", *labels, *QUICK, "--out", "after").code == 0
    names = {row["name"] for row in rows_of("given/settle/labels.csv")}
    let_differ("after", 120)
    said = juyi("settle", "after", "--rows", "200")
    assert said.code == 0 and f"({len(names)} whose label was given are left out)" in said.out
    assert len(names) + len(rows_of("after/settle/ask.csv")) == 120
    assert not names & {row["name"] for row in rows_of("after/settle/ask.csv")}
    refused(["settle", "after", "--labels", "filled.csv"], "filled.csv: is a settle file of another run")


def test_a_verdict_from_a_test_is_kept(finished, juyi):
    record = RunFolder("run").read()
    let_differ("run", 30)
    assert juyi("settle", "run").code == 0
    fill("run/settle/ask.csv", "target.npz")
    said = juyi("settle", "run", "--labels", "filled.csv")
    assert "the verdict from the test's labels is kept" in said.out
    after = RunFolder("run").read()
    assert after["verdict"] == record["verdict"] and after["settled"]["evidence"] == "settled"
    assert after["settled"]["sentence"].split(",")[0] in Path("run/report.html").read_text(encoding="utf-8")


def test_what_cannot_be_settled_is_refused_in_one_line(here, refused):
    refused(["settle"], "RUN is missing")
    refused(["settle", "nowhere"], "nowhere: there is no such folder")
    refused(["settle", "trained"], "trained: has no target")
    refused(["settle", "alone"], "alone: has one model")
    refused(["settle", "images", "--rows", "0"], "--rows 0")
    refused(["settle", "images", "--rows", "few"], "--rows")
    refused(["settle", "images", "--more"], "--more", "first: juyi settle")
    refused(["settle", "images", "--labels", "nowhere.csv"], "nowhere.csv: there is no such file")
    refused(["settle", "images", "--labels", "nowhere.csv", "--more"], "--labels: gives labels back")
    refused(["settle", "images", "--label", "x.csv"], "--label", "Did you mean --labels?")
    refused(["settle", "images", "--labels", "images"], "images: cannot be read as CSV")


def test_a_file_of_another_run_is_refused(here, juyi, refused):
    juyi("settle", "given", "--rows", "5")
    fill("given/settle/ask.csv", "target.npz")
    refused(["settle", "images", "--labels", "filled.csv"], "filled.csv: is a settle file of another run")
    juyi("settle", "images", "--rows", "5")
    text = Path("images/settle/ask.csv").read_text()
    Path("wrong.csv").write_text(text.replace(",\n", ",ten\n", 1))
    refused(["settle", "images", "--labels", "wrong.csv"], "wrong.csv, line 2: ten is no class of images")
    Path("images/settle/ask.csv").write_text(text.replace(",\n", ",7\n", 1))
    refused(["settle", "images"], "ask.csv: 1 labels are known already")


def test_data_that_have_changed_are_refused(here, refused):
    arrays("target.npz", n=120, seed=2, classes=3)
    refused(["settle", "given"], "target.npz: has changed since the run in given began")
    Path("target.npz").unlink()
    refused(["settle", "given"], "target.npz")
    record = RunFolder("images").read()
    RunFolder("images").write({**record, "status": "running"})
    refused(["settle", "images"], "images: is not finished (running); first: juyi resume images")


def test_a_hostile_name_cannot_command_the_terminal(here, juyi):
    text = Path("images/predictions.csv").read_text().splitlines()
    text[1:] = ["\x1b[2J" + line for line in text[1:]]
    Path("images/predictions.csv").write_text("\n".join(text) + "\n")
    juyi("settle", "images", "--rows", "3")
    rows = rows_of("images/settle/ask.csv")
    lines = [f"{row['id']},{row['name']},{label}" for row, label in zip(rows, ("1", "", "2"), strict=True)]
    Path("filled.csv").write_text("\n".join(["id,name,label", *lines]) + "\n")
    said = juyi("settle", "images", "--labels", "filled.csv")
    assert said.code == 0 and "\x1b" not in said.out + said.err and "row 2" in said.out
