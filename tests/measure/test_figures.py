import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from juyi.errors import DataError
from juyi.measure import class_balance_figure, least_sure_figure, maps_figure


def small_maps(rows: int = 20, seed: int = 0) -> dict:
    generator = np.random.default_rng(0)
    source, target = generator.normal(size=(60, 5)), generator.normal(size=(45, 5))
    features = {"source_only": (source, target), "dann": (source[:, :3] * 2, target[:, :3])}
    predictions = {"source_only": np.arange(45) % 3, "dann": np.arange(45) % 2}
    return maps_figure(features, np.arange(60) % 3, predictions, ["a", "b", "c"], seed, rows=rows)


def test_all_models_show_the_same_rows():
    figure = small_maps()
    chosen = np.array(figure["target"]["rows"])
    assert len(chosen) == len(set(chosen)) == 20 and chosen.max() < 45
    assert figure["source"]["label"] == (np.array(figure["source"]["rows"]) % 3).tolist()
    before, after = figure["maps"]
    assert (before["model"], after["model"]) == ("source_only", "dann")
    assert before["prediction"] == (chosen % 3).tolist() and after["prediction"] == (chosen % 2).tolist()
    assert len(before["source"]) == len(after["target"]) == 20


def test_seed_decides_the_rows_and_fewer_rows_are_all_shown():
    assert small_maps() == small_maps()
    assert small_maps()["target"]["rows"] != small_maps(seed=5)["target"]["rows"]
    assert small_maps(rows=600)["target"]["rows"] == list(range(45))


def test_figures_are_plain_json_with_few_digits():
    text = json.dumps(small_maps(), allow_nan=False)
    assert len(text) < 4000


def test_maps_of_differing_rows_are_refused():
    sides = (np.zeros((9, 2)), np.zeros((9, 2)))
    with pytest.raises(DataError, match="same rows"):
        maps_figure({"m": sides}, np.zeros(9, int), {"m": np.zeros(8, int)}, ["a"], 0)
    with pytest.raises(DataError, match="same rows"):
        maps_figure({"m": sides}, np.zeros(9, int), {"other": np.zeros(9, int)}, ["a"], 0)


def test_class_balance_counts_what_is_never_predicted_too():
    figure = class_balance_figure(["a", "b", "c"], np.array([1, 1, 1]) / 3, {"m": np.array([0, 0, 1, 0])})
    assert figure["source"] == [0.33333] * 3 and figure["predicted"] == {"m": [0.75, 0.25, 0.0]}
    with pytest.raises(DataError, match="2 class shares for 1 classes"):
        class_balance_figure(["a"], np.array([0.5, 0.5]), {})
    with pytest.raises(DataError, match="no predictions"):
        class_balance_figure(["a"], np.array([1.0]), {"m": np.array([], int)})


def test_the_least_sure_come_first_with_both_models():
    images = np.arange(3 * 3 * 5 * 5, dtype=np.uint8).reshape(3, 3, 5, 5)
    served = np.array([[0.5, 0.5], [0.1, 0.9], [0.4, 0.6]])
    floor = np.array([[0.2, 0.8], [0.7, 0.3], [1.0, 0.0]])
    shown = least_sure_figure(images, served, floor, ["cat", "dog"], ["x", "y", "z"], count=2)["images"]
    assert [entry["name"] for entry in shown] == ["x", "z"]
    assert shown[1] | {"png": ""} == {
        "name": "z",
        "png": "",
        "prediction": "dog",
        "confidence": 0.6,
        "prediction_floor": "cat",
        "confidence_floor": 1.0,
    }
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(shown[0]["png"]))))
    assert (pixels == images[0].transpose(1, 2, 0)).all()


def test_grey_images_stay_grey_and_large_ones_are_shrunk():
    images = np.zeros((1, 1, 300, 200), np.uint8)
    png = least_sure_figure(images, np.ones((1, 1)), np.ones((1, 1)), ["a"], ["x"])["images"][0]["png"]
    drawing = Image.open(io.BytesIO(base64.b64decode(png)))
    assert drawing.mode == "L" and drawing.size == (85, 128)


def test_names_that_are_no_text_do_not_break_the_file():
    """A file's name may hold bytes that are not UTF-8; Python shows them as lone surrogates."""
    figure = least_sure_figure(
        np.zeros((1, 1, 2, 2), np.uint8), np.ones((1, 1)), np.ones((1, 1)), ["a"], ["\udcff.png"]
    )
    json.dumps(figure, ensure_ascii=False).encode()


def test_arrays_that_do_not_fit_are_refused():
    with pytest.raises(DataError, match="do not fit"):
        least_sure_figure(np.zeros((2, 1, 2, 2), np.uint8), np.ones((1, 1)), np.ones((2, 1)), ["a"], ["x", "y"])
