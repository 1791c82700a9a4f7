"""Rejection: the rate that was asked for, ties, few rows, and the promise for a further row."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from juyi.errors import DataError, SettingError
from juyi.measure import certainty, rejection_threshold


@given(st.lists(st.integers(0, 12), min_size=1, max_size=200), st.sampled_from([0.01, 0.05, 0.1, 0.3, 0.9]))
def test_no_more_rows_than_the_rate_are_rejected_whatever_the_ties(values, rate):
    values = np.array(values, float)
    assert (values < rejection_threshold(values, rate)).sum() <= rate * len(values)


@pytest.mark.parametrize("n", [99, 100, 999, 5000])
def test_without_ties_the_rate_is_met_to_within_two_rows(n):
    values = np.random.default_rng(0).normal(size=n)
    rejected = (values < rejection_threshold(values, 0.05)).sum()
    assert 0.05 * n - 2 < rejected <= 0.05 * n


def test_a_further_row_is_rejected_at_the_rate():
    """Over 4,000 draws of 39 rows and one more: at most 5 %, and about (k − 1 + ½)/40 by rank with k = 2."""
    rng = np.random.default_rng(1)
    drawn = rng.normal(size=(4000, 40))
    share = np.mean([row[-1] < rejection_threshold(row[:-1], 0.05) for row in drawn])
    assert share == pytest.approx(2 / 40, abs=0.011)  # 3 standard deviations


def test_where_all_are_equally_certain_none_is_rejected():
    assert not (np.zeros(50) < rejection_threshold(np.zeros(50), 0.2)).any()


def test_too_few_rows_reject_nothing():
    assert rejection_threshold(np.arange(18.0), 0.05) == -math.inf
    assert rejection_threshold(np.arange(19.0), 0.05) == 0.0


@pytest.mark.parametrize("rate", [0.0, 1.0, -0.1, 5, math.nan])
def test_a_rate_is_a_share(rate):
    with pytest.raises(SettingError, match="rate"):
        rejection_threshold(np.arange(9.0), rate)


def test_certainty_is_the_negative_entropy():
    scores = np.random.default_rng(0).normal(size=(20, 4)) * 5
    p = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    assert np.allclose(certainty(scores), (p * np.log(p)).sum(1))
    assert np.allclose(certainty(scores), certainty(scores + 7.0))  # scores have no origin
    assert certainty(np.zeros((1, 5)))[0] == pytest.approx(-math.log(5))
    assert certainty(np.array([[800.0, 0.0, 0.0]]))[0] == pytest.approx(0.0)
    with pytest.raises(DataError, match="a row a line"):
        certainty(np.zeros(3))
