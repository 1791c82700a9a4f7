import json

import numpy as np
import pytest

from juyi.errors import DataError
from juyi.measure import collapse_warnings, paired_difference, verdict_from_test, verdict_without_labels


def right(count: int, n: int) -> np.ndarray:
    return np.arange(n) < count


def test_helped_says_the_figures():
    verdict = verdict_from_test(right(421, 500), right(260, 500), "dann")
    assert verdict["answer"] == "helped" and verdict["evidence"] == "test_labels"
    assert verdict["gain"] == pytest.approx(0.322)
    assert verdict["sentence"].startswith(
        "Adapting helped: dann is right on 84.2 % of the 500 test images, source_only on 52.0 %: 32.2 points more"
    )
    assert "not the choice of seed" in verdict["sentence"]
    json.dumps(verdict, allow_nan=False)


def test_hurt_says_so_before_any_figure():
    verdict = verdict_from_test(right(200, 500), right(260, 500), "dann")
    assert verdict["answer"] == "hurt" and verdict["high"] < 0
    words, figures = verdict["sentence"].split(": ", 1)
    assert words == "Adapting hurt (dann is worse than source_only, that is, than not transferring)"
    assert "12.0 points fewer (95 % interval −14.8 to −9.1)" in figures


def test_no_difference_needs_a_narrow_interval():
    many = verdict_from_test(right(7000, 10000), right(6990, 10000), "dann")
    few = verdict_from_test(right(70, 100), right(69, 100), "dann")
    assert many["answer"] in {"helped", "no_difference"}
    same = verdict_from_test(right(7000, 10000), right(7000, 10000), "dann")
    assert same["answer"] == "no_difference" and "no difference (95 %" in same["sentence"]
    assert few["answer"] == "cannot_tell" and "More labelled test images" in few["sentence"]


def test_margin_decides_what_matters():
    first, second = right(1000, 2000), right(1000, 2000)
    second[[0, 1500]] = [False, True]
    assert verdict_from_test(first, second, "dann", margin=0.02)["answer"] == "no_difference"
    assert verdict_from_test(first, second, "dann", margin=0.0001)["answer"] == "cannot_tell"


def test_the_verdict_is_the_interval_and_nothing_else():
    generator = np.random.default_rng(0)
    seen = set()
    for _ in range(200):
        n = int(generator.integers(1, 2000))
        first, second = generator.random(n) < generator.random(), generator.random(n) < generator.random()
        verdict, difference = verdict_from_test(first, second, "m"), paired_difference(first, second)
        assert (verdict["gain"], verdict["low"], verdict["high"]) == (difference.gain, difference.low, difference.high)
        expected = "helped" if difference.low > 0 else "hurt" if difference.high < 0 else None
        assert expected is None or verdict["answer"] == expected
        assert expected is not None or verdict["answer"] in {"no_difference", "cannot_tell"}
        seen.add(verdict["answer"])
    assert {"helped", "hurt", "cannot_tell"} <= seen


def test_false_alarms_are_as_rare_as_the_interval_says():
    """Two equally good models: `helped` and `hurt` together in about 5 % of tests."""
    generator = np.random.default_rng(3)
    answers = [
        verdict_from_test(generator.random(300) < 0.7, generator.random(300) < 0.7, "m")["answer"] for _ in range(600)
    ]
    assert np.mean([answer in {"helped", "hurt"} for answer in answers]) < 0.075


def test_without_labels_the_bound_holds_for_whatever_the_labels_are():
    generator = np.random.default_rng(0)
    for _ in range(50):
        first, second, truth = generator.integers(0, 4, (3, 30))
        verdict = verdict_without_labels(first, second, "dann")
        difference = np.mean(first == truth) - np.mean(second == truth)
        assert verdict["low"] <= difference <= verdict["high"]
        best = np.mean(first == first) - np.mean(second == first)
        assert best == pytest.approx(verdict["high"])  # nothing narrower holds


def test_without_labels_a_large_disagreement_cannot_be_judged():
    prediction = np.arange(1000) % 2
    verdict = verdict_without_labels(prediction, np.where(np.arange(1000) < 310, 1 - prediction, prediction), "dann")
    assert verdict["answer"] == "cannot_tell" and verdict["gain"] is None and verdict["evidence"] == "label_free"
    assert (verdict["low"], verdict["high"], verdict["disagreeing"]) == (-0.31, 0.31, 310)
    assert "at most 31.0 points" in verdict["sentence"] and "those 310 images would settle it" in verdict["sentence"]


@pytest.mark.parametrize(("changed", "answer"), [(0, "no_difference"), (2, "no_difference"), (3, "cannot_tell")])
def test_two_percent_is_no_material_change(changed, answer):
    verdict = verdict_without_labels(np.zeros(100, int), (np.arange(100) < changed).astype(int), "dann")
    assert verdict["answer"] == answer
    assert verdict["sentence"].startswith("No material change") == (answer == "no_difference")


def test_warnings_stand_in_the_sentence_and_apart():
    for verdict in (
        verdict_from_test(right(3, 9), right(2, 9), "m", warnings=["Beware."], rows="rows"),
        verdict_without_labels(np.zeros(9), np.ones(9), "m", warnings=["Beware."], rows="rows"),
    ):
        assert verdict["warnings"] == ["Beware."] and verdict["sentence"].endswith("Warning: Beware.")
        assert "images" not in verdict["sentence"]


@pytest.mark.parametrize("judge", [verdict_from_test, verdict_without_labels])
def test_rows_that_do_not_pair_are_refused(judge):
    with pytest.raises(DataError, match="same rows"):
        judge(np.ones(3), np.ones(4), "dann")
    with pytest.raises(DataError, match="same rows"):
        judge(np.ones(0), np.ones(0), "dann")


def test_a_healthy_model_gets_no_warning():
    prediction = np.random.default_rng(0).integers(0, 10, 1000)
    assert collapse_warnings(prediction, np.full(10, 0.1), [str(i) for i in range(10)]) == []


def test_a_collapsed_model_is_named_with_its_missing_classes():
    warnings = collapse_warnings(np.zeros(500, int), np.full(10, 0.1), [f"class {i}" for i in range(10)])
    assert len(warnings) == 1
    assert "class 1 (0 of 500, 50 expected)" in warnings[0]
    assert "and 6 more classes" in warnings[0] and "class 0" not in warnings[0]


def test_a_class_that_is_rare_anyway_is_not_missed():
    assert collapse_warnings(np.zeros(100, int), np.array([0.97, 0.03]), ["common", "rare"]) == []
    assert collapse_warnings(np.zeros(1000, int), np.array([0.97, 0.03]), ["common", "rare"])


@pytest.mark.parametrize("codes", [[0, 2], [-1, 0]])
def test_codes_outside_the_classes_are_refused(codes):
    with pytest.raises(DataError, match="outside"):
        collapse_warnings(np.array(codes), np.array([0.5, 0.5]), ["a", "b"])
