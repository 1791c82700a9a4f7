import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.stats import binomtest

from juyi.errors import DataError, SettingError
from juyi.measure import paired_difference, wilson_interval


def wilson_by_search(successes: int, n: int, z: float = 1.959963984540054) -> tuple[float, float]:
    """Find the two shares at which the score test is just not rejected."""
    share = successes / n
    score = lambda p: (share - p) ** 2 * n - z * z * p * (1 - p)  # noqa: E731
    # at 0 and at 1 the score has a root of its own, which is no end of the interval unless the share is there
    low = 0.0 if successes == 0 else brentq(score, 1e-12, share - (1e-12 if successes == n else 0))
    high = 1.0 if successes == n else brentq(score, share + (1e-12 if successes == 0 else 0), 1 - 1e-12)
    return low, high


@pytest.mark.parametrize(("successes", "n"), [(0, 1), (1, 1), (0, 40), (40, 40), (1, 7), (52, 100), (84200, 100000)])
def test_wilson_interval_equals_a_search_over_score_tests(successes, n):
    assert wilson_interval(successes, n) == pytest.approx(wilson_by_search(successes, n), abs=1e-9)


@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
@settings(max_examples=60, deadline=None)
def test_wilson_interval_is_symmetric_and_holds_the_share(case):
    successes, n = case
    low, high = wilson_interval(successes, n)
    mirrored_low, mirrored_high = wilson_interval(n - successes, n)
    assert 0 <= low <= successes / n <= high <= 1
    assert (low, high) == pytest.approx((1 - mirrored_high, 1 - mirrored_low), abs=1e-12)


@pytest.mark.parametrize("share", [0.05, 0.5, 0.97])
def test_wilson_interval_covers_the_truth_as_often_as_it_says(share):
    draws = np.random.default_rng(0).binomial(200, share, size=4000)
    ends = {k: wilson_interval(int(k), 200) for k in np.unique(draws)}
    covered = np.mean([ends[k][0] <= share <= ends[k][1] for k in draws])
    assert 0.93 < covered < 0.975


def test_more_confidence_is_wider_and_more_rows_are_narrower():
    width = lambda low, high: high - low  # noqa: E731
    assert width(*wilson_interval(8, 10, 0.99)) > width(*wilson_interval(8, 10)) > width(*wilson_interval(80, 100))


@pytest.mark.parametrize(("successes", "n"), [(0, 0), (3, 2), (-1, 5)])
def test_a_share_that_is_none_is_refused(successes, n):
    with pytest.raises(DataError, match=f"not {successes} of {n}"):
        wilson_interval(successes, n)


def test_confidence_out_of_range_is_refused():
    with pytest.raises(SettingError, match="95"):
        wilson_interval(1, 2, confidence=95)


def pairs(both: int, only_first: int, only_second: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    first = np.repeat([True, True, False, False], [both, only_first, only_second, neither])
    second = np.repeat([True, False, True, False], [both, only_first, only_second, neither])
    return first, second


def test_paired_difference_gives_the_published_example():
    # ci.prop.ps(.05, 12, 4, 26, 6) of statpsych, by the author of the interval
    difference = paired_difference(*pairs(both=6, only_first=26, only_second=4, neither=12))
    assert (difference.low, difference.high) == pytest.approx((0.2548067, 0.6251933), abs=1e-6)
    assert difference.gain == pytest.approx(22 / 48)


@pytest.mark.parametrize("counts", [(5, 8, 2, 1), (0, 9, 0, 0), (3, 4, 4, 3), (90, 1, 30, 2), (1, 200, 171, 0)])
def test_p_value_is_that_of_the_exact_binomial_test(counts):
    difference = paired_difference(*pairs(*counts))
    assert difference.p_value == pytest.approx(binomtest(counts[1], counts[1] + counts[2]).pvalue, rel=1e-9)


def test_p_value_equals_a_sum_over_all_outcomes():
    difference = paired_difference(*pairs(4, 7, 2, 4))
    chance = [math.comb(9, k) / 2**9 for k in range(10)]
    assert difference.p_value == pytest.approx(sum(p for p in chance if p <= chance[7]))


def test_models_that_never_differ():
    right = np.arange(100) < 70
    difference = paired_difference(right, right)
    assert (difference.gain, difference.p_value, difference.only_first) == (0, 1, 0)
    assert -0.05 < difference.low == -difference.high < 0


def test_models_that_always_differ():
    difference = paired_difference(np.ones(1000, bool), np.zeros(1000, bool))
    assert difference.gain == 1 and difference.high == 1 and difference.low > 0.99 and difference.p_value < 1e-200


def test_one_row_says_next_to_nothing():
    difference = paired_difference(np.array([True]), np.array([False]))
    assert difference.low < 0 < difference.high == 1 and difference.p_value == 1 and difference.n == 1


def test_swapping_the_models_mirrors_the_interval():
    first, second = pairs(40, 20, 7, 30)
    forth, back = paired_difference(first, second), paired_difference(second, first)
    assert (forth.gain, forth.low, forth.high) == pytest.approx((-back.gain, -back.high, -back.low))
    assert forth.p_value == back.p_value


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 60), st.integers(0, 60))
@settings(max_examples=80, deadline=None)
def test_the_interval_holds_the_gain_and_ignores_rows_order(both, only_first, only_second, neither):
    first, second = pairs(both, only_first, only_second, neither)
    if not len(first):
        return
    difference = paired_difference(first, second)
    order = np.random.default_rng(both).permutation(len(first))
    assert -1 <= difference.low <= difference.gain <= difference.high <= 1
    assert paired_difference(first[order], second[order]) == difference


@pytest.mark.parametrize("cells", [(0.5, 0.1, 0.1), (0.45, 0.3, 0.02), (0.9, 0.03, 0.01)])
@pytest.mark.parametrize("n", [50, 500])
def test_paired_interval_covers_the_truth_as_often_as_it_says(cells, n):
    generator = np.random.default_rng(1)
    covered, times = 0, 800
    for counts in generator.multinomial(n, [*cells, 1 - sum(cells)], size=times):
        difference = paired_difference(*pairs(*counts))
        covered += difference.low <= cells[1] - cells[2] <= difference.high
    assert covered / times > 0.92


def test_pairing_is_used():
    """Two models that agree on nearly all rows are told apart by fewer rows than two independent ones."""
    alike = paired_difference(*pairs(500, 30, 10, 460))
    unlike = paired_difference(*pairs(275, 255, 235, 235))
    assert alike.gain == unlike.gain and alike.low > 0 > unlike.low


@pytest.mark.parametrize(("first", "second"), [([], []), ([True], [True, False]), ([[True]], [[True]])])
def test_rows_that_do_not_pair_are_refused(first, second):
    with pytest.raises(DataError, match="same rows"):
        paired_difference(np.array(first, bool), np.array(second, bool))
