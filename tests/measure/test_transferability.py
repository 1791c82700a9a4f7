"""Scores of sources and backbones: slow references, closed forms, invariances, degenerate input."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.stats import multivariate_normal, ortho_group
from sklearn.covariance import ledoit_wolf
from sklearn.decomposition import PCA

from juyi.errors import DataError
from juyi.measure import gbc, h_score, leep, log_me, nce, trans_rate
from juyi.measure.jackknife import with_interval

OF_FEATURES = (log_me, h_score, gbc, trans_rate)
ALL = (*OF_FEATURES, leep, nce)


def clouds(seed=0, n=60, d=4, classes=3, apart=2.0):
    random = np.random.default_rng(seed)
    y = np.arange(n) % classes
    return apart * random.normal(size=(classes, d))[y] + random.normal(size=(n, d)), y


def probabilities(seed=0, n=60, z=5):
    return np.random.default_rng(seed).dirichlet(np.ones(z), n)


def argument(score, seed=0):
    """Fitting input of any of the scores, with labels that it says something about."""
    x, y = clouds(seed)
    if score is leep:
        return np.exp(x) / np.exp(x).sum(1, keepdims=True), y
    return (x.argmax(1), y) if score is nce else (x, y)


# --- slow references ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n, d", ((40, 3), (30, 8), (12, 20)))
def test_log_me_is_the_largest_evidence(n, d):
    """The evidence as the density of y under N(0, I/β + FFᵀ/α), maximised over both without any algebra."""
    x, y = clouds(1, n, d)
    found = []
    for k in range(3):
        target = (y == k).astype(float)

        def loss(logs, target=target):
            alpha, beta = np.exp(logs)
            spread = np.eye(n) / beta + x @ x.T / alpha
            return -multivariate_normal.logpdf(target, np.zeros(n), spread, allow_singular=True) / n

        starts = ((a, b) for a in (-2, 2) for b in (1, 4))
        found.append(
            -min(minimize(loss, start, method="Nelder-Mead", options={"maxiter": 400}).fun for start in starts)
        )
    assert log_me(x, y).value == pytest.approx(np.mean(found), abs=2e-4)


def test_leep_by_loops():
    p, y = probabilities(), clouds()[1]
    joint = [[sum(p[i, z] for i in range(60) if y[i] == k) / 60 for z in range(5)] for k in range(3)]
    total = 0.0
    for i in range(60):
        total += math.log(sum(joint[y[i]][z] / sum(joint[k][z] for k in range(3)) * p[i, z] for z in range(5)))
    assert leep(p, y).value == pytest.approx(total / 60)


def test_nce_is_minus_the_conditional_entropy():
    z, y = np.random.default_rng(0).integers(0, 4, 80), np.arange(80) % 3
    entropy = 0.0
    for k in range(4):
        share = np.bincount(y[z == k], minlength=3) / (z == k).sum()
        entropy -= (z == k).mean() * sum(s * math.log(s) for s in share if s)
    assert nce(z, y).value == pytest.approx(-entropy)


def test_leep_of_a_head_that_is_sure_is_nce():
    z, y = np.random.default_rng(0).integers(0, 4, 80), np.arange(80) % 3
    assert leep(np.eye(4)[z], y).value == pytest.approx(nce(z, y).value)


@pytest.mark.parametrize("n, d", ((60, 4), (20, 30)))
def test_h_score_by_inverse(n, d):
    x, y = clouds(2, n, d)
    means = np.stack([x[y == k].mean(0) for k in range(3)])[y]
    between = np.cov(means.T, bias=True)
    expected = np.trace(np.linalg.pinv(np.cov(x.T, bias=True)) @ between)
    assert h_score(x, y, shrink=False).value == pytest.approx(expected)
    shrunk, alpha = ledoit_wolf(x)
    assert 0 < alpha < 1
    expected = (1 - alpha) * np.trace(np.linalg.inv(shrunk) @ between)
    assert h_score(x, y).value == pytest.approx(expected)


@pytest.mark.parametrize("n, d", ((60, 4), (90, 80), (20, 30)))
def test_gbc_by_the_bhattacharyya_formula(n, d):
    x, y = clouds(3, n, d, apart=0.5)
    x = PCA(min(64, d, n - 1)).fit_transform(x)
    m = x.shape[1]
    total = 0.0
    for i in range(3):
        for j in range(3):
            if i != j:
                a, b = x[y == i], x[y == j]
                one, two = a.var(0).mean() * np.eye(m), b.var(0).mean() * np.eye(m)
                both, apart = (one + two) / 2, a.mean(0) - b.mean(0)
                distance = apart @ np.linalg.inv(both) @ apart / 8
                logs = [np.linalg.slogdet(c)[1] for c in (both, one, two)]
                total += math.exp(-distance - (logs[0] - (logs[1] + logs[2]) / 2) / 2)
    assert gbc(x, y).value == pytest.approx(-total)


@pytest.mark.parametrize("n, d", ((60, 4), (20, 30)))
def test_trans_rate_by_determinants(n, d):
    x, y = clouds(4, n, d)
    z = x - x.mean(0)
    z /= np.sqrt((z**2).sum(1).mean())

    def rate(part):
        return 0.5 * math.log(np.linalg.det(np.eye(d) + part.T @ part / (len(part) * 1e-4)))

    expected = rate(z) - sum((y == k).mean() * rate(z[y == k]) for k in range(3))
    assert trans_rate(x, y).value == pytest.approx(expected)


def test_scores_of_closed_forms():
    y = np.repeat([0, 1], 50)
    assert nce(np.zeros(100), y).value == pytest.approx(-math.log(2))
    assert leep(np.full((100, 7), 1 / 7), y).value == pytest.approx(-math.log(2))
    apart = np.random.default_rng(0).normal(size=(100, 2)) + 1000 * y[:, None]
    assert gbc(apart, y).value == pytest.approx(0, abs=1e-12)
    assert h_score(apart, y, shrink=False).value == pytest.approx(1, abs=1e-4)
    alike = np.tile(np.random.default_rng(0).normal(size=(50, 2)), (2, 1))
    assert gbc(alike, y).value == pytest.approx(-2)
    assert h_score(alike, y).value == pytest.approx(0, abs=1e-12)
    assert trans_rate(alike, y).value == pytest.approx(0, abs=1e-9)


def test_trans_rate_does_not_see_two_mirrored_classes():
    """As its docstring warns: the second moments of both classes are those of all rows."""
    half = np.random.default_rng(0).normal(size=(200, 3)) + np.array([5, 0, 0])
    assert trans_rate(np.concatenate([half, -half]), np.repeat([0, 1], 200)).value == pytest.approx(0, abs=1e-9)


# --- meaning -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("score", ALL)
def test_more_separable_is_better(score):
    values = []
    for apart in (0.0, 1.0, 3.0):
        x, y = clouds(5, 150, 4, apart=apart)
        p = np.exp(x) / np.exp(x).sum(1, keepdims=True)
        values.append(score({leep: p, nce: x.argmax(1)}.get(score, x), y).value)
    assert values[0] < values[1] < values[2]


@pytest.mark.parametrize("score", ALL)
def test_order_of_rows_and_names_of_classes_do_not_matter(score):
    x, y = argument(score)
    order = np.random.default_rng(1).permutation(len(y))
    value = score(x, y).value
    assert score(x[order], y[order]).value == pytest.approx(value, rel=1e-9)
    assert score(x, np.array([2, 0, 1])[y]).value == pytest.approx(value, rel=1e-9)
    assert score(x, np.array([7, 0, 3])[y]).value == pytest.approx(value, rel=1e-9)  # codes that do not occur


@pytest.mark.parametrize("score", OF_FEATURES)
@pytest.mark.parametrize("n, d", ((60, 4), (20, 30)))
def test_rotations_and_units_do_not_matter(score, n, d):
    x, y = clouds(6, n, d)
    value = score(x, y).value
    turned = x @ ortho_group.rvs(d, random_state=0)
    assert score(turned, y).value == pytest.approx(value, rel=1e-6)
    assert score(x * 1000, y).value == pytest.approx(value, rel=1e-4)


@pytest.mark.parametrize("score", (h_score, gbc, trans_rate))
def test_where_the_origin_lies_does_not_matter(score):
    x, y = clouds(7)
    assert score(x + 12, y).value == pytest.approx(score(x, y).value, rel=1e-6)


def test_h_score_does_not_change_with_any_invertible_map():
    x, y = clouds(8)
    mixed = x @ np.random.default_rng(0).normal(size=(4, 4))
    assert h_score(mixed, y, shrink=False).value == pytest.approx(h_score(x, y, shrink=False).value)


@pytest.mark.parametrize("score", OF_FEATURES)
def test_a_column_that_is_constant_changes_nothing(score):
    x, y = clouds(9)
    wider = np.c_[x, np.zeros(60)]
    found, expected = score(wider, y).value, score(x, y).value
    if score is h_score:  # the mean variance, towards which it shrinks, is of one column more
        assert found == pytest.approx(expected, rel=0.05)
        found, expected = (h_score(part, y, shrink=False).value for part in (wider, x))
    assert found == pytest.approx(expected, rel=1e-6)


# --- intervals -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("score", ALL)
def test_intervals_hold_the_value_and_narrow_with_rows(score):
    def reach(n):
        x, y = clouds(10, n)
        p = np.exp(x) / np.exp(x).sum(1, keepdims=True)
        found = score({leep: p, nce: x.argmax(1)}.get(score, x), y)
        assert found.low < found.value < found.high and found.n_target == n and "groups" in found.note
        return found.high - found.low

    assert reach(1200) < reach(75)


def test_the_interval_of_a_mean_has_its_coverage():
    random, held = np.random.default_rng(0), 0
    for _ in range(300):
        x = random.exponential(size=80)
        found = with_interval("mean", lambda rows, x=x: float(x[rows].mean()), np.zeros(80), seed=0, confidence=0.9)
        held += found.low <= 1 <= found.high
    assert 0.84 < held / 300 < 0.95


def test_no_class_vanishes_while_groups_are_left_out():
    y = np.r_[np.zeros(50, int), [1, 1], [2, 2]]
    seen = []
    with_interval("x", lambda rows: float(seen.append(len(np.unique(y[rows]))) or 0), y, seed=3, confidence=0.95)
    assert set(seen) == {3} and len(seen) == 21


def test_three_rows_have_no_interval():
    found = log_me(np.array([[0.0], [1.0], [5.0]]), np.array([0, 0, 1]))
    assert found.low is None and found.high is None and "too few rows" in found.note


# --- bad input ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("score", OF_FEATURES)
def test_bad_features_are_refused(score):
    x, y = clouds()
    holed = x.copy()
    holed[3] = np.inf
    for features, label, words in (
        (holed, y, "row 3"),
        (np.ones((60, 4)), y, "every row is the same"),
        (x, np.ones(60), "all rows are of class 1"),
        (x[:1], y[:1], "at least 2 rows"),
        (x, y[:9], "60 in all"),
        (x, y - 1, "codes"),
        (x[:, 0], y, "rows"),
        (x[:, :0], y, "rows"),
    ):
        with pytest.raises(DataError, match=words):
            score(features, label)


def test_bad_predictions_are_refused():
    p, y = probabilities(), clouds()[1]
    for wrong, words in ((p * 2, "sum to 1"), (-p, "at least 0"), (p * np.nan, "NaN")):
        with pytest.raises(DataError, match=words):
            leep(wrong, y)
    with pytest.raises(DataError, match="whole numbers"):
        nce(np.full(60, 0.5), y)
    with pytest.raises(DataError, match="59 in all"):
        nce(np.zeros(59), y)
    with pytest.raises(DataError, match="all rows are of class 0"):
        nce(np.zeros(60), np.zeros(60))
    with pytest.raises(DataError, match="all rows are of class 0"):
        leep(p, np.zeros(60))


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 25), st.integers(1, 12), st.integers(2, 5), st.integers(0, 999), st.floats(-6, 6))
def test_any_sensible_input_gives_a_finite_score(n, d, classes, seed, decades):
    random = np.random.default_rng(seed)
    x = random.normal(size=(n, d)) * 10.0**decades
    x[: n // 2] = x[0]  # repeated rows
    y = np.r_[0, 1, random.integers(0, classes, n - 2)]
    for score in OF_FEATURES:
        if (x == x[0]).all():
            continue
        found = score(x, y)
        assert math.isfinite(found.value)
        assert found.low is None or found.low <= found.value <= found.high
    assert -math.log(classes) - 1e-9 <= nce(random.integers(0, 3, n), y).value <= 0
    assert -math.log(classes) - 1e-9 <= leep(random.dirichlet(np.ones(3), n), y).value <= 1e-9
