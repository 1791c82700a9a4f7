"""Other columns: closed forms, slow references, limits, and wrong input."""

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.base import clone
from sklearn.neighbors import KNeighborsClassifier

from juyi.adapt.heterogeneous import CCA, COOT, DAMA, METHODS
from juyi.adapt.heterogeneous.base import TwoKinds
from juyi.adapt.heterogeneous.cca import canonical_directions
from juyi.adapt.heterogeneous.coot import co_optimal_transport
from juyi.adapt.heterogeneous.dama import class_laplacians
from juyi.data import as_domain
from juyi.errors import DataError, JuyiError

ALL = sorted(METHODS)


def two_sides(rows=60, seed=0, few=4):
    rng = np.random.default_rng(seed)
    y = np.arange(rows) % 3
    means = 3 * rng.normal(size=(3, 4))
    sides = [(means[y] + rng.normal(size=(rows, 4))) @ rng.normal(size=(4, d)) for d in (6, 9)]
    labels = [str(label) if row < 3 * few else None for row, label in enumerate(y)]
    return sides[0], y, sides[1], as_domain(sides[1], labels, name="here")


def test_the_methods_are_these():
    assert ALL == ["cca", "coot", "dama"]


def test_canonical_directions_are_the_generalised_eigenvectors():
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(200, 3))
    x, z = (hidden @ rng.normal(size=(3, d)) + rng.normal(size=(200, d)) for d in (4, 5))
    whole = np.cov(np.hstack([x, z]).T, bias=True)
    c, e, both = whole[:4, :4], whole[4:, 4:], whole[:4, 4:]
    a, b, correlation = canonical_directions(c, e, both, 0.0)
    squares = scipy.linalg.eigh(both @ np.linalg.solve(e, both.T), c, eigvals_only=True)[::-1]
    assert np.allclose(correlation**2, squares)
    assert np.allclose(a.T @ c @ a, np.eye(4)) and np.allclose(b.T @ e @ b, np.eye(4), atol=1e-8)
    assert np.allclose(a.T @ both @ b, np.diag(correlation))
    for column in range(4):  # and what numpy says they correlate by
        found = np.corrcoef(x @ a[:, column], z @ b[:, column])[0, 1]
        assert found == pytest.approx(correlation[column])


def test_rows_and_columns_in_another_order_are_found():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(25, 7)) * np.arange(1, 8)
    rows, columns = rng.permutation(25), rng.permutation(7)
    start = np.full((7, 7), 1 / 49)
    forbid = (np.arange(25)[:, None] < 5) & (rows >= 5)  # it is known which are the first five
    plan, of_columns, residual = co_optimal_transport(x, x[rows][:, columns], 100.0 * forbid, start, 0.0, 50)
    assert plan.argmax(0).tolist() == rows.tolist() and of_columns.argmax(0).tolist() == columns.tolist()
    assert residual <= 1e-5 and plan.sum() == pytest.approx(1)


def test_coot_says_which_column_is_which():
    x, y, _, _ = two_sides(rows=45)
    order = np.random.default_rng(1).permutation(6)
    moved = 5 * x[::-1][:, order] + 2
    labels = [label if row < 9 else None for row, label in enumerate(y[::-1].tolist())]
    model = COOT().fit(x, y, target=as_domain(moved, labels, name="here"))
    assert model.columns_.argmax(0).tolist() == order.tolist()
    assert model.score(moved, y[::-1]) > 0.95


def test_class_laplacians_are_their_sums_over_pairs():
    rng = np.random.default_rng(0)
    x, z, y, t = rng.normal(size=(6, 2)), rng.normal(size=(4, 3)), np.array([0, 1, 0, 1, 1, 2]), np.array([0, 1, 2, 1])
    given = TwoKinds(x, y, z, t, np.ones(4, bool), np.empty((0, 2), int), 3, 0)
    rows = np.zeros((10, 5))
    rows[:6, :2], rows[6:, 2:] = x, z
    weight, labels = np.repeat([1 / 6, 1 / 4], [6, 4]), np.concatenate([y, t])
    sums = {True: np.zeros((5, 5)), False: np.zeros((5, 5))}
    mass = {True: 0.0, False: 0.0}
    for i in range(10):
        for j in range(10):
            apart, alike = rows[i] - rows[j], bool(labels[i] == labels[j])
            sums[alike] += weight[i] * weight[j] * np.outer(apart, apart) / 2
            mass[alike] += weight[i] * weight[j]
    same, other = class_laplacians(given)
    assert np.allclose(same, sums[True] / mass[True]) and np.allclose(other, sums[False] / mass[False])


@pytest.mark.parametrize("name", ALL)
def test_few_labels_suffice_and_names_of_classes_do_not_matter(name):
    x, y, z, here = two_sides()
    model = METHODS[name](random_state=1)
    first = model.fit(x, y, target=here)
    assert first.score(z, y) > 0.8 and first.predict(z).dtype == y.dtype
    assert np.allclose(first.predict_proba(z).sum(1), 1)
    words = np.array(["zebra", "ape", "mouse"])
    named = as_domain(z, [None if row >= 12 else words[label] for row, label in enumerate(y)], name="here")
    other = clone(model).fit(x, words[y], target=named)
    assert (other.predict(z) == words[first.predict(z)]).mean() > 0.95
    again = clone(model).fit(x, y, target=here)
    assert np.array_equal(again.predict_proba(z), first.predict_proba(z))


@pytest.mark.parametrize("name", ALL)
def test_pairs_take_the_place_of_labels(name):
    x, y, z, _ = two_sides()
    pairs = np.stack([np.arange(15)] * 2, 1)
    model = METHODS[name](estimator=None).fit(x, y, target=z, pairs=pairs)
    assert model.score(z, y) > 0.8


@pytest.mark.parametrize("name", ALL)
def test_withheld_labels_are_not_read(name):
    x, y, z, here = two_sides()
    other = as_domain(z, [str(label) if row < 12 else None for row, label in enumerate(y)], name="here")
    poisoned = np.where(other.labelled, other.y, 1)
    object.__setattr__(other, "y", poisoned)
    one, two = (METHODS[name]().fit(x, y, target=side).predict_proba(z) for side in (here, other))
    assert np.array_equal(one, two)


@pytest.mark.parametrize(
    ("target", "pairs", "word"),
    [
        (None, None, "target"),
        (np.zeros((5, 2)), None, "pairs"),
        (np.zeros((5, 2)), [(0, 9)], "not there"),
        (np.zeros((5, 2)), [0, 1], "two row numbers"),
        (as_domain(np.zeros((2, 2)), ["7", "8"], name="here"), None, "classes"),
        (as_domain(np.zeros((2, 1, 4, 4), np.uint8), name="here"), None, "images"),
    ],
)
def test_wrong_input_is_refused_in_one_line(target, pairs, word):
    x, y, _, _ = two_sides()
    with pytest.raises(DataError, match=word) as error:
        DAMA().fit(x, y, target=target, pairs=pairs)
    assert "\n" not in str(error.value)
    with pytest.raises(DataError, match="columns"):
        CCA().fit(x, y, target=two_sides()[3]).predict(np.zeros((2, 4)))


def test_an_estimator_without_weights_says_so():
    x, y, _, here = two_sides()
    with pytest.raises(JuyiError, match="sample_weight"):
        CCA(estimator=KNeighborsClassifier()).fit(x, y, target=here)


NUMBERS = st.sampled_from([0.0, 1.0, -1.0, 2.5, 1e6, -1e-9])


@settings(max_examples=25, deadline=None)
@given(
    hnp.arrays(float, st.tuples(st.integers(2, 6), st.integers(1, 3)), elements=NUMBERS),
    hnp.arrays(float, st.tuples(st.integers(1, 5), st.integers(1, 4)), elements=NUMBERS),
    st.sampled_from(ALL),
)
def test_small_and_degenerate_tables_give_answers_or_one_line(x, z, name):
    y = np.arange(len(x)) % 2
    here = as_domain(z, [str(row % 2) if row < 2 else None for row in range(len(z))], name="here")
    try:
        found = METHODS[name]().fit(x, y, target=here).predict_proba(z)
    except JuyiError as error:
        assert "\n" not in str(error)
        return
    assert np.isfinite(found).all()
