"""The page of how far apart two sets of data are: what it says, what it leaves out, and how a browser shows it."""

import numpy as np
import pytest

from juyi.errors import SettingError
from juyi.measure import Estimate, maps_figure
from juyi.measure.figures import picture
from juyi.report import write_similarity
from juyi.report.similarity_page import render

pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
from report.browsing import NEEDS_BROWSER, open_file, wait

HOSTILE = '</script><img src=x onerror="document.title=1">'


def result(group, name, value=0.5, **more):
    low, high = (None, None) if value is None else (value - 0.1, value + 0.1)
    estimate = Estimate(name, value, low, high, 100, 80, **{"note": f"the note of {name}", **more})
    return {"group": group, **estimate.as_json()}


def make(names=("there", "here"), classes=("zero", "one"), column="wing length"):
    """All that the page can hold, made by hand."""
    rng = np.random.default_rng(0)
    clouds = (rng.normal(size=(30, 3)), rng.normal(size=(20, 3)) + 3)
    image = picture(rng.integers(0, 256, (3, 8, 8), np.uint8))
    rows = [{"name": f"{names[0]}/{i}.png", "probability": 0.25, "png": image} for i in range(3)]
    groups = [{"side": side, "most": most, "rows": rows} for side in ("source", "target") for most in (True, False)]
    scores = [[result("", "leep", v).copy() for v in (-1.0, -1.05, -2.0)], [result("", "mmd", v) for v in (1, 2, 3)]]
    for one in (*scores[0], *scores[1]):
        one.pop("group")
    ranked = [
        {"candidate": f"{names[0]}{i}", "cannot_be_told_from_best": i < 2, "scores": [scores[0][i], scores[1][i]]}
        for i in range(3)
    ]
    return {
        "source": names[0],
        "target": names[1],
        "backbone": "pixels",
        "answer": "far",
        "sentence": "They are far apart. It is no verdict.",
        "results": [
            result("distance", "proxy_a_distance", 1.8),
            result("distance", "mmd", p_value=0.002),
            result("feature", f"feature_tests[{column}]", p_value=1e-9),
            result("feature", "feature_tests[weight]", 0.2, p_value=0.7),
            result("classifier", "accuracy_source", 0.9),
            result("bound", "ben_david_bound", 3.2, note="estimated bound; vacuous: no better than chance, 0.5"),
            result("bound", "mansour_bound", None, note="unknown: there are no labels"),
            result("bound", "dis2_bound", 0.61),
            result("transferability", "log_me", -0.3),
        ],
        "ranking": {"kind": "sources", "by": "leep", "sentence": "Cannot tell.", "rows": ranked, "notes": ["a score"]},
        "figures": {
            "map": maps_figure({"pixels": clouds}, np.arange(30) % 2, {"pixels": np.arange(20) % 2}, classes, 0),
            "overlap": {"edges": [0, 0.5, 1], "source": [0.9, 0.1], "target": [0.2, 0.8]},
            "typical": {"kind": "images", "groups": groups},
            "medians": {column: [1.25, -3.5]},
            "class_shares": {
                "classes": list(classes),
                "series": [
                    {"name": "source, by its labels", "shares": [0.5, 0.5], "colour": "@neutral"},
                    {"name": "target", "shares": [0.2, 0.8], "low": [0.1, 0.7], "high": [0.3, 0.9], "colour": "@after"},
                ],
            },
        },
        "warnings": [f"beware of {names[0]}"],
        "notes": ["what was done"],
        "data": {"source": {"name": names[0], "rows": 100, "notes": ["x"]}, "target": {"name": names[1], "rows": 80}},
        "settings": {"seed": 0},
        "seconds": 12.3,
        "command": "juyi measure there here",
        "started": "2026-03-04T10:22:31+00:00",
        "versions": {"juyi": "0.1.0"},
    }


SECTIONS = (
    "warnings", "ranking", "distances", "clouds", "features", "typical", "theory", "shares", "transferability",
    "notes", "settings",
)  # fmt: skip


def test_everything_stands_on_the_page_in_order():
    page = render(make())
    places = [page.index(f'<section id="{name}"') for name in SECTIONS]
    assert places == sorted(places)
    for words in ("They are far apart.", "95.0 %", "MMD²", "0.002", "wing length", "−3.5", "says nothing", "61.0 %",
                  "the note of mmd", "cannot be told from the best", "12.3 s", "juyi measure there here"):  # fmt: skip
        assert words in page, words
    assert page.count('<img src="data:image/png;base64,') == 12
    assert "http" not in page.partition("<script>")[0].replace("http-equiv", "")


def test_a_bound_that_says_nothing_is_not_shown_as_a_figure_to_hope_for():
    content = make()
    content["results"] = [result("bound", "dis2_bound", 0.4, note="vacuous: no better than chance, 0.5")]
    page = render(content)
    assert "says nothing" in page and "accuracy here <small>" not in page
    content["results"] = [result("bound", "dis2_bound", None, note="unknown: there are no labels")]
    assert "<b>unknown</b>" in render(content) and "unknown: there are no labels" in render(content)


@pytest.mark.parametrize("gone", [*make(), *(f"figures.{name}" for name in make()["figures"])])
def test_a_part_that_is_not_there_is_left_out(gone):
    content = make()
    part, _, name = gone.partition(".")
    if name:
        content[part].pop(name)
    else:
        content.pop(part)
    assert render(content).startswith("<!DOCTYPE html>")


def test_an_empty_content_is_a_page_without_scripts():
    page = render({})
    assert "<script" not in page and "script-src 'none'" in page


def test_rows_of_a_table_are_shown_with_their_columns():
    content = make()
    row = {"name": "17", "probability": 0.97, "because": [["wing length", 3.25], ["weight", -1e-3]]}
    groups = [{"side": "target", "most": True, "rows": [row]}]
    content["figures"]["typical"] = {"kind": "rows", "groups": groups}
    assert "wing length 3.25, weight −0.001" in render(content)


def test_names_from_data_are_text_on_the_page():
    page = render(make((HOSTILE, HOSTILE), (HOSTILE, "one"), HOSTILE))
    assert "<img src=x" not in page and page.count("</script>") == 3
    assert "&lt;/script&gt;&lt;img src=x onerror=&quot;" in page


def test_a_page_is_replaced_only_if_asked(tmp_path):
    page = write_similarity(make(), tmp_path / "measure.html")
    with pytest.raises(SettingError, match="is there already"):
        write_similarity({}, page)
    assert "They are far apart" in page.read_text(encoding="utf-8")
    write_similarity({}, page, overwrite=True)
    assert "They are far apart" not in page.read_text(encoding="utf-8")
    assert [path.name for path in tmp_path.iterdir()] == ["measure.html"]


@pytest.mark.parametrize("name", ["there", HOSTILE], ids=["plain", "hostile"])
@pytest.mark.parametrize("width", [1100, 390])
class TestInABrowser:
    pytestmark = NEEDS_BROWSER

    def test_it_draws_everything_fits_the_screen_and_loads_nothing(self, browser, tmp_path, name, width):
        page = write_similarity(make((name, "here"), (name, "one"), name), tmp_path / "measure.html")
        screen = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        messages, asked = open_file(browser, page)
        assert messages == [] and [a for a in asked if not a.startswith("data:")] == [page.as_uri()]
        wait(browser, "document.querySelectorAll('#map .point').length == 50")
        wait(browser, "document.querySelectorAll('#overlap .bars .point path').length == 4")
        wait(browser, "document.querySelectorAll('#features-chart .bars .point path').length == 2")
        wait(browser, "document.querySelectorAll('#shares-chart .bars .point path').length == 4")
        wait(browser, "document.querySelectorAll('#ranking-chart .point').length == 3")
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
        assert browser.title == f"{name} and here: how far apart? – Juyi"
        wait(browser, "[...document.images].every(image => image.naturalWidth == 8)")
        browser.execute_script("document.querySelector('input[value=class]').click()")
        wait(browser, "!document.querySelector('.key.class').hidden")
