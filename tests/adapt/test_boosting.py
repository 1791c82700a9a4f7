"""TrAdaBoost and its two-stage sibling of numbers, the pool of models, and forests whose leaves are corrected."""

import pickle

import numpy as np
import pytest
import skops.io
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.ensemble import ExtraTreesRegressor, GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeRegressor

from juyi.adapt import TrAdaBoost, TrAdaBoostR2
from juyi.adapt.forests import TransferForest
from juyi.adapt.forests.transfer_forest import corrected
from juyi.adapt.pool import Pool
from juyi.adapt.tradaboost_r2 import WeightedMedian, shrink
from juyi.data import Domain
from juyi.errors import DataError, SettingError


def half_reversed(seed=0, few=20, numbers=False):
    """The source says the reverse of the target where the second column is above 0."""
    x, z = np.random.default_rng(seed).normal(size=(2, 400, 2)).astype(np.float32)
    there, here = np.where(x[:, 1] < 0, x[:, 0], -x[:, 0]), z[:, 0]
    if not numbers:
        there, here = (there > 0).astype(int), (here > 0).astype(int)
    classes = None if numbers else ("0", "1")
    return x, there, Domain(z, here, np.arange(400) < few, classes, name="here"), here


def test_weights_follow_the_papers_rule_round_by_round():
    """Two rounds by hand, with a classifier that is surely right or wrong."""

    class Sure(GaussianNB):
        def predict_proba(self, X):
            return (super().predict_proba(X) > 0.5).astype(float)

    x, there, target, _ = half_reversed()
    model = TrAdaBoost(rounds=2, estimator=Sure()).fit(x, there, target=target)
    n, m = 400, 20
    mean, spread = x.mean(0), x.std(0)
    rows = (np.concatenate([x, target.x[:m]]) - mean) / spread
    y = np.concatenate([there, target.y[:m]])
    w = np.concatenate([np.full(n, 1 / n), np.full(m, 1 / m)])
    missed = (GaussianNB().fit(rows, y, sample_weight=w / w.mean()).predict(rows) != y).astype(float)
    error = w[n:] @ missed[n:] / w[n:].sum()
    assert 0 < error < 0.5
    beta_t, beta = error / (1 - error), 1 / (1 + np.sqrt(2 * np.log(n) / 2))
    w[n:] *= beta_t ** -missed[n:]
    w[:n] *= 2 * (1 - error) * beta ** missed[:n]
    assert np.allclose(model.weights_ / model.weights_.sum(), w[:n] / w[:n].sum())


@pytest.mark.parametrize("method", [TrAdaBoost, TrAdaBoostR2])
def test_source_rows_that_contradict_the_target_lose_weight(method):
    x, there, target, here = half_reversed()
    model = method().fit(x, there, target=target)
    right = x[:, 1] < 0
    assert model.weights_[right].mean() > 2 * model.weights_[~right].mean()
    both = LogisticRegression().fit(np.concatenate([x, target.x[:20]]), np.concatenate([there, here[:20]]))
    assert model.score(target.x[20:], here[20:]) > both.score(target.x[20:], here[20:]) + 0.1


def test_a_source_that_agrees_is_kept_whole():
    x, z = np.random.default_rng(1).normal(size=(2, 300, 2)).astype(np.float32)
    there, here = (rows[:, 0] + 0.3 * rows[:, 1] for rows in (x, z))
    model = TrAdaBoostR2().fit(x, there, target=Domain(z, here, np.arange(300) < 10, name="here"))
    assert model.effective_rows_ > 250 and model.score(z, here) > 0.99


def test_boosted_numbers_are_told_by_the_weighted_median():
    class Says:
        def __init__(self, number):
            self.number = number

        def predict(self, x):
            return np.full(len(x), self.number)

    median = WeightedMedian([Says(5.0), Says(1.0), Says(2.0)], np.array([0.2, 0.3, 0.5]))
    assert median.predict(np.zeros((2, 1))).tolist() == [2.0, 2.0]
    x, there, target, here = half_reversed(numbers=True, few=40)
    tree = TrAdaBoostR2(rounds=5, steps=5, estimator=DecisionTreeRegressor(max_depth=4, random_state=0))
    rows, labels = np.concatenate([x, target.x[:40]]), np.concatenate([there, here[:40]])
    both = clone(tree.estimator).fit(rows, labels)
    assert tree.fit(x, there, target=target).score(target.x, here) > both.score(target.x, here) + 0.2
    with pytest.raises(SettingError, match="is not linear"):
        clone(tree).set_params(net="linear").fit(Domain(x, there, name="there"), target=target)


@given(
    st.lists(st.tuples(st.floats(1e-3, 1.0), st.floats(0.05, 1.0)), min_size=1, max_size=20),
    st.floats(1e-3, 10.0),
    st.floats(0.01, 0.99),
)
@settings(max_examples=100, deadline=None)
def test_the_target_gets_the_share_that_it_should(pairs, rest, share):
    weights, missed = np.array(pairs).T
    factors = shrink(weights, missed, rest, share)
    assert ((factors >= 0) & (factors <= 1)).all()
    found = rest / (rest + weights @ factors)
    start = rest / (rest + weights.sum())
    reachable = rest / (rest + weights @ np.exp(np.log(1e-12) * missed))
    assert found == pytest.approx(min(max(share, start), reachable), abs=1e-6)


def test_a_pool_of_one_is_that_one_and_linear_ones_pool_exactly():
    x = np.random.default_rng(0).normal(size=(60, 3))
    y = np.arange(60) % 3
    x[:, 0] += y
    one, two = (LogisticRegression(C=c).fit(x, y) for c in (0.01, 10.0))
    assert np.allclose(Pool([one], np.ones(1)).predict_proba(x), one.predict_proba(x))
    pooled = Pool([one, two], np.array([0.25, 0.75]))
    linear = clone(one).fit(x, y)
    linear.coef_, linear.intercept_ = pooled.coef_, pooled.intercept_
    assert np.allclose(pooled.predict_proba(x), linear.predict_proba(x))


# Forests


def forest_of(x, y, **settings):
    return RandomForestClassifier(20, max_leaf_nodes=8, random_state=0, **settings).fit(x, y)


def test_leaves_answer_as_the_formula_says():
    x, there, target, _ = half_reversed()
    forest = forest_of(x, there)
    model = TransferForest(strength=5.0).fit(forest, target=target)
    rows, wanted = target.x[:20], np.eye(2)[target.y[:20]]
    total = 0
    for tree in forest.estimators_:  # slowly, tree by tree, leaf by leaf
        said, leaves = np.empty((60, 2)), tree.apply(rows)
        for number, leaf in enumerate(tree.apply(target.x[:60])):
            here = leaves == leaf
            prior = tree.predict_proba(target.x[number : number + 1])[0]
            said[number] = (wanted[here].sum(0) + 5.0 * prior) / (here.sum() + 5.0)
        total = total + said / 20
    assert np.allclose(model.predict_proba(target.x[:60]), total)


def test_an_endless_strength_is_the_sources_forest_and_a_target_of_none_too():
    x, there, target, _ = half_reversed()
    forest = forest_of(x, there)
    for model in (TransferForest(strength=1e12).fit(forest, target=target), TransferForest().fit(forest)):
        assert np.allclose(model.predict_proba(target.x), forest.predict_proba(target.x), atol=1e-8)


def test_left_out_labels_decide_and_each_is_really_left_out():
    x, there, target, _ = half_reversed()
    forest = forest_of(x, there)
    model = TransferForest().fit(forest, target=target)
    assert model.strength_ == min(model.errors_, key=model.errors_.get)
    losses = []
    for row in range(20):
        others = Domain(target.x, target.y, (np.arange(400) < 20) & (np.arange(400) != row), target.classes)
        said = TransferForest(strength=3.0).fit(forest, target=others).predict_proba(target.x[row : row + 1])[0]
        losses.append(-np.log(said[target.y[row]]))
    assert model.errors_[3.0] == pytest.approx(np.mean(losses))


def test_it_helps_where_the_source_has_changed_and_stays_where_not():
    x, there, target, here = half_reversed(few=60)
    forest = forest_of(x, there)
    assert TransferForest().fit(forest, target=target).score(target.x, here) > forest.score(target.x, here) + 0.2
    same = Domain(x, there, np.arange(400) < 60, ("0", "1"), name="here")
    assert TransferForest().fit(forest, target=same).score(x, there) >= forest.score(x, there) - 0.02


def test_numbers_and_names_of_classes_and_files_of_skops(tmp_path):
    x, there, target, here = half_reversed(numbers=True, few=60)
    trees = ExtraTreesRegressor(20, max_leaf_nodes=16, random_state=0).fit(x, there)
    model = TransferForest().fit(trees, target=target)
    assert model.score(target.x, here) > trees.score(target.x, here) + 0.2
    x, there, target, here = half_reversed()
    names = np.array(["no", "yes"])
    forest = forest_of(x, names[there])
    skops.io.dump(forest, tmp_path / "forest.skops")
    named = Domain(target.x, target.y, target.labelled, ("no", "yes"), name="here")
    model = TransferForest().fit(tmp_path / "forest.skops", target=named)
    assert set(model.predict(target.x)) == {"no", "yes"}
    assert np.allclose(
        model.predict_proba(target.x), TransferForest().fit(forest, target=named).predict_proba(target.x)
    )


def test_rows_of_the_source_grow_a_forest_of_the_persons_kind():
    x, there, target, _ = half_reversed()
    model = TransferForest(estimator=RandomForestClassifier(3, random_state=0)).fit(x, there, target=target)
    assert len(model.forest_.estimators_) == 3
    with pytest.raises(SettingError, match="does not tell numbers"):
        TransferForest(estimator=RandomForestClassifier(3)).fit(x, x[:, 0], target=target)


def test_what_is_no_forest_is_refused_in_one_line(tmp_path):
    x, there, target, _ = half_reversed()
    pickled, stranger, torn = tmp_path / "forest.pkl", tmp_path / "other.skops", tmp_path / "torn.skops"
    pickled.write_bytes(pickle.dumps(forest_of(x, there)))
    skops.io.dump(GradientBoostingClassifier(n_estimators=2).fit(x, there), stranger)
    skops.io.dump(forest_of(x, there), torn)
    torn.write_bytes(torn.read_bytes()[:500])
    narrow = Domain(target.x[:, :1], target.y, target.labelled, ("0", "1"), name="here")
    other = Domain(target.x, target.y, target.labelled, ("cat", "dog"), name="here")
    cases = [
        (pickled, target, "no file of skops"),
        (torn, target, "no file of skops"),
        (stranger, target, "GradientBoosting|not trusted"),
        (tmp_path / "none.skops", target, "is no file"),
        (RandomForestClassifier(), target, "could not|not fitted|rows|X"),
        (forest_of(x, there), narrow, "which have 2 columns"),
        (forest_of(x, there), other, "none of the forest's classes"),
        (forest_of(x, there), Domain(target.x, name="here"), "needs some labels"),
    ]
    for source, where, words in cases:
        with pytest.raises(DataError, match=words) as caught:
            TransferForest().fit(source, target=where)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("what", "number"), [("children_left", 10**6), ("children_left", 0), ("feature", 2), ("feature", -7)]
)
def test_a_file_whose_trees_lead_nowhere_is_refused(tmp_path, what, number):
    """scikit-learn would read beyond the table, or walk in a circle for ever."""
    x, there, target, _ = half_reversed()
    forest = forest_of(x, there)
    getattr(forest.estimators_[3].tree_, what)[0] = number
    skops.io.dump(forest, tmp_path / "hostile.skops")
    with pytest.raises(DataError, match="tree 3 names nodes or columns that are not there"):
        TransferForest().fit(tmp_path / "hostile.skops", target=target)


@given(st.floats(0, 1), st.integers(0, 50), st.floats(1e-6, 1e6))
def test_a_corrected_leaf_lies_between_what_it_said_and_what_is_there(prior, count, strength):
    told = float(corrected(np.array([prior]), np.array([float(count)]), np.array(float(count)), strength)[0])
    assert min(prior, 1.0) - 1e-9 <= told <= 1.0 + 1e-9
