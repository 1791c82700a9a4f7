"""Each operation against Pillow, or against a slow plain reference; at magnitude 0 most do nothing."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance, ImageOps

from juyi.augmentation import COLOUR, OPERATIONS, SHAPE, Strong
from juyi.augmentation.operations import MAPS, MATRICES, MOVES, PIXELS
from juyi.augmentation.views import warp

QUIET = settings(max_examples=25, deadline=None)
MAGNITUDES = (-1.0, -0.4, 0.3, 1.0)


def picture(channels=3, height=12, width=9, seed=0, low=0, high=256):
    """One image, 1×C×H×W, of whole numbers that are floats."""
    random = np.random.default_rng(seed)
    return torch.from_numpy(random.integers(low, high, (1, channels, height, width))).float()


def to_pillow(x):
    values = x[0].permute(1, 2, 0).numpy().astype(np.uint8)
    return Image.fromarray(values[..., 0] if values.shape[2] == 1 else values)


def from_pillow(image):
    values = np.asarray(image, np.float32)
    return torch.from_numpy(values.reshape(*values.shape[:2], -1)).permute(2, 0, 1)[None]


def change(name, x, m):
    """Apply an operation of colour, as what is drawn is applied."""
    m = torch.full((len(x),), float(m))
    if name in PIXELS:
        return PIXELS[name](x, m).clamp(0, 255)
    return multiplied(MATRICES[name](x, m), x).clamp(0, 255)


def multiplied(matrix, x):
    """Pixel by pixel: the matrix times (channels, 1)."""
    ones = torch.ones(len(x), 1, *x.shape[2:])
    return torch.einsum("nij,njhw->nihw", matrix, torch.cat([x, ones], 1))


def assert_near(found, expected, tolerance):
    worst = (found - expected).abs().max().item()
    assert worst <= tolerance, f"differs by up to {worst:.3f}, more than {tolerance}"


@pytest.mark.parametrize("m", MAGNITUDES)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("name", "enhance"),
    [("brightness", ImageEnhance.Brightness), ("contrast", ImageEnhance.Contrast), ("colour", ImageEnhance.Color)],
)
def test_what_pillow_enhances(name, enhance, channels, m):
    """Pillow rounds the grey and the result to whole numbers."""
    x = picture(channels)
    assert_near(change(name, x, m), from_pillow(enhance(to_pillow(x)).enhance(1 + 0.9 * m)), 1.5)


@pytest.mark.parametrize("m", MAGNITUDES)
def test_sharpness_is_pillows_thirteen_ninths_as_strong(m):
    """The mean of nine instead of Pillow's kernel, (8 neighbours + 5 times the middle) / 13; it keeps the border."""
    x = picture(low=60, high=190)
    expected = from_pillow(ImageEnhance.Sharpness(to_pillow(x)).enhance(1 + 0.9 * m * 13 / 9))
    assert_near(change("sharpness", x, m)[..., 1:-1, 1:-1], expected[..., 1:-1, 1:-1], 2.0)


@pytest.mark.parametrize("channels", [1, 3])
def test_autocontrast_is_pillows(channels):
    x = picture(channels, low=40, high=170)
    found = change("autocontrast", x, 0.7)
    assert_near(found, from_pillow(ImageOps.autocontrast(to_pillow(x))), 1.0)
    assert found.amin((2, 3)).abs().max() < 1e-3 and (found.amax((2, 3)) - 255).abs().max() < 1e-3


def test_invert_is_pillows():
    x = picture()
    assert torch.equal(change("invert", x, 0.3), from_pillow(ImageOps.invert(to_pillow(x))))


@pytest.mark.parametrize("threshold", [0, 1, 99, 200, 255])
@pytest.mark.parametrize("sign", [-1, 1])
def test_solarize_is_pillows(threshold, sign):
    x = picture()
    m = sign * min(1.0, 1 - (threshold - 0.5) / 255)
    assert torch.equal(change("solarize", x, m), from_pillow(ImageOps.solarize(to_pillow(x), threshold)))


@pytest.mark.parametrize(("m", "bits"), [(0.1, 8), (0.3, 7), (-0.5, 6), (0.7, 5), (0.9, 4), (1.0, 4), (-1.0, 4)])
def test_posterize_is_pillows(m, bits):
    x = picture()
    assert torch.equal(change("posterize", x, m), from_pillow(ImageOps.posterize(to_pillow(x), bits)))


def test_equalize_is_about_pillows_where_levels_are_many():
    x = picture(height=128, width=128, low=50, high=150)
    assert_near(change("equalize", x, 0.5), from_pillow(ImageOps.equalize(to_pillow(x))), 6.0)


@QUIET
@given(st.integers(0, 2**31), st.integers(2, 40), st.sampled_from([1, 3]))
def test_equalize_keeps_the_order_of_levels_and_spreads_them(seed, high, channels):
    x = picture(channels, 10, 10, seed, 0, high)
    found = change("equalize", x, 0.5)
    for one, other in zip(x[0], found[0], strict=True):
        levels, where = one.unique(), other
        values = torch.stack([where[one == level].unique().squeeze(0) for level in levels])  # one value a level
        assert (values.diff() > 0).all()
        assert values[0] == 0 and values[-1] > 100


def box(x):
    """The mean of each 3×3 neighbourhood; beyond the border, the border goes on."""
    _, channels, height, width = x.shape
    found = torch.zeros_like(x)
    for c in range(channels):
        for i in range(height):
            for j in range(width):
                cells = [
                    x[0, c, min(max(i + a, 0), height - 1), min(max(j + b, 0), width - 1)].item()
                    for a in (-1, 0, 1)
                    for b in (-1, 0, 1)
                ]
                found[0, c, i, j] = sum(cells) / 9
    return found


@pytest.mark.parametrize("shape", [(5, 4), (1, 6), (1, 1)])
@pytest.mark.parametrize("m", [-1.0, 0.4])
def test_sharpness_and_blur_by_loops(shape, m):
    x = picture(3, *shape)
    smooth = box(x)
    assert_near(change("sharpness", x, m), (smooth + (1 + 0.9 * m) * (x - smooth)).clamp(0, 255), 1e-3)
    assert_near(change("blur", x, m), (1 - abs(m)) * x + abs(m) * box(smooth), 1e-3)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", ["brightness", "contrast", "colour", "sharpness", "blur", "posterize"])
def test_no_magnitude_is_no_change(name, channels):
    x = picture(channels)
    assert_near(change(name, x, 0.0), x, 1e-4)


def test_no_magnitude_moves_nothing():
    none = torch.zeros(2)
    for name, operation in MAPS.items():
        assert torch.equal(operation(none), torch.eye(2).repeat(2, 1, 1)), name
    for name, operation in MOVES.items():
        assert torch.equal(operation(none), torch.zeros(2, 2)), name
    x = picture()
    assert_near(warp(x, torch.eye(2)[None], torch.zeros(1, 2)), x, 1e-3)


def test_a_blank_picture_stays_finite():
    for level in (0.0, 99.0, 255.0):
        x = torch.full((2, 3, 6, 6), level)
        for name in COLOUR:
            assert torch.isfinite(change(name, x, 0.8)).all(), name
        for name in ("autocontrast", "equalize", "contrast", "colour", "sharpness", "blur"):
            assert_near(change(name, x, 0.8), x, 1e-3)


def test_maps_are_what_they_say():
    one = torch.tensor([1.0, -1.0, 0.5])
    angle = torch.tensor([math.pi / 6, -math.pi / 6, math.pi / 12])
    turn = MAPS["rotate"](one)
    torch.testing.assert_close(turn @ turn.mT, torch.eye(2).repeat(3, 1, 1))
    torch.testing.assert_close(turn[:, 1, 0], angle.sin())
    assert MAPS["shear_x"](one)[1].tolist() == [[1.0, pytest.approx(-0.3)], [0.0, 1.0]]
    assert MAPS["shear_y"](one)[0].tolist() == [[1.0, 0.0], [pytest.approx(0.3), 1.0]]
    assert MAPS["rescale"](one)[2].tolist() == [[1.125, 0.0], [0.0, 1.125]]
    torch.testing.assert_close(MOVES["translate_x"](one), torch.tensor([[0.6, 0], [-0.6, 0], [0.3, 0]]))
    torch.testing.assert_close(MOVES["translate_y"](one), torch.tensor([[0, 0.6], [0, -0.6], [0, 0.3]]))


def sampled(x, matrix, move):
    """Bilinear sampling by loops: place (a, b) of the result shows place A (a, b) + move; both axes from −1 to 1."""
    _, channels, height, width = x.shape
    found = torch.zeros_like(x)
    for i in range(height):
        for j in range(width):
            place = matrix @ np.array([(2 * j + 1) / width - 1, (2 * i + 1) / height - 1]) + move
            column = min(max(((place[0] + 1) * width - 1) / 2, 0), width - 1)
            row = min(max(((place[1] + 1) * height - 1) / 2, 0), height - 1)
            left, top = min(int(column), max(width - 2, 0)), min(int(row), max(height - 2, 0))
            right, bottom = min(left + 1, width - 1), min(top + 1, height - 1)
            a, b = column - left, row - top
            for c in range(channels):
                cell = x[0, c]
                above = (1 - a) * cell[top, left] + a * cell[top, right]
                below = (1 - a) * cell[bottom, left] + a * cell[bottom, right]
                found[0, c, i, j] = (1 - b) * above + b * below
    return found


@pytest.mark.parametrize("shape", [(5, 5), (4, 7), (1, 1)])
@pytest.mark.parametrize("name", MAPS)
def test_warp_by_loops(name, shape):
    x = picture(1, *shape)
    for m in (-1.0, 0.6):
        matrix, move = MAPS[name](torch.tensor([m])), torch.tensor([[0.2, -0.35]])
        expected = sampled(x, matrix[0].double().numpy(), move[0].double().numpy())
        assert_near(warp(x, matrix, move), expected, 0.02)


@pytest.mark.parametrize(("across", "down"), [(0, 0), (2, 0), (0, -3), (-1, 2), (9, 0)])
def test_a_shift_by_whole_pixels_is_a_shift(across, down):
    from scipy.ndimage import shift

    x = picture(3, 8, 6)
    move = torch.tensor([[2 * across / 6, 2 * down / 8]])
    expected = shift(x.numpy(), (0, 0, -down, -across), order=1, mode="nearest")
    assert_near(warp(x, torch.eye(2)[None], move), torch.from_numpy(expected), 1e-2)


def test_each_picture_is_warped_by_its_own_map():
    x = torch.cat([picture(seed=seed) for seed in range(3)])
    maps, moves = MAPS["rotate"](torch.tensor([0.9, 0.0, -0.5])), torch.tensor([[0.1, 0], [0, 0.3], [0, 0]])
    whole = warp(x, maps, moves)
    for row in range(3):
        one = slice(row, row + 1)
        assert_near(whole[one], warp(x[one], maps[one], moves[one]), 1e-3)


def drawn(chosen, n=1):
    """What `Strong` hands over: for each operation, which pictures drew it, and how strongly."""
    no, zero = torch.zeros(n, dtype=torch.bool), torch.zeros(n)
    return dict.fromkeys(OPERATIONS, (no, zero)) | {
        name: (torch.ones(n, dtype=torch.bool), torch.full((n,), m)) for name, m in chosen.items()
    }


@pytest.mark.parametrize(
    "pair", [("brightness", "colour"), ("brightness", "invert"), ("colour", "invert"), ("autocontrast", "invert")]
)
def test_two_matrices_at_once_are_one_after_the_other(pair):
    """In the order of `COLOUR`, and where nothing is cut off at 0 or 255 between them."""
    x = picture(low=60, high=120)
    first, second = pair
    one_by_one = change(second, change(first, x, -0.3), 0.4)
    assert_near(Strong()._coloured(x, drawn({second: 0.4, first: -0.3})), one_by_one, 1e-2)


def test_matrices_touch_only_those_who_drew_them():
    x = torch.cat([picture(seed=seed) for seed in range(4)])
    who = torch.tensor([True, False, False, True])
    chosen = drawn({}, 4) | {"invert": (who, torch.ones(4)), "posterize": (who.roll(1), torch.ones(4))}
    found = Strong()._coloured(x, chosen)
    for row in range(4):
        expected = x[row : row + 1]
        if who[row]:
            expected = change("invert", expected, 1.0)
        if who.roll(1)[row]:
            expected = change("posterize", expected, 1.0)
        assert_near(found[row : row + 1], expected, 1e-3)


def test_every_operation_stands_in_one_list():
    assert len(OPERATIONS) == len({*OPERATIONS}) == len(SHAPE) + len(COLOUR) == 16
    assert {*OPERATIONS} == {*MAPS, *MOVES, *MATRICES, *PIXELS}
