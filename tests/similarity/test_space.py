"""The space in which distances are taken: one scale, no constant columns, few components."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from juyi.data import as_domain
from juyi.errors import DataError
from juyi.similarity.appearance import COLOUR, GREY, appearance
from juyi.similarity.space import build_space, drop_constant, project, reduced, standardise
from juyi.training.backbones import AS_THEY_ARE, PIXELS, Backbone

NUMBERS = st.floats(-1e3, 1e3, width=32)


def space_of(*domains):
    name = PIXELS if domains[0].is_images else AS_THEY_ARE
    return build_space(Backbone(name), domains[:-1], domains[-1], 0)


@given(arrays(np.float64, (7, 3), elements=NUMBERS), arrays(np.float64, (4, 3), elements=NUMBERS))
def test_standardising_does_not_look_at_which_side_or_how_many(a, b):
    one, other = standardise([a, b], by_column=True)
    turned, doubled = standardise([np.concatenate([b, b]), a], by_column=True)
    np.testing.assert_allclose(doubled, one, atol=1e-6)
    np.testing.assert_allclose(turned[:4], other, atol=1e-6)
    both = (one.mean(0) + other.mean(0)) / 2
    np.testing.assert_allclose(both, 0, atol=1e-6)


def test_columns_are_divided_each_by_its_own_spread_features_by_one_number():
    rng = np.random.default_rng(0)
    sides = [rng.normal(size=(500, 2)) * [1, 100] for _ in range(2)]
    by_column, by_one = (np.concatenate(standardise(sides, by_column=kind)) for kind in (True, False))
    np.testing.assert_allclose(by_column.std(0), 1, rtol=1e-6)
    assert by_one.std(0)[1] / by_one.std(0)[0] == pytest.approx(100, rel=0.1)
    assert by_one.var(0).mean() == pytest.approx(1, rel=1e-6)


def test_constant_columns_are_left_out_by_name_and_telling_ones_are_warned_of(side):
    there, here = (as_domain(np.c_[side(60, seed=k).x, np.full(60, 7), np.full(60, k)]) for k in (0, 1))
    space = space_of(there, here)
    assert space.names == ("column 1", "column 2", "column 3", "column 5")
    assert any("left out: column 4" in note for note in space.notes)
    assert space.warnings[0].startswith("column 5: the same in all rows of a side, but not the same on all sides")
    with pytest.raises(DataError, match="nothing can be measured"):
        drop_constant([np.ones((3, 2)), np.ones((4, 2))], None)


def test_many_columns_are_reduced_for_distances_and_keep_their_names(side):
    wide = [side(300, seed=k, width=400) for k in (0, 1)]
    space = space_of(*wide)
    near = reduced(space, 0)
    assert space.target.shape == (300, 400) and len(space.names) == 400
    assert near.target.shape == (300, 256) and near.names is None and "principal components" in near.notes[-1]


def test_projecting_keeps_distances_where_all_variance_is_kept():
    rng = np.random.default_rng(0)
    low = rng.normal(size=(120, 3)) @ rng.normal(size=(3, 40))
    parts, share = project([low[:60], low[60:]], 5, 0)
    assert share == pytest.approx(1)
    both = np.concatenate(parts)
    wanted, found = (np.linalg.norm(x[:10, None] - x[None], axis=2) for x in (low, both))
    np.testing.assert_allclose(found, wanted, atol=1e-8)


def test_images_become_components_of_their_pixels():
    rng = np.random.default_rng(0)
    there, here = (as_domain(rng.integers(0, 256, (90, 3, 40, 20), np.uint8)) for _ in range(2))
    space = space_of(there, here)
    assert space.target.shape == (90, 64) and "pixels of images of 32×16" in space.notes
    assert np.mean([side.var(0).mean() for side in (space.source, space.target)]) == pytest.approx(1, rel=0.05)


def test_appearance_has_the_values_that_one_can_reckon():
    image = np.zeros((1, 3, 8, 8), np.uint8)
    image[0, 0] = 255  # pure red
    values, names = appearance(as_domain(image))
    found = dict(zip(names, values[0], strict=True))
    assert names == (*GREY, *COLOUR)
    assert found["red"] == 1 and found["green"] == 0 and found["saturation"] == 1
    assert found["brightness"] == pytest.approx(0.299, abs=1e-3) == found["brightness of the border"]
    assert found["contrast"] == pytest.approx(0, abs=1e-6) == found["sharpness"]
    stripes = np.zeros((1, 1, 8, 8), np.uint8)
    stripes[..., ::2] = 255
    values, names = appearance(as_domain(stripes))
    found = dict(zip(names, values[0], strict=True))
    assert names == GREY
    assert [found[name] for name in ("brightness", "contrast", "sharpness", "dark pixels", "light pixels")] == [
        0.5, 0.5, 0.5, 0.5, 0.5
    ]  # fmt: skip
