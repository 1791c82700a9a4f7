"""The section on what is known without labels: from whatever a record holds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from juyi.report.without_labels import without_labels

RECORD = {
    "method": "auto",
    "serves": "mcc",
    "choice": {
        "name": "mcc",
        "judged": "mcc",
        "evidence": {
            "mcc": {"answer": "helped", "jury": {"value": 0.05, "low": 0.03, "high": 0.07}, "flags": []},
            "dann": {"answer": "hurt", "jury": None, "flags": ["misses class <b>9</b>"]},
        },
    },
    "without_labels": {
        "accuracy": {
            "source_only": {"name": "confidence_transport", "value": 0.6, "low": 0.55, "high": 0.65},
            "mcc": {"name": "accuracy_of_adapted", "value": None, "low": 0.4, "high": 0.8},
            "dann": {"name": "accuracy_of_adapted", "value": None, "low": None, "high": None},
        },
        "evidence": {"answer": "helped"},
    },
    "rehearsal": {"gain": 0.1, "low": 0.05, "high": 0.15, "n": 300, "accuracy": 0.7, "accuracy_floor": 0.6},
}


def test_it_shows_the_estimate_the_interval_and_the_jury():
    page = without_labels(RECORD)
    for words in ("60.0 %", "55.0 to 65.0 %", "40.0 to 80.0 %", "+5.0 points (+3.0 to +7.0)", "seems to have helped"):
        assert words in page
    assert "serves, chosen" in page and "unknown" in page and "300 rows" in page


def test_what_a_file_says_is_inert():
    assert "<b>9</b>" not in without_labels(RECORD) and "&lt;b&gt;9" in without_labels(RECORD)


@pytest.mark.parametrize("part", ["choice", "without_labels", "rehearsal", "method", "serves"])
@given(broken=st.one_of(st.none(), st.integers(), st.text(max_size=9), st.lists(st.integers(), max_size=3)))
def test_a_damaged_record_breaks_nothing(part, broken):
    assert isinstance(without_labels({**RECORD, part: broken}), str)


def test_without_it_there_is_no_section():
    assert without_labels({"verdict": {}}) == ""
