"""Label shift: closed forms, simulated shifts, and what each estimator takes for granted."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from juyi.errors import DataError
from juyi.measure import bbse, fit_temperature, mean_prediction, mlls, shares_warning, total_variation

PRIOR = np.array([0.2, 0.3, 0.5])
SHIFTED = np.array([0.7, 0.3, 0.0])


def draw(shares, n, seed, spread=1.2):
    """Rows of three normal clouds with these shares, their labels, and the exact scores under PRIOR."""
    rng = np.random.default_rng(seed)
    y = rng.choice(3, n, p=shares)
    centres = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0]])
    x = centres[y] + spread * rng.normal(size=(n, 2))
    distance = ((x[:, None] - centres) ** 2).sum(2)
    return y, np.log(PRIOR) - distance / (2 * spread**2)


def test_bbse_is_the_solution_of_the_linear_system():
    rng = np.random.default_rng(0)
    confusions = rng.dirichlet([8, 1, 1], 3).T  # column j: predictions of rows of class j
    confusions = np.stack([np.roll(confusions[:, 0], j) for j in range(3)], 1)
    label = np.repeat([0, 1, 2], 3000)
    prediction = np.concatenate([rng.choice(3, 3000, p=confusions[:, j]) for j in range(3)])
    target = rng.choice(3, 60_000, p=confusions @ [0.1, 0.3, 0.6])
    seen = np.array([[(prediction[label == j] == i).mean() for j in range(3)] for i in range(3)])
    by_hand = np.linalg.solve(seen, np.bincount(target) / len(target))
    assert np.allclose(bbse(prediction, label, target, 3), by_hand / by_hand.sum(), atol=1e-9)
    assert np.allclose(by_hand, [0.1, 0.3, 0.6], atol=0.03)


@pytest.mark.parametrize("shares", [SHIFTED, PRIOR, np.array([0.05, 0.9, 0.05])])
def test_a_known_shift_is_recovered(shares):
    y, source = draw(PRIOR, 20_000, 1)
    _, target = draw(shares, 20_000, 2)
    assert total_variation(mlls(softmax(target, axis=1), PRIOR), shares) < 0.02
    assert total_variation(bbse(source.argmax(1), y, target.argmax(1), 3), shares) < 0.04


def test_mlls_has_the_largest_likelihood():
    p = softmax(draw(SHIFTED, 500, 3)[1], axis=1)
    ratio = p / PRIOR

    def loss(free):
        return -np.log(ratio @ softmax(free)).mean()

    best = softmax(minimize(loss, np.zeros(3), method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-10}).x)
    assert total_variation(mlls(p, PRIOR, 100_000, 1e-9), best) < 1e-3


def test_mlls_does_not_mind_under_which_shares_the_model_was_trained():
    scores = draw(SHIFTED, 5_000, 4)[1]
    other = np.array([0.5, 0.4, 0.1])
    moved = scores - np.log(PRIOR) + np.log(other)
    one, two = (mlls(softmax(z, axis=1), p, 10_000, 1e-9) for z, p in ((scores, PRIOR), (moved, other)))
    assert np.allclose(one, two, atol=1e-4)


def test_the_mean_prediction_is_one_step_of_mlls():
    scores = draw(SHIFTED, 300, 5)[1]
    assert np.allclose(mean_prediction(scores), mlls(softmax(scores, axis=1), PRIOR, iterations=1))


def test_the_mean_prediction_of_unshifted_rows_is_the_shares():
    assert total_variation(mean_prediction(draw(PRIOR, 40_000, 6)[1]), PRIOR) < 0.01


def test_a_temperature_undoes_a_temperature():
    y, scores = draw(PRIOR, 20_000, 7)
    assert fit_temperature(scores, y) == pytest.approx(1.0, abs=0.05)
    assert fit_temperature(3.0 * scores, y) == pytest.approx(3.0, rel=0.05)
    slow = [-log_softmax(scores / t, axis=1)[np.arange(len(y)), y].mean() for t in np.linspace(0.5, 2, 61)]
    assert np.linspace(0.5, 2, 61)[int(np.argmin(slow))] == pytest.approx(fit_temperature(scores, y), abs=0.03)


def test_shares_always_sum_to_one_and_are_none_below_zero():
    y, source = draw(PRIOR, 40, 8)
    for seed in range(20):
        target = draw(SHIFTED, 7, seed)[1]
        for q in (bbse(source.argmax(1), y, target.argmax(1), 3), mlls(softmax(target, axis=1), PRIOR)):
            assert q.sum() == pytest.approx(1.0) and (q >= 0).all()


def test_total_variation_is_half_the_sum_of_differences():
    assert total_variation([1, 0], [0, 1]) == 1.0
    assert total_variation(PRIOR, PRIOR) == 0.0
    assert total_variation(PRIOR, SHIFTED) == pytest.approx(0.5)


def test_a_warning_names_the_classes_that_differ_most():
    assert shares_warning(PRIOR, PRIOR + np.array([0.1, 0.0, -0.1]), ["a", "b", "c"], "x") == []
    (said,) = shares_warning(PRIOR, SHIFTED, ["a", "b", "c"], "try this")
    assert "a 70.0 %, not 20.0 %" in said and "c 0.0 %, not 50.0 %" in said and said.endswith("try this.")


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: bbse(np.array([0]), np.array([0, 1]), np.array([0]), 2), "need rows"),
        (lambda: bbse(np.array([0]), np.array([0]), np.array([], int), 2), "need rows"),
        (lambda: bbse(np.array([2]), np.array([0]), np.array([0]), 2), "outside the codes"),
        (lambda: mlls(np.zeros((0, 2)), np.array([0.5, 0.5])), "do not fit"),
        (lambda: mlls(np.ones((3, 2)) / 2, np.array([1.0])), "do not fit"),
        (lambda: mlls(np.ones((3, 2)) / 2, np.array([1.0, 0.0])), "class 1 has a share of 0"),
        (lambda: mean_prediction(np.zeros((0, 2))), "at least one row"),
        (lambda: fit_temperature(np.zeros((2, 2)), np.array([0])), "do not fit"),
    ],
)
def test_what_cannot_be_estimated_is_refused(call, words):
    with pytest.raises(DataError, match=words):
        call()
