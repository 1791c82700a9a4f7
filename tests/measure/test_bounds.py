"""Estimated bounds: limits, slow references, truth known by construction, and what breaks them."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import check_grad

from juyi.errors import DataError, SettingError
from juyi.measure import (
    ben_david_bound,
    dis2_bound,
    linear_classifier,
    linear_prediction,
    mansour_bound,
    margin_bound,
)
from juyi.measure.checked import codes, matrix
from juyi.measure.disagreement import critic_loss, largest_discrepancy
from juyi.measure.margin import _disparity, _smooth_disparity, margins, ramp
from juyi.measure.regions import largest_difference, product, region_loss

BOUNDS = (ben_david_bound, mansour_bound, margin_bound)


def domain(random, n, shift=0.0, apart=4.0):
    """Two classes on a line, `apart` from each other, and a second column that says nothing."""
    label = random.integers(0, 2, n)
    x = random.normal(size=(n, 2))
    x[:, 0] += apart * label + shift
    return x, label


def scores(w, x):
    return x @ w[:-1] + w[-1]


@pytest.fixture
def random():
    return np.random.default_rng(0)


# --- all of them -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bound", BOUNDS)
def test_identical_domains_leave_the_source_error_and_the_sampling_term(bound, random):
    w = linear_classifier(*domain(random, 1000))
    (x, y), (there, label) = domain(random, 10_000), domain(random, 10_000)
    found = bound(x, y, there, classifier=w)
    sampling = float(found.note.split("sampling ")[-1].split()[0].rstrip(";"))
    assert found.value - sampling == pytest.approx(0.023, abs=0.03 if bound is not margin_bound else 0.15)
    assert found.value > (linear_prediction(w, there) != label).mean()
    assert found.low == 0 and found.high == min(1, found.value) and found.confidence == 0.99


@pytest.mark.parametrize("bound", BOUNDS)
def test_disjoint_domains_are_vacuous(bound, random):
    (x, y), (there, _) = domain(random, 500), domain(random, 400, shift=100)
    found = bound(x, y, there)
    assert found.value > 1 and found.high == 1 and "vacuous" in found.note
    assert (found.n_source, found.n_target) == (500, 400)


@pytest.mark.parametrize("bound", BOUNDS)
def test_what_labels_alone_can_tell_is_said_or_estimated(bound, random):
    (x, y), (there, label) = domain(random, 1000), domain(random, 1000)
    unknown = bound(x, y, there, classifier=(w := linear_classifier(x, y)))
    none = bound(x, y, there, classifier=w, label_target=np.full(1000, np.nan))
    assert unknown == none
    flipped = bound(x, y, there, classifier=w, label_target=np.where(np.arange(1000) < 100, 1.0 - label, np.nan))
    assert "100 target labels" in flipped.note and "labels" in unknown.note
    assert flipped.value > unknown.value + 0.7  # no linear rule serves both: λ is about 1


@pytest.mark.parametrize("bound", BOUNDS)
def test_only_labels_that_are_known_are_read(bound, random):
    (x, y), (there, label) = domain(random, 300), domain(random, 300)
    known = np.where(np.arange(300) % 5 == 0, label, np.nan)
    assert bound(x, y, there, label_target=known) == bound(x, y, there, label_target=known.copy())
    assert bound(x, y, there, label_target=known).value != bound(x, y, there).value


@pytest.mark.parametrize("bound", BOUNDS)
def test_more_rows_lower_the_bound_and_a_smaller_delta_raises_it(bound, random):
    w = linear_classifier(*domain(random, 1000))
    (x, y), (there, _) = domain(random, 8000), domain(random, 8000)
    few = bound(x[:200], y[:200], there[:200], classifier=w)
    assert bound(x, y, there, classifier=w).value < few.value
    assert bound(x[:200], y[:200], there[:200], classifier=w, delta=1e-6).value > few.value


@pytest.mark.parametrize("bound", (*BOUNDS, dis2_bound))
@pytest.mark.parametrize("seed", (0, 1))
def test_a_seed_gives_the_same_bound_twice(bound, seed, random):
    (x, y), (there, _) = domain(random, 60), domain(random, 50)
    assert bound(x, y, there, seed=seed) == bound(x, y, there, seed=seed)


@pytest.mark.parametrize("bound", (*BOUNDS, dis2_bound))
def test_bad_input_is_refused(bound, random):
    (x, y), (there, _) = domain(random, 60), domain(random, 50)
    holed = x.copy()
    holed[7, 1] = np.nan
    for arguments, words in (
        ((holed, y, there), "row 7"),
        ((x, y, there * np.inf), "NaN or infinity"),
        ((x[:1], y[:1], there), "at least 2 rows"),
        ((x, y, there[:1]), "at least 2 rows"),
        ((x, y, there[:, :1]), "columns|at least 2 rows of at least 2"),
        ((x, np.zeros(60), there), "all rows are of class 0"),
        ((x, y[:50], there), "60 in all"),
        ((x, y - 1, there), "codes must be"),
        ((x, y + 0.5, there), "whole numbers"),
        ((x, np.array(["a", "b"] * 30), there), "whole numbers"),
        ((x[:, 0], y, there), "rows"),
        (([[1, 2], [3]], y, there), "numbers"),
    ):
        with pytest.raises(DataError, match=words):
            bound(*arguments)
    with pytest.raises(SettingError, match="delta"):
        bound(x, y, there, delta=1.0)


@pytest.mark.parametrize("bound", BOUNDS)
def test_labels_and_classifiers_that_do_not_fit_are_refused(bound, random):
    (x, y), (there, label) = domain(random, 60), domain(random, 50)
    with pytest.raises(DataError, match="as there are 2 classes"):
        bound(x, y, there, label_target=label + 1)
    with pytest.raises(DataError, match="50 in all"):
        bound(x, y, there, label_target=label[:10])
    with pytest.raises(DataError, match="all rows are of class 1"):
        bound(x, y, there, label_target=np.where(label == 1, 1, np.nan))
    with pytest.raises(DataError, match="classifier"):
        bound(x, y, there, classifier=np.zeros((2, 2)))


@settings(max_examples=15, deadline=None)
@given(st.integers(2, 30), st.integers(2, 30), st.integers(1, 4), st.integers(2, 4), st.integers(0, 99), st.booleans())
def test_any_sensible_input_gives_a_finite_bound(n, m, d, classes, seed, constant):
    random = np.random.default_rng(seed)
    x, there = random.normal(size=(n, d)), random.normal(size=(m, d))
    if constant:
        x[:, 0] = there[:, 0] = 3.0
    y = np.concatenate([[0, 1], random.integers(0, classes, n - 2)])
    w = random.normal(size=(d + 1, classes))
    for bound in BOUNDS:
        found = bound(x, y, there, classifier=w, seed=seed)
        assert math.isfinite(found.value) and found.value >= 0
    found = dis2_bound(x @ w[:-1], y, there @ w[:-1], held_out=min(n, m) > 3)
    assert 0 <= found.value <= 1


# --- the pieces ----------------------------------------------------------------------------------------------------


def test_the_largest_difference_on_a_line_is_found(random):
    """On a line, where two half-spaces differ is an interval, or all but one: all of them can be tried."""
    first, second = random.normal(size=(120, 1)), np.where(random.random((150, 1)) < 0.5, 2.5, -2.0)
    second += random.normal(scale=0.5, size=second.shape)
    cuts = np.sort(np.concatenate([first, second, [[-9], [9]]]).ravel())
    cuts = (cuts[1:] + cuts[:-1]) / 2
    best = 0.0
    for a, b in itertools.combinations(cuts, 2):
        inside = [float(((side > a) & (side < b)).mean()) for side in (first, second)]
        best = max(best, abs(inside[0] - inside[1]))
    found = largest_difference(first, second, 0)
    assert best - 0.05 < found <= best + 1e-9


def test_a_region_between_two_half_spaces_is_found_where_no_half_space_helps(random):
    first = random.normal(size=(1000, 3))
    second = random.normal(size=(1000, 3))
    second[:, 1] += np.where(np.arange(1000) % 2, 6, -6)
    half_space = linear_classifier(np.concatenate([first, second]), np.repeat([0, 1], 1000))
    said = linear_prediction(half_space, np.concatenate([first, second]))
    assert abs(said[:1000].mean() - said[1000:].mean()) < 0.2
    assert largest_difference(first, second, 0) > 0.95


def test_largest_difference_does_not_change_with_units_or_sides(random):
    first, second = random.normal(size=(200, 2)), random.normal(size=(200, 2)) + 0.5
    found = largest_difference(first, second, 0)
    assert largest_difference(first * 1000 - 7, second * 1000 - 7, 0) == pytest.approx(found, abs=1e-9)
    assert largest_difference(second, first, 0) == pytest.approx(found, abs=0.03)


@pytest.mark.parametrize("convex", (True, False))
def test_gradients_are_right(convex, random):
    x, there = random.normal(size=(9, 4)), random.normal(size=(7, 4))
    said, said_there = random.integers(0, 3, 9), random.integers(0, 3, 7)
    given = (x, said, there, said_there, 3, 0.7, convex)
    at = random.normal(size=12)
    error = check_grad(lambda w: critic_loss(w, *given)[0], lambda w: critic_loss(w, *given)[1], at)
    assert error < 1e-5
    sign, weight = np.where(np.arange(9) < 5, 1.0, -1.0), np.full(9, 1 / 9)
    at = random.normal(size=8)
    given = (x, sign, weight)
    assert check_grad(lambda w: region_loss(w, *given)[0], lambda w: region_loss(w, *given)[1], at) < 1e-5
    sides = (x, said, there, said_there)
    at = random.normal(size=12)
    error = check_grad(
        lambda w: _smooth_disparity(w.reshape(4, 3), sides, 2.0)[0],
        lambda w: _smooth_disparity(w.reshape(4, 3), sides, 2.0)[1].ravel(),
        at,
    )
    assert error < 1e-5
    w = at.reshape(4, 3)
    assert _smooth_disparity(w, sides, 2.0)[0] == pytest.approx(_disparity(w, sides, 2.0), abs=0.05)


def test_critic_loss_by_loops(random):
    x, there, w = random.normal(size=(5, 2)), random.normal(size=(4, 2)), random.normal(size=(2, 3))
    said, said_there = np.array([0, 1, 2, 0, 1]), np.array([2, 2, 0, 1])
    for convex in (True, False):
        expected = 1e-4 * (w**2).sum()
        for row, y in zip(x, said, strict=True):
            z = row @ w
            expected += -math.log(math.exp(z[y]) / sum(math.exp(s) for s in z)) / 5
        for row, y in zip(there, said_there, strict=True):
            z = row @ w
            others = [z[k] for k in range(3) if k != y]
            other = sum(others) / 2 if convex else math.log(sum(math.exp(s) for s in others))
            expected += 0.7 * math.log(1 + math.exp(z[y] - other)) / 4
            if not convex:  # it is −ln(1 − softmax)
                p = math.exp(z[y]) / sum(math.exp(s) for s in z)
                assert math.log(1 + math.exp(z[y] - other)) == pytest.approx(-math.log(1 - p))
        found, _ = critic_loss(w.T.ravel(), x, said, there, said_there, 3, 0.7, convex)
        assert found == pytest.approx(expected)


def test_margins_and_ramp_by_loops(random):
    z, y = random.normal(size=(20, 4)), random.integers(0, 4, 20)
    expected = [(z[i, y[i]] - max(z[i, k] for k in range(4) if k != y[i])) / 2 for i in range(20)]
    np.testing.assert_allclose(margins(z, y), expected)
    np.testing.assert_allclose(ramp(np.array([-1, 0, 0.5, 2, 3]), 2.0), [1, 1, 0.75, 0, 0])


def test_a_linear_classifier_never_says_a_class_it_has_not_seen(random):
    x = random.normal(size=(30, 2))
    w = linear_classifier(x, np.arange(30) % 2 * 2, 4)
    assert set(linear_prediction(w, 100 * random.normal(size=(500, 2)))) == {0, 2}
    np.testing.assert_array_equal(product(np.array([1.0, 0, 0, 1]), np.array([[3.0, 1.0]])), [3.0])


# --- Dis² ------------------------------------------------------------------------------------------------------------


def test_dis2_is_its_formula(random):
    (x, y), (there, _) = domain(random, 300), domain(random, 200, shift=1)
    w = linear_classifier(x, y)
    found = dis2_bound(scores(w, x), y, scores(w, there), delta=0.05)
    parts = [float(part.split()[0]) for part in (found.note.split("accuracy ")[1], found.note.split("discrepancy ")[1])]
    epsilon = math.sqrt((300 + 4 * 200) * math.log(1 / 0.05) / (2 * 300 * 200))
    assert parts[0] == pytest.approx((linear_prediction(w, x) == y).mean(), abs=1e-3)
    assert found.value == pytest.approx(parts[0] - parts[1] - epsilon, abs=2e-3)
    assert (found.low, found.high, found.confidence) == (found.value, 1.0, 0.95)


@pytest.mark.parametrize("shift", (0, 3, 5))
def test_dis2_finds_the_worst_critic_of_a_line(shift, random):
    """With two classes and one score a critic is a threshold and a direction: all of them can be tried."""
    (x, _), (there, _) = domain(random, 300), domain(random, 300, shift=shift)
    x, there = x[:, :1] - 2, there[:, :1] - 2
    said, said_there = (x[:, 0] > 0).astype(int), (there[:, 0] > 0).astype(int)
    best = 0.0
    for cut in np.concatenate([x, there]).ravel():
        for up in (True, False):
            agree = np.mean(((x[:, 0] > cut) == up) == said) - np.mean(((there[:, 0] > cut) == up) == said_there)
            best = max(best, float(agree))
    sides = (np.c_[x, np.ones(300)], said, np.c_[there, np.ones(300)], said_there)
    for critic in ("convex", "consistent"):
        assert (best - 0.04 if shift else 0) < largest_discrepancy(sides, sides, 2, critic) <= best + 1e-9


def test_restarts_of_the_convex_critic_change_nothing(random):
    from scipy.optimize import minimize

    mean = random.normal(size=(4, 3)) * 2
    y, z = random.integers(0, 4, 300), random.integers(0, 4, 300)
    x, there = mean[y] + random.normal(size=(300, 3)), mean[z] + 1 + random.normal(size=(300, 3))
    given = (x, y, there, z, 4, 1.0, True)
    ends = [
        minimize(critic_loss, start, given, "L-BFGS-B", True, options={"maxiter": 1000, "ftol": 1e-12}).fun
        for start in random.normal(size=(5, 12)) * 3
    ]
    assert max(ends) - min(ends) < 1e-6


def test_dis2_lies_below_the_truth_under_covariate_shift(random):
    """The rule is a line, the same in both domains; the classifier has learnt it well only where the source lies."""
    for seed in range(30):
        random = np.random.default_rng(seed)
        x, there = random.normal(size=(1500, 2)), random.normal(size=(1500, 2)) + random.normal(size=2)
        rule = lambda x: ((x[:, 0] + 0.3 * x[:, 1]) > 0.2).astype(int)  # noqa: E731
        w = linear_classifier(x[:500], rule(x[:500]) ^ (random.random(500) < 0.1))
        found = dis2_bound(
            scores(w, x[500:]), rule(x[500:]), scores(w, there), features_source=x[500:], features_target=there
        )
        assert found.value <= (linear_prediction(w, there) == rule(there)).mean()
        assert found.value > 0.2


def test_dis2_fails_under_concept_shift_as_it_must(random):
    (x, y), (there, z) = domain(random, 2000), domain(random, 2000)
    w = linear_classifier(x, y)
    found = dis2_bound(scores(w, x), y, scores(w, there))
    assert found.value > 0.8 > (linear_prediction(w, there) == 1 - z).mean()


def test_dis2_of_disjoint_domains_is_vacuous(random):
    (x, y), (there, _) = domain(random, 500), domain(random, 500, shift=100)
    w = linear_classifier(x, y)
    found = dis2_bound(scores(w, x), y, scores(w, there), features_source=x, features_target=there)
    assert found.value < 0.5 and "vacuous" in found.note


def test_dis2_on_held_out_rows_uses_half_of_them(random):
    (x, y), (there, _) = domain(random, 301), domain(random, 200)
    w = linear_classifier(x, y)
    found = dis2_bound(scores(w, x), y, scores(w, there), held_out=True, seed=3)
    assert (found.n_source, found.n_target) == (151, 100)
    assert found.value != dis2_bound(scores(w, x), y, scores(w, there), held_out=True, seed=4).value


def test_the_consistent_critic_disagrees_more_with_many_classes():
    random = np.random.default_rng(1)
    mean = random.normal(size=(8, 8)) * 2.5
    y, z = random.integers(0, 8, 1000), random.integers(0, 8, 1000)
    x, there = (
        mean[y] + random.normal(size=(1000, 8)),
        mean[z] + random.normal(size=(1000, 8)) + random.normal(size=8),
    )
    w = linear_classifier(x, y)
    bounds = [dis2_bound(scores(w, x), y, scores(w, there), critic=critic).value for critic in ("convex", "consistent")]
    assert bounds[1] < bounds[0] - 0.1


def test_dis2_refuses_settings_that_do_not_fit(random):
    (x, y), (there, _) = domain(random, 60), domain(random, 50)
    with pytest.raises(SettingError, match="both sides"):
        dis2_bound(x, y, there, features_source=x)
    with pytest.raises(DataError, match="features: 59 and 50 rows"):
        dis2_bound(x, y, there, features_source=x[1:], features_target=there)
    with pytest.raises(SettingError, match="critic"):
        dis2_bound(x, y, there, critic="linear")
    with pytest.raises(DataError, match="as there are 2 classes"):
        dis2_bound(x, y + 1, there)
    with pytest.raises(DataError, match="scores"):
        dis2_bound(x, y, np.c_[there, there])


def test_checked_arrays_keep_their_values():
    assert matrix([[1, 2], [3, 4]], "x").tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert codes([True, False], 2, "y").tolist() == [1, 0]
