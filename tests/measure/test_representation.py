"""Neighbours, effective ranks, alignment and uniformity: closed forms, slow references, invariants."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from juyi.errors import DataError, SettingError
from juyi.measure import alignment, cosine_agreement, lidar, neighbour_scores, rank_me, uniformity


def test_votes_equal_the_sum_written_out():
    random = np.random.default_rng(0)
    known, asked, y = random.normal(size=(40, 5)), random.normal(size=(7, 5)), random.integers(0, 3, 40)
    found = neighbour_scores(known, y, asked, 3, k=6, temperature=0.3)
    for row, query in enumerate(asked):
        cosine = known @ query / np.linalg.norm(known, axis=1) / np.linalg.norm(query)
        votes = np.zeros(3)
        for near in np.argsort(-cosine)[:6]:
            votes[y[near]] += np.exp(cosine[near] / 0.3)
        assert np.allclose(found[row], votes / votes.sum(), atol=1e-5)


def test_with_one_neighbour_each_row_finds_itself():
    random = np.random.default_rng(1)
    known, y = random.normal(size=(50, 8)), random.integers(0, 4, 50)
    assert (neighbour_scores(known, y, 3 * known, 4, k=1).argmax(1) == y).all()


def test_more_neighbours_than_rows_are_all_rows():
    known, y = np.eye(3), np.array([0, 0, 1])
    assert np.allclose(neighbour_scores(known, y, known[:1], 2, k=99), neighbour_scores(known, y, known[:1], 2, k=3))


@settings(max_examples=40, deadline=None)
@given(arrays(np.float64, st.tuples(st.integers(2, 12), st.integers(1, 6)), elements=st.floats(-1e3, 1e3)))
def test_the_rank_lies_between_one_and_the_dimensions(features):
    found = rank_me(features)
    assert 1 - 1e-6 <= found <= min(features.shape) + 1e-3
    assert rank_me(7.5 * features) == pytest.approx(found, rel=1e-6)


def test_the_rank_of_directions_of_equal_weight_is_their_number():
    for number in (1, 3, 8):
        assert rank_me(np.tile(np.eye(8)[:number], (5, 1))) == pytest.approx(number, rel=1e-3)


def test_lidar_counts_the_directions_in_which_images_differ_and_not_those_of_the_views():
    random = np.random.default_rng(2)
    images = random.normal(size=(400, 1, 3)) * 5
    views = np.concatenate([images + random.normal(size=(400, 8, 3)), 9 * random.normal(size=(400, 8, 2))], 2)
    assert 2.5 < lidar(views) < 3.3
    assert rank_me(views.reshape(-1, 5)) > 4.5  # which sees five


def test_lidar_is_the_same_where_there_are_far_more_features_than_rows():
    random = np.random.default_rng(4)
    views = random.normal(size=(6, 1, 9)) * 4 + random.normal(size=(6, 3, 9))
    turned = views @ np.linalg.qr(random.normal(size=(200, 9)))[0].T  # lengths and angles stay
    assert lidar(turned) == pytest.approx(lidar(views), rel=1e-4)


def test_the_cosine_of_two_models_looks_at_directions_from_the_mean():
    random = np.random.default_rng(0)
    one = random.normal(size=(300, 16)) + 50.0  # a large part in common, which says nothing of any row
    turned = np.linalg.qr(random.normal(size=(16, 16)))[0]
    near = one + 0.1 * random.normal(size=one.shape)
    assert cosine_agreement(one, one) == pytest.approx(1.0)
    assert cosine_agreement(one, 3.0 * one - 2.0 * one.mean(0)) == pytest.approx(1.0)  # longer, about the same middle
    assert cosine_agreement(one @ turned, near @ turned) == pytest.approx(cosine_agreement(one, near))
    assert 0.99 < cosine_agreement(one, near) < 1.0
    assert abs(cosine_agreement(one, np.roll(one, 1, 0))) < 0.1
    for wrong in (one[1:], one[:, 1:], np.where(one == one[0, 0], np.nan, one)):
        with pytest.raises(DataError, match="second"):
            cosine_agreement(one, wrong)


def test_alignment_and_uniformity_at_their_limits():
    random = np.random.default_rng(3)
    z = random.normal(size=(600, 64))
    assert alignment(z, z) == 0.0 and alignment(z, -z) == pytest.approx(4.0)
    assert uniformity(np.tile(z[:1], (9, 1))) == pytest.approx(0.0, abs=1e-9)
    assert uniformity(z) == pytest.approx(-4.0, abs=0.2)  # at right angles nearly all: log exp(−2 · 2)
    assert uniformity(z) < uniformity(np.abs(z))


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: neighbour_scores(np.eye(3), np.array([0, 1, 1]), np.eye(2), 2), DataError),
        (lambda: neighbour_scores(np.eye(3), np.array([0, 1, 5]), np.eye(3), 2), DataError),
        (lambda: neighbour_scores(np.full((3, 2), np.nan), np.array([0, 1, 1]), np.eye(2), 2), DataError),
        (lambda: neighbour_scores(np.eye(3), np.array([0, 1, 1]), np.eye(3), 2, k=0), SettingError),
        (lambda: neighbour_scores(np.eye(3), np.array([0, 1, 1]), np.eye(3), 2, temperature=0), SettingError),
        (lambda: rank_me(np.array([[np.inf, 1.0], [0.0, 1.0]])), DataError),
        (lambda: lidar(np.zeros((3, 1, 4))), DataError),
    ],
)
def test_what_cannot_be_measured_is_one_error(call, error):
    with pytest.raises(error):
        call()
