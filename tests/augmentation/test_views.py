"""Weak and strong views: what is drawn for each picture, what comes out, and what is left alone."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import juyi
from juyi.augmentation import OPERATIONS, Strong, Warped, Weak, make_view
from juyi.augmentation import views as views_module
from juyi.errors import SettingError

QUIET = settings(max_examples=30, deadline=None)


def seeded(view, x, seed=0):
    """What the view makes of the rows with this seed; the world's random state is left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return view(x)


def noise(n=4, channels=3, height=16, width=16, seed=0):
    random = np.random.default_rng(seed)
    return torch.from_numpy(random.integers(0, 256, (n, channels, height, width)).astype(np.uint8))


@pytest.fixture
def record(monkeypatch):
    """Write down which pictures draw what: {operation: magnitudes of those that drew it}."""
    found = {name: [] for name in OPERATIONS}

    def watched(name, operation, at):
        def call(*arguments):
            found[name].append(arguments[at][arguments[at] != 0])
            return operation(*arguments)

        return call

    for kinds, at in ((views_module.MAPS, 0), (views_module.MOVES, 0), (views_module.MATRICES, 1),
                      (views_module.PIXELS, 1)):  # fmt: skip
        for name, operation in dict(kinds).items():
            monkeypatch.setitem(kinds, name, watched(name, operation, at))
    return lambda: {name: torch.cat(parts) for name, parts in found.items() if parts}


@QUIET
@given(
    st.sampled_from(["weak", "strong"]), st.booleans(), st.integers(0, 5), st.sampled_from([1, 3]),
    st.integers(1, 12), st.integers(1, 12), st.integers(0, 2**31),
)  # fmt: skip
def test_any_shape_comes_back_as_floats_from_0_to_255(name, flip, n, channels, height, width, seed):
    x = noise(n, channels, height, width, seed)
    found = seeded(make_view(name, flip=flip), x, seed)
    assert found.shape == x.shape and found.dtype == torch.float32
    if n:
        assert torch.isfinite(found).all() and found.min() >= 0 and found.max() <= 255
        assert found.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(found, seeded(make_view(name, flip=flip), x, seed))


@pytest.mark.parametrize("name", ["weak", "strong"])
def test_the_input_is_left_alone(name):
    x = noise()
    before = x.clone()
    seeded(make_view(name), x)
    floats = x.float()
    seeded(make_view(name), floats)
    assert torch.equal(x, before) and torch.equal(floats, before.float())


@pytest.mark.parametrize("name", ["weak", "strong"])
def test_the_same_seed_gives_the_same_bits_and_another_one_others(name):
    x, view = noise(16), make_view(name)
    assert torch.equal(seeded(view, x, 5), seeded(view, x, 5))
    assert not torch.equal(seeded(view, x, 5), seeded(view, x, 6))


@pytest.mark.parametrize("name", ["weak", "strong"])
def test_blank_and_tiny_pictures_stay_finite(name):
    for size in (1, 2, 8):
        for level in (0, 128, 255):
            x = torch.full((64, 3, size, size), level, dtype=torch.uint8)
            found = seeded(make_view(name, flip=True), x, size)
            assert torch.isfinite(found).all() and found.min() >= 0 and found.max() <= 255


def test_a_batch_of_the_same_picture_comes_out_all_different():
    x = noise(1).repeat(64, 1, 1, 1)
    assert len(seeded(Strong(), x).flatten(1).unique(dim=0)) == 64
    assert len(seeded(Weak(), x).round().flatten(1).unique(dim=0)) > 16  # of 25 shifts


@pytest.mark.parametrize("count", [1, 2, 5])
def test_each_picture_draws_as_many_operations_as_were_asked_for(record, count):
    seeded(Strong(count=count), noise(200, 1, 8, 8))
    assert sum(len(drawn) for drawn in record().values()) == 200 * count


def test_operations_and_magnitudes_are_drawn_evenly(record):
    seeded(Strong(), noise(1600, 1, 4, 4))
    found = record()
    assert found.keys() == {*OPERATIONS}
    for name, magnitudes in found.items():
        assert 140 < len(magnitudes) < 260, name  # 200 are expected, with a spread of 13
        assert -1 <= magnitudes.min() < -0.9 and 0.9 < magnitudes.max() <= 1
        assert magnitudes.mean().abs() < 0.15


def test_what_is_left_out_is_never_drawn(record):
    without = ("invert", "solarize", "rotate", "translate_y")
    seeded(Strong(without), noise(400, 3, 8, 8))
    assert record().keys() == {*OPERATIONS} - {*without}


def test_with_two_operations_left_every_picture_gets_both(record):
    left = ("posterize", "shear_x")
    seeded(Strong([name for name in OPERATIONS if name not in left]), noise(30, 1, 8, 8))
    assert {name: len(drawn) for name, drawn in record().items()} == {"posterize": 30, "shear_x": 30}


def test_an_operation_that_does_not_exist_is_refused():
    with pytest.raises(SettingError, match=r"inverse: there is no such operation; did you mean invert\?"):
        Strong(("inverse",))
    with pytest.raises(SettingError, match="only 1 operations are left, fewer than 2 an image"):
        Strong(OPERATIONS[1:])
    with pytest.raises(SettingError, match="colour"):
        juyi.adapt.DANN(exclude_operations="rotate, color").check_hyperparameters()
    juyi.adapt.DANN(exclude_operations=" rotate , colour,").check_hyperparameters()


def test_no_operation_and_no_patch_is_no_change():
    x = noise()
    torch.testing.assert_close(seeded(Strong(count=0, cutout=0.0), x), x.float(), atol=1e-2, rtol=0)


def test_the_patch_is_a_rectangle_of_the_pictures_mean():
    x = noise(100, 3, 20, 10).float()
    found = seeded(Strong(count=0, cutout=0.5), x)
    sides = []
    for picture, cut in zip(x, found, strict=True):
        mean = picture.mean((1, 2), keepdim=True)
        changed = ((cut - picture).abs() > 0.05).any(0)
        rows, columns = changed.any(1).nonzero().flatten(), changed.any(0).nonzero().flatten()
        if len(rows):
            patch = cut[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            torch.testing.assert_close(patch, mean.expand_as(patch), atol=0.05, rtol=0)
        sides.append((len(rows), len(columns)))
    assert max(rows for rows, _ in sides) <= 10 and max(columns for _, columns in sides) <= 5
    assert sum(rows > 6 for rows, _ in sides) > 10 and sum(rows < 4 for rows, _ in sides) > 10


def ramp(n, size=16):
    """Pictures that grow brighter from left to right."""
    return (torch.arange(size) * 10.0).expand(n, 1, size, size).to(torch.uint8)


def test_weak_never_mirrors_unless_asked_to():
    found = seeded(Weak(), ramp(500))
    assert (found[..., -1] > found[..., 0]).all()


def test_weak_mirrors_about_half_if_asked_to():
    found = seeded(Weak(flip=True), ramp(1000))
    mirrored = (found[:, 0, 0, -1] < found[:, 0, 0, 0]).sum().item()
    assert 430 < mirrored < 570
    rise = found[..., -1] > found[..., 0]
    assert ((rise.all((1, 2))) | (~rise).all((1, 2))).all()  # a picture is mirrored whole


@pytest.mark.parametrize("flip", [False, True])
def test_weak_shifts_by_whole_pixels_up_to_an_eighth(flip):
    x = noise(1, 3, 16, 24)
    padded = torch.nn.functional.pad(x.float(), (3, 3, 2, 2), mode="replicate")[0]
    allowed = {
        (down, across): padded[:, 2 + down : 18 + down, 3 + across : 27 + across]
        for down in range(-2, 3)
        for across in range(-3, 4)
    }
    if flip:
        allowed |= {(*place, "mirrored"): shown.flip(-1) for place, shown in allowed.items()}
    candidates, seen = torch.stack(list(allowed.values())), set()
    for found in seeded(Weak(flip), x.repeat(400, 1, 1, 1)):
        gap, which = (candidates - found).abs().amax((1, 2, 3)).min(0)
        assert gap < 0.05
        seen.add(int(which))
    assert len(seen) > 0.9 * len(allowed)


def test_pictures_too_small_to_be_shifted_stay():
    x = noise(8, 1, 7, 7)
    torch.testing.assert_close(seeded(Weak(), x), x.float(), atol=1e-2, rtol=0)


def test_strong_is_drawn_on_top_of_weak():
    x = noise()

    def both(x):
        return Strong(("invert",))(Weak(flip=True)(x))

    assert torch.equal(seeded(make_view("strong", flip=True, without=("invert",)), x), seeded(both, x))
    assert make_view("none") is None


def test_features_get_noise_of_a_tenth_of_their_spread_and_a_tenth_of_them_their_mean():
    spread = torch.tensor([1.0, 5.0, 0.0])
    x = torch.randn(4000, 3, generator=torch.Generator().manual_seed(0)) * spread + 7
    found = seeded(Strong(), x)
    mean = x.mean(0)
    for column in range(2):
        meant = (found[:, column] - mean[column]).abs() < 1e-5
        assert 0.08 < meant.float().mean() < 0.12
        noise = (found[:, column] - x[:, column])[~meant]
        assert noise.std().item() == pytest.approx(0.1 * spread[column].item(), rel=0.1)
    torch.testing.assert_close(found[:, 2], x[:, 2])
    assert found.dtype == torch.float32
    assert torch.equal(seeded(Weak(flip=True), x), x)


def test_one_row_of_features_and_none():
    one = torch.tensor([[1.0, -2.0]])
    assert torch.equal(seeded(Strong(), one), one)
    for view in (Weak(), Strong()):
        assert seeded(view, torch.zeros(0, 4)).shape == (0, 4)


def test_a_warped_image_keeps_what_it_shows_and_where_it_is_about():
    x = torch.zeros(300, 1, 41, 41, dtype=torch.uint8)
    x[:, :, 18:23, 18:23] = 255
    moved = Warped()(x)
    assert float(moved.min()) >= 0 and float(moved.max()) <= 255.01
    place = torch.arange(41.0) - 20
    mass = moved.sum((1, 2, 3))
    for along in (moved.sum((1, 2)), moved.sum((1, 3))):
        middle = (along * place).sum(1) / mass
        assert middle.abs().max() < 0.15 * 20.5 * 1.5 + 1  # moved by m at most, under the inverse map
        assert middle.std() > 0.5
    share = mass / (25 * 255)  # the area goes as the square of the size
    assert share.min() > math.exp(-0.6) * 0.9 and share.max() < math.exp(0.6) * 1.1 and share.std() > 0.1


def test_a_warped_view_can_stand_still_and_mirrors_only_if_asked(monkeypatch):
    monkeypatch.setattr(Warped, "angle", 0.0)
    monkeypatch.setattr(Warped, "size", 0.0)
    monkeypatch.setattr(Warped, "lean", 0.0)
    x = torch.randint(0, 256, (64, 3, 12, 12), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(Warped(shift=0)(x), x.float(), atol=0.02)
    mirrored = Warped(flip=True, shift=0)(x)
    same = torch.isclose(mirrored, x.float(), atol=0.02).all(3).all(2).all(1)
    other = torch.isclose(mirrored, x.flip(3).float(), atol=0.02).all(3).all(2).all(1)
    assert (same ^ other).all() and 10 < int(same.sum()) < 54
