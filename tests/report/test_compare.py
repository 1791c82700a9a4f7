"""Several runs beside one another: disagreement by hand, ranking only where the test allows it, a page that is safe."""

import json
from html.parser import HTMLParser

import numpy as np
import pytest

from juyi.errors import SettingError
from juyi.measure import paired_difference
from juyi.report import compare, disagreement_lines, write_comparison
from juyi.report.comparison_page import render
from juyi.report.predictions import Predictions, disagreement

HOSTILE = '</script><img src=x onerror="alert(1)"><b>&amp;\u2028'


@pytest.fixture(autouse=True)
def small_plotly(monkeypatch):
    monkeypatch.setattr("juyi.report.page.get_plotlyjs", lambda: "window.Plotly = {};")


def said_of(names, classes):
    return Predictions(tuple(names), np.array(classes.split(), object))


# disagreement


@pytest.mark.parametrize(
    ("first", "second", "share"),
    [
        ("zero one two one", "zero one two one", 0.0),
        ("zero one two one", "zero one two two", 0.25),
        ("zero one two one", "one two zero two", 1.0),
    ],
)
def test_disagreement_is_the_share_of_rows_that_differ(first, second, share):
    assert disagreement(said_of("abcd", first), said_of("abcd", second)) == share
    assert disagreement(said_of("abcd", second), said_of("abcd", first)) == share


def test_rows_are_joined_by_name_and_not_by_place():
    assert disagreement(said_of("abcd", "zero one two one"), said_of("dcba", "one two one zero")) == 0.0
    assert disagreement(said_of("abcd", "zero one two one"), said_of("dcba", "zero one two one")) == 1.0


@pytest.mark.parametrize("names", ["abce", "abcc", "ccab"])
def test_rows_that_cannot_be_matched_have_none(names):
    assert disagreement(said_of("abcd", "zero one two one"), said_of(names, "zero one two one")) is None
    assert disagreement(said_of("abcd", "zero one two one"), said_of("abc", "zero one two")) is None
    assert disagreement(said_of("", ""), said_of("", "")) is None


def test_it_bounds_the_difference_of_accuracies_whatever_the_labels_are():
    rng = np.random.default_rng(0)
    for _ in range(100):
        first, second, labels = rng.integers(0, 3, (3, 20)).astype(str).astype(object)
        gap = abs(np.mean(first == labels) - np.mean(second == labels))
        names = tuple(map(str, range(20)))
        assert gap <= disagreement(Predictions(names, first), Predictions(names, second)) + 1e-12


def test_the_matrix_is_in_the_order_given(runs):
    found = compare(runs(a={}, b={"says": "zero one two two"}, c={"says": "one one two two"}))
    assert found.disagreement == ((None, 0.25, 0.5), (0.25, None, 0.25), (0.5, 0.25, None))
    lines = disagreement_lines(found)
    assert lines[0] == "disagreement: share of the 4 target rows for which two runs predict differently"
    assert lines[2].split()[2:] == ["–", "25.0", "%", "50.0", "%"]
    assert "differ by at most their disagreement" in lines[-1]


def test_many_runs_have_their_matrix_on_the_page_only(runs):
    found = compare(runs(**{f"run{i}": {"says": f"zero one two {'one' if i else 'two'}"} for i in range(9)}))
    assert "  0.0 % to 25.0 %; the page has them all" in disagreement_lines(found)
    assert len(disagreement_lines(found)) == 3
    assert "texttemplate" not in render(found) and render(found).count("25.0 %") > 16


def test_runs_without_a_target_or_with_another_have_a_dash_and_the_reason(runs):
    a, b, c = runs(a={}, b={}, c={})
    record = b.read()
    record["data"]["target"] |= {"name": "elsewhere", "fingerprint": "33"}
    b.write(record)
    record = c.read()
    del record["data"]["target"]
    c.write(record)
    found = compare([a, b, c])
    assert found.disagreement == ((None,) * 3,) * 3
    assert found.reasons == {
        (0, 1): "their targets differ",
        (0, 2): f"without a target: {c.path}",
        (1, 2): f"without a target: {c.path}",
    }
    assert f"{a.path} and {b.path}: not known, their targets differ" in render(found)
    assert f"no disagreement of {a.path} and {b.path}: their targets differ" in disagreement_lines(found)


def test_labels_that_were_given_change_the_fingerprint_but_not_the_rows(runs):
    a, b = runs(a={}, b={"says": "zero one two two"})
    record = b.read()
    record["data"]["target"]["fingerprint"] = "other"
    b.write(record)
    assert compare([a, b]).standing.answer == "not_comparable"
    b.write({**record, "target_labels": {"given": 3}})
    found = compare([a, b])
    assert found.disagreement[0][1] == 0.25 and found.standing.answer != "not_comparable"
    assert any(f"target labels were given to {b.path} (3)" in line for line in found.warnings)
    assert found.rows[1].cells()["method"] == "dann, saw 3 target labels"
    b.predictions.write_text(b.predictions.read_text().replace("a,zero", "z,zero"))
    assert compare([a, b]).reasons == {(0, 1): "their targets differ"}


# which is best


def test_rows_are_in_the_order_given_and_the_same_floor_is_there_once(runs):
    found = compare(runs(low={"right": 300, "method": "mcc"}, high={}, other={"right_floor": 261}))
    assert [(row.model, row.is_floor, len(row.runs)) for row in found.rows] == [
        ("mcc", False, 1), ("dann", False, 1), ("dann", False, 1), ("source_only", True, 2), ("source_only", True, 1)
    ]  # fmt: skip
    assert found.rows[3].runs == found.runs[:2]


def test_the_best_is_named_where_its_interval_is_above_all_others(runs):
    found = compare(runs(low={"right": 300, "method": "mcc"}, high={"right": 421}))
    assert found.standing.answer == "best" and found.standing.best is found.rows[1]
    assert found.standing.sentence == f"Best on digits_m@test: {found.runs[1]} (dann), 84.2 %, apart from every other."
    assert [row["best"] for row in found.as_json()["rows"]] == [False, True, False]


def test_overlapping_intervals_are_not_told_apart(runs):
    found = compare(runs(a={"right": 421}, b={"right": 400, "method": "mcc"}))
    assert found.standing.answer == "cannot_tell" and found.standing.best is None
    assert "cannot tell which is best" in found.standing.sentence
    assert found.standing.sentence.endswith(f"may explain its lead over {found.runs[1]} (mcc).")
    assert 'class="best"' not in render(found)


def test_beside_its_own_floor_a_run_is_judged_by_the_paired_interval(runs):
    n = np.arange(500)
    assert paired_difference(n < 290, n < 270).low > 0  # though the two intervals overlap
    found = compare(runs(a={"right": 290, "right_floor": 270}, b={"right": 200, "right_floor": 270}))
    assert found.standing.answer == "best" and found.standing.best is found.rows[0]


def test_not_transferring_may_be_best_and_harm_is_said_first(runs):
    a, b = runs(a={"right": 300, "right_floor": 400}, b={"right": 310, "right_floor": 400, "method": "mcc"})
    record = a.read()
    a.write({**record, "warnings": ["dann hardly ever predicts two."]})
    found = compare([a, b])
    assert found.standing.best is found.rows[2] and found.rows[2].is_floor
    assert found.standing.sentence.endswith("So not transferring is best.")
    assert found.warnings[:2] == (f"{a.path} (dann): transfer hurt.", f"{b.path} (mcc): transfer hurt.")
    assert f"{a.path}: dann hardly ever predicts two." in found.warnings
    assert found.rows[0].cells()["gain over the floor"].endswith(": hurt")


def test_a_student_from_the_labels_alone_is_the_floor_of_distillation(runs):
    a, b = runs(a={"right": 290, "right_floor": 270}, b={"right": 200, "right_floor": 270})
    for run in (a, b):
        run.path.joinpath("run.json").write_text(
            run.path.joinpath("run.json").read_text().replace("source_only", "student_alone")
        )
    found = compare([a, b])
    assert [(row.model, row.is_floor) for row in found.rows[2:]] == [("student_alone", True)]
    assert found.standing.best is found.rows[0] and found.rows[0].cells()["gain over the floor"].endswith(": helped")


def test_different_tests_are_shown_but_not_ranked(runs):
    a, b = runs(a={}, b={"right": 100})
    record = b.read()
    record["data"]["test"]["fingerprint"] = "44"
    b.write(record)
    found = compare([a, b])
    assert found.standing.answer == "not_comparable" and found.standing.best is None
    assert "their tests differ" in found.standing.sentence and "targets" not in found.standing.sentence
    assert f"digits_m@test, 500 rows, fingerprint 44: {b.path}" in found.standing.sentence
    assert len(found.rows) == 4 and found.disagreement[0][1] == 0.0


def test_results_on_other_data_are_not_ranked_whatever_the_record_says_of_the_test(runs, result):
    a, b = runs(a={}, b={"results": [result("dann", 100, on={"data": "other@test", "role": "test"})]})
    found = compare([a, b])
    assert found.standing.sentence == "These runs cannot be ranked: their results are on different data."


def test_answers_to_a_stream_are_marked_as_scored_otherwise(runs):
    found = compare(runs(a={}, b={"online": {"scored": "the answers as the stream passed"}}))
    assert any("scored in one way" in line for line in found.warnings)


def test_without_a_test_nothing_is_ranked_and_the_source_is_named(runs, result):
    pair = runs(a={}, b={})
    for run in pair:
        record = run.read()
        del record["data"]["test"]
        run.write({**record, "results": [result("dann", 480, role="source_validation")]})
    found = compare(pair)
    assert "no labelled test of the target was given" in found.standing.sentence
    assert found.rows[0].cells()["on"] == "digits@train (source, held out), 500 rows"
    assert found.disagreement[0][1] == 0.0


# cost


def test_time_and_memory_are_shown_and_what_was_not_recorded_is_said_to_be(runs):
    found = compare(runs(a={}, b={"peak_memory": None, "seconds": {"source_only": 100.0, "dann": 200.0}}))
    cells = [row.cells() for row in found.rows]
    assert [cell["training"] for cell in cells] == ["40.1 s", "3.3 min", "12.3 s to 1.7 min"]
    assert [cell["peak memory"] for cell in cells] == ["700 MB", "not recorded", "–"]


def test_times_of_different_machines_do_not_compare(runs):
    said = "times do not compare"
    assert not any(said in note for note in compare(runs(a={}, b={})).notes)
    assert any(said in note for note in compare(runs(c={}, d={"machine": {"processor": "other"}})).notes)


def test_only_settings_that_differ_are_listed(runs):
    found = compare(runs(a={}, b={"hyperparameters": {"critic_width": 50, "reversal": 1.0}, "seed": 3}))
    assert dict(found.settings) == {"seed": (0, 3), "critic width": (100, 50)}


# the page


class Reader(HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.tags, self.text, self.scripts, self.inside = [], "", [], ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.inside = tag

    def handle_endtag(self, tag):
        self.inside = ""

    def handle_data(self, data):
        if self.inside == "script":
            self.scripts.append(data)
        elif self.inside != "style":
            self.text += data


def test_the_page_has_everything_and_asks_for_nothing(runs, tmp_path):
    found = compare(runs(a={}, b={"right": 300, "method": "mcc", "says": "zero one two two"}))
    page = write_comparison(found, tmp_path / "comparison.html").read_text(encoding="utf-8")
    reader = Reader(page)
    sections = [a["id"] for tag, a in reader.tags if tag == "section" and "id" in a]
    assert sections == ["accuracies", "runs", "disagreement", "settings", "notes"]
    assert "default-src 'none'" in page and not [a for _, a in reader.tags if "src" in a]
    assert all(a["href"].startswith("#") for _, a in reader.tags if "href" in a)
    for words in (
        "Best on digits_m@test",
        "84.2 %",
        "80.7 to 87.1",
        "700 MB",
        "25.0 %",
        "helped",
        "All on digits_m@test",
    ):
        assert words in reader.text.replace("\N{NO-BREAK SPACE}", " "), words
    charts = json.loads(reader.scripts[0])
    assert set(charts) == {"accuracy", "matrix"}
    (bars,) = charts["accuracy"]["only"]["data"]
    assert bars["x"] == [0.842, 0.6, 0.52]
    assert bars["x"][0] + bars["error_x"]["array"][0] == pytest.approx(found.rows[0].result["high"])
    assert bars["x"][0] - bars["error_x"]["arrayminus"][0] == pytest.approx(found.rows[0].result["low"])
    assert charts["matrix"]["only"]["data"][0]["z"] == [[None, 0.25], [0.25, None]]


def test_hostile_names_are_inert_everywhere(runs):
    a, b = runs(**{"a": {}, HOSTILE.replace("/", "|"): {}})
    record = b.read()
    for role in ("source", "target", "test"):
        record["data"][role]["name"] = HOSTILE + role
    record["hyperparameters"] = {HOSTILE: HOSTILE}
    record["warnings"] = [HOSTILE]
    record["network"] = {"name": HOSTILE}
    for result in record["results"]:
        result["on"]["data"] = HOSTILE
        result["model"] = result["model"].replace("dann", HOSTILE)
    record["serves"] = HOSTILE
    record["classes"] = [HOSTILE, "two", "one"]
    b.write(record)
    head = '"' + HOSTILE.replace('"', '""') + '"'
    text = b.predictions.read_text().replace(",dann,", f",{head},").replace("zero,0.9", f"{head},0.9")
    b.predictions.write_text(text)
    page = render(compare([a, b]))
    reader = Reader(page)
    assert {tag for tag, _ in reader.tags} & {"img", "b"} <= {"b"}  # <b> is the page's own
    assert page.count("<script") == 3 and not any(name.startswith("on") for _, a in reader.tags for name in a)
    assert HOSTILE in reader.text and "<img" not in page


def test_a_page_that_is_there_is_kept_unless_told(runs, tmp_path):
    found = compare(runs(a={}, b={}))
    place = tmp_path / "comparison.html"
    place.write_text("mine")
    with pytest.raises(SettingError, match="--overwrite"):
        write_comparison(found, place)
    assert place.read_text() == "mine"
    write_comparison(found, place, overwrite=True)
    assert place.read_text().startswith("<!DOCTYPE html>")
    with pytest.raises(SettingError, match="is a folder"):
        write_comparison(found, tmp_path, overwrite=True)
