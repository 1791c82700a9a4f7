"""The page of a distillation: sizes, what was made, temperatures; and that it trusts nothing in the folder."""

import numpy as np

from juyi.measure.figures import picture
from juyi.report.distilled import impressions, sizes, temperatures
from juyi.report.page import render, title

PNG = picture(np.zeros((1, 4, 4), np.uint8))
RECORD = {
    "room": "distill", "method": "zskd", "serves": "zskd", "status": "finished",
    "network": {"name": "lenet5_half", "parameters": 25, "teacher_parameters": 100},
    "data": {"teacher": {"name": "runs/big"}, "data": None},
}  # fmt: skip


def test_the_title_names_teacher_and_data():
    assert title(RECORD) == "zskd: runs/big"
    assert title({**RECORD, "data": {"teacher": {"name": "a"}, "data": {"name": "b"}}}) == "zskd: a → b"


def test_sizes_say_which_is_larger():
    assert "4.0 times smaller" in sizes(RECORD)
    assert "2.0 times larger" in sizes({"network": {"parameters": 200, "teacher_parameters": 100}})
    assert sizes({}) == sizes({"network": {"parameters": 5}}) == ""
    assert sizes({**RECORD, "results": [{"name": "fooling_rate"}]}) == ""  # there is no student


def test_pictures_stand_under_their_class_and_a_class_without_any_is_named():
    figure = {"classes": ["<b>", "two"], "images": [{"class": "<b>", "png": PNG, "confidence": 0.9}]}
    html = impressions(figure)
    assert "&lt;b&gt;" in html and "<b>&lt;b&gt;</b>" in html and "90.0" in html
    assert "None that the teacher takes for two." in html
    assert impressions({}) == ""


def test_what_is_no_picture_is_left_out():
    bad = [{"class": "a", "png": '"><script>'}, {"png": PNG}, {"class": "a"}]
    assert "script" not in impressions({"classes": ["a"], "images": bad})


def test_the_curve_is_drawn_from_two_points_on():
    point = {"temperature": 4.0, "value": 0.9, "low": 0.8, "high": 0.95, "name": "accuracy"}
    drawn = {}
    assert temperatures({"points": [point]}, drawn) == "" and drawn == {}
    assert "Accuracy and temperature" in temperatures({"points": [point, {**point, "temperature": 8}]}, drawn)
    trace = drawn["temperature"]["only"]["data"][0]
    assert trace["x"] == [4.0, 8] and trace["error_y"]["arrayminus"] == [10.0, 10.0]


def test_a_page_has_the_sections():
    page = render(RECORD, [], {"impressions": {"classes": ["a"], "images": [{"class": "a", "png": PNG}]}})
    assert 'id="sizes"' in page and 'id="impressions"' in page
