"""Rows that arrive: the mistake bound, references, limits, and wrong input."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone

from juyi.adapt.arriving import OnlineTransfer, PageHinkley, StreamingCORAL
from juyi.adapt.arriving.online_transfer import onto_simplex, passive_aggressive
from juyi.adapt.arriving.streaming_coral import Moments, powered
from juyi.errors import DataError, JuyiError, SettingError


def rule(seed=0, rows=600, d=6, classes=2, noise=0.0):
    rng = np.random.default_rng(seed)
    x, w = rng.normal(size=(rows, d)), np.random.default_rng(99).normal(size=(classes, d))
    y = (x @ w.T).argmax(1)
    return x, np.where(rng.random(rows) < noise, rng.integers(classes, size=rows), y)


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=6))
def test_the_projection_is_the_nearest_point_of_the_simplex(scores):
    s = np.array(scores)
    found = onto_simplex(s)
    assert found.sum() == pytest.approx(1) and (found >= 0).all()
    rest = s - found  # optimal iff equal where shares are above 0, and not larger elsewhere
    assert (rest <= rest[found > 0].min() + 1e-9).all() and np.ptp(rest[found > 1e-12]) < 1e-9


def test_of_two_classes_it_is_the_papers_share():
    f = np.linspace(-2, 2, 9)
    assert np.allclose(onto_simplex(np.stack([0 * f, f], 1))[:, 1], np.clip((f + 1) / 2, 0, 1))


def test_a_passive_aggressive_step_is_the_least_that_suffices():
    rng = np.random.default_rng(0)
    for _ in range(20):
        w, x, y = rng.normal(size=(3, 4)), rng.normal(size=4), int(rng.integers(3))
        scores, before = w @ x, w.copy()
        rival = max((c for c in range(3) if c != y), key=lambda c: scores[c])
        passive_aggressive(w, x, y, np.inf)
        if scores[y] - scores[rival] >= 1:
            assert np.array_equal(w, before)
        else:
            assert (w @ x)[y] - (w @ x)[rival] == pytest.approx(1)
            step = (w - before)[y]
            assert np.allclose(step, -(w - before)[rival]) and np.allclose(np.cross(step[:3], x[:3]), 0, atol=1e-9)


@pytest.mark.parametrize(("classes", "seed"), [(2, 0), (2, 1), (4, 2)])
def test_mistakes_stay_under_the_papers_bound(classes, seed):
    x, y = rule(seed, 300, classes=classes, noise=0.2)
    other = np.random.default_rng(seed).permutation(classes)[y]  # the source may teach something else
    model = OnlineTransfer(share=0.0, alarm=0.0).fit(x[:100], other[:100])
    model.partial_fit(x[100:101], y[100:101])  # all experts are there now
    model.weights_ = np.full(3, 1 / 3)
    losses, mistakes = np.zeros(3), 0
    for row, label in zip(x[101:], y[101:], strict=True):
        rows = model._rows(row[None])
        shares = np.concatenate([model._source_shares(rows), onto_simplex(model._linear @ rows[0])])
        losses += ((shares - np.eye(classes)[label]) ** 2).sum(1) / 2
        before = model.mistakes_
        model.partial_fit(row[None], [label])
        mistakes += model.mistakes_ - before
    assert 0 < mistakes <= 4 * losses.min() + 8 * np.log(3)
    assert np.allclose(model.weights_, np.exp(-losses / 2) / np.exp(-losses / 2).sum())


def test_each_row_is_answered_before_its_label_is_seen():
    x, y = rule(0)
    model = OnlineTransfer().fit(x[:200], y[:200])
    whole, single = clone(model).fit(x[:200], y[:200]), clone(model).fit(x[:200], y[:200])
    whole.partial_fit(x[200:260], y[200:260])
    told = []
    for row, label in zip(x[200:260], y[200:260], strict=True):
        told.append(single.predict(row[None])[0] if single.width_ else None)
        single.partial_fit(row[None], [label])
    assert told[1:] == whole.answers_[1:].tolist() and np.allclose(single.weights_, whole.weights_)


def test_after_a_shift_the_weight_goes_over_and_comes_back():
    x, y = rule(0, 3_000)
    y_all = np.concatenate([y[:1_000], 1 - y[1_000:2_000], y[2_000:]])
    model = OnlineTransfer(aggressiveness=0.1).fit(*rule(5, 500))
    for start in range(0, 3_000, 200):
        model.partial_fit(x[start : start + 200], y_all[start : start + 200])
    source = [one["weights"]["source"] for one in model.history_]
    assert source[4] > 0.5 and source[9] < 0.1 and source[-1] > 0.5
    assert len(model.alarms_) >= 1 and 1_000 < model.alarms_[0] < 1_200
    never = (model.source_model_.predict((x - model.mean_) / model.spread_) != y_all).sum()
    assert model.mistakes_ < never / 2
    assert f"until row {model.alarms_[0]:,}" in model.experts_


def test_further_columns_are_the_learners_alone():
    x, y = rule(0, 800)
    hidden = (x[:, :1] > 0).astype(int).ravel()
    wide = np.hstack([np.random.default_rng(1).normal(size=(800, 6)), 3.0 * hidden[:, None]])
    model = OnlineTransfer(aggressiveness=0.1).fit(x[:, :], y)
    model.partial_fit(wide, hidden)
    assert (model.predict(wide) == hidden).mean() > 0.9 and model.weights_[0] < 0.2
    with pytest.raises(DataError, match="7 are needed"):
        model.predict(x)


def test_moments_are_those_of_all_rows():
    x = np.random.default_rng(0).normal(size=(90, 3)) @ np.array([[2.0, 1, 0], [0, 1, 0], [0, 0, 3]])
    seen = Moments(np.zeros(3), np.zeros((3, 3)))
    for part in np.split(x, [1, 5, 40]):
        seen.add(part, 1.0)
    assert np.allclose(seen.mean, x.mean(0)) and np.allclose(seen.covariance, np.cov(x.T, bias=True))
    for _ in range(200):
        seen.add(x[:5], 0.5)
    assert np.allclose(seen.mean, x[:5].mean(0))


def test_streaming_coral_is_coral_where_nothing_is_forgotten():
    x, y = rule(0, 400)
    moved = x @ np.diag([1, 2, 3, 1, 1, 0.5]) + 4
    model = StreamingCORAL(memory=0.0, shrinkage=0.0).fit(x, y)
    assert np.array_equal(model.predict(x), model.model_.predict(x))  # nothing has arrived yet
    for start in range(0, 400, 37):
        model.partial_fit(moved[start : start + 37])
    there, here = np.cov(x.T, bias=True), np.cov(moved.T, bias=True)
    slow = (moved - moved.mean(0)) @ np.linalg.inv(np.real(powered(here, 0.5, 0.0))) @ powered(
        there, 0.5, 0.0
    ) + x.mean(0)
    assert np.allclose(model.transform(moved), slow, atol=1e-4)  # rows are kept as float32
    assert np.allclose(np.cov(model.transform(moved).T, bias=True), there, atol=1e-3)
    assert model.score(moved, y) > 0.95 > 0.9 > (model.model_.predict(moved) == y).mean()


def test_streaming_coral_follows():
    x, y = rule(0, 2_000)
    model = StreamingCORAL(memory=200.0, shrinkage=0.0).fit(x, y)
    for shift in (5.0, -5.0):
        for start in range(0, 2_000, 100):
            model.partial_fit(x[start : start + 100] + shift)
        assert model.score(x + shift, y) > 0.95


def test_the_alarm_is_silent_where_nothing_changes_and_rings_soon_where_it_does():
    rng = np.random.default_rng(0)
    still = [PageHinkley() for _ in range(20)]
    rung = sum(any(alarm.add(float(v)) for v in rng.random(1_000) < 0.1) for alarm in still)
    assert rung <= 1
    for alarm in still:
        delay = next(t for t in range(1, 400) if alarm.add(float(rng.random() < 0.5)))
        assert delay < 150


@pytest.mark.parametrize("kind", [OnlineTransfer, StreamingCORAL])
def test_wrong_input_is_refused_in_one_line(kind):
    x, y = rule(0, 40)
    for bad in ((x, np.zeros(40)), (x[:, :, None, None].astype(np.uint8), y)):
        with pytest.raises(JuyiError):
            kind().fit(*bad)
    model = kind().fit(x, y)
    for rows, labels in ((x[:, :3], y), (np.full((2, 6), np.nan), y[:2]), (np.array([["a"] * 6]), y[:1])):
        with pytest.raises(DataError) as error:
            model.partial_fit(rows, labels)
        assert "\n" not in str(error.value)
    if kind is OnlineTransfer:
        for labels in (np.full(40, 7), y[:3]):
            with pytest.raises(DataError):
                model.partial_fit(x, labels)
        with pytest.raises(SettingError):
            OnlineTransfer(rate=-1.0).fit(x, y)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([0.0, 1e6, -1e6, 1e-12, 3.0]), st.integers(0, 1)), min_size=1, max_size=30))
def test_no_row_makes_a_nan(rows):
    x, y = np.array([[value, 1.0] for value, _ in rows]), np.array([label for _, label in rows])
    source = np.array([[0.0, 1.0], [1.0, 0.0], [2.0, 1.0], [5.0, 2.0]])
    model = OnlineTransfer(alarm=1.0).fit(source, [0, 1, 0, 1]).partial_fit(x, y)
    assert np.isfinite(model.predict_proba(x)).all() and model.weights_.sum() == pytest.approx(1)
    assert np.isfinite(StreamingCORAL().fit(source, [0, 1, 0, 1]).partial_fit(x).predict_proba(x)).all()
