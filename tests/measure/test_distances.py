"""What all distances of two domains must do: refuse bad input, see no difference where there is none, keep still."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from juyi.errors import DataError, SettingError
from juyi.measure import (
    Estimate,
    coral_distance,
    energy_distance,
    feature_tests,
    frechet_distance,
    mmd,
    proxy_a_distance,
    sliced_wasserstein,
    wasserstein,
)
from juyi.measure.two_samples import draw_rows, two_samples

DISTANCES = [
    proxy_a_distance, mmd, energy_distance, coral_distance, frechet_distance, sliced_wasserstein, wasserstein,
]  # fmt: skip
ALL = [*DISTANCES, feature_tests]
OF_SHAPE = [mmd, energy_distance, frechet_distance, sliced_wasserstein, wasserstein]


def clouds(n=150, m=120, d=4, shift=0.0, scale=1.0, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)), shift + scale * rng.normal(size=(m, d))


GOOD = clouds()[0]
BAD = [
    (GOOD, GOOD[:, :3], "4 features and the target 3"),
    (GOOD[:1], GOOD, "source has 1 row;"),
    (GOOD, GOOD[:0], "target has 0 rows;"),
    (GOOD, GOOD[:, 0], "rows×features"),
    (np.zeros((3, 2, 2, 2)), GOOD, "images go through a network"),
    (np.zeros((5, 0)), np.zeros((5, 0)), "rows×features"),
    (GOOD, np.where(np.arange(4) == 2, np.nan, GOOD), "150 values that are missing.*row 0, feature 2"),
    (np.where(np.arange(150)[:, None] == 7, np.inf, GOOD), GOOD, "row 7, feature 0"),
    (GOOD * 1e200, GOOD, "beyond 1e100"),
    (np.full((5, 2), 3.0), np.full((4, 2), 3.0), "one and the same value"),
    (np.array([["a", "b"], ["c", "d"]]), GOOD, "not a matrix of numbers"),
]


@pytest.mark.parametrize("measure", ALL)
@pytest.mark.parametrize(("source", "target", "said"), BAD, ids=[said for *_, said in BAD])
def test_bad_input_is_refused_with_a_sentence(measure, source, target, said):
    with pytest.raises(DataError, match=said) as refused:
        measure(source, target)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("measure", DISTANCES)
def test_where_domains_are_equal_the_interval_holds_nothing(measure):
    found = measure(*clouds(400, 300))
    assert isinstance(found, Estimate)
    assert found.name == measure.__name__
    assert found.low <= 0 <= found.high
    assert (found.n_source, found.n_target) == (400, 300)


@pytest.mark.parametrize("measure", DISTANCES)
def test_where_they_are_far_apart_it_does_not(measure):
    found = measure(*clouds(400, 300, shift=2.0, scale=2.0))
    assert 0 < found.low < found.value <= found.high


@pytest.mark.parametrize("measure", DISTANCES)
def test_farther_is_farther(measure):
    values = [measure(*clouds(400, 300, scale=1 + far, shift=far)).value for far in (0, 0.5, 1.0, 1.6)]
    assert values == sorted(values)


@pytest.mark.parametrize("measure", DISTANCES)
def test_the_same_call_gives_the_same_figures(measure):
    pair = clouds(shift=0.5)
    assert measure(*pair) == measure(*pair)


@pytest.mark.parametrize("measure", DISTANCES)
def test_rows_that_do_not_vary_but_differ_are_told_apart(measure):
    """Each domain constant: not alike.  (Covariances are alike.)"""
    found = measure(np.zeros((20, 2)), np.ones((30, 2)))
    assert found.value == pytest.approx(0, abs=1e-12) if measure is coral_distance else found.value > 0.2


@pytest.mark.parametrize("measure", ALL)
def test_a_constant_feature_among_others_does_no_harm(measure):
    x, y = clouds(200, 150, shift=1.0)
    with_constant = [np.insert(part, 2, 7.0, axis=1) for part in (x, y)]
    found = measure(*with_constant)
    for one in found if isinstance(found, list) else [found]:
        assert np.isfinite([one.value, one.low, one.high]).all()


@pytest.mark.parametrize("measure", DISTANCES)
def test_two_rows_a_side_are_the_least(measure):
    found = measure([[0.0, 1.0], [1.0, 0.0]], [[5.0, 6.0], [6.0, 5.0]])
    assert np.isfinite(found.value)
    if measure is not proxy_a_distance:
        assert found.low is None and found.high is None and "rows" in found.note


@pytest.mark.parametrize("measure", DISTANCES)
def test_order_of_rows_and_sides_change_no_more_than_chance_does(measure):
    x, y = clouds(400, 300, shift=0.7)
    found = measure(x, y)
    rng = np.random.default_rng(1)
    for other in (measure(rng.permutation(x), rng.permutation(y)), measure(y, x)):
        assert found.low - 1e-9 <= other.value <= found.high
        assert other.high - other.low == pytest.approx(found.high - found.low, rel=0.35)


@pytest.mark.parametrize("measure", [mmd, energy_distance, coral_distance])
def test_what_looks_at_all_rows_alike_does_not_mind_their_order_or_side(measure):
    x, y = clouds(shift=0.7)
    rng = np.random.default_rng(1)
    found, permuted, swapped = (measure(*pair) for pair in ((x, y), (rng.permutation(x), rng.permutation(y)), (y, x)))
    for other in (permuted, swapped):
        assert [other.value, other.low, other.high] == pytest.approx([found.value, found.low, found.high], rel=1e-3)
        assert other.value == pytest.approx(found.value, rel=1e-6)


@pytest.mark.parametrize("measure", DISTANCES)
def test_moving_both_changes_nothing(measure):
    x, y = clouds(shift=0.7)
    found, moved = measure(x, y), measure(x + 1000.0, y + 1000.0)
    assert moved.value == pytest.approx(found.value, rel=1e-6)


@pytest.mark.parametrize("measure", [mmd, energy_distance, coral_distance, frechet_distance, wasserstein])
def test_turning_both_changes_nothing(measure):
    x, y = clouds(shift=0.7)
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(4, 4)))[0]
    found, turned = measure(x, y), measure(x @ turn, y @ turn)
    assert [turned.value, turned.low, turned.high] == pytest.approx([found.value, found.low, found.high], rel=1e-6)


def test_turning_both_changes_the_sliced_distance_by_the_choice_of_directions_only():
    x, y = clouds(800, 600, shift=0.7)
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(4, 4)))[0]
    found, turned = sliced_wasserstein(x, y), sliced_wasserstein(x @ turn, y @ turn)
    assert turned.value == pytest.approx(found.value, rel=0.02)


POWERS = {
    energy_distance: 1, frechet_distance: 2, sliced_wasserstein: 1, wasserstein: 1, coral_distance: 4, mmd: 0,
    proxy_a_distance: 0,
}  # fmt: skip


@pytest.mark.parametrize(("measure", "power"), POWERS.items())
def test_scaling_both_scales_the_figure(measure, power):
    x, y = clouds(shift=0.7, scale=1.3)
    found, scaled = measure(x, y), measure(3 * x, 3 * y)
    assert scaled.value == pytest.approx(3**power * found.value, rel=1e-6)
    assert scaled.high == pytest.approx(3**power * found.high, rel=1e-4)


@pytest.mark.parametrize("measure", DISTANCES)
def test_a_higher_confidence_gives_a_wider_interval(measure):
    x, y = clouds(400, 300, shift=0.7)
    narrow, wide = measure(x, y, confidence=0.8), measure(x, y, confidence=0.99)
    assert wide.low <= narrow.low < narrow.high < wide.high
    assert (narrow.confidence, wide.confidence) == (0.8, 0.99)


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95.0])
def test_a_confidence_out_of_range_is_refused(confidence):
    with pytest.raises(SettingError, match="confidence"):
        mmd(*clouds(), confidence=confidence)


def test_other_settings_out_of_range_are_refused():
    for measure, setting, value in (
        (mmd, "bandwidth", 0.0), (mmd, "bandwidth", float("nan")), (mmd, "permutations", 5),
        (energy_distance, "permutations", -1), (wasserstein, "rows", 3), (sliced_wasserstein, "projections", 0),
    ):  # fmt: skip
        with pytest.raises(SettingError, match=setting):
            measure(*clouds(), **{setting: value})


floats = st.floats(-1e6, 1e6, width=32)


@settings(max_examples=25, deadline=None)
@given(data=st.data(), d=st.integers(1, 3), n=st.integers(2, 9), m=st.integers(2, 9))
@pytest.mark.parametrize("measure", ALL)
def test_any_finite_rows_have_a_finite_figure_or_a_refusal(measure, data, d, n, m):
    x, y = (
        data.draw(arrays(np.float32, (n, d), elements=floats)),
        data.draw(arrays(np.float32, (m, d), elements=floats)),
    )
    try:
        found = measure(x, y)
    except DataError as refused:
        assert "one and the same value" in str(refused)
        return
    for one in found if isinstance(found, list) else [found]:
        assert np.isfinite(one.value)
        assert (one.low is None) == (one.high is None)
        if one.low is not None:
            assert np.isfinite([one.low, one.high]).all() and one.low <= one.high
        assert one.p_value is None or 0 <= one.p_value <= 1


def test_the_common_mean_is_taken_off():
    x, y = two_samples([[1, 2], [3, 4]], [[5, 6], [7, 8], [9, 10]])
    assert np.allclose(np.concatenate([x, y]).mean(0), 0)
    assert x.dtype == y.dtype == np.float64


def test_rows_are_drawn_without_replacement():
    rows = draw_rows(np.arange(100.0)[:, None], 40, np.random.default_rng(0))
    assert len(np.unique(rows)) == 40
