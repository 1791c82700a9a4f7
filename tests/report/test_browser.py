"""Open the page as a person does: from a file, in a browser, without network."""

import csv
import json

import numpy as np
import pytest

from juyi.measure import settle, verdict_from_labels
from juyi.measure.figures import picture
from juyi.report import compare, write_comparison, write_report
from juyi.report.sheet import write_sheet

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
from selenium.webdriver.support.ui import Select, WebDriverWait  # noqa: E402

from report.browsing import NEEDS_BROWSER, ask, open_file, prefer, wait  # noqa: E402

pytestmark = NEEDS_BROWSER
HOSTILE = '</script><img src=x onerror="document.title=1">'


def open_page(browser, run):
    """Open the report of a run."""
    return open_file(browser, write_report(run))


def test_the_page_opens_without_errors_and_asks_for_nothing(browser, make_run, tmp_path):
    run = make_run(tmp_path / "run")
    messages, asked = open_page(browser, run)
    assert messages == []
    assert {address.split(":")[0] for address in asked} <= {"file", "data"}
    assert [address for address in asked if address.startswith("file")] == [run.report.as_uri()]
    assert ask(browser, "performance.getEntriesByType('resource').filter(e => !e.name.startsWith('data:')).length") == 0
    for chart, marks in (("map-0", ".point"), ("map-1", ".point"), ("balance", ".bars path"), ("loss-1", ".js-line")):
        wait(browser, f"document.querySelectorAll('#{chart} {marks}').length > 0")
    assert ask(browser, "document.querySelectorAll('#map-0 .point').length") == 70
    assert ask(browser, "[...document.images].every(image => image.naturalWidth == 8)")
    assert ask(browser, "document.documentElement.scrollWidth <= window.innerWidth")


COLOURS = "[...new Set([...document.querySelectorAll('#map-0 .point')].map(p => p.style.fill))]"


def test_the_switch_recolours_the_maps_by_class(browser, make_run, tmp_path):
    open_page(browser, make_run(tmp_path / "run"))
    wait(browser, f"{COLOURS}.length == 2")
    before = ask(browser, COLOURS)
    outline = "p.getAttribute('d')[1] + p.getAttribute('d').length"
    shapes = f"new Set([...document.querySelectorAll('#map-0 .point')].map(p => {outline})).size"
    assert ask(browser, shapes) == 1
    browser.execute_script("document.querySelector('input[value=class]').click()")
    wait(browser, f"{COLOURS}.length == 3")
    assert not set(before) & set(ask(browser, COLOURS)) and ask(browser, shapes) == 2
    assert ask(browser, "document.querySelector('.key.domain').hidden && !document.querySelector('.key.class').hidden")
    browser.execute_script("document.querySelector('input[value=domain]').click()")
    wait(browser, f"{COLOURS}.length == 2")
    assert ask(browser, COLOURS) == before


def test_dark_mode_changes_the_page_and_the_charts_at_once(browser, make_run, tmp_path):
    open_page(browser, make_run(tmp_path / "run"))
    light = lambda: sum(ask(browser, "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"))  # noqa: E731
    wait(browser, f"{COLOURS}.length == 2")
    before = ask(browser, COLOURS)
    assert light() > 700
    prefer(browser, "dark")
    wait(browser, f"!{COLOURS}.includes({json.dumps(before[0])})")
    assert light() < 120
    prefer(browser, "light")
    wait(browser, f"{COLOURS}.includes({json.dumps(before[0])})")


def test_the_page_fits_a_phone(browser, make_run, tmp_path):
    screen = {"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    try:
        open_page(browser, make_run(tmp_path / "run"))
        wait(browser, f"{COLOURS}.length == 2")
        assert ask(browser, "document.documentElement.scrollWidth") == 360
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_hostile_names_run_nothing_and_are_shown_as_text(browser, make_run, tmp_path):
    run = make_run(tmp_path / "run", None, [f"{HOSTILE}{i}" for i in range(3)])
    messages, asked = open_page(browser, run)
    wait(browser, "document.querySelectorAll('#balance .bars path').length > 0")
    assert messages == [] and {a.split(":")[0] for a in asked} <= {"file", "data"}
    assert ask(browser, "document.title") == "dann: digits@train → digits_m@train – Juyi"
    assert ask(browser, "[...document.images].every(image => image.src.startsWith('data:image/png'))")
    assert HOSTILE + "0" in ask(browser, "document.querySelector('.key.class').textContent")
    assert ask(browser, "document.querySelector('#balance .xtick').textContent").startswith("</script>")


@pytest.fixture
def comparison(make_comparable, tmp_path):
    """The page of three runs, one of them in a folder with a hostile name and with hostile classes."""
    hostile = HOSTILE.replace("/", "|")
    runs = [make_comparable(tmp_path / "one", "dann"), make_comparable(tmp_path / "two", "mcc", 300)]
    record = runs[0].read()
    record["data"]["source"]["name"] = record["results"][0]["on"]["data"] = HOSTILE
    runs.append(make_comparable(tmp_path / hostile, "adda", says="two one two zero", **{"data": record["data"]}))
    return write_comparison(compare(runs), tmp_path / "comparison.html")


def test_a_comparison_opens_without_errors_and_hostile_names_are_text(browser, comparison):
    messages, asked = open_file(browser, comparison)
    assert messages == []
    assert [a for a in asked if not a.startswith("data:")] == [comparison.as_uri()]
    wait(browser, "document.querySelectorAll('#accuracy .bars .point path').length == 4")
    wait(browser, "document.querySelectorAll('#matrix .heatmap-label').length == 9")
    assert (
        ask(browser, "document.querySelectorAll('#accuracy .errorbar').length") == 4
    )  # three runs, and the floor once
    assert ask(browser, "document.title") == "Comparison of 3 runs – Juyi"
    assert ask(browser, "document.images.length") == 0
    assert HOSTILE in ask(browser, "document.querySelector('#settings').textContent")
    assert HOSTILE.replace("/", "|") in ask(browser, "document.querySelector('#runs').textContent")
    assert ask(browser, "document.documentElement.scrollWidth <= window.innerWidth")


def test_a_comparison_follows_the_theme_and_keeps_its_size(browser, comparison):
    open_file(browser, comparison)
    heights = "[...document.querySelectorAll('.chart')].map(c => c.offsetHeight)"
    colours = "[...new Set([...document.querySelectorAll('#accuracy .bars .point path')].map(p => p.style.fill))]"
    wait(browser, f"{colours}.length == 2")
    before, size = ask(browser, colours), ask(browser, heights)
    prefer(browser, "dark")
    wait(browser, f"!{colours}.includes({json.dumps(before[0])})")
    assert ask(browser, heights) == size and min(size) > 100


@pytest.fixture
def sheet(tmp_path, record):
    """The page on which pictures are labelled, with hostile names; three pictures, one of them labelled already."""
    image = np.random.default_rng(0).integers(0, 256, (1, 8, 8), np.uint8)

    def make(classes):
        cards = [
            {"id": f"bcdfghjk-{i}", "name": name, "png": picture(image), "label": label}
            for i, (name, label) in enumerate([("a,b.png", ""), (f'"{HOSTILE}"', ""), ("c.png", classes[1])], 1)
        ]
        return write_sheet(tmp_path / "sheet.html", record(), classes, cards)

    return make


def choose(browser, picture, position):
    browser.execute_script(
        f"document.querySelectorAll('.ask')[{picture}].querySelectorAll('input')[{position}].click()"
    )


def press(browser, key):
    browser.switch_to.active_element.send_keys(key)


def chosen(browser):
    return ask(browser, "[...document.querySelectorAll('.ask input:checked')].map(i => i.value)")


def test_the_sheet_opens_without_errors_and_hostile_names_are_text(browser, sheet):
    messages, asked = open_file(browser, sheet(["cat", HOSTILE, "<b>"]))
    assert messages == [] and [a for a in asked if not a.startswith("data:")] == [str(browser.current_url)]
    assert ask(browser, "document.title") == "What does it show? – Juyi"
    assert ask(browser, "[...document.images].every(i => i.naturalWidth == 8) && document.images.length == 3")
    assert chosen(browser) == [HOSTILE] and ask(browser, "document.querySelectorAll('.ask.done').length") == 1
    assert HOSTILE in ask(browser, "document.querySelector('.choices').textContent")
    assert ask(browser, "document.documentElement.scrollWidth <= window.innerWidth")


def test_pictures_are_labelled_by_clicks_and_keys_and_downloaded(browser, sheet, tmp_path):
    browser.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    classes = ["cat", "dog, wild", HOSTILE]
    page = sheet(classes)
    open_file(browser, page)
    assert ask(browser, "document.querySelector('.count').textContent") == "1 of 3 labelled, number 1 is still open"
    choose(browser, 0, 2)
    browser.find_element("id", "next").click()
    press(browser, "-")
    assert chosen(browser) == [HOSTILE, "-", "dog, wild"]
    assert ask(browser, "document.querySelector('.count').textContent") == "3 of 3 labelled"
    browser.refresh()  # what was chosen is remembered
    assert chosen(browser) == [HOSTILE, "-", "dog, wild"]
    choose(browser, 0, 0)
    browser.find_element("id", "download").click()
    place = tmp_path / "filled.csv"
    WebDriverWait(browser, 15).until(lambda _: place.is_file() and place.stat().st_size)
    with place.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["id", "name", "label"],
        ["bcdfghjk-1", "a,b.png", "cat"],
        ["bcdfghjk-2", f'"{HOSTILE}"', "-"],
        ["bcdfghjk-3", "c.png", "dog, wild"],
    ]
    assert [entry["message"] for entry in browser.get_log("browser")] == []
    browser.execute_script("localStorage.clear()")


def test_keys_go_on_to_the_next_open_picture(browser, sheet):
    open_file(browser, sheet(["3", "7"]))
    browser.find_element("tag name", "body").send_keys("3")
    press(browser, "7")
    assert chosen(browser) == ["3", "7", "7"]
    browser.execute_script("localStorage.clear()")


def test_many_classes_are_chosen_from_a_list(browser, sheet):
    open_file(browser, sheet([f"class {i}" for i in range(40)]))
    assert ask(browser, "document.querySelectorAll('.ask select').length") == 3
    assert ask(browser, "[...document.querySelectorAll('select')].map(s => s.value)") == ["", "", "class 1"]
    Select(browser.find_element("tag name", "select")).select_by_value("class 39")
    assert ask(browser, "document.querySelector('.count').textContent") == "2 of 3 labelled, number 2 is still open"
    browser.execute_script("localStorage.clear()")


def test_the_sheet_fits_a_phone_and_follows_the_theme(browser, sheet):
    screen = {"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    try:
        open_file(browser, sheet(["a very long name of a class indeed", "dog"]))
        assert ask(browser, "document.documentElement.scrollWidth") == 360
        colour = "getComputedStyle(document.querySelector('.ask')).backgroundColor"
        light = ask(browser, colour)
        prefer(browser, "dark")
        assert ask(browser, colour) != light
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_what_was_settled_is_a_section_of_the_page(browser, make_run, record, tmp_path):
    content = record()
    content["settled"] = verdict_from_labels(settle(np.ones(12), 200, 900), "dann")
    content["openings"].append({"data": "settle labels", "labels": 12, "when": "2026-03-05T10:24:02+00:00"})
    messages, _ = open_page(browser, make_run(tmp_path / "run", content))
    assert messages == []
    text = ask(browser, "document.querySelector('#settled').innerText")
    assert "12" in text and "200 of 900" in text and "2026-03-05 10:24" in text and "Adapting helped" in text
    place = "[...document.querySelectorAll('#settled line')].map(l => Number(l.getAttribute('x1')))"
    assert ask(browser, place)[-1] == 100  # all twelve labels speak for the model: the most that is possible
