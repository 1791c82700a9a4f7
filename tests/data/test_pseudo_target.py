"""The pseudo-target: the source's shapes and labels in the target's look."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from juyi.data import Domain
from juyi.data.pseudo_target import pseudo_target
from juyi.errors import DataError


def images(values, n=8, side=16):
    random = np.random.default_rng(0)
    x = np.clip(random.normal(values, 20, (n, 3, side, side)), 0, 255).astype(np.uint8)
    return Domain(x, np.arange(n) % 2, classes=("a", "b"), name=f"around {values}")


def test_labels_stay_and_the_brightness_becomes_the_targets():
    source, target = images(60), images(190)
    made = pseudo_target(source, target)
    assert (made.y == source.y).all() and made.classes == source.classes and made.x.dtype == np.uint8
    assert abs(made.x.mean() - target.x.mean()) < 3 < abs(source.x.mean() - target.x.mean())


def test_the_shapes_stay():
    """An edge of the source is still there: it correlates with the source, not with the target it was taken from."""
    x = np.full((4, 1, 16, 16), 40, np.uint8)
    x[:, :, 5:11, 5:11] = 200
    looks = images(120, 4).x[:, :1]
    made = pseudo_target(Domain(x, np.zeros(4, int), classes=("a",)), Domain(looks))
    for one, other, look in zip(made.x, x, looks, strict=True):
        assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.4 > abs(np.corrcoef(one.ravel(), look.ravel())[0, 1])


def test_in_its_own_look_nothing_changes():
    one = images(100, 2)
    same = Domain(np.repeat(one.x[:1], 2, 0), [0, 1], classes=("a", "b"))
    assert np.abs(pseudo_target(same, same).x.astype(int) - same.x).max() <= 1


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.integers(2, 6))
def test_features_take_on_the_mean_and_covariance(seed, d):
    random = np.random.default_rng(seed)

    def draw():
        mixed = np.eye(d) + 0.3 / d * random.normal(size=(d, d))  # far from singular, where a ridge would matter
        return random.normal(size=(400, d)) @ mixed + random.normal(size=d) * 3

    source, target = (Domain(draw().astype(np.float32)) for _ in range(2))
    made = pseudo_target(source, target).x
    assert np.allclose(made.mean(0), target.x.mean(0), atol=1e-3)
    scale = np.trace(np.cov(target.x.T)) / d
    assert np.allclose(np.cov(made.T), np.cov(target.x.T), atol=0.15 * scale)


def test_constant_features_and_few_rows_give_finite_numbers():
    source = Domain(np.ones((5, 3), np.float32))
    assert np.isfinite(pseudo_target(source, Domain(np.zeros((2, 3), np.float32))).x).all()


def test_the_seed_decides_whose_look():
    source, target = images(60), images(150)
    one, same, other = (pseudo_target(source, target, seed).x for seed in (0, 0, 1))
    assert (one == same).all() and (one != other).any()


def test_what_does_not_fit_is_refused():
    with pytest.raises(DataError, match="align them"):
        pseudo_target(images(60), images(60, side=8))
    with pytest.raises(DataError, match="no look of its own"):
        pseudo_target(images(60), images(60).select([0]))
