import numpy as np
import pytest
import torch

from juyi.data import Domain, align, conform, join
from juyi.data.doors import follow
from juyi.data.shapes import resize, to_grey
from juyi.errors import ClassesDifferError, DataError, SettingError


def images(value=200, channels=1, size=(4, 4), n=2, name="a", **more):
    return Domain(np.full((n, channels, *size), value, np.uint8), name=name, **more)


def labelled(y, classes, name="a"):
    return Domain(np.arange(len(y), dtype=np.float32)[:, None] + 1, np.array(y), classes=classes, name=name)


def test_equal_domains_are_the_same_objects():
    a, b = images(), images(name="b")
    assert align(a, b) == (a, b)


def test_grey_becomes_rgb_and_small_becomes_large_and_both_are_said():
    grey, colour = images(100, 1, (4, 6)), images(100, 3, (8, 5), name="b")
    one, two = align(grey, colour)
    assert one.x.shape == two.x.shape == (2, 3, 8, 6)
    assert (one.x == 100).all() and (two.x == 100).all()
    assert one.notes == (
        "all images repeated from grey to RGB, since colour is asked for",
        "all images resized from 4×6 to 8×6",
    )
    assert two.notes == ("all images resized from 8×5 to 8×6",)
    assert align(grey, colour, size=3)[0].x.shape == (2, 3, 3, 3)


def test_resizing_is_antialiased_and_batches_do_not_matter():
    board = np.indices((8, 8)).sum(0) % 2 * 255
    small = resize(Domain(np.repeat(board[None, None].astype(np.uint8), 300, axis=0)), (2, 2))
    assert (abs(small.x.astype(int) - 128) < 20).all()  # a checkerboard averages out; without a filter it would not
    x = np.random.default_rng(0).integers(0, 256, (3, 3, 9, 7), np.uint8)
    want = torch.nn.functional.interpolate(torch.from_numpy(x).float(), (5, 11), mode="bilinear", antialias=True)
    np.testing.assert_array_equal(resize(Domain(x), (5, 11)).x, want.round().byte().numpy())


def test_kinds_and_widths_must_agree():
    features = Domain(np.ones((2, 3), np.float32), name="f")
    with pytest.raises(DataError, match="a holds images and f features; give two of one kind"):
        align(images(), features)
    with pytest.raises(DataError, match="f has 3 features and g 4; give both the same columns"):
        align(features, Domain(np.ones((2, 4), np.float32), name="g"))
    with pytest.raises(SettingError, match="f holds features; drop the size"):
        align(features, features, size=3)
    with pytest.raises(SettingError, match="size is 0"):
        align(images(), images(), size=0)


@pytest.mark.parametrize("order", [0, 1])
def test_pixels_in_0_to_1_are_refused_as_a_scaling_mistake(order):
    pair = [images(1, name="tiny"), images(255, name="full")]
    with pytest.raises(DataError, match=r"tiny: its pixels reach only 1, those of full reach 255; .* by 255"):
        align(pair[order], pair[1 - order])


def test_a_range_of_16_and_inverted_brightness_are_noted():
    _, b = align(images(255), images(16, name="b"))
    assert "reach only 16" in b.notes[0] and "multiply them by 255/16" in b.notes[0]
    _, b = align(images(20), images(230, name="b"))
    assert "differ in brightness (mean 20 and 230 of 255)" in b.notes[0] and "invert one" in b.notes[0]


def test_features_in_other_units_are_noted():
    a = Domain(np.ones((2, 1), np.float32), name="a")
    _, b = align(a, Domain(np.full((2, 1), 1e4, np.float32), name="b"))
    assert "check that both are in the same units" in b.notes[0]


def test_classes_are_matched_by_name_and_codes_follow_the_source():
    a, b = align(labelled([0, 1], ("cat", "dog")), labelled([0, 1, 1], ("dog", "cat"), "b"))
    assert b.classes == a.classes == ("cat", "dog") and b.y.tolist() == [1, 0, 0]


def test_whole_numbers_match_as_numbers():
    _, b = align(labelled([0, 1], ("1", "2")), labelled([0, 1], ("02", "01"), "b"))
    assert b.classes == ("1", "2") and b.y.tolist() == [1, 0]


def test_withheld_labels_stay_withheld():
    b = Domain(np.ones((2, 1), np.float32), np.array([0, 1]), np.array([False, True]), ("dog", "cat"), name="b")
    _, b = align(labelled([0, 1], ("cat", "dog")), b)
    assert b.labelled.tolist() == [False, True] and b.y.tolist() == [0, 0]


def test_classes_which_differ_are_named():
    with pytest.raises(ClassesDifferError) as error:
        align(labelled([0, 1], ("cat", "dog")), labelled([0, 1, 2], ("bee", "ant", "dog"), "b"))
    assert str(error.value) == (
        "b: its classes differ from those of a: it lacks cat; it has bee, ant besides; "
        "name the classes alike, or keep only the common ones with --intersect-classes"
    )
    with pytest.raises(ClassesDifferError, match="'Dog' and 'dog' differ only in case or spaces"):
        align(labelled([0, 1], ("cat", "Dog")), labelled([0, 1], ("cat", "dog"), "b"))


def test_common_classes_only_on_request():
    a = labelled([0, 1, 2, 1], ("cat", "dog", "emu"))
    b = Domain(
        np.ones((4, 1), np.float32),
        np.array([0, 1, 2, 0]),
        np.array([1, 1, 1, 0], bool),
        ("emu", "bee", "cat"),
        name="b",
    )
    a, b = align(a, b, intersect_classes=True)
    assert a.classes == b.classes == ("cat", "emu")
    assert a.y.tolist() == [0, 1] and a.x.ravel().tolist() == [1, 3]
    assert b.y[b.labelled].tolist() == [1, 0] and b.size == 3  # the unlabelled row stays: its class is not known
    assert "2 labelled rows left out, of classes that not all have: dog" in a.notes
    with pytest.raises(ClassesDifferError, match="not a single class in common"):
        align(a, labelled([0], ("x",), "c"), intersect_classes=True)


def test_a_domain_without_classes_takes_those_of_the_source():
    _, b = align(labelled([0, 1], ("cat", "dog")), Domain(np.ones((2, 1), np.float32)))
    assert b.classes == ("cat", "dog") and not b.labelled.any() and b.y.dtype == np.int64


def test_regression_and_classes_do_not_mix():
    values = Domain(np.ones((2, 1), np.float32), np.float32([0.5, 1.5]), name="v")
    with pytest.raises(DataError, match="v has numbers as labels and b has classes"):
        align(values, labelled([0, 1], ("cat", "dog"), "b"))
    _, plain = align(values, Domain(np.ones((2, 1), np.float32)))
    assert plain.classes is None and plain.y.dtype == np.float32 and not plain.labelled.any()


def test_join_keeps_where_rows_came_from():
    whole = join([labelled([0, 1], ("cat", "dog"), "p"), labelled([0, 1], ("dog", "cat"), "q")], "w")
    assert whole.groups == ("p", "q") and whole.group.tolist() == [0, 0, 1, 1]
    assert whole.y.tolist() == [0, 1, 1, 0] and whole.row_names == ["p/0", "p/1", "q/0", "q/1"] and whole.name == "w"


def test_conform_brings_rows_to_the_shape_of_a_network():
    assert conform(images(9, 3), (1, 8, 8)).x.shape == (2, 1, 8, 8)
    assert conform(images(9, 1), (3, 4, 4)).x.shape == (2, 3, 4, 4)
    assert "turned from RGB to grey" in to_grey(images(9, 3)).notes[0]
    with pytest.raises(DataError, match="holds images, but the network takes 5 features a row"):
        conform(images(), (5,))
    with pytest.raises(DataError, match="holds 1 features a row, but the network takes images"):
        conform(labelled([0], ("x",)), (1, 4, 4))


def test_a_test_follows_and_changes_nothing_of_what_is_settled():
    settled = Domain(np.full((4, 1, 6, 6), 90, np.uint8), np.array([0, 1, 2, 0]), classes=("a", "b", "c"), name="here")
    test = Domain(np.full((3, 3, 9, 9), 90, np.uint8), np.array([0, 1, 2]), classes=("b", "a", "z"), name="test")
    with pytest.raises(ClassesDifferError, match="z"):
        follow(test, settled)
    brought = follow(test, settled, intersect_classes=True)
    assert brought.x.shape == (2, 1, 6, 6)
    assert brought.classes == ("a", "b", "c") and brought.y.tolist() == [1, 0]
