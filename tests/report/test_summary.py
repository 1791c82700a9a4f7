import pytest

from juyi.report import summary_lines
from juyi.report.summary import headline


def test_both_accuracies_with_intervals_and_the_verdict(record):
    lines = summary_lines(record())
    assert lines[0] == "accuracy on digits_m@test, 500 rows (95 % interval)"
    assert lines[1] == "  source_only  52.0 %  (47.6 to 56.3)"
    assert lines[2] == "  dann         84.2 %  (80.7 to 87.1)"
    assert lines[3].startswith("Adapting helped: dann is right on 84.2 %")
    assert len(lines) == 4


def test_hurt_is_said_before_any_figure(record):
    assert summary_lines(record(right=200))[0].startswith("Adapting hurt")


def test_the_test_set_says_more_than_the_held_out_source(record, result):
    content = record()
    content["results"] = [result("source_only", 480, role="source_validation"), *content["results"]]
    assert {r["on"]["role"] for r in headline(content)} == {"test"}
    content["results"] = content["results"][:1]
    assert "digits@train (source, held out), 500 rows" in summary_lines(content)[0]


def test_different_data_and_measures_are_not_mixed(record, result):
    content = record()
    content["results"].append(result("dann", 100, on={"data": "other@test", "role": "test"}))
    content["results"].append(result("dann", 100, name="balanced_accuracy"))
    assert len(headline(content)) == 2


def test_an_oracle_is_marked(record, result):
    content = record()
    content["results"].append(result("target_only", 490, saw_target_labels=True))
    assert [line for line in summary_lines(content) if "saw target labels" in line] == [
        "  target_only  98.0 %  (96.4 to 98.9)  saw target labels"
    ]


def test_warnings_follow_unless_the_sentence_has_them(record):
    content = record()
    content["warnings"] = ["The images were resized.", "It collapsed."]
    content["verdict"]["sentence"] += " Warning: It collapsed."
    assert summary_lines(content)[4:] == ["Warning: The images were resized."]


@pytest.mark.parametrize(
    "content",
    [{}, {"results": None, "verdict": None}, {"results": [{}, 3, {"value": None}]}, {"results": [{"value": 2.5}]}],
)
def test_absent_parts_are_no_error(content):
    assert summary_lines(content) == []


def test_regression_is_shown_as_a_plain_number():
    on = {"data": "weather@test", "role": "test"}
    content = {
        "results": [{"name": "mean_absolute_error", "model": "dann", "value": 3.14159, "low": 3, "high": 3.3, "on": on}]
    }
    assert summary_lines(content)[1] == "  dann  3.142  (3 to 3.3)"


def test_names_cannot_steer_the_terminal(record):
    content = record()
    content["warnings"] = ["a class named \x1b[2J\nwas skipped"]
    assert summary_lines(content)[-1] == "Warning: a class named  [2J was skipped"
