import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from juyi.data import Domain, as_domain
from juyi.errors import DataError

pixels = hnp.arrays(
    np.uint8, st.tuples(st.integers(1, 4), st.sampled_from([1, 3]), st.integers(5, 8), st.integers(5, 8))
)


@given(pixels)
def test_channels_first_and_last_and_tensors_and_lists_mean_the_same(x):
    forms = [x, x.transpose(0, 2, 3, 1), torch.from_numpy(x), x.tolist(), x.astype(np.int32)]
    forms += [x.astype(np.float64)] if x.max() > 1 else []
    for form in forms:
        domain = as_domain(form)
        np.testing.assert_array_equal(domain.x, x)
        assert domain.x.dtype == np.uint8 and domain.x.transpose(0, 2, 3, 1).flags.c_contiguous


@given(pixels)
def test_floats_in_0_to_1_are_scaled_and_that_is_said(x):
    domain = as_domain((x / 255).astype(np.float32))
    np.testing.assert_array_equal(domain.x, x)
    assert domain.notes == ("pixels in 0-1 multiplied by 255",)


@given(
    hnp.arrays(
        st.sampled_from([np.float64, np.int16, np.bool_]),
        st.tuples(st.integers(1, 5), st.integers(1, 5)),
        elements=st.integers(0, 1),
    )
)
def test_two_axes_are_features(x):
    domain = as_domain(x)
    np.testing.assert_array_equal(domain.x, x.astype(np.float32))
    assert domain.x.dtype == np.float32


labels = st.lists(st.none() | st.integers(-5, 300), min_size=1, max_size=20)


@given(labels, st.sampled_from(["list", "float", "masked", "object"]))
def test_unknown_labels_in_any_form_and_minus_one_is_legal(values, form):
    unknown = [v is None for v in values]
    y = {
        "list": values,
        "float": np.array([np.nan if v is None else v for v in values], np.float64),
        "masked": np.ma.masked_array([v or 0 for v in values], unknown),
        "object": np.array(values, dtype=object),
    }[form]
    domain = as_domain(np.zeros((len(values), 2)), y)
    assert domain.labelled.tolist() == [not u for u in unknown]
    back = [None if u else int(domain.classes[c]) for u, c in zip(unknown, domain.y, strict=True)]
    assert back == values
    assert domain.classes is None or list(map(int, domain.classes)) == sorted({v for v in values if v is not None})


@given(st.lists(st.text(max_size=3), min_size=1, max_size=10))
def test_texts_are_classes(words):
    domain = as_domain(np.zeros((len(words), 1)), np.array(words, dtype=object))
    assert [domain.classes[c] for c in domain.y] == words and list(domain.classes) == sorted(set(words))


def test_numbers_that_are_not_whole_are_values():
    domain = as_domain(np.zeros((3, 1)), [0.5, float("nan"), 2])
    assert (
        domain.classes is None and domain.y.tolist() == [0.5, 0, 2] and domain.labelled.tolist() == [True, False, True]
    )


def test_given_classes_are_codes_unless_their_names_are_numbers():
    assert as_domain(np.zeros((2, 1)), [1, 0], classes=("cat", "dog")).y.tolist() == [1, 0]
    assert as_domain(np.zeros((2, 1)), ["dog", "cat"], classes=("cat", "dog")).y.tolist() == [1, 0]
    assert as_domain(np.zeros((2, 1)), [3, 7], classes=("7", "3")).y.tolist() == [1, 0]
    assert as_domain(np.zeros((2, 1)), torch.tensor([1, 0])).y.tolist() == [1, 0]
    assert as_domain(np.zeros((2, 1)), np.array([[True], [False]])).classes == ("False", "True")
    assert as_domain(np.zeros((2, 1)), [None, None], classes=("a", "b")).classes == ("a", "b")


def test_a_domain_is_returned_as_it_is():
    domain = Domain(np.zeros((2, 1), np.float32))
    assert as_domain(domain) is domain
    with pytest.raises(DataError, match="give no y and no classes beside it"):
        as_domain(domain, [0, 1])


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros(3), "reshape one column to N×1"),
        (5, "is int and no dense array"),
        (np.zeros((2, 3, 8, 3)), "are the channels second or last"),
        (np.zeros((2, 5, 8, 9)), "in which no axis is 1 .* give N×C×H×W"),
        (np.zeros((2, 8, 9, 4)), "drop the alpha channel"),
        (np.zeros((28, 28, 3)), "one colour image, or 28 grey ones"),
        (np.zeros((0, 3)), "not a single example"),
        ([[1, 2], [3]], "differ in length"),
        ([["a", "b"]], "holds <U1 and no numbers"),
        (np.array([[1, "b"]], dtype=object), "holds 'b' at row 0, column 1"),
        (np.array([[1, np.nan]]), "row 0, column 1 is nan"),
        (np.array([[1e99, 1]]), r"row 0, column 0 is 1e\+99"),
        (np.full((2, 8, 8), -0.5), r"pixels from -0\.5 to -0\.5, .* undo the normalisation"),
        (np.full((2, 8, 8), 300), "pixels from 300 to 300, .* scale them down"),
        (np.full((2, 8, 8), np.nan), "NaN or infinite"),
        (np.ma.masked_array([[1.0, 2.0]], [[True, False]]), "X has masked values"),
        (np.zeros((2, 2), complex), "holds complex128"),
    ],
)
def test_bad_arrays_are_refused_with_the_way_out(x, message):
    with pytest.raises(DataError, match=message):
        as_domain(x)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([0], r"y has shape \(1,\), but X has 2 rows"),
        (np.eye(2), "no one-hot codes"),
        (["a", 1], r"mixes 'a' \(row 0\) and 1 \(row 1\)"),
        ([0.5, float("inf")], "y is inf in row 1; mark an unknown label by None"),
        ([object(), 1], "holds a object in row 0"),
        (7, "y is int; give one label a row"),
    ],
)
def test_bad_labels_are_refused_with_the_way_out(y, message):
    with pytest.raises(DataError, match=message):
        as_domain(np.zeros((2, 2)), y)


@pytest.mark.parametrize(
    ("y", "classes", "message"),
    [
        ([0, 2], ("a", "b"), "the code 2, but there are 2 classes; codes start at 0"),
        ([0, -1], ("a", "b"), "the code -1"),
        (["a", "catt"], ("a", "cat"), "holds 'catt', which is no class; did you mean cat"),
        ([0.5, 1], ("a", "b"), "not whole, but classes are given"),
        ([0, 1], ("a", "a"), "names a class twice"),
    ],
)
def test_labels_that_do_not_fit_the_classes_are_refused(y, classes, message):
    with pytest.raises(DataError, match=message):
        as_domain(np.zeros((2, 2)), y, classes=classes)
