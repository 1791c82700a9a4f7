"""Batches: every row once a pass, the same rows for the same key, many processes as one."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toys import CPU, domain, table

from juyi.data import Domain
from juyi.training import Pairs, Rows, Single, derive_seed
from juyi.training.batches import Shuffle


def numbered(rows, labelled=None):
    """A domain whose rows say their number, so that a batch tells who is in it."""
    x = np.arange(rows, dtype=np.float32)[:, None]
    return Rows(Domain(x, np.arange(rows) % 2, labelled, ("a", "b")), CPU)


def ids(batch):
    return batch.x[:, 0].long().tolist()


@given(st.integers(1, 30), st.integers(1, 17), st.integers(0, 5))
def test_a_pass_visits_every_row_once(size, count, seed):
    shuffle, rows = Shuffle(np.arange(size) * 3), []
    while len(rows) < 3 * size:
        rows += shuffle.slice((seed, 1), len(rows), count).tolist()
    passes = [rows[i * size : (i + 1) * size] for i in range(3)]
    assert all(sorted(one) == [3 * i for i in range(size)] for one in passes)


@given(st.integers(1, 20), st.lists(st.tuples(st.integers(0, 90), st.integers(1, 50)), min_size=1, max_size=8))
def test_a_slice_is_a_pure_function_of_key_and_place(size, asked):
    whole = Shuffle(np.arange(size)).slice((7, 2), 0, 200)
    used = Shuffle(np.arange(size))  # asked in any order, it keeps no place of its own
    for start, count in asked:
        assert used.slice((7, 2), start, count).tolist() == whole[start : start + count].tolist()


def test_passes_and_keys_differ():
    shuffle = Shuffle(np.arange(50))
    first, second = shuffle.slice((0, 0), 0, 50), shuffle.slice((0, 0), 50, 50)
    assert first.tolist() != second.tolist() != list(range(50))
    assert shuffle.slice((0, 1), 0, 50).tolist() != first.tolist() != shuffle.slice((1, 0), 0, 50).tolist()


def test_orders_are_even():
    """Each row is as often in the first place as any other: within 4 standard deviations over 6,000 passes."""
    shuffle = Shuffle(np.arange(6))
    firsts = np.bincount([shuffle.slice((seed,), 0, 1)[0] for seed in range(6000)], minlength=6)
    assert np.abs(firsts - 1000).max() < 4 * np.sqrt(6000 * (1 / 6) * (5 / 6))


def test_seeds_are_pure_and_spread():
    seeds = {derive_seed(a, b, c) for a in range(10) for b in range(10) for c in range(10)}
    assert len(seeds) == 1000 and all(0 <= s < 2**63 for s in seeds)
    assert derive_seed(12, 3) != derive_seed(1, 23)
    assert derive_seed(np.int64(5), 3) == derive_seed(5, 3)  # numpy prints its numbers in another way


@given(st.integers(2, 40), st.integers(1, 6), st.integers(0, 12), st.integers(1, 4))
def test_processes_interleave_to_the_larger_batch(rows, size, step, processes):
    data = numbered(rows)
    parts = [Single(data, size).indices((0, 0), step, p, processes) for p in range(processes)]
    whole = Single(data, size * processes).indices((0, 0), step, 0, 1)
    assert [len(part) for part in parts] == [size] * processes
    assert np.stack(parts, 1).reshape(-1).tolist() == whole.tolist()
    assert Single(data, size).steps_per_epoch(processes) == Single(data, size * processes).steps_per_epoch(1)


@settings(max_examples=40)
@given(st.integers(8, 40), st.integers(8, 40), st.sampled_from([4, 8]), st.integers(0, 9), st.data())
def test_pairs_interleave_too_with_their_labels(source_rows, target_rows, size, step, data):
    known = np.array(data.draw(st.lists(st.booleans(), min_size=target_rows, max_size=target_rows)))
    source, target = numbered(source_rows), numbered(target_rows, known)
    pairs, doubled = Pairs(source, target, size), Pairs(source, target, 2 * size)
    one, other = (pairs.batch((3, 1), step, p, 2) for p in (0, 1))
    whole = doubled.batch((3, 1), step, 0, 1)
    assert pairs.steps_per_epoch(2) == doubled.steps_per_epoch(1)
    assert sorted(ids(one.source) + ids(other.source)) == sorted(ids(whole.source))
    assert sorted(ids(one.target) + ids(other.target)) == sorted(ids(whole.target))
    assert one.target.labelled.sum() == other.target.labelled.sum()
    assert one.target.labelled.sum() + other.target.labelled.sum() == whole.target.labelled.sum()


def test_an_epoch_is_a_pass_over_the_larger_domain():
    assert Pairs(numbered(100), numbered(40), 10).steps_per_epoch(1) == 10
    assert Pairs(numbered(40), numbered(100), 10).steps_per_epoch(1) == 10
    assert Pairs(numbered(40), None, 10).steps_per_epoch(1) == 4
    assert Pairs(numbered(3), numbered(2), 10).steps_per_epoch(1) == 1
    pairs = Pairs(numbered(40), numbered(100), 10)
    seen = [i for step in range(10) for i in ids(pairs.batch((0, 0), step, 0, 1).target)]
    assert sorted(seen) == list(range(100))


def test_source_rows_without_a_label_are_never_drawn():
    known = np.arange(30) % 3 == 0
    pairs = Pairs(numbered(30, known), numbered(30, np.zeros(30, bool)), 5)
    for step in range(20):
        batch = pairs.batch((0, 0), step, 0, 1)
        assert all(i % 3 == 0 for i in ids(batch.source)) and batch.source.labelled.all()
    assert pairs.source.steps_per_epoch(1) == 2


def test_a_handful_of_target_labels_is_in_every_batch_and_only_theirs_are_shown():
    known = np.zeros(200, bool)
    known[[3, 50, 199]] = True
    pairs = Pairs(numbered(200), numbered(200, known), 16)
    shown = []
    for step in range(12):
        target = pairs.batch((0, 0), step, 0, 1).target
        assert len(ids(target)) == 16 + 4
        assert target.labelled.tolist() == [False] * 16 + [True] * 4
        shown += ids(target)[16:]
    assert sorted(set(shown)) == [3, 50, 199] and len(shown) == 48
    assert all(shown.count(i) == 16 for i in (3, 50, 199))


def test_target_labels_without_their_neighbours():
    known = np.zeros(40, bool)
    known[:2] = True
    target = Pairs(numbered(40), numbered(40, known), 8, unlabelled=False).batch((0, 0), 0, 0, 1).target
    assert sorted(ids(target)) == [0, 1] and target.labelled.all()
    none = Pairs(numbered(40), numbered(40, np.zeros(40, bool)), 8, unlabelled=False).batch((0, 0), 0, 0, 1).target
    assert none.x.shape == (0, 1) and len(none.labelled) == 0
    absent = Pairs(numbered(40), None, 8).batch((0, 0), 0, 0, 1).target
    assert absent.x.shape == (0, 1)


def test_a_target_with_all_labels_shows_them_all():
    for unlabelled in (True, False):
        target = Pairs(numbered(40), numbered(40), 8, unlabelled=unlabelled).batch((0, 0), 0, 0, 1).target
        assert len(ids(target)) == 8 and target.labelled.all()


def test_drawing_hides_no_label_of_the_domain_itself():
    known = np.arange(40) < 4
    target = numbered(40, known)
    Pairs(numbered(40), target, 8).batch((0, 0), 0, 0, 1)
    assert target.labelled.tolist() == known.tolist()


def test_rows_come_as_they_are_and_channels_last():
    data = domain(10)
    rows = Rows(data, CPU)
    assert np.array_equal(rows.x.numpy(), data.x)
    batch = rows.take(np.array([7, 2, 2]))
    assert np.array_equal(batch.x.numpy(), data.x[[7, 2, 2]]) and batch.y.tolist() == data.y[[7, 2, 2]].tolist()
    assert batch.x.dtype == torch.uint8 and batch.x.is_contiguous(memory_format=torch.channels_last)
    assert rows.is_images and not Rows(table(), CPU).is_images


def test_groups_come_along():
    data = Domain(np.zeros((4, 2), np.float32), np.zeros(4, int), classes=("a",), group=np.array([0, 1, 0, 1]))
    assert Rows(data, CPU).take(np.array([1, 2])).group.tolist() == [1, 0]


@pytest.mark.parametrize("rows", [3, 1])
def test_a_batch_larger_than_the_domain_takes_rows_again(rows):
    batch = Single(numbered(rows), 8).batch((0, 0), 0, 0, 1)
    counts = np.bincount(ids(batch), minlength=rows)
    assert counts.sum() == 8 and counts.max() - counts.min() <= 1
