"""The verdict on numbers: its four answers, its bound, and whether its intervals hold what they promise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import mean_absolute_error as of_scikit_learn

from juyi.errors import DataError, SettingError
from juyi.measure.verdict_numbers import (
    error_reduction,
    material_margin,
    mean_absolute_error,
    measured,
    verdict_from_numbers,
    verdict_without_numbers,
)


def normal(n, scale=1.0, seed=0):
    return scale * np.random.default_rng(seed).normal(size=n)


def test_the_error_is_that_of_scikit_learn():
    y, told = normal(200), normal(200, seed=1)
    found = mean_absolute_error(told, y, "°C")
    assert found.value == pytest.approx(of_scikit_learn(y, told))
    assert found.low < found.value < found.high and (found.n_target, found.unit) == (200, "°C")


def test_the_gain_is_the_difference_of_the_errors_and_changes_sign():
    y, one, other = normal(150), normal(150, 0.5, 1), normal(150, 2.0, 2)
    gain = error_reduction(one - y, other - y)
    assert gain.value == pytest.approx(of_scikit_learn(y, other) - of_scikit_learn(y, one))
    back = error_reduction(other - y, one - y)
    assert back.value == pytest.approx(-gain.value)
    assert back.low == pytest.approx(-gain.high, abs=0.02) and back.high == pytest.approx(-gain.low, abs=0.02)


@pytest.mark.parametrize(
    ("scale", "floor", "margin", "answer", "opening"),
    [
        (1.0, 3.0, 0.1, "helped", "Adapting helped: mine is off by"),
        (3.0, 1.0, 0.1, "hurt", "Adapting hurt (mine is worse than target_only, that is, than not transferring)"),
        (1.0, 1.0, 1.0, "no_difference", "Adapting made no difference that matters"),
        (1.0, 1.0, 0.0, "cannot_tell", "This test cannot tell whether adapting helped"),
    ],
)
def test_each_answer_and_its_sentence(scale, floor, margin, answer, opening):
    error = normal(300, scale)
    error_floor = error[::-1] if scale == floor else normal(300, floor, 1)  # as large, on other rows: the gain is 0
    verdict = verdict_from_numbers(error, error_floor, "mine", "target_only", margin=margin, unit="°C", rows="days")
    assert verdict["answer"] == answer and verdict["sentence"].startswith(opening)
    assert verdict["gain"] == pytest.approx(np.abs(error_floor).mean() - np.abs(error).mean(), abs=1e-12)
    assert verdict["low"] <= verdict["gain"] <= verdict["high"]
    assert (verdict["unit"], verdict["margin"], verdict["evidence"]) == ("°C", margin, "test_labels")
    assert verdict["name"] == "mean_absolute_error" and "300 test days" in verdict["sentence"]
    assert ("taken not to matter" in verdict["sentence"]) == (answer == "no_difference")


def test_two_models_that_say_the_same_make_no_difference_and_one_row_tells_nothing():
    same = verdict_from_numbers(normal(30), normal(30), "mine", margin=0.0)
    assert (same["answer"], same["gain"], same["low"], same["high"]) == ("no_difference", 0, 0, 0)
    one = verdict_from_numbers(np.array([0.0]), np.array([9.0]), "mine", margin=0.1)
    assert (one["answer"], one["gain"], one["low"]) == ("cannot_tell", 9, None)
    assert "One row cannot tell" in one["sentence"]


def test_warnings_go_along():
    verdict = verdict_from_numbers(normal(30), normal(30, 9), "mine", margin=0.1, warnings=["It is Monday."])
    assert verdict["warnings"] == ["It is Monday."] and verdict["sentence"].endswith("Warning: It is Monday.")


numbers = arrays(float, 12, elements=st.floats(-1e6, 1e6))


@given(numbers, numbers, numbers)
@settings(max_examples=50, deadline=None)
def test_without_labels_no_truth_is_beyond_the_bound(one, other, y):
    verdict = verdict_without_numbers(one, other, "mine", margin=1.0)
    gain = np.abs(other - y).mean() - np.abs(one - y).mean()
    assert verdict["low"] - 1e-6 <= gain <= verdict["high"] + 1e-6
    assert verdict["answer"] == ("no_difference" if verdict["high"] <= 1 else "cannot_tell")


def test_without_labels_the_bound_is_reached():
    one, other = normal(20), normal(20, seed=1)
    verdict = verdict_without_numbers(one, other, "mine", margin=0.0, unit="°C")
    assert np.abs(other - one).mean() == pytest.approx(verdict["high"])  # where `one` is the truth
    assert verdict["gain"] is None and verdict["evidence"] == "label_free" and "°C apart" in verdict["sentence"]


def coverage(draw, truth, seeds=100):
    held = 0
    for seed in range(seeds):
        found = draw(np.random.default_rng(seed))
        held += found.low <= truth <= found.high
    return held / seeds


def test_intervals_hold_the_truth_as_often_as_they_say():
    expected = np.sqrt(2 / np.pi)  # E |Z|
    of_error = coverage(lambda rng: mean_absolute_error(rng.normal(size=80), np.zeros(80)), expected)
    of_gain = coverage(lambda rng: error_reduction(rng.normal(size=80), 2 * rng.normal(size=80)), expected)
    assert of_error >= 0.88 and of_gain >= 0.88


def test_where_neighbours_are_alike_the_interval_knows_it():
    """Days: e_t = .7 e_{t−1} + noise.  Rows drawn singly would hold the truth far less often than they say."""

    def days(rng):
        error = np.zeros(365)
        noise = rng.normal(size=365)
        for day in range(1, 365):
            error[day] = 0.7 * error[day - 1] + noise[day]
        return np.exp(error / 3)  # lognormal: its mean is known

    truth = np.exp((1 / (1 - 0.49)) / 9 / 2)
    blocks = coverage(lambda rng: mean_absolute_error(days(rng), np.zeros(365)), truth, seeds=60)
    singly = coverage(lambda rng: mean_absolute_error(rng.permutation(days(rng)), np.zeros(365)), truth, seeds=60)
    assert singly < 0.75 < 0.8 < blocks


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(DataError, match=r"of the same rows.*\(2,\) and \(3,\)"):
        error_reduction(np.zeros(2), np.zeros(3))
    with pytest.raises(DataError, match="at least one"):
        mean_absolute_error(np.zeros(0), np.zeros(0))
    with pytest.raises(DataError, match="not finite"):
        verdict_without_numbers(np.array([np.nan]), np.zeros(1), "mine", margin=1.0)
    for margin in (-0.1, float("inf"), float("nan")):
        with pytest.raises(SettingError, match=r"margin: .* is out of range"):
            verdict_from_numbers(np.zeros(2), np.zeros(2), "mine", margin=margin)


def test_the_margin_goes_with_the_labels():
    y = normal(1000)
    assert material_margin(100 * y) == pytest.approx(100 * material_margin(y)) == pytest.approx(2 * y.std())


@pytest.mark.parametrize(
    ("value", "words"),
    [(0.0, "0"), (0.00456, "0.00456"), (-3.14159, "−3.14"), (99.96, "100"), (9.9951, "10.0"), (123_456.0, "123,000")],
)
def test_numbers_are_written_with_three_digits(value, words):
    assert measured(value) == words and measured(value, "m") == f"{words} m"
