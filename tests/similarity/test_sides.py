"""The data of a question at the door: labels withheld, rows drawn, columns matched by name, leaks counted."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from juyi.data import Domain, as_domain
from juyi.errors import DataError, SettingError
from juyi.similarity.sides import Settings, common_columns, read_sides, rows_to_keep


def read(source, target, others=(), **settings):
    return read_sides(source, target, others, Settings(**settings), lambda what: None)


def write(path, rows, head="a,b,label"):
    Path(path).write_text("\n".join([head, *rows]) + "\n")
    return str(path)


ROWS = [f"{i},{i % 7}.5,{'cat' if i % 2 else 'dog'}" for i in range(60)]


def test_labels_of_a_target_given_by_name_are_withheld(side):
    there, here = write("there.csv", ROWS), write("here.csv", ROWS)
    assert not read(there, here).target.labelled.any()
    assert read(there, here, target_labels="all").target.labelled.all()
    assert read(there, here, target_labels="3").target.class_counts().tolist() == [3, 3]
    told = []
    read_sides(there, here, (), Settings(), told.append)
    assert told == ["reading there.csv", "reading here.csv"]


def test_a_domain_keeps_the_labels_that_it_holds(side):
    assert read(side(), side(seed=1)).target.labelled.all()
    assert not read(side(), side(seed=1), target_labels="0").target.labelled.any()


def test_columns_are_matched_by_name_and_what_is_not_common_is_left_out():
    here = write("here.csv", ["1,2,3"] * 30 + ["4,5,6"] * 30, "b,c,a")
    sides = read(write("there.csv", ROWS), here)
    assert sides.source.columns == sides.target.columns == ("a", "b")
    assert sides.target.x[0].tolist() == [3, 1]
    assert any("left out, since not all sides have it: c" in note for note in sides.entries["target"]["notes"])


def test_tables_without_a_common_column_are_refused():
    here = write("here.csv", ["1,2"] * 3, "u,v")
    with pytest.raises(DataError, match=r"have not a single column in common \(a, b; u, v\)"):
        read(write("there.csv", ROWS), here)


@given(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=6, unique=True), st.permutations("abcdef"))
def test_whatever_the_order_a_column_keeps_its_values(first, second):
    """A column's values are its name's number, so that a column taken for another would show."""

    def domain(names):
        values = np.array([["abcdef".index(name) for name in names]] * 2, np.float32)
        return Domain(values, columns=tuple(names), name="x")

    one, other = common_columns([domain(first), domain(second)])
    assert one.columns == other.columns == tuple(first)
    assert (one.x == other.x).all() and one.x[0].tolist() == ["abcdef".index(name) for name in first]


def test_rows_on_both_sides_are_a_leak(side):
    whole = side(120)
    sides = read(whole.select(np.arange(80)), whole.select(np.arange(60, 120)))
    assert sides.warnings[0].startswith("20 of 60 rows of side stand in side as well")


def test_a_leak_beyond_the_drawn_rows_is_seen(side):
    whole = side(400)
    sides = read(whole.select(np.arange(300)), whole.select(np.arange(290, 400)), rows=20)
    assert sides.source.size == 20 and sides.warnings[0].startswith("10 of 110 rows")


def test_few_rows_are_warned_of_and_a_single_one_refused(side):
    sides = read(side(20), side(60, seed=1))
    assert [w[:18] for w in sides.warnings] == ["side has 20 rows o"]
    with pytest.raises(DataError, match="has a single row"):
        read(side(60), side(1))
    with pytest.raises(SettingError, match="--rows 1: nothing can be measured"):
        read(side(), side(seed=1), rows=1)


def test_other_classes_do_not_hinder_distances(side):
    there = side()
    here = as_domain(side(seed=1).x, np.arange(200) % 3, classes=("no", "yes", "perhaps"), name="here")
    sides = read(there, here)
    assert not sides.known and sides.target.classes == ("no", "yes", "perhaps")
    assert "here has classes that side lacks (perhaps)" in sides.warnings[0]


def test_classes_in_another_order_have_the_codes_of_the_source(side):
    there, here = side(), side(seed=1)
    turned = as_domain(here.x, 1 - here.y, classes=("yes", "no"), name="here")
    sides = read(there, turned)
    assert sides.known and (sides.target.y == here.y).all()


def test_labels_from_a_file_name_rows_and_classes_that_exist():
    there, here = write("there.csv", ROWS), write("here.csv", [row.rpartition(",")[0] for row in ROWS], "a,b")
    for rows, words in (
        ((), "holds no label that could be given"),
        (("99,cat",), "line 2: here.csv has no row named 99"),
        (("3,cow",), "line 2: here.csv has no class cow"),
        (("3,cat", "3,dog"), "line 3: 3 is given a second label"),
    ):
        few = write("few.csv", rows, "name,label")
        with pytest.raises(DataError, match=words):
            read(there, here, target_labels=few)
    few = write("few.csv", ["3,cat", "5,dog"], "name,label")
    assert read(there, here, target_labels=few).target.class_counts().tolist() == [1, 1]
    with pytest.raises(SettingError, match=r"--target-labels: nowhere\.csv"):
        read(there, here, target_labels="nowhere.csv")


@given(st.integers(2, 60), st.integers(2, 80), st.integers(0, 60), st.integers(0, 9))
def test_drawn_rows_stand_for_the_target_and_labelled_ones_are_kept(size, rows, labelled, seed):
    mask = np.arange(size) < labelled
    target = Domain(np.zeros((size, 1), np.float32), np.zeros(size, int), mask, classes=("one",))
    kept, drawn = rows_to_keep(target, Settings(rows=rows, seed=seed))
    assert drawn.sum() == min(rows, size) and (np.diff(kept) > 0).all()
    if not mask.all():
        assert mask[kept].sum() >= min(rows, mask.sum())
    assert mask[kept][~drawn].all()  # what is not drawn is there for its label


def test_images_of_other_size_and_colour_are_brought_to_one_form():
    rng = np.random.default_rng(0)
    grey = as_domain(rng.integers(0, 256, (60, 8, 8), np.uint8), name="grey")
    colour = as_domain(rng.integers(0, 256, (60, 3, 12, 12), np.uint8), name="colour")
    sides = read(grey, colour)
    assert sides.source.x.shape[1:] == sides.target.x.shape[1:] == (3, 12, 12)
    with pytest.raises(DataError, match="grey holds images and table features"):
        read(grey, as_domain(np.zeros((9, 2)) + np.arange(9)[:, None], name="table"))
