import json
import re
from html.parser import HTMLParser

import pytest

from juyi.errors import ForeignFileError
from juyi.report import write_report
from juyi.report.charts import CHANCE, class_balance, loss_panels, map_variants
from juyi.report.markup import escape, plain, script_json
from juyi.report.page import losses, read_log, render

HOSTILE = '</script><img src=x onerror="alert(1)"><b>&amp;\u2028'


class Reader(HTMLParser):
    """Collects what a browser would see: tags with attributes, text outside scripts, and scripts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.text, self.scripts, self.inside = "", [], ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.inside = tag if tag in ("script", "style") else ""
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag):
        self.inside = ""

    def handle_data(self, data):
        if self.inside == "script":
            self.scripts[-1] += data
        elif not self.inside:
            self.text += data


@pytest.fixture(scope="module", autouse=True)
def _small_plotly():
    """Leave plotly.js's five megabytes out where they are not the point: reading them takes most of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("juyi.report.page.get_plotlyjs", lambda: "window.Plotly = {};")
        yield


def test_the_page_says_the_verdict_first(make_run, tmp_path):
    page = write_report(make_run(tmp_path / "run")).read_text()
    text = Reader(page).text
    assert (
        text.index("Verdict: it helped") < text.index("Adapting helped: dann is right on 84.2") < text.index("Results")
    )
    assert 'class="verdict helped"' in page
    assert "80.7 to 87.1" in text and "47.6 to 56.3" in text


@pytest.mark.parametrize(
    ("answer", "word"),
    [("hurt", "it hurt"), ("no_difference", "no difference that matters"), ("cannot_tell", "cannot tell")],
)
def test_each_answer_has_a_word_a_symbol_and_a_colour(record, answer, word):
    content = record()
    content["verdict"]["answer"] = answer
    page = render(content, [], {})
    assert f'class="verdict {answer}"' in page and f"Verdict: {word}" in Reader(page).text
    assert re.search(r'<span class="symbol" aria-hidden="true">[▼=?]</span>', page)


def test_every_section_is_there_and_linked(make_run, tmp_path):
    reader = Reader(write_report(make_run(tmp_path / "run")).read_text())
    identities = [a["id"] for tag, a in reader.tags if tag == "section" and "id" in a]
    assert identities == ["results", "maps", "class-balance", "least-sure", "losses", "settings"]
    assert [a["href"] for tag, a in reader.tags if tag == "a"] == [f"#{identity}" for identity in identities]
    assert sum(tag == "img" for tag, _ in reader.tags) == 5
    everywhere = [a["id"] for _, a in reader.tags if "id" in a]
    assert len(everywhere) == len(set(everywhere))


def test_the_folder_alone_suffices_and_absent_figures_are_left_out(make_run, tmp_path):
    run = make_run(tmp_path / "run")
    for path in run.figures.iterdir():
        path.unlink()
    run.log.unlink()
    reader = Reader(write_report(run).read_text())
    assert [a["id"] for tag, a in reader.tags if tag == "section" and "id" in a] == ["results", "settings"]
    assert reader.scripts == []


@pytest.mark.parametrize("damage", ["not json", "[]", '{"maps": [], "classes": null}', "{}"])
def test_a_damaged_figure_does_not_stop_the_page(make_run, tmp_path, damage):
    run = make_run(tmp_path / "run")
    for path in run.figures.iterdir():
        path.write_text(damage)
    assert "Verdict" in write_report(run).read_text()


@pytest.mark.parametrize("content", [{}, {"verdict": None, "results": [], "data": None}, {"status": "failed"}])
def test_a_record_with_next_to_nothing_still_gives_a_page(content):
    assert "<h1>a run</h1>" in render(content, [], {})


def test_a_run_that_has_not_finished_does_not_claim_a_verdict(record):
    text = Reader(render({**record(), "status": "running"}, [], {})).text
    assert "Not finished" in text and "Verdict: it helped" not in text


def test_a_run_without_a_verdict_says_what_it_did(record):
    content = record()
    del content["verdict"]
    text = Reader(render(content, [], {})).text
    assert "dann has learnt from digits@train. Accuracy on digits_m@test: 84.2" in text


def test_every_setting_is_shown(record):
    content = record()
    text = Reader(render({**content, "something_new": "kept"}, [], {})).text
    for shown in (
        "critic_width",
        "103256",
        "00ff00ff00ff00ff",
        "3 × 28 × 28",
        "2.13.0",
        "a processor",
        "kept",
        "resized",
    ):
        assert shown in text
    assert content["command"] in text and "digits_m@test at 2026-03-04T10:24:02" in text


def hostile(value):
    """Put the hostile text into every string of a record but those that the page decides by."""
    decides = {"answer", "role", "status", "name"}
    if isinstance(value, dict):
        return {key: item if key in decides else hostile(item) for key, item in value.items()}
    if isinstance(value, list):
        return [hostile(item) for item in value]
    return value + HOSTILE if isinstance(value, str) else value


def test_hostile_names_stay_text(make_run, record, tmp_path):
    content = hostile(record())
    content |= {"warnings": [HOSTILE], "seed": HOSTILE, HOSTILE: 1}
    for part in ("hyperparameters", "versions", "machine", "data", "seconds", "network"):
        content[part][HOSTILE] = {HOSTILE: HOSTILE}
    run = make_run(tmp_path / "run", content, [f"{HOSTILE}{i}" for i in range(3)])
    run.log.write_text(json.dumps({"model": HOSTILE, "stage": HOSTILE, "epoch": 1, "losses": {HOSTILE: 1.0}}))
    page = write_report(run).read_text(encoding="utf-8")
    clean = Reader(write_report(make_run(tmp_path / "clean")).read_text())
    reader = Reader(page)
    assert {tag for tag, _ in reader.tags} <= {tag for tag, _ in clean.tags} | {"ul", "li"}
    assert not any(name.startswith("on") for _, attributes in reader.tags for name in attributes)
    assert all(a["src"].startswith("data:image/png;base64,") for tag, a in reader.tags if tag == "img")
    assert len(reader.scripts) == 3 and page.count("</script>") == 3
    assert HOSTILE in reader.text  # shown as it is, as text
    charts = json.loads(reader.scripts[0])
    texts = charts["balance"]["only"]["data"][0]["text"] + charts["map-0"]["domain"]["data"][0]["text"]
    assert not any("<img" in text for text in texts)  # plotly reads some HTML, so its texts are escaped too


def test_pictures_that_are_no_pictures_are_left_out(record):
    figure = {"images": [{"name": "x", "png": '"><script>'}, {"name": "y"}, {"name": "z", "png": "aGVsbG8="}]}
    page = render(record(), [], {"least_sure": figure})
    assert page.count("<img") == 1 and "<script" not in page


def test_only_the_two_scripts_of_the_page_may_run(make_run, tmp_path):
    reader = Reader(write_report(make_run(tmp_path / "run")).read_text())
    policy = next(a["content"] for tag, a in reader.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'") and policy.count("sha256-") == 2
    assert "unsafe" not in policy.split("script-src")[1]


def test_no_address_outside_the_page_is_named(make_run, tmp_path):
    page = write_report(make_run(tmp_path / "run")).read_text()
    assert not re.search(r"(?:src|href|url)\s*[=(]\s*[\"']?(?:https?:)?//", page)


def test_a_damaged_record_is_refused(make_run, tmp_path):
    run = make_run(tmp_path / "run")
    (run.path / "run.json").write_text("{")
    with pytest.raises(ForeignFileError, match=r"run\.json"):
        write_report(run)


def test_maps_by_class_show_each_point_once():
    figure = {"classes": ["a", "b"], "source": {"label": [0, 1, 1]}}
    one = {"source": [[0, 0], [1, 1], [2, 2]], "target": [[3, 3], [4, 4]], "prediction": [1, 0]}
    variants = map_variants(figure, one)
    assert [trace["marker"]["color"] for trace in variants["domain"]["data"]] == ["@source", "@target"]
    shown = {(t["name"], t["marker"]["symbol"]): t["x"] for t in variants["class"]["data"]}
    assert shown == {("a", "circle"): [0], ("a", "x"): [4], ("b", "circle"): [1, 2], ("b", "x"): [3]}
    assert variants["domain"]["data"][1]["text"][0] == "target, predicted <b>b</b>"


def test_chance_stands_beside_the_domain_loss_only():
    lines = [
        {"model": "dann", "stage": stage, "epoch": 1, "losses": losses}
        for stage, losses in (("a", {"label": 1.0}), ("b", {"domain": 0.6}))
    ]
    (first, plain_figure), (second, domain_figure) = loss_panels(lines)
    assert (first, second) == ("dann · a", "dann · b")
    assert "shapes" not in plain_figure["layout"]
    assert domain_figure["layout"]["shapes"][0]["y0"] == CHANCE == pytest.approx(0.6931, abs=1e-4)


def test_resumed_epochs_count_once_and_nan_is_a_gap():
    lines = [{"epoch": e, "losses": {"label": v}} for e, v in ((1, 5.0), (2, 4.0), (2, 3.0), (3, float("nan")))]
    ((_, figure),) = loss_panels(lines)
    assert figure["data"][0]["x"] == [1, 2, 3] and figure["data"][0]["y"] == [5.0, 3.0, None]


def test_a_log_that_was_cut_short_is_read_as_far_as_it_goes(tmp_path):
    (tmp_path / "log.jsonl").write_text('{"epoch": 1}\n[]\n{"epoch": 2, "los')
    assert read_log(tmp_path / "log.jsonl") == [{"epoch": 1}]
    assert read_log(tmp_path / "absent") == []


def test_balance_shows_the_source_and_every_model():
    figure = class_balance({"classes": ["a"], "source": [1.0], "predicted": {"source_only": [0.4], "dann": [0.6]}})
    assert [trace["name"] for trace in figure["data"]] == [
        "source, by its labels",
        "target, by source_only",
        "target, by dann",
    ]
    assert figure["data"][1]["text"] == ["a<br>target, by source_only: 40.0%"]


@pytest.mark.parametrize("text", [HOSTILE, "\udcff", "<!--", "]]>", "a & b", "'\""])
def test_escaping_leaves_no_markup_and_loses_no_text(text):
    assert not set(escape(text)) & set("<>\"'")
    written = script_json({"name": text})
    assert not set(written) & set("<>&\u2028") and json.loads(written) == {"name": text}


def test_settings_are_written_as_people_write_them():
    assert plain({"learning_rate": 0.01, "betas": [0.9, 0.999]}) == "learning rate: 0.01; betas: 0.9, 0.999"
    assert plain([]) == "–" and plain(False) == "no"


def test_a_stage_of_one_epoch_has_no_panel_beside_longer_ones():
    made = [{"model": "zskd", "stage": f"impressions {n}", "epoch": 1, "losses": {"impression": 1.0}} for n in (1, 2)]
    learnt = [{"model": "zskd", "stage": "distil", "epoch": e, "losses": {"soft": 1.0}} for e in (1, 2)]
    assert losses([*made, *learnt], {}).count("<figure>") == 1
    assert losses(made, {}).count("<figure>") == 2
    assert "domain" not in losses(made, {})
    assert "domain" in losses([{"epoch": 1, "losses": {"domain": 0.6}}], {})
