"""Variety and relations of classes, against loops, closed forms and limits."""

import numpy as np
import pytest

from juyi.errors import DataError, SettingError
from juyi.measure.variety import class_relation, mean_answers, pairwise_distance, variety_within, vendi_score


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def cosine(a, b):
    return a @ b / np.sqrt(a @ a * (b @ b))


def test_distance_by_loops():
    rows = normal(7, 3)
    plain = [1 - cosine(rows[i], rows[j]) for i in range(7) for j in range(7) if i != j]
    assert pairwise_distance(rows) == pytest.approx(np.mean(plain))


def test_neither_length_nor_rotation_of_features_matters():
    rows = normal(20, 5)
    turn, _ = np.linalg.qr(normal(5, 5, seed=1))
    changed = (rows * np.linspace(0.1, 9, 20)[:, None]) @ turn
    for measure in (pairwise_distance, vendi_score):
        assert measure(changed) == pytest.approx(measure(rows))


@pytest.mark.parametrize("shape", [(6, 30), (30, 6)])
def test_vendi_by_the_matrix_of_similarities(shape):
    rows = normal(*shape)
    kernel = np.array([[cosine(a, b) for b in rows] for a in rows]) / len(rows)
    values = np.linalg.eigvalsh(kernel)
    values = values[values > 1e-12]
    assert vendi_score(rows) == pytest.approx(np.exp(-(values * np.log(values)).sum()))


def test_vendi_counts_groups_whatever_the_copies():
    assert vendi_score(np.repeat(np.eye(5), 8, axis=0)) == pytest.approx(5)
    assert vendi_score(np.ones((9, 4))) == pytest.approx(1)


def test_variety_sees_a_class_that_collapsed():
    features, label = normal(400, 6) + 2.0, np.arange(400) % 4
    whole = variety_within(features, label, 4)
    collapsed = features.copy()
    for code in range(4):
        collapsed[label == code] = collapsed[code]
    alike = variety_within(collapsed, label, 4)
    assert alike["distance"].value == pytest.approx(0, abs=1e-9)
    assert alike["vendi"].value == pytest.approx(1)
    for name, least in (("distance", 0.05), ("vendi", 2.0)):
        assert whole[name].low <= whole[name].value <= whole[name].high
        assert whole[name].value > least


def test_variety_is_of_a_class_not_between_classes():
    label = np.arange(60) % 3
    assert variety_within(np.eye(3)[label], label, 3)["vendi"].value == pytest.approx(1)


def test_variety_refuses_what_it_cannot_measure():
    with pytest.raises(DataError, match="do not fit"):
        variety_within(normal(5, 2), np.zeros(4, int), 2)
    with pytest.raises(DataError, match="fewer than two classes"):
        variety_within(normal(5, 2), np.zeros(5, int), 2)
    with pytest.raises(SettingError, match="fewer than 2"):
        variety_within(normal(5, 2), np.zeros(5, int), 2, rows=1)


def test_mean_answers_by_loops_and_missing_classes():
    scores = normal(50, 4)
    scores[:, 2] = -99.0
    found = mean_answers(scores, 3.0)
    assert np.isnan(found[2]).all()
    for code in (0, 1, 3):
        own = scores[scores.argmax(1) == code] / 3.0
        plain = np.mean([np.exp(z) / np.exp(z).sum() for z in own], axis=0)
        assert found[code] == pytest.approx(plain)


def related(relation, rows, seed):
    random = np.random.default_rng(seed)
    return relation[random.integers(len(relation), size=rows)] + 0.3 * random.normal(size=(rows, len(relation)))


def test_relation_is_kept_by_the_same_and_lost_by_another():
    relation = normal(6, 6) + 12 * np.eye(6)
    real = related(relation, 600, 1)
    same = class_relation(related(relation, 600, 2), real)
    assert same.value > 0.95
    assert same.low > 0.5
    none = class_relation(related(12 * np.eye(6), 600, 3), real)
    assert abs(none.value) < 0.5
    opposite = class_relation(related(24 * np.eye(6) - relation, 600, 4), real)
    assert opposite.value < -0.9


def test_relation_does_not_ask_how_sure_the_teacher_is():
    relation = normal(5, 5) + 12 * np.eye(5)
    real = related(relation, 500, 1)
    assert class_relation(real + 3.0 * (real == real.max(1, keepdims=True)), real).value > 0.99


def test_relation_refuses_what_it_cannot_measure():
    scores = np.eye(4)[[0, 1, 0, 1]] * 5
    with pytest.raises(DataError, match="three classes"):
        class_relation(scores, scores)
    with pytest.raises(DataError, match="one teacher"):
        class_relation(normal(40, 4), normal(40, 5))
    with pytest.raises(SettingError, match="temperature"):
        class_relation(normal(40, 4), normal(40, 4), temperature=0)
