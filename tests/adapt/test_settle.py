"""Settling, on run folders made by hand: which rows are asked for, what labels decide, and files that cannot be."""

import csv
import json
import shutil

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from juyi.adapt import METHODS
from juyi.adapt.draw import draw
from juyi.adapt.settle import answer, ask
from juyi.adapt.settle_files import read_asked
from juyi.errors import DataError, RunFolderError, SettingError
from juyi.measure import labels_to_settle, settle
from juyi.runs import RunFolder

CLASSES = ["cat", "dog", "hen"]
ROWS = 300


def truth_and_answers(better=0.8, rows=ROWS, seed=0):
    """True classes, and what two models answer: they differ on 40 % of the rows; `better` of those dann has right."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, rows)
    floor, method = truth.copy(), truth.copy()
    for row in rng.permutation(rows)[: int(0.4 * rows)]:
        wrong = (truth[row] + rng.integers(1, 3)) % 3
        if rng.random() < 0.1:  # neither is right
            floor[row], method[row] = wrong, (set(range(3)) - {truth[row], wrong}).pop()
        elif rng.random() < better:
            floor[row] = wrong
        else:
            method[row] = wrong
    return truth, floor, method


def make_run(path, floor, method, **more):
    """Write what settle reads of a finished run on a table."""
    run = RunFolder.create(path, "dann")
    entry = {"name": "table.csv", "fingerprint": "00ff", "rows": len(floor), "labelled": 0, "shape": [4], "notes": []}
    record = {
        "status": "finished", "method": "dann", "serves": "dann", "classes": CLASSES, "seed": 0,
        "warnings": ["Beware."],
        "data": {"source": entry, "target": entry}, "target_labels": {"given": 0, "given_to_start": 0}, "openings": [],
        "hyperparameters": {}, "request": {"source": "a", "target": "table.csv"},
        "verdict": {"answer": "cannot_tell", "evidence": "label_free", "sentence": "Nobody can tell."},
    }  # fmt: skip
    run.write({**record, **more})
    lines = ["name,source_only,source_only_confidence,dann,dann_confidence"]
    lines += [f"row {i},{CLASSES[a]},0.5,{CLASSES[b]},0.9" for i, (a, b) in enumerate(zip(floor, method, strict=True))]
    run.predictions.write_text("\n".join(lines) + "\n")
    return run


@pytest.fixture
def truth():
    return truth_and_answers()[0]


@pytest.fixture
def run(tmp_path):
    return make_run(tmp_path / "run", *truth_and_answers()[1:])


def asked(run, **more):
    return ask(run, methods=METHODS, **more)


def rows_of(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def fill(path, truth, upto=None, to=None, **labels):
    """Fill a file in as someone does who knows; `labels` gives others, by the number of the row."""
    rows = rows_of(path)
    for i, row in enumerate(rows):
        label = CLASSES[truth[int(row["name"].split()[1])]] if upto is None or i < upto else ""
        row["label"] = labels.get(f"row{i}", label)
    place = to or path.with_name("filled.csv")
    place.write_text("id,name,label\n" + "".join(f"{r['id']},{r['name']},{r['label']}\n" for r in rows))
    return place


def answered(run, path):
    return answer(run, path, methods=METHODS)


def test_only_rows_on_which_the_models_differ_are_asked_for_and_nothing_is_told(run):
    floor, method = truth_and_answers()[1:]
    found = asked(run)
    rows = rows_of(found.path)
    assert found.path == run.path / "settle" / "ask.csv" and found.sheet is None
    assert len(rows) == found.rows == labels_to_settle(120, 300)[0] == found.likely <= found.worst <= 120
    numbers = [int(row["name"].split()[1]) for row in rows]
    assert len(set(numbers)) == len(rows) and all(floor[i] != method[i] for i in numbers)
    assert list(rows[0]) == ["id", "name", "label"] and {row["label"] for row in rows} == {""}
    assert numbers != sorted(numbers)


def test_the_order_is_a_function_of_the_run_alone(run, tmp_path):
    one = draw(run, methods=METHODS)
    shutil.copytree(run.path, tmp_path / "elsewhere")
    other = draw(RunFolder.open(tmp_path / "elsewhere"), methods=METHODS)
    assert one.names == other.names and one.tag == other.tag and one.size == 120 and one.total == 300
    floor, method = truth_and_answers()[1:]
    method[np.flatnonzero(floor == method)[0]] += 1 if method[np.flatnonzero(floor == method)[0]] < 2 else -1
    changed = draw(make_run(tmp_path / "changed", floor, method), methods=METHODS)
    assert changed.tag != one.tag and changed.names[:20] != one.names[:20]


def test_each_row_comes_first_as_often_as_any_other(tmp_path):
    floor, method = truth_and_answers(rows=10)[1:]
    places = []
    for seed in range(100):
        entry = {"name": "t", "fingerprint": str(seed), "rows": 10, "shape": [4]}
        drawn = draw(make_run(tmp_path / str(seed), floor, method, data={"target": entry}), methods=METHODS)
        places.append(int(drawn.rows[0]))
    counts = np.bincount(places, minlength=10)[floor != method]
    assert counts.sum() == 100 and counts.min() > 25 - 4 * np.sqrt(100 * 3 / 16)


def test_the_verdict_is_that_of_the_test_on_the_labels_in_order(run, truth):
    floor, method = truth_and_answers()[1:]
    path = fill(asked(run).path, truth)
    numbers = [int(row["name"].split()[1]) for row in rows_of(path)]
    z = np.array([int(method[i] == truth[i]) - int(floor[i] == truth[i]) for i in numbers])
    found, expected = answered(run, path), settle(z, 120, 300)
    verdict = run.read()["verdict"]
    assert found.verdict.items() <= verdict.items() and not found.kept and found.first_open is None
    assert (verdict["gain"], verdict["low"], verdict["high"]) == (expected.gain, expected.low, expected.high)
    assert verdict["answer"] == "helped" == expected.answer and verdict["evidence"] == "settled"
    assert verdict["labels_used"] == len(z) and verdict["disagreeing"] == 120 and verdict["rows"] == 300
    assert verdict["without_labels"]["evidence"] == "label_free" and "Warning: Beware." in verdict["sentence"]
    assert [(o["data"], o["labels"]) for o in run.read()["openings"]] == [("settle labels", len(z))]
    labels = rows_of(run.settle / "labels.csv")
    assert [(r["name"], r["label"]) for r in labels] == [(f"row {i}", CLASSES[truth[i]]) for i in numbers]


def test_all_labels_give_the_difference_of_the_accuracies(run, truth):
    floor, method = truth_and_answers()[1:]
    verdict = answered(run, fill(asked(run, rows=10_000).path, truth)).verdict
    exact = (method == truth).mean() - (floor == truth).mean()
    assert verdict["gain"] == verdict["low"] == verdict["high"] == pytest.approx(exact)


def test_a_model_that_is_worse_is_said_to_hurt(tmp_path):
    truth, floor, method = truth_and_answers(better=0.2)
    run = make_run(tmp_path / "run", floor, method)
    found = answered(run, fill(asked(run).path, truth))
    assert found.verdict["answer"] == "hurt" and found.verdict["sentence"].startswith("Adapting hurt (dann is worse")


def test_labels_count_up_to_the_first_row_without_one(run, truth):
    path = asked(run).path
    name = rows_of(path)[7]["name"]
    found = answered(run, fill(path, truth, row7=""))
    assert found.verdict["labels_used"] == 7 and found.given == len(rows_of(path)) - 1 and found.first_open == name
    with pytest.raises(DataError, match=r"row \d+, the first row, has no label, though .* later ones have"):
        answered(run, fill(path, truth, row0=""))
    with pytest.raises(DataError, match=r"row \d+, the first row, has no label; fill it in"):
        answered(run, path)


def test_a_missing_line_counts_as_a_row_without_a_label(run, truth):
    path = fill(asked(run).path, truth)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:5], *lines[6:]]) + "\n")
    assert answered(run, path).verdict["labels_used"] == 4
    path.write_text("\n".join([lines[0], *reversed(lines[1:])]) + "\n")  # sorted otherwise: the ids tell the order
    assert answered(run, path).verdict["labels_used"] == len(lines) - 1


def test_a_row_that_shows_none_of_the_classes_counts_for_neither(run, truth):
    path = asked(run).path
    found = answered(run, fill(path, truth, **{f"row{i}": "-" for i in range(60)}))
    assert found.verdict["gain"] == 0 and found.verdict["labels_used"] == len(rows_of(path))
    assert (run.settle / "labels.csv").read_text() == "name,label\n"  # nothing to train with


def test_undecided_says_how_many_more_and_the_rounds_go_on_in_the_same_order(run, truth):
    path = asked(run, rows=5).path
    first = answered(run, fill(path, truth))
    assert (
        first.verdict["answer"] == "cannot_tell" and "more labels are likely to settle it" in first.verdict["sentence"]
    )
    before = rows_of(path)
    more = asked(run, more=True)
    after = rows_of(path)
    assert [(r["id"], r["name"]) for r in after[:5]] == [(r["id"], r["name"]) for r in before]
    assert [r["label"] for r in after[:5]] == [CLASSES[truth[int(r["name"].split()[1])]] for r in before]
    assert more.rows == len(after) > 5 and {r["label"] for r in after[5:]} == {""}
    second = answered(run, fill(path, truth))
    record = run.read()
    assert record["verdict"]["labels_used"] == more.rows == second.given
    assert record["verdict"]["without_labels"]["sentence"] == "Nobody can tell."  # not the first round's
    assert [one["labels"] for one in record["openings"]] == [5, more.rows]
    assert record["verdict"]["warnings"] == ["Beware."]


def test_labels_are_never_lost(run, truth):
    path = asked(run).path
    assert asked(run, rows=3).rows == 3  # no label in it: written anew
    fill(path, truth, upto=2, to=path)
    before = path.read_bytes()
    with pytest.raises(SettingError, match=r"ask.csv: 2 labels are known already; give them with --labels.*--more"):
        asked(run)
    assert path.read_bytes() == before
    assert asked(run, more=True, rows=4).rows == 7
    assert path.read_bytes().startswith(before) and len(rows_of(path)) == 7
    path.unlink()
    answered(run, fill(asked(run, rows=2).path, truth))
    path.unlink()
    with pytest.raises(SettingError, match="2 labels are known already"):  # those that were given
        asked(run)
    assert asked(run, more=True, rows=1).rows == 3 and [r["label"] != "" for r in rows_of(path)] == [True, True, False]


def test_a_label_that_was_changed_later_is_warned_of(run, truth):
    path = asked(run).path
    answered(run, fill(path, truth))
    right = CLASSES[truth[int(rows_of(path)[0]["name"].split()[1])]]
    other = next(name for name in CLASSES if name != right)
    found = answered(run, fill(path, truth, row0=other))
    assert "1 of the labels are not those that were given before" in found.verdict["sentence"]
    assert "1 of the labels" not in answered(run, fill(path, truth, row0=other)).verdict["sentence"]


def test_a_verdict_from_test_labels_is_kept_and_the_other_stands_beside_it(tmp_path, truth):
    tested = {"answer": "cannot_tell", "evidence": "test_labels", "sentence": "This test cannot tell."}
    run = make_run(tmp_path / "run", *truth_and_answers()[1:], verdict=tested)
    found = answered(run, fill(asked(run).path, truth))
    record = run.read()
    assert found.kept and record["verdict"] == tested
    assert record["settled"] == found.verdict and record["settled"]["answer"] == "helped"


def test_what_cannot_be_asked_is_refused(run, truth):
    with pytest.raises(SettingError, match="--rows 0"):
        asked(run, rows=0)
    with pytest.raises(SettingError, match=r"--more: .* is not there"):
        asked(run, more=True)
    asked(run, rows=10_000)
    with pytest.raises(SettingError, match="--more: all 120 rows"):
        asked(run, more=True)


NO_LABELS = {"given": 0, "given_to_start": 0}


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"status": "running"}, "is not finished"),
        ({"online": {}}, "follows a stream"),
        ({"data": {"source": {}}}, "has no target"),
        ({"classes": None}, "predicts numbers"),
        ({"target_labels": NO_LABELS | {"given_to_start": 5}}, "had seen target labels"),
        ({"data": 3}, "run.json: is damaged"),
        ({"data": {"target": {"rows": "many", "shape": [3]}}}, "run.json: is damaged"),
        ({"target_labels": None}, "run.json: is damaged"),
    ],
)
def test_runs_of_which_nothing_can_be_settled_are_refused(tmp_path, more, message):
    run = make_run(tmp_path / "run", *truth_and_answers()[1:], **more)
    with pytest.raises(RunFolderError, match=message):
        asked(run)
    with pytest.raises(RunFolderError, match=message):
        answered(run, tmp_path / "none.csv")
    assert not run.settle.exists()


def test_models_that_hardly_differ_are_refused(tmp_path):
    _, floor, _ = truth_and_answers()
    with pytest.raises(RunFolderError, match="answer alike on all 300 target rows,"):
        asked(make_run(tmp_path / "alike", floor, floor))
    method = floor.copy()
    method[:6] = (method[:6] + 1) % 3
    with pytest.raises(RunFolderError, match=r"differently on 6 of 300 target rows, .* at most 2.0 points"):
        asked(make_run(tmp_path / "nearly", floor, method))
    method[6] = (method[6] + 1) % 3
    assert asked(make_run(tmp_path / "enough", floor, method)).draw.size == 7


def test_a_run_with_one_model_is_refused(run):
    run.predictions.write_text("name,source_only,source_only_confidence\n" + "row 0,cat,0.5\n" * 300)
    with pytest.raises(RunFolderError, match="has one model"):
        asked(run)
    run.predictions.write_text("name,dann,dann_confidence\n" + "row 0,cat,0.5\n" * 300)
    with pytest.raises(RunFolderError, match="has one model"):
        asked(run)


def broken(text, old, new):
    assert old in text
    return text.replace(old, new, 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: "", r"line 1: is empty; its header must be id,name,label"),
        (lambda t: "id,name,label\n\n\n", "has no row"),
        (lambda t: broken(t, "id,name,label", "name,label"), "line 1: is name,label; its header must be id,name,label"),
        (lambda t: broken(t, "id,name,label", "id;name;label"), "line 1: is id;name;label"),
        (lambda t: broken(t, "-1,", "-1,,"), "line 2: has 4 cells"),
        (lambda t: broken(t, "-3,", "-x,"), "line 4: [a-z]+-x is no row of"),
        (lambda t: broken(t, "-3,", "-121,"), r"line 4: [a-z]+-121 is no row of"),
        (lambda t: broken(t, "-3,", "-0,"), r"line 4: [a-z]+-0 is no row of"),
        (lambda t: broken(t, "-3,row ", "-3,raw "), r"line 4: [a-z]+-3 is named row \d+, not raw \d+"),
        (lambda t: broken(t, "-2,", "-1,"), "line 3: .*is named row"),
        (lambda t: t + t.splitlines()[3] + "\n", r"line 12: row \d+ stands on line 4 already; keep one line a row"),
        (lambda t: t + ",".join(t.splitlines()[3].split(",")[:2]) + ",\n", r"there (cat|dog|hen) and here empty"),
        (lambda t: t.replace(",cat", ",cta"), "cta is no class of .*; did you mean cat?"),
        (lambda t: t.replace(",cat", ",0"), "0 is no class of .*; known are -, cat, dog, hen"),
        (lambda t: t.replace(t[14:23], "zzzzzzzz-"), "is a settle file of another run .*like zzzzzzzz-1"),
        (lambda t: broken(t, "row", '"row'), "cannot be read as CSV"),
    ],
)
def test_files_that_cannot_be_are_refused_with_the_line(run, truth, change, message):
    path = fill(asked(run, rows=10).path, truth)
    path.write_text(change(path.read_text()))
    before = run.read()
    with pytest.raises(DataError, match=message) as caught:
        answered(run, path)
    assert str(path) in str(caught.value) and run.read() == before and not (run.settle / "given.csv").exists()


def test_a_conflict_names_both_labels(run, truth):
    path = fill(asked(run, rows=10).path, truth, row2="cat")
    path.write_text(path.read_text() + path.read_text().splitlines()[3].replace(",cat", ",dog") + "\n")
    with pytest.raises(DataError, match="stands on line 4 already, there cat and here dog"):
        answered(run, path)


def test_files_of_other_programs_are_read(run, truth):
    path = fill(asked(run, rows=10).path, truth)
    plain = answered(run, path).verdict
    text = path.read_text().replace("id,name,label", "ID, Name ,Label").replace("\n", " \r\n")
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert answered(run, path).verdict == plain
    path.write_bytes(text.encode("utf-16"))
    with pytest.raises(DataError, match="cannot be read as CSV"):
        answered(run, path)
    with pytest.raises(DataError, match="there is no such file"):
        answered(run, path.with_name("nowhere.csv"))
    with pytest.raises(DataError, match="cannot be read"):
        answered(run, run.path)


def test_an_older_file_in_the_folder_is_not_overwritten(run):
    path = asked(run).path
    path.write_text("id,name,label\nzzzzzzzz-1,row 3,cat\n")
    for more in (False, True):
        with pytest.raises(DataError, match=r"ask.csv: is a settle file of another run .*move the old one away"):
            asked(run, more=more)
    assert "zzzzzzzz-1" in path.read_text()


@given(st.binary(max_size=200))
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_stands_in_a_file_it_is_read_or_refused(run, data):
    drawn = draw(run, methods=METHODS)
    path = run.path / "any.csv"
    tag = drawn.tag.encode()
    for content in (data, b"id,name,label\n" + data, b"id,name,label\n" + tag + b"-1," + data):
        path.write_bytes(content)
        try:
            labels, rows = read_asked(path, drawn)
        except DataError:
            continue
        assert set(labels.values()) <= {*CLASSES, "-"} and 0 <= rows <= drawn.size


def test_the_record_stays_json(run, truth):
    answered(run, fill(asked(run).path, truth))
    json.loads((run.path / "run.json").read_text())
