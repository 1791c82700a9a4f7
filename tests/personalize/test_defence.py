"""Robust rules against closed forms, slow references and liars; limits in which they are the plain mean."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from juyi.check.attacks import attacked, gaussian, replace_model, sign_flip
from juyi.check.common import same
from juyi.check.personaliser import bits_of
from juyi.errors import SettingError
from juyi.personalize import APFL, METHODS, Ditto, FedAvg, FedDBE, FedPer, FedProto, FedRep, Scaffold
from juyi.personalize.base import Update, weighted_means
from juyi.personalize.defence import Defence, krum, least_for_krum, limited, median, noisy_mean, trimmed_mean
from juyi.personalize.simulation import go_through
from personalize.two_servers import begun

TABLES = arrays.arrays(
    np.float32,
    st.tuples(st.integers(3, 9), st.integers(1, 4)),
    elements=st.floats(-1e3, 1e3, width=32).map(lambda v: round(v, 2)),
)
QUICK = settings(max_examples=40, deadline=None)


# The rules.


@QUICK
@given(TABLES, st.integers(0, 4))
def test_the_trimmed_mean_is_the_mean_of_what_is_between(values, cut):
    cut = min(cut, (len(values) - 1) // 2)
    found = trimmed_mean(torch.from_numpy(values), cut).numpy()
    expected = [np.mean(sorted(column)[cut : len(values) - cut]) for column in values.T.astype(float)]
    assert np.allclose(found, expected, rtol=1e-4, atol=1e-3)
    assert np.allclose(median(torch.from_numpy(values)).numpy(), np.median(values, 0), rtol=1e-4, atol=1e-3)


@QUICK
@given(TABLES)
def test_krum_is_the_slow_sum_over_neighbours(values):
    values = np.unique(values.round(1), axis=0)
    for bad in range(0, max(0, (len(values) - 3) // 2) + 1):
        if len(values) < least_for_krum(bad):
            continue
        scores = []
        for i, v in enumerate(values.astype(float)):
            others = sorted(((v - u) ** 2).sum() for j, u in enumerate(values.astype(float)) if j != i)
            scores.append(sum(others[: len(values) - bad - 2]))
        found = krum(torch.from_numpy(values), bad)
        assert scores[found] <= min(scores) * (1 + 1e-4) + 1e-3


@QUICK
@given(TABLES, st.randoms(use_true_random=False))
def test_the_order_of_the_clients_changes_nothing(values, random):
    order = list(range(len(values)))
    random.shuffle(order)
    one, other = torch.from_numpy(values), torch.from_numpy(values[order])
    assert torch.allclose(median(one), median(other))
    assert torch.allclose(trimmed_mean(one, 1), trimmed_mean(other, 1), rtol=1e-5, atol=1e-3)
    if len({tuple(row) for row in values.tolist()}) == len(values) >= 5 and len(values) % 2:
        mine, theirs = one[krum(one, 1)], other[krum(other, 1)]
        total = lambda v, rows: sorted(((rows - v) ** 2).sum(1).tolist())[1 : len(rows) - 2]  # noqa: E731
        assert sum(total(mine, one)) == pytest.approx(sum(total(theirs, one)), rel=1e-4, abs=1e-3)


@pytest.mark.parametrize(("rule", "bears"), [("median", 4), ("trimmed_mean", 3), ("krum", 3)])
def test_how_many_liars_a_rule_bears_and_not_one_more(rule, bears):
    """Nine clients, the honest near 1: with so many liars the result stays there, with one more it can be anywhere."""
    honest = 1.0 + 0.01 * torch.arange(9.0)[:, None]

    def told(liars):
        values = honest.clone()
        values[:liars] = 1e6
        if rule == "krum":
            return float(values[krum(values, min(liars, 3))])
        return float(median(values) if rule == "median" else trimmed_mean(values, 3))

    assert all(1.0 <= told(liars) <= 1.1 for liars in range(bears + 1))
    if rule == "krum":
        values = honest.clone()
        values[:5] = 1e6  # more than half agree on the lie
        assert float(values[krum(values, 3)]) == 1e6
    else:
        assert told(bears + 1) > 1e4


@QUICK
@given(TABLES, st.floats(0.1, 100.0))
def test_no_change_is_longer_than_the_limit_and_short_ones_stay(values, longest):
    changes = torch.from_numpy(values)
    found, lengths = limited(changes, longest), changes.norm(dim=1)
    assert (found.norm(dim=1) <= longest * (1 + 1e-5)).all()
    short = lengths <= longest
    assert torch.allclose(found[short], changes[short], rtol=1e-6)
    assert torch.allclose(found * lengths[:, None], changes * found.norm(dim=1, keepdim=True), rtol=1e-3, atol=1e-1)


def test_the_noise_has_the_spread_that_was_said_and_the_denominator_is_fixed():
    changes = torch.zeros(3, 40_000)
    changes[:, 0] = torch.tensor([1.0, 2.0, 3.0])
    found = noisy_mean(changes, longest=2.0, noise=1.5, expected=5.0, key=(4,))
    assert float(found[1:].std()) == pytest.approx(1.5 * 2.0 / 5.0, rel=0.02)
    assert float(noisy_mean(changes, 2.0, 0.0, 5.0, (4,))[0]) == pytest.approx(6.0 / 5.0)
    assert torch.equal(found, noisy_mean(changes, 2.0, 1.5, 5.0, (4,)))
    assert not torch.equal(found, noisy_mean(changes, 2.0, 1.5, 5.0, (5,)))
    empty = noisy_mean(changes[:0], 2.0, 1.5, 5.0, (4,))
    assert torch.allclose(empty[1:], found[1:])  # where nobody came it is noise alone


# What the method is handed.


SHARED = {"w": torch.tensor([1.0, 1.0]), "c": torch.tensor([[0.0]])}


def update(client, size, w, c):
    return Update(client, size, {"w": torch.tensor(w), "c": torch.tensor([[c]])})


SENT = [update(0, 1, [2.0, 1.0], 1.0), update(1, 30, [3.0, 1.0], 2.0), update(2, 5, [1.0, 9.0], 3.0)]


def defended(**settings):
    return Defence(**settings)(SHARED, SENT, 0, lambda: SHARED)


def test_what_is_not_asked_for_changes_nothing():
    assert all(one is other for one, other in zip(defended(), SENT, strict=True))
    same_length = defended(longest=1e6)
    for one, other in zip(same_length, SENT, strict=True):
        assert torch.allclose(one.values["w"], other.values["w"]) and one.size == other.size


def test_every_client_counts_alike_in_a_middle():
    for rule, w in (("median", [2.0, 1.0]), ("trimmed_mean", [2.0, 11.0 / 3])):
        found = weighted_means(defended(rule=rule, trimmed=0.0))
        assert torch.allclose(found["w"], torch.tensor(w)) and torch.allclose(found["c"], torch.tensor([[2.0]]))


def test_a_change_is_measured_from_what_was_sent_over_everything_together():
    """Client 2 changed w by (0, 8) and c by 3: √73 together."""
    found = defended(longest=1.0)[2].values
    assert torch.allclose(found["w"], torch.tensor([1.0, 1.0 + 8.0 / 73**0.5]))
    assert torch.allclose(found["c"], torch.tensor([[3.0 / 73**0.5]]))
    as_changes = defended(longest=1.0, changes=True)[0].values
    assert torch.allclose(as_changes["w"], torch.tensor([2.0, 1.0]) / 6**0.5)


def test_krum_with_too_few_answers_changes_nothing():
    assert defended(rule="krum", bad=1) == []
    assert [one.values["w"].tolist() for one in defended(rule="krum", bad=0)] == [[2.0, 1.0]] * 3


def test_where_nobody_came_there_is_noise_or_nothing():
    assert Defence(rule="median")(SHARED, [], 0, lambda: SHARED) == []
    found = Defence(longest=1.0, noise=1.0, expected=4.0)(SHARED, [], 3, lambda: ["w"])
    assert len(found) == 4 and list(found[0].values) == ["w"] and not torch.equal(found[0].values["w"], SHARED["w"])
    assert Defence(longest=1.0, noise=1.0)(SHARED, [], 3, list) == []  # a method that sends nothing


# In a federation.


def settings_of(kind, **more):
    return kind(**{**kind.quick, **more})


@pytest.mark.parametrize("kind", [FedAvg, Scaffold])
def test_without_trimming_it_is_the_mean_in_which_clients_count_alike(kind):
    found = begun(settings_of(kind, aggregation="trimmed_mean", trimmed=0.0), rounds=1, batch_norm="none")
    shared, sent = found.shared, []
    for k in range(4):
        client = found.client(k)
        sent.append(Update(k, 1, found.method.local_update(client, found.shared)))
    expected = found.method.aggregate(shared, sent, 4)
    found.next_round()
    for name, value in expected.items():
        assert torch.allclose(found.shared[name], value, atol=1e-6), name


def test_identical_updates_are_every_rules_answer():
    """So every method that averages is defended: whatever mean it makes of them, it is that update."""
    for kind in METHODS.values():
        if kind.sends == "sums" or kind.__name__ in ("Auto", "Local", "FedBN"):
            continue
        found = begun(settings_of(kind), batch_norm="none", rounds=1)
        client = found.client(2)
        sent = found.method.local_update(client, found.shared)
        once = found.method.aggregate(found.shared, [Update(0, 3, sent)], 1)
        four = found.method.aggregate(found.shared, [Update(k, 1, sent) for k in range(4)], 4)
        for name in once:
            assert torch.allclose(once[name], four[name], atol=1e-6), (kind, name)


@pytest.mark.parametrize("kind", [FedAvg, Ditto, FedRep])
def test_a_liar_moves_the_mean_where_it_wants_and_the_median_hardly(kind):
    name = "body" if kind is FedRep else "model"

    def moved(**defence):
        one = begun(settings_of(kind, **defence), rounds=1, batch_norm="none")
        goal = {name: torch.full_like(one.shared[name], 50.0)}
        other = begun(attacked(one.method, {1: replace_model(goal, 4)}), rounds=1, batch_norm="none")
        honest = begun(settings_of(kind), rounds=1, batch_norm="none")
        for each in (other, honest):
            each.next_round()
        return float((other.shared[name] - honest.shared[name]).abs().max())

    assert moved() > 20.0
    assert moved(aggregation="median") < 1.0 and moved(aggregation="trimmed_mean", trimmed=0.25) < 1.0
    assert moved(clip_norm=0.5) < 2.0


def test_attacks_do_what_they_say():
    found = begun(FedAvg(), rounds=1, batch_norm="none")
    honest = found.method.local_update(found.client(1), found.shared)["model"]
    origin = found.shared["model"]
    turned = begun(attacked(found.method, {1: sign_flip(2.0)}), rounds=1, batch_norm="none")
    assert torch.allclose(turned.method.local_update(turned.client(1), turned.shared)["model"], 3 * origin - 2 * honest)
    noisy = begun(attacked(found.method, {1: gaussian(3.0)}), rounds=1, batch_norm="none")
    drawn = (noisy.method.local_update(noisy.client(1), noisy.shared)["model"] - origin) / 3.0
    assert abs(float(drawn.mean())) < 0.5 and 0.7 < float(drawn.std()) < 1.3
    flipped = begun(attacked(found.method, {}, flipped=(1,)), rounds=1, batch_norm="none")
    assert not torch.equal(flipped.method.local_update(flipped.client(1), flipped.shared)["model"], honest)
    assert torch.equal(flipped.method.local_update(flipped.client(0), flipped.shared)["model"],
                       found.method.local_update(found.client(0), found.shared)["model"])  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (Scaffold, {"aggregation": "median", "participation": 0.75}),
        (FedDBE, {"aggregation": "trimmed_mean", "trimmed": 0.3, "clip_norm": 0.3}),
        (APFL, {"aggregation": "krum", "bad_clients": 0, "dropouts": 0.4}),
    ],
)
def test_taken_up_halfway_it_ends_with_the_same_bits(kind, settings):
    whole = bits_of(go_through(begun(settings_of(kind, **settings)), back=False))
    one, other = (begun(settings_of(kind, **settings)) for _ in range(2))
    for _ in range(2):
        one.next_round()
    other.load_state_dict(one.state_dict())
    while other.round < other.method.rounds:
        other.next_round()
    assert same(whole, bits_of(other))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"trimmed": 0.5}, "leaves nothing between"),
        ({"trimmed": -0.1}, "out of range"),
        ({"aggregation": "mode"}, "not allowed"),
        ({"aggregation": "krum", "bad_clients": 1}, "of 4 clients that take part in a round krum can bear 0 bad ones"),
        ({"clip_norm": -1.0}, "out of range"),
    ],
)
def test_what_cannot_be_kept_is_refused(settings, said):
    with pytest.raises(SettingError, match=said):
        begun(FedAvg(**settings)).method.check_hyperparameters()


def test_sums_by_class_have_no_middle():
    for asked in ({"aggregation": "median"}, {"clip_norm": 1.0}):
        with pytest.raises(SettingError, match="fedproto: sends sums over its rows"):
            begun(FedProto(**asked))
    assert begun(FedPer(aggregation="median")).defence.rule == "median"


@pytest.mark.parametrize("answers", [1, 2])
def test_a_median_does_with_any_number_of_answers(answers):
    values = torch.arange(float(answers))[:, None]
    assert float(median(values)) == float(trimmed_mean(values, int(0.49 * answers))) == (answers - 1) / 2
