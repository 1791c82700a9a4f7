"""Biases: the labels' optimum, the shares' fixed point, and that a class that was left out comes back."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from juyi.adapt import SourceOnly
from juyi.check.common import CLASSES, shifted_domains
from juyi.data import Domain
from juyi.distill import Hinton, correct_bias
from juyi.distill.bias import bias_by_labels, bias_by_shares
from juyi.distill.teachers import as_teacher
from juyi.errors import DataError


def softmax(scores):
    e = np.exp(scores - scores.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


@given(st.integers(0, 2**20), st.integers(2, 8), st.integers(20, 60))
@settings(max_examples=25, deadline=None)
def test_the_mean_prediction_is_the_shares(seed, classes, rows):
    random = np.random.default_rng(seed)
    scores, shares = 3 * random.normal(size=(rows, classes)), random.dirichlet(np.full(classes, 3.0)) + 0.01
    shares /= shares.sum()
    bias = bias_by_shares(scores, shares)
    assert np.allclose(softmax(scores + bias).mean(0), shares, atol=1e-4)
    assert abs(bias.mean()) < 1e-9


def test_labels_give_the_least_cross_entropy():
    random = np.random.default_rng(0)
    scores, y = 2 * random.normal(size=(200, 4)), random.integers(0, 4, 200)
    bias = bias_by_labels(scores, y)

    def loss(b):
        return -np.log(softmax(scores + b)[np.arange(200), y]).mean()

    best = loss(bias)
    assert best < loss(np.zeros(4))
    for direction in np.eye(4):
        assert best < loss(bias + 0.1 * direction) and best < loss(bias - 0.1 * direction)
    # at the optimum, the mean prediction is the share of the labels
    assert np.allclose(softmax(scores + bias).mean(0), np.bincount(y) / 200, atol=1e-3)


@pytest.fixture(scope="module")
def teacher():
    source, _ = shifted_domains()
    return SourceOnly(net="mlp", batch=60, epochs=20, precision="float32", device="cpu").fit(source)


@pytest.fixture(scope="module")
def student(teacher):
    """Has never seen a row of the last class: the teacher's soft answers are all that tells of it."""
    source, _ = shifted_domains(seed=1, rows=600)
    few = source.select(source.y != 2)
    settings = {"temperature": 8.0, "soft_weight": 1.0, "hard_weight": 0.0, "learning_rate": 0.01}
    return Hinton(
        teacher=teacher, student="mlp-32", epochs=60, batch=60, precision="float32", device="cpu", **settings
    ).fit(few)


@pytest.mark.parametrize("labelled", [True, False])
def test_a_class_that_was_left_out_comes_back(teacher, student, labelled):
    rows, _ = shifted_domains(seed=2, rows=600)
    held, _ = shifted_domains(seed=3, rows=300)
    if not labelled:
        held = Domain(held.x, classes=CLASSES, name="held")
    wrong = np.mean(student.predict(rows) != np.asarray(CLASSES)[rows.y])
    net = student.net_
    kept = {name: value.clone() for name, value in net.state_dict().items()}
    try:
        said = correct_bias(net, as_teacher(teacher), held)
        changed = [name for name, value in net.state_dict().items() if not torch.equal(value, kept[name])]
        after = np.mean(student.predict(rows) != np.asarray(CLASSES)[rows.y])
    finally:
        net.load_state_dict(kept)
    assert changed == ["head.bias"]
    assert ("labels of 300 rows" in said) is labelled
    assert wrong > 0.05 and after < wrong / 2


def test_too_few_rows_are_refused(teacher, student):
    held, _ = shifted_domains(seed=3)
    with pytest.raises(DataError, match="too few rows to correct 3 biases"):
        correct_bias(student.net_, as_teacher(teacher), held.select(np.arange(5)))
