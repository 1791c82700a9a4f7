"""Biased regularisation: closed forms against plain refits, limits, relations that are reversed, what is refused."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression, Ridge

import juyi
from juyi.adapt import BiasedRegularisation, TargetOnly
from juyi.adapt.ridge import PENALTIES, Design, blend, least_squares
from juyi.data import Domain
from juyi.errors import DataError, SettingError

SLOPES = (0.0, 1.0, -0.7, None)


def rows(n=9, d=3, k=1, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)), rng.normal(size=(n, k)), rng.normal(size=(n, k))


def refit(x, y, f, penalty, slope):
    """The plain way: columns for the intercepts, for a where it is free, and for the penalised weights."""
    n, d, k = len(x), x.shape[1], y.shape[1]
    fixed = np.zeros_like(y) if slope is None else slope * f
    blocks = []
    for c in range(k):  # all outputs in one system, since they share a
        line = np.zeros((n, k + 1 + k * d))
        line[:, c] = 1
        line[:, k] = f[:, c] if slope is None else 0
        line[:, k + 1 + c * d : k + 1 + (c + 1) * d] = 0 if math.isinf(penalty) else x
        blocks.append(line)
    system, wanted = np.concatenate(blocks), (y - fixed).T.ravel()
    pull = np.zeros(system.shape[1])
    pull[k + 1 :] = 0 if math.isinf(penalty) else penalty
    solved = np.linalg.lstsq(
        np.concatenate([system, np.diag(np.sqrt(pull))]), np.concatenate([wanted, np.zeros(len(pull))]), rcond=None
    )[0]
    a = solved[k] if slope is None else slope
    return a, solved[k + 1 :].reshape(k, d).T, solved[:k]


@pytest.mark.parametrize("slope", SLOPES)
@pytest.mark.parametrize("penalty", [0.1, 3.0, math.inf])
@pytest.mark.parametrize("k", [1, 3])
def test_the_closed_form_is_the_minimum(k, penalty, slope):
    x, y, f = rows(k=k)
    found = Design(x, y, f).solve(penalty, slope)
    a, weight, intercept = refit(x, y, f, penalty, slope)
    assert found.slope == pytest.approx(a)
    np.testing.assert_allclose(found.weight, weight, atol=1e-9)
    np.testing.assert_allclose(found.intercept, intercept, atol=1e-9)


@pytest.mark.parametrize("slope", SLOPES)
@pytest.mark.parametrize("penalty", [0.1, 3.0, math.inf])
@pytest.mark.parametrize("k", [1, 3])
def test_left_out_rows_are_told_as_by_models_that_never_saw_them(k, penalty, slope):
    x, y, f = rows(k=k)
    found = Design(x, y, f).solve(penalty, slope)
    for row in range(len(x)):
        others = np.arange(len(x)) != row
        a, weight, intercept = refit(x[others], y[others], f[others], penalty, slope)
        np.testing.assert_allclose(found.left_out[row], a * f[row] + x[row] @ weight + intercept, atol=1e-8)
    assert found.error == pytest.approx(((y - found.left_out) ** 2).sum(1).mean())


@pytest.mark.parametrize("penalty", [0.1, 3.0, math.inf])
@pytest.mark.parametrize("k", [1, 3])
def test_of_several_places_each_has_its_slope_and_rows_are_left_out_as_by_refits(k, penalty):
    """All unknowns of a fit in one system: an intercept an output, a slope a place, penalised weights."""
    x, y, _ = rows(n=12, k=k)
    f = np.random.default_rng(5).normal(size=(12, k, 2))

    def plain(kept):
        columns = [np.concatenate([np.eye(k)[c], f[i, c], np.kron(np.eye(k)[c], x[i])]) for c in range(k) for i in kept]
        pull = np.zeros(k + 2 + k * 3)
        pull[k + 2 :] = 1e12 if math.isinf(penalty) else penalty
        wanted = np.concatenate([y[kept].T.ravel(), np.zeros(len(pull))])
        return np.linalg.lstsq(np.concatenate([np.array(columns), np.diag(np.sqrt(pull))]), wanted, rcond=None)[0]

    found, whole = Design(x, y, f).solve(penalty, None), plain(range(12))
    np.testing.assert_allclose(found.slopes, whole[k : k + 2], atol=1e-6)
    for row in range(12):
        solved = plain([i for i in range(12) if i != row])
        told = [solved[c] + f[row, c] @ solved[k : k + 2] + x[row] @ solved[k + 2 :].reshape(k, 3)[c] for c in range(k)]
        np.testing.assert_allclose(found.left_out[row], told, atol=1e-6)


def test_places_that_say_the_same_count_as_one():
    x, y, f = rows()
    one, two = Design(x, y, f), Design(x, y, np.stack([f, f], -1))
    for slope in SLOPES:
        single, double = one.solve(0.5, slope), two.solve(0.5, slope)
        assert double.slope == pytest.approx(single.slope) and double.error == pytest.approx(single.error)
        assert double.slopes[0] == pytest.approx(double.slopes[1])
        np.testing.assert_allclose(double.left_out, single.left_out, atol=1e-8)


@given(st.integers(3, 12), st.integers(1, 15), st.integers(0, 10**6), st.sampled_from([0.01, 1.0, 100.0]))
@settings(max_examples=40, deadline=None)
def test_also_with_more_columns_than_rows_and_with_constant_ones(n, d, seed, penalty):
    x, y, f = rows(n, d, seed=seed)
    x[:, 0] = 7.0
    found = Design(x, y, f).solve(penalty, 1.0)
    others = np.arange(n) != seed % n
    a, weight, intercept = refit(x[others], y[others], f[others], penalty, 1.0)
    assert found.left_out[seed % n] == pytest.approx(a * f[seed % n] + x[seed % n] @ weight + intercept, abs=1e-6)


def test_without_a_source_it_is_ridge_regression():
    x, y, _ = rows(20)
    found, known = Design(x, y).solve(2.5, 0.0), Ridge(2.5).fit(x, y)
    np.testing.assert_allclose(found.weight.T, known.coef_.reshape(1, -1), atol=1e-10)
    np.testing.assert_allclose(found.intercept, known.intercept_, atol=1e-10)


def test_a_great_pull_gives_a_times_the_source_and_none_gives_least_squares():
    x, y, f = rows(20)
    far = Design(x, y, f).solve(1e12, 1.0)
    np.testing.assert_allclose(far.weight, 0, atol=1e-9)
    np.testing.assert_allclose(far.intercept, (y - f).mean(0), atol=1e-8)
    for slope in (0.0, 1.0):  # what it would be pulled to makes no difference, but where the rows leave a choice
        near, known = Design(x, y, f).solve(0.0, slope), LinearRegression().fit(x, y - slope * f)
        np.testing.assert_allclose(x @ near.weight + near.intercept, known.predict(x), atol=1e-9)


def test_penalties_are_in_the_unit_of_the_features():
    x, y, f = rows(12)
    one = Design(x, y, f, unit=1.0).solve(3.0, 1.0)
    other = Design(1000 * x, y, f, unit=1e6).solve(3.0, 1.0)
    np.testing.assert_allclose(1000 * other.weight, one.weight, rtol=1e-6)
    np.testing.assert_allclose(other.left_out, one.left_out, rtol=1e-6)


def test_the_best_is_never_worse_on_left_out_rows_than_the_target_alone():
    for seed in range(30):
        x, y, f = rows(6, seed=seed)
        design = Design(x, y, f)
        alone = blend(design, (0.0,), PENALTIES, "best").solution.error
        assert blend(design, (0.0, 1.0, None), PENALTIES, "best").solution.error <= alone


def test_weights_go_by_the_error_of_left_out_rows():
    x, y, f = rows(8, seed=3)
    design, penalties = Design(x, y, f), (0.5, 5.0)
    made = blend(design, (0.0, 1.0), penalties)
    tried = [design.solve(penalty, slope) for slope in (0.0, 1.0) for penalty in penalties]
    weights = np.array([one.error for one in tried]) ** -4.0  # n / 2
    weights /= weights.sum()
    assert made.shares == {0.0: pytest.approx(weights[:2].sum()), 1.0: pytest.approx(weights[2:].sum())}
    np.testing.assert_allclose(made.solution.weight, sum(w * one.weight for w, one in zip(weights, tried, strict=True)))
    assert made.solution.slope == pytest.approx(weights[2:].sum())
    assert made.solution.error <= sum(w * one.error for w, one in zip(weights, tried, strict=True))  # convexity


def test_where_one_tells_left_out_rows_without_error_it_is_that_one():
    x, _, f = rows(8)
    made = blend(Design(x, -2 * f + 3, f), (0.0, 1.0, None), PENALTIES)
    assert made.solution.slope == pytest.approx(-2) and made.shares[None] == pytest.approx(1)
    assert np.isfinite(made.solution.weight).all()


@given(st.integers(2, 8), st.integers(1, 6), st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_whatever_the_rows_a_blend_is_finite_or_said_to_be_impossible(n, d, seed):
    x, y, f = rows(n, d, seed=seed)
    if seed % 3 == 0:
        y[:] = 1.0
    if seed % 5 == 0:
        f[:] = 2.0
    made = blend(Design(x, y, f), (0.0, 1.0, None), PENALTIES)
    assert np.isfinite(made.solution.weight).all() and np.isfinite(made.solution.intercept).all()
    assert sum(made.shares.values()) == pytest.approx(1)


def test_a_relation_of_two_rows_leaves_none_out():
    x, y, f = rows(2)
    with pytest.raises(SettingError, match=r"of 2 labelled rows none can be left out.*label more"):
        blend(Design(x, y, f), (None,), PENALTIES)


def test_least_squares_counts_rows_by_their_weight():
    x, y, _ = rows(6)
    often = np.array([1, 2, 3, 1, 1, 2])
    weight, intercept = least_squares(x, y, often)
    known = LinearRegression().fit(np.repeat(x, often, 0), np.repeat(y, often, 0))
    np.testing.assert_allclose(weight.T, known.coef_.reshape(1, -1), atol=1e-10)
    np.testing.assert_allclose(intercept, known.intercept_, atol=1e-10)


def test_rows_that_do_not_fit_are_refused():
    x, y, f = rows()
    for bad in ((x[:-1], y, f), (x, y, f[:, :0]), (x[:0], y[:0], f[:0])):
        with pytest.raises(DataError, match="are not of the same rows"):
            Design(*bad)
    with pytest.raises(DataError, match="is not a finite number"):
        Design(np.where(x > 0, np.nan, x), y)


def places(sign=1.0, n=200, seed=0):
    """A source and a target whose numbers go with the source's, or against them; with noise of their own."""
    rng = np.random.default_rng(seed)
    x, x_target = rng.normal(size=(2, n, 4))
    w = np.array([3.0, -2.0, 1.0, 0.5])
    y, y_target = x @ w + 10 + 0.3 * rng.normal(size=n), sign * (x_target @ w) + 25 + 0.3 * rng.normal(size=n)
    source = Domain(x.astype(np.float32), y.astype(np.float32), name="there")
    return source, Domain(x_target.astype(np.float32), y_target.astype(np.float32), name="here")


def error(model, domain):
    return float(np.abs(model.predict(domain) - domain.y).mean())


def test_what_holds_there_and_here_is_had_with_few_labels():
    source, target = places()
    few = juyi.withhold_labels(target, 4)
    alone, biased = TargetOnly().fit(source, target=few), BiasedRegularisation().fit(source, target=few)
    assert error(biased, target) < 0.5 < 1.5 < error(alone, target)
    assert biased.slope_ == pytest.approx(1, abs=0.15)


def test_of_several_places_the_labels_say_which_to_believe_and_which_to_reverse():
    """Here is half of what one place says and the reverse of half of what another does; a third has nothing to say."""
    rng = np.random.default_rng(0)
    x, rules = rng.normal(size=(400, 6)), rng.normal(size=(3, 6))
    group = np.repeat([0, 1, 2], 100)
    labels = np.einsum("nd,nd->n", x[:300], rules[group])
    there = Domain(x[:300].astype(np.float32), labels.astype(np.float32), group=group, groups=("a", "b", "c"))
    right = (x[300:] @ (0.5 * rules[0] - 0.5 * rules[1]) + 7).astype(np.float32)
    here = Domain(x[300:].astype(np.float32), right, name="here")
    few = juyi.withhold_labels(here, 8)
    several, one = (BiasedRegularisation().fit(part, target=few) for part in (there, Domain(there.x, there.y)))
    assert several.slopes_ == pytest.approx((0.5, -0.5, 0.0), abs=0.15) and len(one.slopes_) == 1
    assert error(several, here) < 0.3 * min(error(one, here), error(TargetOnly().fit(there, target=few), here))
    assert "in their order, 0.5" in several.remarks_[0]


def test_what_is_reversed_is_learnt_as_reversed_and_hurts_where_it_is_taken_as_it_is():
    source, target = places(sign=-1.0)
    few = juyi.withhold_labels(target, 5)
    alone = error(TargetOnly().fit(source, target=few), target)
    as_it_is = error(BiasedRegularisation(slope="1", penalty=20.0).fit(source, target=few), target)
    found = BiasedRegularisation().fit(source, target=few)
    assert as_it_is > alone + 1  # harm
    assert found.slope_ == pytest.approx(-1, abs=0.15) and error(found, target) < 0.6 * alone
    assert found.remarks_[0].startswith("the source counts −") and "as 5 target labels say" in found.remarks_[0]
    assert found.shares_["free"] > 0.8 and found.left_out_error_["1"] > 2 * found.left_out_error_["free"]


def test_the_slope_that_is_named_is_taken():
    source, target = places()
    few = juyi.withhold_labels(target, 8)
    for slope, wanted in (("1", 1.0), ("0", 0.0)):
        model = BiasedRegularisation(slope=slope).fit(source, target=few)
        assert model.slope_ == wanted and set(model.shares_) == {slope}
    alone = TargetOnly().fit(source, target=few)
    none = BiasedRegularisation(slope="0").fit(source, target=few)
    np.testing.assert_allclose(none.predict(target), alone.predict(target), atol=0.3)  # scaled by another place's rows


def test_a_great_penalty_leaves_the_source_but_for_the_mean():
    source, target = places()
    few = juyi.withhold_labels(target, 8)
    model = BiasedRegularisation(slope="1", penalty=1e9).fit(source, target=few)
    floor = juyi.adapt.SourceOnly().fit(source)
    apart = model.predict(target) - floor.predict(target)
    assert apart.std() < 0.05 and apart.mean() == pytest.approx(15, abs=0.5)


def test_target_only_knows_nothing_of_the_source():
    (source, target), (other, _) = places(), places(seed=5)
    moved = Domain(100 + 9 * other.x, -1e4 * other.y, name="elsewhere")
    few = juyi.withhold_labels(target, 10)
    one, two = (TargetOnly().fit(place, target=few).predict(target) for place in (source, moved))
    np.testing.assert_allclose(one, two, rtol=1e-4)


def test_classes_that_are_swapped_are_learnt_as_swapped():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, (2, 300))
    x = (rng.normal(size=(2, 300, 6)) + 1.2 * y[:, :, None]).astype(np.float32)
    source = Domain(x[0], y[0], classes=("cold", "warm"), name="north")
    target = Domain(x[1], 1 - y[1], classes=("cold", "warm"), name="south")
    few = juyi.withhold_labels(target, 4)
    for net in ("linear", "mlp"):
        shared = {"net": net, "epochs": 20, "precision": "float32"}
        found = BiasedRegularisation(**shared).fit(source, target=few)
        as_it_is = BiasedRegularisation(slope="1", penalty=1e6, **shared).fit(source, target=few)
        assert found.slope_ < 0 and found.score(target) > 0.85, net
        assert as_it_is.score(target) < 0.5, net
        p = found.predict_proba(target)
        right = p[np.arange(300), target.y]
        assert -np.log(np.maximum(right, 1e-9)).mean() < np.log(2)  # sure, and with reason


def test_it_works_on_the_features_of_a_body_under_a_head_of_several_layers():
    source, target = juyi.load("digits@train[:300]"), juyi.load("digits_m@train[:300]")
    few = juyi.withhold_labels(target, 3)
    model = BiasedRegularisation(net="dann_mnist", epochs=1, precision="float32").fit(source, target=few)
    assert model.predict(target).shape == (300,) and 0 < model.slope_ <= 1.5


@pytest.mark.parametrize(
    ("labelled", "words"),
    [
        ([], "needs some labels of the target, and none is given"),
        ([0], "BiasedRegularisation needs 2 labels of the target at least, not 1"),
        ([0, 2], "are all of one class, a; give some of another too"),
    ],
)
def test_too_few_labels_are_refused(labelled, words):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(80, 3)).astype(np.float32), np.arange(80) % 2
    target = Domain(x, y, np.isin(np.arange(80), labelled), ("a", "b"), name="here")
    with pytest.raises(DataError, match=words):
        BiasedRegularisation().fit(Domain(x, y, classes=("a", "b"), name="there"), target=target)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"slope": "2"}, "slope: '2' is not allowed; known are 0, 1, auto, free"),
        ({"penalty": -1.0}, "penalty: -1.0 is out of range"),
        ({"selection": "bst"}, "did you mean best?"),
        ({"head": "cosine"}, r"its head must end in a linear layer with intercepts.*CosineHead; use --head own"),
        ({"net": "mlp", "freeze": "head"}, "the last layer is found anew, so it cannot be frozen"),
        ({"class_shares": "estimated"}, "cannot have it, since it learns the source as it is"),
    ],
)
def test_settings_that_cannot_be(changes, words):
    source, target = places()
    with pytest.raises(SettingError, match=words.replace("?", r"\?") if "mean" in words else words):
        BiasedRegularisation(**changes).fit(source, target=juyi.withhold_labels(target, 5))


def test_without_a_penalty_nothing_can_be_left_out_of_too_few():
    source, target = places()
    with pytest.raises(SettingError, match="none can be left out"):
        BiasedRegularisation(penalty=0.0).fit(source, target=juyi.withhold_labels(target, 4))
    model = BiasedRegularisation(penalty=0.0, slope="1").fit(source, target=juyi.withhold_labels(target, 4))
    assert np.isfinite(model.predict(target)).all()  # it was named, so nothing has to be weighed
