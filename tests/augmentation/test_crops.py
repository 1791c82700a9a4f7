"""Crops in changed colours: what each part does, by closed forms, and that each image has its own."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from augmentation.test_views import noise, seeded
from juyi.augmentation import LOOKS, Crops, Look, find_look
from juyi.augmentation.operations import as_grey
from juyi.errors import SettingError

STILL = {"area": (1.0, 1.0), "ratio": 1.0, "brightness": 0.0, "contrast": 0.0}


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(list(LOOKS)), st.integers(1, 5), st.sampled_from([1, 3]), st.integers(1, 20), st.integers(1, 20),
    st.integers(0, 2**31),
)  # fmt: skip
def test_any_shape_comes_back_as_floats_from_0_to_255(name, n, channels, height, width, seed):
    x = noise(n, channels, height, width, seed)
    found = seeded(Crops(LOOKS[name]), x, seed)
    assert found.shape == x.shape and found.dtype == torch.float32
    assert torch.isfinite(found).all() and found.min() >= 0 and found.max() <= 255
    assert torch.equal(found, seeded(Crops(LOOKS[name]), x, seed))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_look_that_allows_nothing_changes_nothing(channels):
    x = noise(4, channels)
    assert torch.allclose(seeded(Crops(Look(**STILL)), x), x.float(), atol=1e-3)


def test_half_are_mirrored():
    x = noise(400, 1, 4, 4)
    found = seeded(Crops(Look(**STILL, flip=True)), x)
    same = (found - x).abs().flatten(1).amax(1) < 0.01
    mirrored = (found - x.flip(3)).abs().flatten(1).amax(1) < 0.01
    assert bool((same ^ mirrored).all()) and 140 < int(mirrored.sum()) < 260


def test_a_crop_shows_the_share_that_was_drawn():
    ramp = torch.arange(64, dtype=torch.float32).mul(4).to(torch.uint8).expand(300, 1, 64, 64).contiguous()
    found = seeded(Crops(Look(**{**STILL, "area": (0.25, 0.25)})), ramp)
    spans = found[:, 0, 0, -1] - found[:, 0, 0, 0]
    assert torch.allclose(spans, torch.full_like(spans, 0.5 * 63 * 4), atol=4.0)  # half of the side is a quarter
    starts = found[:, 0, 0, 0]
    assert starts.min() < 10 and starts.max() > 115 and 45 < starts.mean() < 80  # anywhere inside, evenly


def test_brightness_multiplies_and_contrast_turns_about_the_mean():
    x = torch.full((300, 1, 3, 3), 100, dtype=torch.uint8)
    bright = seeded(Crops(Look(**{**STILL, "brightness": 0.4})), x)[:, 0, 0, 0] / 100
    assert 0.6 <= bright.min() < 0.65 and 1.35 < bright.max() <= 1.4
    flat = seeded(Crops(Look(**{**STILL, "contrast": 0.5})), x)
    assert torch.allclose(flat, x.float(), atol=1e-3)
    varied = noise(8, 3)
    found = seeded(Crops(Look(**{**STILL, "contrast": 0.2})), varied // 2 + 64)
    assert torch.allclose(as_grey(found).mean((1, 2, 3)), as_grey((varied // 2 + 64).float()).mean((1, 2, 3)), atol=0.1)


def test_hue_and_saturation_keep_the_luma_and_grey_takes_all_colour():
    x = noise(200, 3, 4, 4) // 4 + 96
    turned = seeded(Crops(Look(**STILL, hue=0.5, saturation=0.4)), x)
    assert torch.allclose(as_grey(turned), as_grey(x.float()), atol=0.05)
    assert (turned - x).abs().flatten(1).amax(1).median() > 5
    grey = seeded(Crops(Look(**STILL, grey=1.0, hue=0.5)), x)
    assert torch.allclose(grey, as_grey(x.float()).expand_as(grey), atol=0.05)


def test_a_full_turn_of_the_hue_is_none():
    from juyi.augmentation.crops import _TURN

    luma, rest, quarter = _TURN.double()
    eye = torch.eye(3, dtype=torch.float64)
    assert torch.allclose(luma + rest, eye, atol=1e-6)
    assert torch.allclose(quarter @ quarter, -rest, atol=1e-5)  # twice a quarter turn is a half turn
    assert torch.allclose(quarter @ torch.ones(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64), atol=1e-6)


def test_only_the_share_that_was_asked_for_is_recoloured():
    x = noise(400, 3, 3, 3) // 2 + 60
    found = seeded(Crops(Look(**{**STILL, "brightness": 0.5}, recoloured=0.25)), x)
    changed = (found - x).abs().flatten(1).amax(1) > 0.05
    assert 60 < int(changed.sum()) < 145


def test_views_come_channels_last_and_draws_are_each_image_s_own():
    x = noise(1, 3).repeat(16, 1, 1, 1)
    found = seeded(Crops(LOOKS["photographs"]), x)
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert len({row.numpy().tobytes() for row in found}) == 16


def test_digits_and_drawings_by_their_own_look():
    assert not LOOKS["digits"].flip and LOOKS["photographs"].flip
    assert np.isclose(find_look("drawings").grey, 0.4)
    with pytest.raises(SettingError, match="did you mean photographs"):
        find_look("photograph")
