"""Shallow methods: closed forms and limits, scikit-learn's own checks, pipelines and searches, and odd input."""

import inspect
import warnings
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given as given_by
from hypothesis import settings
from hypothesis import strategies as st
from scipy.linalg import sqrtm
from scipy.sparse import issparse
from sklearn import config_context
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import juyi
from juyi.adapt import CORAL, GFK, JDA, JDOT, METHODS, OT, TCA, LinearMonge, RuLSIF, SubspaceAlignment
from juyi.adapt.covariances import covariance_of
from juyi.adapt.density_ratio import odds_without
from juyi.adapt.gfk import geodesic_kernel
from juyi.adapt.joint_alignment import directions
from juyi.adapt.kliep import expectation_maximisation
from juyi.adapt.kmm import projected
from juyi.adapt.ot import transport_plan
from juyi.adapt.rulsif import relative_ratio, solution
from juyi.adapt.shallow import Shallow
from juyi.check.common import shifted_domains
from juyi.data import Domain, as_domain
from juyi.errors import DataError, SettingError
from juyi.measure import bbse

SHALLOW = {name: method for name, method in METHODS.items() if issubclass(method, Shallow)}
QUICK = {"features": 20, "rounds": 2, "steps": 2, "folds": 2}
RNG = np.random.default_rng(0)


def quick(method, **settings):
    """The method, with little to compute."""
    known = inspect.signature(method).parameters
    few = {name: value for name, value in (QUICK | method.quick).items() if name in known and name != "net"}
    return method(**few | settings)


def few_labels(target, n=12):
    return Domain(target.x, target.y, np.arange(target.size) < n, target.classes, name="target")


def test_there_are_as_many_as_the_map_says():
    assert len(SHALLOW) >= 17


# scikit-learn


def against_itself(method):
    """The method, whose target is the source itself, so that scikit-learn's checks go through its mathematics too."""

    def fit(self, X, y=None, *, target=None):
        if target is None and y is not None and not issparse(X) and np.ndim(np.asarray(X)) == 2:
            target = np.asarray(X)
            if method.needs_target_labels:
                try:
                    target = as_domain(target, np.asarray(y).ravel(), name="target")
                except DataError:
                    target = None
        return method.fit(self, X, y, target=target)

    body = {"fit": fit, "__module__": method.__module__, "__doc__": method.__doc__, "__qualname__": method.__name__}
    return type(method.__name__, (method,), body)


@pytest.mark.parametrize("name", SHALLOW)
def test_scikit_learn_checks_it(name):
    method = against_itself(SHALLOW[name])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = check_estimator(
            quick(method), expected_failed_checks=method.scikit_exempt, on_skip=None, on_fail=None
        )
    pickles = {"check_estimators_pickle"}  # a class that is made in a test cannot be pickled
    failed = {r["check_name"]: r["exception"] for r in results if r["status"] == "failed"}
    assert set(failed) <= pickles, failed
    assert len(results) > 40


def test_exemptions_from_scikit_learns_checks_are_few():
    numbers = "check_classifiers_regression_target"
    exempt = {name: set(method.scikit_exempt) - {numbers} for name, method in SHALLOW.items()}
    assert {name: checks for name, checks in exempt.items() if checks} == {
        "gfk": {"check_classifiers_train"},
        "feature_augmentation": {"check_transformer_general", "check_transformer_data_not_an_array"},
    }
    assert all((numbers in method.scikit_exempt) == method.regression for method in SHALLOW.values())


class Watched(CORAL):
    """CORAL that remembers how many target rows it was given in each fit. >>> 1"""

    seen: ClassVar = []

    def solve(self, given):
        self.seen.append(len(given.target))
        return super().solve(given)


def test_a_search_does_not_cut_the_target():
    source, target = shifted_domains()
    Watched.seen.clear()
    search = GridSearchCV(Watched(), {"shrinkage": [0.0, 0.5]}, cv=3)
    search.fit(source.x, source.y, target=Domain(target.x, name="target"))
    assert Watched.seen == [target.size] * 7
    assert search.best_estimator_.score(target.x, target.y) > 0.9


def test_metadata_are_routed_and_scaled_with_the_source():
    source, target = shifted_domains()
    with config_context(enable_metadata_routing=True):
        pipe = make_pipeline(StandardScaler(), CORAL().set_fit_request(target=True), transform_input=["target"])
        pipe.fit(source.x, source.y, target=target.x)
    assert pipe.score(target.x, target.y) > 0.9


def test_in_the_middle_of_a_pipeline_the_next_step_learns_from_mapped_source_rows():
    source, target = shifted_domains()
    pipe = make_pipeline(CORAL(), KNeighborsClassifier(3)).fit(source.x, source.y, coral__target=target.x)
    assert pipe.score(target.x, target.y) > 0.9


def test_any_estimator_serves_and_one_that_takes_no_weights_is_refused_where_rows_are_weighed():
    source, target = shifted_domains()
    forest = RandomForestClassifier(20, random_state=0)
    assert CORAL(estimator=forest).fit(source.x, source.y, target=target.x).score(target.x, target.y) > 0.9
    with pytest.raises(SettingError, match="KNeighborsClassifier takes no sample_weight"):
        RuLSIF(estimator=KNeighborsClassifier()).fit(source.x, source.y, target=target.x)
    with pytest.raises(SettingError, match="RandomForestClassifier is not linear"):
        CORAL(estimator=forest, net="linear").fit(source, target=target)


@pytest.mark.parametrize("name", ["coral", "rulsif", "tca", "subspace_alignment"])
def test_with_and_without_a_network_it_answers_the_same(name):
    source, target = shifted_domains()
    method = SHALLOW[name]
    bare, inside = (quick(method, net=net).fit(source, target=few_labels(target)) for net in ("auto", "linear"))
    assert np.allclose(bare.predict_proba(target), inside.predict_proba(target), atol=2e-3)
    other = bare.model_.predict_proba(bare.transform_source(source))
    assert np.allclose(other, np.exp(inside.scores(source, domain="source")) / np.exp(
        inside.scores(source, domain="source")).sum(1, keepdims=True), atol=2e-3)  # fmt: skip


# What each of them finds


@pytest.mark.parametrize("method", [CORAL, LinearMonge])
def test_mapped_source_rows_have_the_targets_mean_and_covariance(method):
    source, target = shifted_domains()
    model = method(shrinkage=0.0).fit(source.x, source.y, target=target.x)
    mapped, here = model.transform_source(source.x), model.transform(target.x)
    assert np.allclose(mapped.mean(0), here.mean(0), atol=1e-6)
    assert np.allclose(np.cov(mapped.T, bias=True), np.cov(here.T, bias=True), atol=1e-6)


def test_coral_and_monge_are_their_formulas():
    x, z = RNG.normal(size=(60, 3)), RNG.normal(size=(50, 3)) @ RNG.normal(size=(3, 3))
    scaled, here = (x - x.mean(0)) / x.std(0), (z - x.mean(0)) / x.std(0)
    s, t = (np.cov(rows.T, bias=True) for rows in (scaled, here))
    y = (x[:, 0] > 0) * 1
    expected = (scaled - scaled.mean(0)) @ np.linalg.inv(sqrtm(s)) @ sqrtm(t) + here.mean(0)
    assert np.allclose(CORAL(shrinkage=0.0).fit(x, y, target=z).transform_source(x), expected)
    root = sqrtm(s)
    a = np.linalg.inv(root) @ sqrtm(root @ t @ root) @ np.linalg.inv(root)
    expected = (scaled - scaled.mean(0)) @ a + here.mean(0)
    assert np.allclose(LinearMonge(shrinkage=0.0).fit(x, y, target=z).transform_source(x), expected)


@pytest.mark.parametrize("name", ["coral", "linear_monge", "subspace_alignment", "gfk", "rulsif", "kmm", "kliep"])
def test_a_target_that_is_the_source_changes_next_to_nothing(name):
    source, _ = shifted_domains()
    plain = SHALLOW[name]().fit(source.x, source.y)
    same = quick(SHALLOW[name]).fit(source.x, source.y, target=source.x)
    assert (plain.predict(source.x) == same.predict(source.x)).mean() > 0.97


@pytest.mark.parametrize("name", ["coral", "gfk", "bbse", "mlls", "tca", "jda"])
def test_the_order_of_rows_does_not_matter(name):
    source, target = shifted_domains()
    y = np.array(["abc"[code] for code in source.y])
    model = quick(SHALLOW[name], **({"kernel": "linear"} if name in ("tca", "jda") else {}))
    order, other = np.random.default_rng(1).permutation(source.size), np.random.default_rng(2).permutation(target.size)
    one = model.fit(source.x, y, target=target.x).predict_proba(target.x)
    two = model.fit(source.x[order], y[order], target=target.x[other]).predict_proba(target.x)
    assert np.allclose(one, two, atol=0.05 if name in ("bbse", "mlls") else 1e-3)


@pytest.mark.parametrize("labels", [[-1, 1, 7], ["x", "y", "z"], [0.0, 2.0, 1.0]])
def test_labels_may_be_called_anything(labels):
    source, target = shifted_domains()
    model = CORAL().fit(source.x, np.array(labels)[source.y], target=target.x)
    assert (model.predict(target.x) == np.array(labels)[target.y]).mean() > 0.9
    assert model.score(target.x, np.array(labels)[target.y]) > 0.9


def test_the_directions_reach_the_optimum_of_their_eigenproblem():
    c, gaps = np.cov(RNG.normal(size=(6, 40))), RNG.normal(size=(6, 2))
    v, values = directions(c, gaps, penalty=0.5, most=3)
    below = gaps @ gaps.T + 0.5 * np.trace(c) / 6 * np.eye(6)
    assert np.allclose(v.T @ below @ v, np.eye(3), atol=1e-9)
    best = np.sort(np.linalg.eigvals(np.linalg.inv(below) @ c).real)[::-1][:3]
    assert np.allclose(values, best) and np.trace(v.T @ c @ v) == pytest.approx(best.sum())


def test_tca_brings_the_means_of_the_domains_together():
    source, target = shifted_domains()
    model = TCA(kernel="linear", penalty=1e-6, dimensions=5).fit(source.x, source.y, target=target.x)
    gap = model.transform_source(source.x).mean(0) - model.transform(target.x).mean(0)
    assert np.abs(gap).max() < 1e-3


def test_jda_goes_on_where_a_class_is_told_of_no_target_row():
    source, target = shifted_domains()
    only = target.x[target.y == 0]
    assert np.isfinite(JDA(kernel="linear").fit(source.x, source.y, target=only).predict_proba(only)).all()


def test_the_geodesic_kernel_is_the_integral_along_the_way():
    p, q = (np.linalg.qr(RNG.normal(size=(7, 3)))[0] for _ in range(2))
    u, cosines, vt = np.linalg.svd(p.T @ q)
    theta = np.arccos(np.clip(cosines, -1, 1))
    across = (q @ vt.T - p @ u * cosines) / np.sin(theta)
    steps = (np.arange(2_000) + 0.5) / 2_000
    ways = (p @ u * np.cos(t * theta) + across * np.sin(t * theta) for t in steps)
    expected = sum(way @ way.T for way in ways) / len(steps)
    assert np.allclose(geodesic_kernel(p, q), expected, atol=1e-6)
    assert np.allclose(geodesic_kernel(p, p), p @ p.T)


def test_expectation_and_maximisation_beats_even_weights_and_keeps_its_conditions():
    a, b = RNG.random((40, 6)), RNG.random(6) + 0.1
    alpha, gap = expectation_maximisation(a, b, 5_000, 1e-6)
    even = np.full(6, 1 / b.sum())
    assert np.log(a @ alpha).mean() >= np.log(a @ even).mean()
    assert (alpha >= 0).all() and b @ alpha == pytest.approx(1) and gap < 1e-3


def test_relative_ratios_are_bounded_and_right_where_the_densities_are_known():
    source, target = RNG.uniform(-2, 2, (3_000, 1)), RNG.uniform(0, 2, (3_000, 1))
    ratio = relative_ratio(source, target, 0.5, 50, np.random.default_rng(0))
    inside = source[:, 0] > 0.3
    # where the target is, its density is twice the source's: 2 / (½ · 2 + ½ · 1)
    assert ratio[inside & (source[:, 0] < 1.7)].mean() == pytest.approx(4 / 3, abs=0.1)
    assert ratio[source[:, 0] < -0.3].mean() < 0.1


def test_the_least_squares_of_ratios_are_solved():
    second, first = np.diag([1.0, 2.0]), np.array([2.0, -1.0])
    assert solution(second, first, 1.0).tolist() == [1.0, 0.0]


@given_by(st.lists(st.floats(-50, 50), min_size=2, max_size=20), st.floats(1, 10), st.floats(0, 1))
@settings(max_examples=50, deadline=None)
def test_projected_weights_keep_their_limits(beta, most, slack):
    found = projected(np.array(beta), most, slack)
    assert (found >= 0).all() and (found <= most).all()
    assert 1 - slack - 1e-6 <= found.mean() <= 1 + slack + 1e-6


def test_shares_are_those_of_measure_and_weigh_the_classes():
    y = RNG.integers(0, 2, 400)
    x, z = (
        5.0 * y[:, None] + RNG.normal(size=(400, 1)),
        5.0 * (RNG.random(300) < 0.9)[:, None] + RNG.normal(size=(300, 1)),
    )
    model = METHODS["bbse"]().fit(x, y, target=z)
    assert model.shares_[1] == pytest.approx((z > 2.5).mean(), abs=0.02)
    ratio = model.weights_[y == 1].mean() / model.weights_[y == 0].mean()
    assert ratio == pytest.approx(model.shares_[1] / model.shares_[0] * (y == 0).sum() / (y == 1).sum(), rel=1e-6)
    assert np.allclose(bbse(y, y, (z[:, 0] > 2.5) * 1, 2), model.shares_, atol=0.02)


def test_a_plan_carries_each_row_once_and_keeps_classes_apart():
    x, z = RNG.normal(size=(12, 2)), RNG.normal(size=(9, 2))
    cost, labels = ((x[:, None] - z) ** 2).sum(2), np.arange(12) % 2
    plan, error = transport_plan(cost / np.median(cost), labels, 0.05, 0.0, 1)
    assert np.allclose(plan.sum(0), 1 / 9, atol=1e-3) and error < 0.01
    apart, _ = transport_plan(cost / np.median(cost), labels, 0.05, 1.0, 10)
    mixed = [np.minimum(p[labels == 0].sum(0), p[labels == 1].sum(0)).sum() for p in (plan, apart)]
    assert mixed[1] < mixed[0]


def test_odds_of_a_row_left_out_are_those_of_a_fit_without_it():
    x, y = np.random.default_rng(0).normal(size=(80, 4)), np.repeat([0, 1], 40)
    x[:, 0] += y
    odds, all_of_them = odds_without(x, y, 0.02)
    exact = np.empty(80)
    for row in range(80):
        without = LogisticRegression(C=1.0 / (0.02 * 80), tol=1e-8, max_iter=1_000)
        exact[row] = without.fit(np.delete(x, row, 0), np.delete(y, row)).decision_function(x[row : row + 1])[0]
    seen = np.abs(all_of_them.decision_function(x) - exact)
    assert np.abs(odds - exact).max() < 0.1 * seen.max()


@pytest.mark.parametrize("shares", [0.5, 0.75])
def test_joint_transport_follows_the_classes_shares(shares):
    rng, y, z = np.random.default_rng(0), np.arange(300) < 150, np.arange(300) < 300 * shares
    x, target = (rng.normal(size=(300, 2)) + 6 * c[:, None] for c in (y, z))
    target = target @ np.array([[0.8, -0.6], [0.6, 0.8]]) + 2
    forced, follows = (JDOT(follow_shares=f).fit(x, y, target=target).score(target, z) for f in (False, True))
    assert follows > 0.98
    assert (forced > 0.98) == (shares == 0.5)


def test_joint_transport_of_overlapping_classes_keeps_the_rarer_one():
    """Following the shares of answers, which is for classes that lie apart, it would lose it."""
    rng = np.random.default_rng(0)
    y, z = rng.random((2, 600)) < 0.1
    x, target = (rng.normal(size=(600, 2)) + np.outer(c, [2, 0]) for c in (y, z))
    recall = [JDOT(follow_shares=f).fit(x, y, target=target).predict(target)[z].mean() for f in (False, True)]
    assert recall[0] > 0.4 > 2 * recall[1]


def test_joint_transport_does_not_hang_on_the_unit_of_numbers():
    rng = np.random.default_rng(0)
    x, target = rng.normal(size=(80, 3)), rng.normal(size=(80, 3)) + 1
    y = np.sin(2 * x[:, 0]) + x[:, 1]
    models = [JDOT(estimator=KNeighborsRegressor()).fit(x, y * unit, target=target) for unit in (1.0, 1e-6)]
    assert np.allclose(models[0].predict(target), models[1].predict(target) * 1e6)


def test_joint_transport_with_a_class_of_which_the_source_has_no_row():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 2)).astype(np.float32)
    source = Domain(x, (x[:, 0] > 0).astype(np.int64), classes=("a", "b", "c"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert set(JDOT(follow_shares=True).fit(source, target=x + 1).predict(x)) <= {0, 1, "a", "b"}


def test_joint_transport_part_by_part_is_about_that_of_all_rows():
    rng = np.random.default_rng(0)
    y, z = rng.integers(0, 2, (2, 600))
    x, target = (rng.normal(size=(600, 2)) + 5 * c[:, None] for c in (y, z))
    parts = JDOT(rows=100).fit(x, y, target=target + 2)
    assert (parts.predict(target + 2) == JDOT().fit(x, y, target=target + 2).predict(target + 2)).mean() > 0.98


def test_few_labels_reach_the_methods_that_need_none():
    source, target = shifted_domains()
    model = RuLSIF().fit(source, target=few_labels(target, 30))
    assert model.score(target) > RuLSIF().fit(source, target=juyi.withhold_labels(target)).score(target)


# Odd input


def test_rows_of_little_weight_are_told():
    x = np.random.default_rng(0).normal(size=(300, 2))
    with pytest.warns(UserWarning, match=r"amount to [\d.]+ rows of even weight: the model is little more than"):
        model = RuLSIF(alpha=0.0).fit(x, (x[:, 0] > 0) * 1, target=np.array([[2.0, 2.0]] * 5) + 0.01 * x[:5])
    assert model.effective_rows_ < 15


@pytest.mark.parametrize(
    ("x", "y", "z", "words"),
    [
        (np.ones((5, 2)), [0, 1, 0, 1, 0], np.ones((5, 3)), "target: X has 3 features, but CORAL is expecting 2"),
        (np.ones((5, 2)), [0, 1, 0, 1, 0], np.full((5, 2), np.nan), "target: Input X contains NaN"),
        (np.ones((5, 2)), [1] * 5, np.ones((5, 2)), "all labelled rows are of one class, 1"),
        (np.array([["a", "b"]] * 5), [0, 1, 0, 1, 0], None, "could not convert string"),
        (np.ones((5, 2)), None, np.ones((5, 2)), "requires y to be passed"),
        (np.ones((5, 2)), [0, 1], np.ones((5, 2)), "5"),
        (np.ones(5), [0, 1, 0, 1, 0], None, "Reshape your data"),
    ],
)
def test_what_cannot_be_learnt_from_is_refused_in_one_line(x, y, z, words):
    with pytest.raises(DataError, match=words):
        CORAL().fit(x, y, target=z)


@pytest.mark.parametrize("name", ["ot", "jda", "bbse", "adaptive_svm"])
def test_methods_of_classes_refuse_numbers(name):
    x = RNG.normal(size=(20, 2))
    with pytest.raises(DataError, match="continuous numbers"):
        SHALLOW[name]().fit(x, x[:, 0], target=x)


@pytest.mark.parametrize("name", [name for name, method in SHALLOW.items() if method.regression])
def test_numbers_are_told_in_their_own_unit(name):
    x = RNG.normal(size=(80, 3))
    x = np.concatenate([x, x + 0.1 * RNG.normal(size=(80, 3))], 1)
    y = 1_000 + 50 * x[:, 0]
    target = Domain(x.astype(np.float32), y.astype(np.float32), np.arange(80) < 30, name="target")
    model = quick(SHALLOW[name]).fit(x, y, target=target)
    assert model.score(x, y) > 0.8 and abs(model.predict(x).mean() - 1_000) < 30


def odd(draw):
    """A source and a target as nobody would wish for: constant, doubled and huge columns, few rows, many columns."""
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    n, m, d = draw(st.integers(4, 12)), draw(st.integers(1, 8)), draw(st.integers(1, 15))
    x, z = rng.normal(size=(n, d)), rng.normal(size=(m, d))
    x[:, 0], z[:, 0] = draw(st.sampled_from([(0.0, 0.0), (1.0, 2.0), (5.0, 5.0)]))
    x[:, -1], z[:, -1] = x[:, 0], z[:, 0]
    scale = draw(st.sampled_from([1.0, 1e-6, 1e6]))
    return scale * x, np.arange(n) % draw(st.integers(2, 3)), scale * draw(st.sampled_from([1.0, 0.0, 100.0])) * z


@pytest.mark.parametrize("name", SHALLOW)
@settings(max_examples=8, deadline=None)
@given_by(data=st.data())
def test_no_input_gives_a_traceback_or_a_silent_nan(name, data):
    x, y, z = data.draw(st.composite(odd)())
    known = np.arange(len(z)) < (len(z) if SHALLOW[name].needs_target_labels else 0)
    target = Domain(z.astype(np.float32), np.arange(len(z)) % 2, known, ("0", "1"), name="target")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            model = quick(SHALLOW[name]).fit(x, y, target=target)
        except (DataError, SettingError) as error:
            assert "\n" not in str(error)
            return
    told = model.predict_proba(z)
    assert np.isfinite(told).all() and np.allclose(told.sum(1), 1)


def test_covariances_of_fewer_rows_than_columns_can_be_inverted():
    c, s = covariance_of(RNG.normal(size=(5, 40)), None)
    assert np.linalg.eigvalsh(c).min() > 1e-3 and 0 < s <= 1
    assert np.allclose(covariance_of(RNG.normal(size=(1, 3)), None)[0], np.eye(3))


def test_methods_for_images_learn_a_network_first():
    images = RNG.integers(0, 256, (60, 1, 8, 8)).astype(np.uint8)
    images[30:, :, :4] //= 4
    source = Domain(images, np.repeat([0, 1], 30), classes=("a", "b"), name="source")
    model = SubspaceAlignment(net="cnn_small", epochs=3, batch=20, precision="float32").fit(source, target=images // 2)
    assert model.net_.name == "cnn_small" and model.predict(images // 2).shape == (60,)
    assert {GFK, OT} <= set(SHALLOW.values())
