"""The sequential test: its capital is a martingale, its answers are rarely wrong at any moment, all labels decide."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from juyi.errors import DataError, SettingError
from juyi.measure import labels_left, labels_to_settle, settle, settle_hint, verdict_from_labels
from juyi.measure.betting import BETS, CARE, WEIGHTS, capital, ends, first, labels_until

TINY = [(1, 1, -1, 0), (1, -1, 0, 0, 0), (1, 1, 1, -1, -1), (-1, -1, 1, 0, -1, 0), (1, 1, 1, 1), (0, 0, 0), (-1,), (1,)]


def orders(population):
    """Every order of a population."""
    return np.array(list(itertools.permutations(population)))


def shuffled(population, times, seed=0):
    """Random orders of a population."""
    rng = np.random.default_rng(seed)
    return rng.permuted(np.tile(population, (times, 1)), axis=1)


def population(plus, minus, neither):
    return np.repeat([1, -1, 0], [plus, minus, neither])


def begun(z, until):
    """What each order has shown when it stops."""
    return [tuple(order[:stop].tolist()) for order, stop in zip(z, until, strict=True)]


def plain_capital(z, size, total):
    """The capital as the docstring of `settle` has it, bet by bet and row by row."""
    found = []
    for t in range(1, len(z) + 1):
        whole = 0.0
        for bet, weight in zip(BETS, WEIGHTS, strict=True):
            product = weight
            for i in range(t):
                left = size - i
                mean = (total - sum(z[:i])) / left
                share = min(bet * size / left, CARE / (1 + mean)) if mean > -1 else 0.0
                product *= 1 + share * (z[i] - mean)
            whole += product
        found.append(whole)
    return found


@pytest.mark.parametrize("z", TINY)
def test_the_mean_capital_over_all_orders_is_one_where_the_hypothesis_is_just_true(z):
    mean = np.exp(capital(orders(z), len(z), sum(z))).mean(0)
    np.testing.assert_allclose(mean, 1, rtol=1e-9)


@pytest.mark.parametrize("z", TINY)
def test_the_mean_capital_is_at_most_one_where_the_hypothesis_is_amply_true(z):
    for more in (1, 2, 5):
        mean = np.exp(capital(orders(z), len(z), sum(z) + more)).mean(0)
        assert (mean <= 1 + 1e-9).all()


def test_the_capital_is_the_one_of_the_formula():
    z = shuffled(population(5, 3, 2), 3)
    for row, total in itertools.product(z, (-4, 0, 2, 9)):
        np.testing.assert_allclose(np.exp(capital(row, 12, total)), plain_capital(row.tolist(), 12, total), rtol=1e-9)


def test_in_an_endless_population_the_capital_is_that_of_the_sign_test():
    z = np.array([1, 0, 1, -1, 1, 0])
    signs = z[z != 0]
    expected = (WEIGHTS * np.prod(1 + np.outer(signs, BETS), axis=0)).sum()
    np.testing.assert_allclose(np.exp(capital(z, 10**9, 0)[-1]), expected, rtol=1e-6)


@given(st.lists(st.sampled_from([-1, 0, 1]), min_size=1, max_size=30), st.integers(0, 50))
@settings(deadline=None)
def test_the_capital_falls_with_the_sum_that_is_bet_against(z, more):
    size = len(z) + more
    possible = np.arange(sum(z) - more, sum(z) + more + 1)  # what the rows that are left still allow
    last = capital(np.tile(z, (len(possible), 1)), size, possible).max(1)
    assert (np.diff(last) <= 1e-9).all()


@pytest.mark.parametrize("alpha", [0.05, 0.4])
@pytest.mark.parametrize("counts", [(4, 4, 1), (3, 3, 2), (4, 3, 1), (3, 4, 1), (5, 2, 1), (6, 0, 1), (0, 0, 5)])
def test_the_probability_of_a_wrong_answer_is_at_most_alpha_exactly(counts, alpha):
    """All orders of tiny populations: whoever stops at the first answer is wrong in at most α of them."""
    z = np.array(list(set(itertools.permutations(population(*counts).tolist()))))
    size, bound, true = z.shape[1], 2, int(z[0].sum())
    until = labels_until(z, size, 100, margin=0.02, alpha=alpha)
    wrong = 0
    answers = {stopped: settle(np.array(stopped), size, 100, alpha=alpha).answer for stopped in begun(z, until)}
    for stopped in begun(z, until):
        answer = answers[stopped]
        wrong += (answer, np.sign(true)) in {("helped", 0), ("helped", -1), ("hurt", 0), ("hurt", 1)}
        wrong += answer == "no_difference" and abs(true) > bound
    assert wrong <= alpha * len(z)


@pytest.mark.parametrize(
    ("counts", "total"),
    [((30, 30, 0), 3000), ((30, 30, 40), 200), ((60, 61, 29), 150), ((24, 21, 5), 100), ((45, 25, 30), 1000)],
)
def test_at_whatever_moment_one_stops_a_wrong_answer_has_five_percent_at_most(counts, total):
    """3,000 random orders, each looked at after every label for any wrong rejection, and not only at the first."""
    z = shuffled(population(*counts), 3000)
    size, true, bound = z.shape[1], counts[0] - counts[1], math.floor(0.02 * total + 1e-9)
    before = slice(0, size - 1)  # the last label leaves nothing to err about
    wrong = np.zeros(len(z), bool)
    if true <= 0:
        wrong |= (capital(z, size, 0)[:, before] >= -math.log(0.025)).any(1)
    if true >= 0:
        wrong |= (capital(-z, size, 0)[:, before] >= -math.log(0.025)).any(1)
    if true > bound:  # said to be no difference, though it matters
        wrong |= (capital(-z, size, -bound - 1)[:, before] >= -math.log(0.05)).any(1)
    if true < -bound:
        wrong |= (capital(z, size, -bound - 1)[:, before] >= -math.log(0.05)).any(1)
    assert wrong.mean() <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / len(z))


def test_the_interval_holds_the_truth_as_often_as_it_says():
    z = shuffled(population(25, 15, 20), 100)
    held = [low <= 10 <= high for order in z for low, high in [ends(order[:40], 60, 0.1)]]
    assert np.mean(held) >= 0.8 - 3 * math.sqrt(0.16 / 100)


def test_a_clear_difference_takes_few_labels_and_more_where_it_is_small():
    spent = [labels_until(shuffled(population(p, 300 - p, 100), 100), 400, 2000).mean() for p in (295, 225, 180)]
    assert spent[0] < 20 and spent[1] < 60 and spent[2] < 250 and spent == sorted(spent)


def test_knowing_how_many_rows_there_are_spares_labels():
    z = shuffled(population(60, 30, 30), 200)
    known, endless = (first(capital(z, size, 0) >= math.log(40)).mean() for size in (120, 10**9))
    assert known < 0.95 * endless


@given(st.lists(st.sampled_from([-1, 0, 1]), min_size=1, max_size=60), st.integers(0, 200))
@settings(deadline=None)
def test_all_labels_give_the_exact_answer(z, more):
    total = len(z) + more
    found = settle(np.array(z), len(z), total)
    assert found.low == found.high == pytest.approx(sum(z) / total) == pytest.approx(found.gain)
    expected = "helped" if sum(z) > 0 else "hurt" if sum(z) < 0 else "no_difference"
    assert found.answer == expected and found.used == len(z)


@given(st.lists(st.sampled_from([-1, 0, 1]), max_size=40), st.integers(0, 100), st.integers(0, 500))
@settings(deadline=None)
def test_the_other_way_round_it_is_the_mirror_image(z, more, others):
    size, total = len(z) + more, max(1, len(z) + more + others)
    one, other = settle(np.array(z), size, total), settle(-np.array(z), size, total)
    swapped = {"helped": "hurt", "hurt": "helped"}
    assert other.answer == swapped.get(one.answer, one.answer)
    assert (other.low, other.high) == (-one.high, -one.low) and -size / total <= one.low <= one.high <= size / total


def test_the_first_answer_comes_when_it_was_counted_and_stays():
    for order in shuffled(population(30, 10, 12), 8):
        stop = labels_until(order[None], 52, 400)[0]
        moments = sorted({0, stop - 1, stop, stop + 1, 40, 52})
        assert [settle(order[:t], 52, 400).answer != "undecided" for t in moments] == [t >= stop for t in moments]


def test_the_interval_narrows():
    for order in shuffled(population(30, 10, 12), 4, seed=5):
        found = [ends(order[:t], 52, 0.025) for t in range(0, 53, 4)]
        assert all(low <= 20 <= high for low, high in found)  # true of these four; a few of a hundred may miss
        assert all(a[0] <= b[0] and b[1] <= a[1] for a, b in itertools.pairwise(found))


def test_models_that_disagree_on_hardly_anything_need_no_label():
    assert settle(np.array([]), 40, 2000).answer == "no_difference"
    assert settle(np.array([]), 41, 2000).answer == "undecided"
    nothing = settle(np.array([]), 0, 10)
    assert (nothing.answer, nothing.gain, nothing.low, nothing.high) == ("no_difference", 0.0, 0.0, 0.0)
    assert labels_to_settle(40, 2000) == (0, 0) and settle_hint(40, 2000) == ""


def test_one_row_is_settled_by_one_label():
    answers = [settle(np.array([z]), 1, 10).answer for z in (1, 0, -1)]
    assert answers == ["helped", "no_difference", "hurt"]
    before = settle(np.array([]), 1, 10)
    assert (before.answer, before.gain, before.low, before.high) == ("undecided", None, -0.1, 0.1)
    assert labels_to_settle(1, 10) == (1, 1) and labels_left(np.array([]), 1, 10) == 1


def test_equal_models_are_said_to_be_equal():
    found = settle(shuffled(population(200, 200, 100), 1)[0, :400], 500, 5000)
    assert (found.answer, found.confidence) == ("no_difference", 0.9)
    assert -0.02 <= found.low <= 0 <= found.high <= 0.02


@pytest.mark.parametrize(("disagreeing", "total"), [(60, 900), (400, 2000), (3000, 9000)])
def test_the_number_of_labels_suffices_in_four_of_five_fresh_orders(disagreeing, total):
    likely, worst = labels_to_settle(disagreeing, total)
    assert 0 < likely <= worst <= disagreeing
    assert labels_to_settle.__wrapped__(disagreeing, total) == (likely, worst)  # the same, computed anew
    decisive = round(disagreeing * 0.75)
    for enough, share in ((likely, 3 / 4), (worst, 3 / 5)):
        better = round(decisive * share)
        fresh = shuffled(population(better, decisive - better, disagreeing - decisive), 300, seed=9)[:, :enough]
        settled = (labels_until(fresh, disagreeing, total) <= enough).mean()
        assert settled >= 0.8 - 3 * math.sqrt(0.16 / 200 + 0.16 / 300) and (
            settled <= 0.95 or enough == disagreeing or enough < 20
        )


def test_how_many_more_is_never_more_than_there_are():
    for z in ([], [1, 1, 1], [1, -1] * 10):
        assert 0 <= labels_left(np.array(z), 25, 300) <= 25 - len(z)
    assert labels_left(np.array([1, -1] * 12 + [0]), 25, 300) == 0


def test_what_cannot_be_is_refused():
    with pytest.raises(DataError, match="for at most 3 rows"):
        settle(np.ones(4), 3, 10)
    with pytest.raises(DataError, match="-1, 0 or 1"):
        settle(np.array([2]), 3, 10)
    with pytest.raises(DataError, match="-1, 0 or 1"):
        settle(np.array([np.nan]), 3, 10)
    for size, total in ((5, 4), (-1, 4), (0, 0)):
        with pytest.raises(DataError, match="cannot be"):
            settle(np.array([]), size, total)
        with pytest.raises(DataError, match="cannot be"):
            labels_to_settle(size, total)
    with pytest.raises(SettingError, match="alpha"):
        settle(np.array([]), 3, 10, alpha=0)
    with pytest.raises(SettingError, match="margin"):
        settle(np.array([]), 3, 10, margin=-0.1)


def test_the_hint_names_the_numbers_and_the_command():
    likely, worst = labels_to_settle(400, 2000)
    hint = settle_hint(400, 2000, "runs/dann-1", rows="rows")
    assert str(likely) in hint and str(worst) in hint and "of rows drawn at random from those 400" in hint
    assert hint.endswith("juyi settle runs/dann-1") and settle_hint(400, 2000).endswith("juyi settle RUN")
    assert settle_hint(1, 10).startswith("One label of images")


def test_the_verdict_says_what_was_found():
    helped = verdict_from_labels(settle(np.ones(12), 400, 2000), "dann", warnings=["Beware."])
    assert helped["answer"] == "helped" and helped["evidence"] == "settled" and helped["warnings"] == ["Beware."]
    assert (helped["labels_used"], helped["disagreeing"], helped["rows"]) == (12, 400, 2000)
    assert helped["low"] <= helped["gain"] <= helped["high"] and "12 labels drawn at random" in helped["sentence"]
    hurt = verdict_from_labels(settle(-np.ones(12), 400, 2000), "dann", rows="rows")
    assert hurt["sentence"].startswith("Adapting hurt (dann is worse than source_only, that is, than not transferring)")
    assert "points fewer than source_only" in hurt["sentence"] and "target rows" in hurt["sentence"]
    unsure = verdict_from_labels(settle(np.array([1, -1]), 400, 2000), "dann", left=80)
    assert unsure["answer"] == "cannot_tell" and "About 80 more labels are likely" in unsure["sentence"]
    exact = verdict_from_labels(settle(np.array([1, -1, 0]), 3, 20), "dann")
    assert exact["answer"] == "no_difference" and "exactly: all 3" in exact["sentence"]
    assert "interval" not in exact["sentence"]
