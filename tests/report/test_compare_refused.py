"""Runs that cannot be compared: each is named, with what is wrong about it."""

import pytest

from juyi.errors import ForeignFileError, RunFolderError, SettingError
from juyi.report import compare
from juyi.report.comparison_page import render


def test_fewer_than_two_or_one_twice(runs, tmp_path):
    a, b = runs(a={}, b={})
    for few in ([], [a]):
        with pytest.raises(SettingError, match="at least two"):
            compare(few)
    with pytest.raises(SettingError, match="named twice"):
        compare([a, b, tmp_path / "b" / ".." / "a"])


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"serves": None}, "serves is no str"),
        ({"results": {}}, "results is no list"),
        ({"results": [1]}, "a result is no dict"),
        ({"results": [{"model": ["dann"], "value": 1.0}]}, "names no model"),
        ({"data": {"target": "digits"}}, "target is no dict"),
        ({"verdict": []}, "verdict is no dict"),
        ({"status": "running"}, "juyi resume"),
        ({"status": "failed"}, r"not finished \(failed\)"),
    ],
)
def test_records_that_cannot_be_compared(runs, change, word):
    a, b = runs(a={}, b={})
    b.write({**b.read(), **change})
    with pytest.raises(RunFolderError, match=word) as caught:
        compare([a, b])
    assert str(b.path) in str(caught.value)


@pytest.mark.parametrize("number", ["NaN", "Infinity"])
def test_numbers_that_json_does_not_have(runs, number):
    a, b = runs(a={}, b={})
    path = b.path / "run.json"
    path.write_text(path.read_text().replace("700000000", number))
    with pytest.raises(RunFolderError, match="not finite"):
        compare([a, b])


@pytest.mark.parametrize("size", ["-1", "1e400", "1" + "0" * 400, '"a"', "true", "[]", "{}"])
def test_values_of_another_kind_do_not_stop_it(runs, size):
    a, b = runs(a={}, b={})
    for name in ("700000000", "40.1"):
        text = (b.path / "run.json").read_text()
        (b.path / "run.json").write_text(text.replace(name, size))
    try:
        assert render(compare([a, b]))
    except RunFolderError as error:
        assert "not finite" in str(error)


@pytest.mark.parametrize(
    ("damage", "word"),
    [
        (lambda text: text[:-6], "row 4 is not"),
        (lambda text: "\n".join(text.splitlines()[:-1]) + "\n", "3 rows, run.json says 4"),
        (lambda text: text + text.splitlines()[-1] + "\n", "5 rows, run.json says 4"),
        (lambda text: text.replace("two", "elephant"), "row 3 is not"),
        (lambda text: text.replace("dann,", "adda,"), "no column name or dann"),
        (lambda text: text.replace("c,zero", "c,zero,zero"), "row 3 is not"),
        (lambda text: "", "no column name or dann"),
        (lambda text: text.replace("a,zero", '"a,zero'), "row 1 is not"),
        (lambda text: "x" * 200_000 + text, "is damaged"),
    ],
)
def test_damaged_predictions(runs, damage, word):
    a, b = runs(a={}, b={})
    b.predictions.write_text(damage(b.predictions.read_text()))
    with pytest.raises(ForeignFileError, match=word) as caught:
        compare([a, b])
    assert str(b.predictions) in str(caught.value)


def test_predictions_that_are_no_text_or_not_there(runs):
    a, b = runs(a={}, b={})
    b.predictions.write_bytes(b"name,dann\n\xff\xfe,zero\n")
    with pytest.raises(ForeignFileError, match="is damaged"):
        compare([a, b])
    b.predictions.unlink()
    with pytest.raises(ForeignFileError, match="no such file"):
        compare([a, b])
