import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from juyi.data import Domain, check_trainable, hold_out, subset, withhold_labels
from juyi.data.splits import shares
from juyi.errors import DataError, SettingError


def pets(counts=(6, 3), **more):
    y = np.repeat(np.arange(len(counts)), counts)
    names = [f"r{i}" for i in range(len(y))]
    return Domain(
        np.arange(len(y), dtype=np.float32)[:, None],
        y,
        classes=("cat", "dog", "emu")[: len(counts)],
        row_names=names,
        name="pets",
        **more,
    )


def test_nothing_is_kept_unless_asked_and_what_is_withheld_is_erased():
    domain = withhold_labels(pets())
    assert not domain.labelled.any() and not domain.y.any() and domain.classes == ("cat", "dog")
    whole = pets()
    assert withhold_labels(whole, "all") is whole


@given(st.integers(1, 6), st.integers(0, 5))
def test_n_a_class_are_kept_and_the_seed_decides_which(keep, seed):
    domain = withhold_labels(pets((6, 6)), keep, seed)
    assert domain.class_counts().tolist() == [keep, keep]
    assert withhold_labels(pets((6, 6)), str(keep), seed).fingerprint() == domain.fingerprint()


def test_a_class_with_fewer_is_kept_whole_and_said():
    domain = withhold_labels(pets(), 5)
    assert domain.class_counts().tolist() == [5, 3] and "class dog has only 3" in domain.notes[0]


def test_only_labelled_rows_are_drawn_from():
    half = pets(labelled=np.arange(9) % 2 == 0)
    assert not (withhold_labels(half, 2).labelled & ~half.labelled).any()


@pytest.mark.parametrize("keep", [-1, "-3", "some", "no/such.csv"])
def test_what_cannot_be_kept_is_refused(keep):
    with pytest.raises(SettingError, match="all, or a"):
        withhold_labels(pets(), keep)


def test_labels_from_a_file_replace_those_of_the_data(tmp_path):
    path = tmp_path / "l.csv"
    path.write_text("name,label\nr0,dog\nr8, cat\nr1,\n")
    domain = withhold_labels(pets(), path)
    assert domain.labelled.nonzero()[0].tolist() == [0, 8] and domain.y[[0, 8]].tolist() == [1, 0]
    flat = Domain(np.zeros((9, 1), np.float32), row_names=pets().row_names)
    assert withhold_labels(flat, str(path)).classes == ("cat", "dog")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,label\nr0,dgo\n", "line 2: pets has no class dgo; did you mean dog"),
        ("name,label\nr0,dog\nr99,dog\n", "line 3: pets has no row named r99; its rows are named like r0"),
        ("file,label\nr0,dog\n", "line 1: the header is file,label; it must be name,label"),
        ("name,label\nr0,dog,x\n", "line 2: has 3 cells; write name,label"),
        ("name,label\nr0,dog\nr0,cat\n", "line 3: r0 is given a second label"),
        ("", "the header is empty"),
    ],
)
def test_bad_label_files_are_refused_with_line_and_way_out(tmp_path, text, message):
    (tmp_path / "l.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        withhold_labels(pets(), tmp_path / "l.csv")


def test_values_from_a_file_must_be_finite(tmp_path):
    values = Domain(np.zeros((2, 1), np.float32), np.float32([1, 2]), name="v")
    (tmp_path / "l.csv").write_text("name,label\n0,3.5\n")
    assert withhold_labels(values, tmp_path / "l.csv").y.tolist() == [3.5, 0]
    (tmp_path / "l.csv").write_text("name,label\n0,nan\n")
    with pytest.raises(DataError, match="line 2: nan is no finite number"):
        withhold_labels(values, tmp_path / "l.csv")


@given(
    st.lists(st.integers(0, 40), min_size=1, max_size=3), st.floats(0.01, 0.99), st.integers(1, 50), st.integers(0, 3)
)
def test_holding_out_parts_the_rows_by_class(counts, fraction, limit, seed):
    if max(counts) < 2:
        return
    domain = pets(counts)
    training, validation = hold_out(domain, fraction, limit, seed)
    assert sorted(training.row_names + validation.row_names, key=lambda n: int(n[1:])) == domain.row_names
    splittable = [n for n in counts if n > 1]
    want = min(limit, max(1, round(sum(splittable) * fraction)))
    assert want <= validation.size + len(counts) and validation.size <= want + len(counts)
    for n, held, kept in zip(counts, validation.class_counts(), training.class_counts(), strict=True):
        assert held == 0 if n < 2 else held >= 1 and kept >= 1
        assert abs(held - n * want / sum(splittable)) <= 1 or n < 2 or held + kept == n


def test_unlabelled_rows_are_never_held_out():
    domain = pets((6, 6), labelled=np.arange(12) % 2 == 0)
    training, validation = hold_out(domain, 0.5)
    assert validation.labelled.all() and training.size == 12 - validation.size


def test_regression_is_held_out_too_and_bad_settings_are_refused():
    values = Domain(np.zeros((10, 1), np.float32), np.arange(10, dtype=np.float32), name="v")
    assert hold_out(values, 0.2)[1].size == 2
    with pytest.raises(SettingError, match="fraction is 1"):
        hold_out(values, 1.0)
    with pytest.raises(SettingError, match="limit is 0"):
        hold_out(values, limit=0)
    with pytest.raises(DataError, match="too few labelled rows to hold some out; label more"):
        hold_out(withhold_labels(pets()))


@given(st.lists(st.integers(2, 100), min_size=1, max_size=8), st.data())
def test_shares_add_up(sizes, data):
    total = data.draw(st.integers(len(sizes), sum(sizes) - len(sizes)))
    counts = shares(sizes, total)
    assert all(1 <= c <= s - 1 for c, s in zip(counts, sizes, strict=True))
    assert all(abs(c - s * total / sum(sizes)) <= 1 for c, s in zip(counts, sizes, strict=True))


def test_a_subset_keeps_order_and_has_no_row_twice():
    part = subset(pets((50, 50)), 30, seed=2)
    rows = part.x.ravel().tolist()
    assert len(set(rows)) == 30 and rows == sorted(rows)
    assert subset(pets(), 99).size == 9
    with pytest.raises(SettingError, match="n is 0"):
        subset(pets(), 0)


def test_what_nothing_can_be_learnt_from_is_refused():
    check_trainable(pets(), 9)
    with pytest.raises(DataError, match="pets: has 9 rows, fewer than a batch of 10; give more, or a smaller --batch"):
        check_trainable(pets(), 10)
    with pytest.raises(DataError, match=r"has no labels.*--label"):
        check_trainable(withhold_labels(pets()), 4)
    check_trainable(withhold_labels(pets()), 4, needs_labels=False)
    with pytest.raises(DataError, match="all labelled rows are of one class, cat; add examples of another"):
        check_trainable(pets((9, 0)), 4)
