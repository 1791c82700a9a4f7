"""What a person says of a teacher: whatever the words, they are understood or refused in one line."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from juyi.distill import TeacherOptions, doubt_teacher
from juyi.distill.teachers.options import read_classes, read_numbers, read_shape
from juyi.errors import SettingError

QUIET = settings(max_examples=50, deadline=None)
ANY = st.one_of(st.text(max_size=30), st.from_regex(r"[0-9x,.\- e+naif×]{0,20}", fullmatch=True))
LENGTHS = st.integers(1, 10**6)
NAMES = st.text(min_size=1).filter(lambda name: "," not in name and name.strip() == name)


def one_line(read, text, *more):
    """Return what is read, or None where it is refused; the error must be one line that names the option."""
    try:
        return read(text, *more)
    except SettingError as error:
        assert str(error).startswith("--teacher-") and ";" in str(error)
        assert len(str(error).splitlines()) <= 1 + len(text.splitlines())
        return None


@QUIET
@given(ANY)
def test_any_words_are_understood_or_refused(text):
    shape = one_line(read_shape, text)
    assert shape is None or (len(shape) in (1, 3) and all(0 < length <= 10**6 for length in shape))
    for above in (-math.inf, 0.0):
        numbers = one_line(read_numbers, text, "mean", above)
        assert numbers is None or (numbers and all(math.isfinite(n) and n > above for n in numbers))
    classes = one_line(read_classes, text)
    if isinstance(classes, tuple):
        assert len(classes) >= 2 and len(set(classes)) == len(classes) and all(classes)
    else:
        assert classes is None or classes >= 2


@QUIET
@given(st.one_of(st.tuples(LENGTHS), st.tuples(LENGTHS, LENGTHS, LENGTHS)), st.sampled_from("x×,"))
def test_a_shape_that_was_written_is_read_again(shape, between):
    assert read_shape(between.join(map(str, shape))) == shape


@QUIET
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=5))
def test_numbers_that_were_written_are_read_again(numbers):
    assert read_numbers(" , ".join(map(repr, numbers)), "mean") == tuple(numbers)
    above = [abs(number) + 1 for number in numbers]
    assert read_numbers(",".join(map(repr, above)), "spread", 0.0) == tuple(above)
    with pytest.raises(SettingError, match="above 0"):
        read_numbers(",".join(map(repr, [*above, -(numbers[0] ** 0)])), "spread", 0.0)


@QUIET
@given(st.lists(NAMES, min_size=2, max_size=6, unique=True))
def test_names_that_were_written_are_read_again(names):
    assert read_classes(",".join(names)) == tuple(names)
    with pytest.raises(SettingError, match="all different"):
        read_classes(",".join([*names, names[0]]))


@QUIET
@given(st.lists(st.floats(-3, 3), min_size=3, max_size=3), st.lists(st.floats(0.01, 3), min_size=3, max_size=3))
def test_the_scale_is_that_of_pixels_from_0_to_1_and_of_features_as_they_are(mean, spread):
    options = TeacherOptions(mean=tuple(mean), spread=tuple(spread))
    x = torch.rand(2, 3, 4, 4) * 255
    wanted = (x / 255 - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(spread).view(3, 1, 1)
    torch.testing.assert_close(options.scale((3, 4, 4))(x), wanted, atol=1e-3, rtol=1e-4)
    rows = torch.rand(5, 3)
    wanted = (rows - torch.tensor(mean)) / torch.tensor(spread)
    torch.testing.assert_close(options.scale((3,))(rows), wanted, atol=1e-3, rtol=1e-4)


def test_nothing_said_means_pixels_from_0_to_1():
    assert TeacherOptions.read() == TeacherOptions()
    scale = TeacherOptions().scale((3, 4, 4))
    assert scale.mean.tolist() == [0, 0, 0] and scale.spread.tolist() == [255, 255, 255]


def right(y, share, classes, seed=0):
    """Scores that are right for this share of rows, and else random."""
    random = np.random.default_rng(seed)
    return np.eye(classes)[np.where(random.random(len(y)) < share, y, random.integers(0, classes, len(y)))]


def test_a_teacher_is_doubted_where_it_is_no_better_than_chance():
    names = tuple("abcdefghij")
    y = np.random.default_rng(1).integers(0, 10, 2_000)
    assert doubt_teacher(right(y, 1.0, 10), y, names) == ""
    assert doubt_teacher(right(y, 0.2, 10), y, names) == ""
    said = doubt_teacher(np.eye(10)[np.full(2_000, 3)], y, names)
    assert "by chance" in said and "--teacher-mean" in said  # one class, always
    assert doubt_teacher(right(y[:10], 0.0, 10), y[:10], names) == ""  # too few rows to say anything
    doubted = [bool(doubt_teacher(right(y, 0.0, 10, seed), y, names)) for seed in range(100)]
    assert sum(doubted) >= 90  # within two standard errors: 97.7 % of those that know nothing


def test_classes_in_another_order_are_named():
    names = tuple("abcde")
    y = np.arange(500) % 5
    order = np.array([1, 0, 2, 4, 3])
    said = doubt_teacher(right(order[y], 0.95, 5), y, names)
    assert "in another order" in said and "'a' is called 'b'" in said and "--teacher-classes" in said
    unbalanced = np.repeat([0, 1], [950, 50])
    assert doubt_teacher(right(unbalanced, 1.0, 2), unbalanced, "ab") == ""
