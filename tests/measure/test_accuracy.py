"""Accuracy without labels: where the assumption holds the estimate is right; the bound holds whatever the labels."""

import numpy as np
import ot
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax

from juyi.errors import DataError
from juyi.measure import (
    Estimate,
    accuracy_of_adapted,
    average_thresholded_confidence,
    confidence_transport,
    fit_temperature,
)


def rows(seed, n=3000, noise=1.0, shares=None, classes=3):
    """Scores that are the log posterior of their noise: calibrated where the noise is 1."""
    random = np.random.default_rng(seed)
    y = random.choice(classes, size=n, p=shares)
    return 2.0 * np.eye(classes)[y] + noise * random.normal(size=(n, classes)), y


def accuracy(scores, y):
    return float((scores.argmax(1) == y).mean())


@pytest.mark.parametrize("estimator", [average_thresholded_confidence, confidence_transport])
def test_on_rows_like_the_source_the_estimate_is_the_accuracy(estimator):
    covered = 0
    for seed in range(20):
        (source, y), (target, truth) = rows(seed), rows(seed + 100, 1000)
        found = estimator(source, y, target)
        assert found.value == pytest.approx(accuracy(target, truth), abs=0.05)
        covered += found.low <= accuracy(target, truth) <= found.high
    assert covered >= 17


@pytest.mark.parametrize("estimator", [average_thresholded_confidence, confidence_transport])
def test_it_falls_where_rows_lie_nearer_to_the_boundary(estimator):
    source, y = rows(0)
    found = [estimator(source, y, source * nearer).value for nearer in (1.0, 0.6, 0.3)]
    assert found[0] > found[1] > found[2]


def test_transport_finds_out_a_model_that_answers_all_with_one_class():
    source, y = rows(0)
    one = np.tile([9.0, 0.0, 0.0], (500, 1))
    assert average_thresholded_confidence(source, y, one).value == 1.0
    assert confidence_transport(source, y, one).value == pytest.approx(1 / 3, abs=0.1)


def test_transport_against_the_plan_written_out():
    """The cost by POT's own plan, row by row and class by class."""
    (source, y), (target, _) = rows(0, 200), rows(1, 60)
    temperature = fit_temperature(source, y)
    p, q = softmax(target / temperature, axis=1), softmax(source / temperature, axis=1)
    cost = np.array([[0.5 * np.abs(row - np.eye(3)[k]).sum() for k in range(3)] for row in p])
    plan = ot.emd(np.full(60, 1 / 60), np.bincount(y) / 200, cost)
    expected = 1 - (plan * cost).sum() - (q.max(1).mean() - accuracy(source, y))
    assert confidence_transport(source, y, target).value == pytest.approx(expected, abs=1e-9)


def test_many_rows_are_drawn_by_the_seed():
    (source, y), (target, _) = rows(0, 300), rows(1, 6000)
    one, same, other = (confidence_transport(source, y, target, seed=s) for s in (0, 0, 1))
    assert one == same != other and one.n_target == 5000


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), st.floats(0, 1), st.integers(2, 40))
def test_the_interval_of_an_adapted_model_holds_the_truth_if_that_of_the_floor_does(seed, changed, n):
    random = np.random.default_rng(seed)
    truth, floor = random.integers(3, size=(2, n))
    adapted = np.where(random.random(n) < changed, random.integers(3, size=n), floor)
    known = np.mean(floor == truth)
    estimate = Estimate("known", known, known, known, n, n)
    found = accuracy_of_adapted(estimate, np.mean(adapted != floor))
    assert found.value is None
    assert found.low - 1e-9 <= np.mean(adapted == truth) <= found.high + 1e-9
    assert found.high - found.low <= 2 * np.mean(adapted != floor) + 1e-9  # never wider than the exact fact


def test_estimates_of_the_adapted_model_only_lower_the_end_and_the_bound_only_raises_the_other():
    known = Estimate("known", 0.6, 0.6, 0.6, 9, 9)
    other, lower = Estimate("a", 0.7, 0.6, 0.72, 9, 9), Estimate("dis2", 0.55, None, None, 9, 9)
    found = accuracy_of_adapted(known, 0.3, (other, Estimate("b", 0.95, 0.9, 1.0, 9, 9)), lower)
    assert (found.low, found.high) == (0.55, 0.72)
    crossed = accuracy_of_adapted(known, 0.3, (Estimate("a", 0.1, 0.1, 0.1, 9, 9),), lower)
    assert crossed.low == crossed.high


@pytest.mark.parametrize(
    ("source", "label", "target", "words"),
    [
        (np.zeros((3, 2)), [0, 1, 0], np.zeros((3, 4)), "same two or more classes"),
        (np.zeros((3, 1)), [0, 0, 0], np.zeros((3, 1)), "two or more classes"),
        (np.zeros((3, 2)), [0, 1], np.zeros((3, 2)), "2 labels"),
        (np.zeros((0, 2)), [], np.zeros((3, 2)), "rows of both sides"),
        (np.full((3, 2), np.nan), [0, 1, 0], np.zeros((3, 2)), "not finite"),
        (np.zeros((3, 2)), [0, 1, 2], np.zeros((3, 2)), "outside the codes 0 to 1"),
    ],
)
@pytest.mark.parametrize("estimator", [average_thresholded_confidence, confidence_transport])
def test_what_is_no_score_is_refused(estimator, source, label, target, words):
    with pytest.raises(DataError, match=words):
        estimator(source, np.array(label, int), target)
    with pytest.raises(DataError, match="not a share"):
        accuracy_of_adapted(Estimate("known", 0.5, 0.5, 0.5, 1, 1), 1.5)
