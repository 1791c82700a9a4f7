"""What the page says of an export and of a budget: from the record alone, whatever a record holds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from juyi.report.budget import budget
from juyi.report.exported import account_lines, exported, milliseconds
from juyi.report.markup import weight

SHARE = {"value": 0.9, "low": 0.85, "high": 0.94, "n": 100}
LATENCY = {"median": 0.1, "tenth": 0.2, "spread": 0.05}
FOUND = {
    "files": {
        "float32": {"path": "export/model.onnx", "bytes": 69_000, "latency": LATENCY},
        "int8": {"path": "export/model.int8.onnx", "bytes": 29_000, "latency": LATENCY},
    },
    "use": "float32", "sentence": "Being slower, it is not advised: use model.onnx.", "has_page": True,
    "costs": {"parameters": 15_738, "macs": 133_740, "peak_activations": 18_816},
    "machine": {"processor": "a processor"},
    "account": [
        {"model": "teacher", "accuracy": SHARE, "calibration_error": 0.01},
        {"model": "hinton", "accuracy": SHARE, "agreement": SHARE, "divergence": 0.25, "calibration_error": 0.02,
         "worst_class": {"class": "<b>cat</b>", **SHARE}},
    ],
    "account_on": "mnist@test", "reference": "teacher", "account_notes": ["a <note>"],
}  # fmt: skip


def test_the_page_names_the_file_to_use_and_links_to_the_trial():
    page = exported({"export": FOUND})
    table = page[page.index("<table") :]
    assert table.index("export/model.onnx") < table.index("advised") < table.index("export/model.int8.onnx")
    assert 'href="export/model.html"' in page and "133,740" in page and "18.8 kB" in page
    assert "90.0 %" in page and "&lt;b&gt;cat&lt;/b&gt;" in page and "<b>cat" not in page and "a &lt;note&gt;" in page
    assert exported({}) == exported({"export": None}) == ""
    assert "model.html" not in exported({"export": {**FOUND, "has_page": False}})


def test_the_lines_are_plain():
    lines = account_lines({**FOUND, "sentence": "one\nline\x1b[0m"})
    assert lines[0] == "export/model.onnx  69 kB  0.1 ms a row" and "hinton: accuracy 90.0 %" in lines[3]
    assert all(line.isprintable() for line in lines)


def test_candidates_are_drawn_over_what_is_not_limited():
    candidates = [{"name": f"net{i}", "parameters": 900 + i, "macs": 10**i, **SHARE} for i in range(1, 4)]
    found = {
        "limits": {"parameters": 1_000},
        "candidates": candidates,
        "chosen": "net2",
        "compared_by": "accuracy on <x>",
    }
    drawn = {}
    page = budget({"budget": found}, drawn)
    traces = drawn["candidates"]["only"]["data"]
    assert [trace["x"] for trace in traces] == [[10], [100], [1000]]
    assert [trace["marker"]["color"] for trace in traces] == ["@before", "@after", "@before"]
    assert "at most 1,000 parameters" in page and "net2 <small>taken" in page and "accuracy on &lt;x&gt;" in page
    assert budget({}, {}) == "" and "candidates" not in (none := {}) and budget({"budget": {}}, none) == ""


@pytest.mark.parametrize("part", sorted(FOUND))
@given(junk=st.one_of(st.none(), st.just({}), st.just([]), st.just("")))
def test_a_part_that_is_missing_does_not_break_the_page(part, junk):
    record = {**FOUND, part: junk}
    assert "export" in exported({"export": record}) and account_lines(record)


@given(st.one_of(st.none(), st.integers(0, 10**15), st.floats(0, 1e15), st.text()))
def test_sizes_and_times_are_always_words(value):
    for written in (weight(value), milliseconds(value)):
        assert written and written.isprintable()
