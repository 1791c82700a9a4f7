import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from juyi.errors import DataError
from juyi.measure import joint_map
from juyi.measure.maps import principal_components


def groups(n: int, count: int = 4, width: int = 64, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    group = np.arange(n) % count
    return 3 * generator.normal(size=(count, width))[group] + generator.normal(size=(n, width)), group


def test_groups_that_lie_apart_stay_apart():
    features, group = groups(200)
    points = joint_map(features, seed=0)
    assert KNeighborsClassifier(5).fit(points[:60], group[:60]).score(points[60:], group[60:]) == 1.0
    assert points.shape == (200, 2) and points.dtype == np.float32
    assert np.abs(points.mean(0)).max() < 1e-3


def test_domains_that_coincide_stay_mixed():
    features, _ = groups(300, count=1)
    side = np.arange(300) < 150
    points = joint_map(features, seed=0)
    score = KNeighborsClassifier(5).fit(points[::2], side[::2]).score(points[1::2], side[1::2])
    assert 0.3 < score < 0.7


def test_same_seed_same_bits():
    features, _ = groups(90)
    assert (joint_map(features, 3) == joint_map(features, 3)).all()
    assert (joint_map(features.astype(np.float32), 3) == joint_map(features.astype(np.float32), 3)).all()


def test_location_and_rotation_of_the_features_do_not_matter():
    features, group = groups(120, width=6)
    turned = features @ np.linalg.qr(np.random.default_rng(1).normal(size=(6, 6)))[0] + 40
    points = joint_map(turned, seed=0)
    assert KNeighborsClassifier(3).fit(points[:60], group[:60]).score(points[60:], group[60:]) == 1.0


@pytest.mark.parametrize("n", [5, 6, 9, 20, 91])
@pytest.mark.parametrize("width", [1, 2, 70])
def test_few_rows_and_few_features_give_a_map_with_some_extent(n, width):
    features = np.random.default_rng(0).normal(size=(n, width))
    points = joint_map(features, seed=0)
    assert np.isfinite(points).all() and (points.std(0) > 0.01).any()
    assert len(np.unique(points.round(4), axis=0)) > n // 2


def test_features_that_are_all_the_same_do_not_fail():
    assert np.isfinite(joint_map(np.ones((40, 8)), seed=0)).all()


def test_bad_features_are_refused():
    with pytest.raises(DataError, match="at least 5"):
        joint_map(np.zeros((4, 3)), seed=0)
    with pytest.raises(DataError, match="not finite"):
        joint_map(np.full((9, 3), np.nan), seed=0)


@pytest.mark.parametrize("shape", [(40, 7), (7, 40)])
def test_principal_components_equal_those_of_the_singular_values(shape):
    x = np.random.default_rng(0).normal(size=shape)
    left, values, _ = np.linalg.svd(x - x.mean(0), full_matrices=False)
    mine = principal_components(x, 3)
    assert np.abs(mine) == pytest.approx(np.abs((left * values)[:, :3]), abs=1e-8)
