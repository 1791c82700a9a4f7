"""Batches drawn by class shares, and the estimate of these shares while a network learns."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toys import CPU, domain, network, one_stage, table

from juyi.data import Domain
from juyi.training import ByClass, ClassShares, Pairs, Processes, Rows, Settings, Single, Stage, StageRun, Viewed
from juyi.training.state import State

SHARES = np.array([0.7, 0.2, 0.1])


def numbered(y, labelled=None, classes="abc"):
    """Rows that say their number."""
    x = np.arange(len(y), dtype=np.float32)[:, None]
    return Rows(Domain(x, np.array(y), labelled, tuple(classes)), CPU)


def by_class(rows, shares=SHARES, size=20):
    return ByClass(rows, size, lambda: shares)


def labels(rows, batches, steps, key=(0, 0), processes=1):
    return np.concatenate([rows.y.numpy()[batches.indices(key, step, 0, processes)] for step in range(steps)])


@given(st.lists(st.integers(0, 20), min_size=3, max_size=3).filter(any), st.integers(1, 50), st.integers(0, 5))
@settings(max_examples=60)
def test_each_batch_holds_the_shares_rounded_up_or_down(weights, size, step):
    rows, shares = numbered(np.arange(60) % 3), np.array(weights) / sum(weights)
    index = by_class(rows, shares, size).indices((1, 2), step, 0, 1)
    counts = np.bincount(rows.y.numpy()[index], minlength=3)
    assert counts.sum() == size
    assert (np.abs(counts - size * shares) < 1 + 1e-9).all()


def test_on_average_the_shares_are_met_exactly():
    rows = numbered(np.arange(300) % 3)
    shares = np.array([0.33, 0.61, 0.06])
    found = np.bincount(labels(rows, by_class(rows, shares, 7), 6000), minlength=3) / 42_000
    assert np.abs(found - shares).max() < 0.004  # a class of .06 · 7 rows a batch comes in 42 % of the batches


def test_rows_of_a_class_are_shuffled_passes_without_repeats():
    rows = numbered([0] * 70 + [1] * 20 + [2] * 10)
    batches = by_class(rows)
    index = np.concatenate([batches.indices((3, 1), step, 0, 1) for step in range(5)])
    assert len(set(index.tolist())) == 100  # 70 = 5 · 14, 20 = 5 · 4, 10 = 5 · 2: each row once
    assert sorted(index.tolist()) != index.tolist()


def test_a_batch_is_a_pure_function_of_key_step_and_shares():
    rows = numbered(np.arange(90) % 3)
    one, used = by_class(rows), by_class(rows)
    for step in (9, 3, 70, 3):
        used.indices((0, 1), step, 0, 1)
    for step in (0, 3, 70):
        assert one.indices((0, 1), step, 0, 1).tolist() == used.indices((0, 1), step, 0, 1).tolist()
    assert one.indices((0, 1), 3, 0, 1).tolist() != one.indices((0, 2), 3, 0, 1).tolist()
    assert one.indices((0, 1), 3, 0, 1).tolist() != one.indices((0, 1), 4, 0, 1).tolist()


@pytest.mark.parametrize("processes", [2, 3])
def test_processes_interleave_to_the_larger_batch(processes):
    rows = numbered(np.arange(90) % 3)
    parts = [by_class(rows, size=8).indices((0, 0), 5, p, processes) for p in range(processes)]
    whole = by_class(rows, size=8 * processes).indices((0, 0), 5, 0, 1)
    assert np.stack(parts, 1).reshape(-1).tolist() == whole.tolist()
    assert by_class(rows, size=8).steps_per_epoch(processes) == Single(rows, 8).steps_per_epoch(processes)


def test_a_class_without_rows_and_rows_without_labels_are_never_drawn():
    known = np.arange(60) % 5 > 0
    rows = numbered(np.arange(60) % 2, known)
    index = np.concatenate([by_class(rows, np.array([0.1, 0.1, 0.8])).indices((0, 0), s, 0, 1) for s in range(30)])
    assert known[index].all()
    counts = np.bincount(rows.y.numpy()[index], minlength=3)
    assert counts[2] == 0 and abs(counts[0] - counts[1]) <= 30


def shares_of(source, target, estimate, **more):
    return ClassShares(source, target, 3, estimate, Processes(), **more)


def test_they_begin_as_the_sources_shares():
    source = numbered([0] * 6 + [1] * 3 + [2] * 3, np.arange(12) % 2 == 0)
    shares = shares_of(source, source, lambda scores: SHARES)
    assert np.allclose(shares.current, [3 / 6, 2 / 6, 1 / 6])
    assert np.allclose(shares.drawn(), shares.current)


def test_an_update_moves_half_way_and_a_tenth_of_the_source_remains():
    data = domain(30)
    rows, net = Rows(data, CPU), network(data)
    shares = shares_of(rows, rows, lambda scores: np.array([1.0, 0.0, 0.0]))
    net.train()
    before = torch.get_rng_state()
    shares.update(net)
    assert net.training and bool((before == torch.get_rng_state()).all())
    even = np.full(3, 1 / 3)
    assert np.allclose(shares.current, 0.5 * even + 0.5 * np.array([1, 0, 0]))
    assert np.allclose(shares.drawn(), 0.9 * shares.current + 0.1 * even)
    assert (shares.drawn() > 0.03).all()


def test_scores_that_are_no_numbers_change_nothing():
    data = domain(30)
    rows, net = Rows(data, CPU), network(data)
    with torch.no_grad():
        net.head.bias.fill_(torch.nan)
    shares = shares_of(rows, rows, lambda scores: pytest.fail("was asked"))
    shares.update(net)
    assert np.allclose(shares.current, 1 / 3)


def test_it_is_estimated_at_the_end_of_each_epoch_after_the_first_tenth():
    data = domain(48)
    rows, net = Rows(data, CPU), network(data)
    told = []
    shares = shares_of(rows, rows, lambda scores: told.append(len(scores)) or SHARES)
    stage = Stage("toy", Pairs(rows, rows, 8), [], epochs=20)
    redrawn = shares.redraw(stage, rows, net)
    moments = []
    for step in range(1, 6 * 20 + 1):
        before = len(told)
        [function() for function in redrawn.after_step]
        moments += [step] if len(told) > before else []
    assert moments == [6 * epoch for epoch in range(2, 21)]
    assert set(told) == {48} and np.allclose(shares.current, SHARES, atol=1e-4)


def test_only_source_rows_are_redrawn_also_under_a_view():
    source, target = numbered(np.arange(60) % 3), numbered(np.arange(60) % 3)
    shares = shares_of(source, target, lambda scores: SHARES, floor=0.0)
    shares.current = SHARES
    net = SimpleNamespace()
    plain = Pairs(source, target, 20)
    for over in (plain, Viewed(plain, lambda x: x)):
        drawn = shares.redraw(Stage("toy", over, [], 1), source, net).over.batch((0, 0), 1, 0, 1)
        assert np.bincount(drawn.source.y).tolist() == [14, 4, 2]
        assert drawn.target.x.tolist() == plain.batch((0, 0), 1, 0, 1).target.x.tolist()
    assert np.bincount(plain.batch((0, 0), 1, 0, 1).source.y, minlength=3).max() < 12  # as they were
    alone = Pairs(None, target, 20)
    assert shares.redraw(Stage("toy", alone, [], 1), source, net).over is alone


def test_the_estimate_is_stored_with_the_stage_to_the_bit():
    data = table(30)
    rows = Rows(data, CPU)
    shares, again = (ClassShares(rows, rows, 2, lambda s: np.array([1 / 3, 2 / 3]), Processes()) for _ in range(2))
    shares.current, shares.steps = np.array([0.1, 0.9]) ** 0.5, 7
    net = network(domain())
    state = State()
    StageRun(shares.redraw(one_stage(domain(), net), rows, net), 0, state, Settings())
    assert shares in state.owners
    shares.steps = 7
    again.load_state_dict(shares.state_dict())
    assert again.current.tolist() == shares.current.tolist() and again.steps == 7
