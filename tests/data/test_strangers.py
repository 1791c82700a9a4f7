"""Targets and tests with fewer classes than the source, or with others: taken, marked, or refused."""

import numpy as np
import pytest

from juyi.data import Domain, align
from juyi.data.strangers import follow_with_strangers, unlabel_strangers
from juyi.errors import ClassesDifferError, SettingError


def rows(y, classes, name="a", labelled=None):
    return Domain(np.arange(len(y), dtype=np.float32)[:, None] + 1, np.array(y), labelled, classes=classes, name=name)


SOURCE = rows([0, 1, 2], ("cat", "dog", "owl"), "source")


def test_a_target_that_lacks_a_class_is_taken_and_noted():
    source, target = align(SOURCE, rows([0, 1, 1], ("owl", "cat"), "target"))
    assert target.classes == source.classes and target.y.tolist() == [2, 0, 0] and target.labelled.all()
    assert [note.split(";")[0] for note in target.notes] == ["has no class dog"]
    assert "--class-shares estimated" in target.notes[0]
    assert not source.notes


def test_names_that_are_numbers_are_absent_by_value():
    _, target = align(rows([0, 1, 2], ("1", "2", "10"), "source"), rows([0, 1], ("01", "10"), "target"))
    assert target.y.tolist() == [0, 2] and target.notes[0].startswith("has no class 2;")


def test_a_target_with_another_class_is_still_refused():
    with pytest.raises(ClassesDifferError, match="it lacks dog, owl; it has cow besides"):
        align(SOURCE, rows([0, 1], ("cat", "cow"), "target"))


def test_strangers_of_a_target_lose_their_labels_and_stay():
    target = unlabel_strangers(rows([0, 1, 2, 1], ("cow", "dog", "elk"), "target"), SOURCE)
    assert target.size == 4 and target.classes == SOURCE.classes
    assert target.labelled.tolist() == [False, True, False, True] and target.y.tolist() == [0, 1, 0, 1]
    assert target.notes == ("there are classes that source lacks: cow, elk; their rows are strangers",)
    assert unlabel_strangers(SOURCE, SOURCE) is SOURCE


def test_strangers_of_a_test_are_one_more_class():
    test = rows([0, 1, 2, 0], ("cow", "dog", "elk"), "test", labelled=np.array([True, True, True, False]))
    marked = follow_with_strangers(test, SOURCE)
    assert marked.classes == ("cat", "dog", "owl", "unknown")
    assert marked.y.tolist() == [3, 1, 3, 0] and marked.labelled.tolist() == [True, True, True, False]
    assert marked.x.tolist() == test.x.tolist()
    plain = follow_with_strangers(rows([0], ("dog",), "test"), SOURCE)
    assert plain.classes == SOURCE.classes and plain.y.tolist() == [1]


def test_what_cannot_be_told_apart_is_refused():
    with pytest.raises(ClassesDifferError, match="not a single class in common"):
        unlabel_strangers(rows([0], ("cow",), "target"), SOURCE)
    with pytest.raises(SettingError, match="has a class called unknown"):
        unlabel_strangers(SOURCE, rows([0, 1], ("cat", "unknown"), "source"))
