"""Faithfulness and calibration against slow references, closed forms and limits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import rel_entr, softmax

from juyi.errors import DataError
from juyi.measure import expected_calibration_error, fit_temperature, mean_divergence, worst_class


def drawn(seed, n=200, classes=4):
    random = np.random.default_rng(seed)
    return random.normal(size=(n, classes)) * 3, random.integers(0, classes, n)


@given(st.integers(0, 10**6), st.integers(1, 20))
def test_the_calibration_error_is_the_slow_one(seed, bins):
    scores, label = drawn(seed)
    p = softmax(scores, axis=1)
    slow = 0.0
    for b in range(bins):
        there = [i for i in range(len(p)) if b / bins < p[i].max() <= (b + 1) / bins]
        if there:
            right = np.mean([p[i].argmax() == label[i] for i in there])
            slow += len(there) / len(p) * abs(right - np.mean([p[i].max() for i in there]))
    assert expected_calibration_error(scores, label, bins) == pytest.approx(slow, abs=1e-9)


def test_probabilities_that_are_the_truth_have_hardly_any_error_and_a_temperature_mends_the_rest():
    random = np.random.default_rng(0)
    scores = random.normal(size=(50_000, 5)) * 2
    p = softmax(scores, axis=1)
    label = (random.random((len(p), 1)) > p.cumsum(1)).sum(1)
    assert expected_calibration_error(scores, label) < 0.01
    too_sure = 3 * scores
    assert expected_calibration_error(too_sure, label) > 0.1
    assert expected_calibration_error(too_sure / fit_temperature(too_sure, label), label) < 0.01


def test_without_rows_there_is_no_calibration():
    with pytest.raises(DataError, match="there is none"):
        expected_calibration_error(np.zeros((0, 3)), np.zeros(0, int))


@given(st.integers(0, 10**6))
def test_the_divergence_is_the_slow_one_and_is_zero_for_equal_answers_alone(seed):
    (one, _), (other, _) = drawn(seed), drawn(seed + 1)
    slow = rel_entr(softmax(other, axis=1), softmax(one, axis=1)).sum(1).mean()
    assert mean_divergence(one, other) == pytest.approx(slow)
    assert mean_divergence(one, one + 7.0) == pytest.approx(0, abs=1e-9) and mean_divergence(one, other) > 0
    assert np.isfinite(mean_divergence(1e4 * one, 1e4 * other))


@given(st.integers(0, 10**6))
def test_the_worst_class_is_the_slow_one(seed):
    scores, label = drawn(seed, 60)
    answers = scores.argmax(1)
    shares = {code: (answers[label == code] == code).mean() for code in set(label.tolist())}
    found = worst_class(answers, label)
    assert found.right / found.n == min(shares.values()) and found.n == (label == found.code).sum()
