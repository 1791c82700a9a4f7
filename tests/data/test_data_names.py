import pytest
from hypothesis import given
from hypothesis import strategies as st

from juyi.data.names import DataName, natural_key, parse_name
from juyi.errors import DataError

word = st.text("abcXYZ019_-./ é猫", min_size=1, max_size=12).filter(str.strip)
split = st.text("abc019_-", min_size=1, max_size=8)


@given(word, st.lists(split, max_size=3, unique=True), st.none() | st.integers(1, 10**9))
def test_a_name_written_is_read_back(place, splits, limit):
    name = DataName(place, tuple(splits), limit)
    assert parse_name(str(name)) == name


@given(st.text(max_size=30))
def test_any_text_is_a_name_or_one_clear_line(text):
    try:
        parsed = parse_name(text)
    except DataError as error:
        assert str(error)
    else:
        assert parsed.place.strip() and all(parsed.splits) and (parsed.limit is None or parsed.limit > 0)


@pytest.mark.parametrize("inside", ["", ":", ":0", "2000", ":-5", "1:3", ":x", ":1.5"])
def test_brackets_that_are_no_number_of_rows_are_refused(inside):
    with pytest.raises(DataError, match=r"\[:N\] with N at least 1"):
        parse_name(f"mnist@train[{inside}]")


@pytest.mark.parametrize("name", ["", "  ", "@train", "mnist@", "mnist@a+", "mnist@+a"])
def test_an_incomplete_name_is_refused_with_the_forms(name):
    with pytest.raises(DataError, match=r"NAME@SPLIT\+SPLIT"):
        parse_name(name)


def test_a_split_named_twice_is_refused():
    with pytest.raises(DataError, match="names a split twice"):
        parse_name("pacs128@photo+photo")


@given(st.lists(st.integers(0, 10**6), unique=True))
def test_natural_order_counts(numbers):
    assert sorted([f"img{n}.png" for n in numbers], key=natural_key) == [f"img{n}.png" for n in sorted(numbers)]
