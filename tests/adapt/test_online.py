"""Online methods: the contract, over every method that discovery finds; the mathematics; the guard."""

import inspect
import itertools

import numpy as np
import pytest
import torch
from scipy.stats import chi2_contingency
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from torch import nn

from juyi.adapt import SourceOnly, online
from juyi.adapt.online.guard import (
    TOO_FEW,
    ClassOrder,
    cut,
    effective_classes,
    expected_classes,
    homogeneity,
)
from juyi.adapt.online.layers import MixedBatchNorm, as_served, mixed_statistics, with_mixed_batch_norm
from juyi.adapt.online.tent import entropies, reliable_rows
from juyi.check.adapter import small
from juyi.check.common import CLASSES, nothing_opened, same, shifted_domains
from juyi.data import Domain, withhold_labels
from juyi.errors import DataError, SettingError
from juyi.nets import DomainBatchNorm
from juyi.training import Served, declared

EVERY = pytest.mark.parametrize("name", online.METHODS)


def test_discovery_finds_every_online_method():
    assert set(online.METHODS) == {"batch_norm_adaptation", "tent"}
    assert {method.__name__ for method in online.METHODS.values()} == {"BatchNormAdaptation", "Tent"}
    assert {(name, check) for name, m in online.METHODS.items() for check in m.exempt} == {
        ("batch_norm_adaptation", "resets_on_collapse")
    }


@pytest.fixture(scope="module")
def learnt():
    """A model of the source, and a stream of 480 target rows of mixed classes."""
    source, _ = shifted_domains()
    _, stream = shifted_domains(seed=1, rows=480)
    order = np.random.default_rng(0).permutation(stream.size)
    return small(SourceOnly, epochs=30).fit(source), stream.select(order)


def begin(name, learnt, **settings):
    return online.METHODS[name](device="cpu", **settings).start(learnt[0])


def state(method):
    return {key: value.clone() for key, value in method.served().net.state_dict().items()}


def answers(method, stream):
    return np.concatenate([answer.probabilities for answer in method.follow(stream)]).argmax(1)


def by_class(stream):
    return stream.select(np.argsort(stream.y, kind="stable"))


@EVERY
def test_declarations(name):
    method = online.METHODS[name]
    assert ">>>" in str(inspect.getdoc(method)) and "Source:" in str(inspect.getdoc(method))
    assert all(field.metadata["help"] for field in declared(method).values())


@EVERY
def test_a_mixed_stream_is_answered_better(name, learnt):
    method, stream = begin(name, learnt), learnt[1]
    found = (answers(method, stream) == stream.y).mean()
    assert found > learnt[0].score(stream) + 0.1
    assert method.held_back_ == method.resets_ == 0 and method.batches_ == 8 and method.rows_ == 480


@EVERY
def test_a_stream_by_class_is_answered_as_without_adapting(name, learnt):
    method, stream = begin(name, learnt), by_class(learnt[1])
    found = (answers(method, stream) == stream.y).mean()
    assert found >= learnt[0].score(stream) - 0.02
    assert method.held_back_ >= 5
    assert sum("ordered by class" in warning for warning in method.warnings_) == 1


@EVERY
def test_it_recovers_when_classes_are_mixed_again(name, learnt):
    method, stream = begin(name, learnt), learnt[1]
    for answer in method.follow(by_class(stream)):
        last = answer
    assert last.facts["held_back"]
    held = method.held_back_
    answers(method, stream)
    assert method.held_back_ == held


@EVERY
def test_held_back_batches_change_nothing(name, learnt):
    method, stream = begin(name, learnt), learnt[1]
    before = state(method)
    one_class = stream.select(np.flatnonzero(stream.y == 0)[:64])
    answer = method.answer(one_class)
    assert answer.facts["held_back"] and answer.facts["reason"] == "blurred"
    assert np.allclose(answer.probabilities, learnt[0].predict_proba(one_class), atol=1e-6)
    after = state(method)
    after["body.2.target_seen"] = before["body.2.target_seen"]
    assert same(before, after)


@EVERY
def test_the_order_of_rows_within_a_batch_does_not_matter(name, learnt):
    stream = learnt[1].select(np.arange(64))
    order = np.random.default_rng(3).permutation(64)
    one, other = begin(name, learnt), begin(name, learnt)
    first, second = one.answer(stream), other.answer(stream.select(order))
    assert np.allclose(first.probabilities[order], second.probabilities, atol=1e-5)
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(state(one).values(), state(other).values(), strict=True))


@EVERY
def test_hidden_labels_are_not_read_and_one_seed_gives_the_same_bits(name, learnt):
    stream = learnt[1]
    other = Domain(stream.x, np.random.default_rng(1).permutation(stream.y), classes=CLASSES)
    generator = torch.get_rng_state()
    one, again, shown = (begin(name, learnt) for _ in range(3))
    found = [
        answers(m, s) for m, s in ((one, withhold_labels(stream)), (again, withhold_labels(stream)), (shown, other))
    ]
    assert all(np.array_equal(found[0], more) for more in found[1:])
    assert same(state(one), state(again)) and same(state(one), state(shown))
    assert torch.equal(generator, torch.get_rng_state())


@EVERY
def test_the_start_stays_as_it_is(name, learnt):
    before = {key: value.clone() for key, value in learnt[0].net_.state_dict().items()}
    answers(begin(name, learnt), learnt[1])
    assert same(before, learnt[0].net_.state_dict())
    assert all(p.requires_grad for p in learnt[0].net_.parameters())


@EVERY
def test_too_few_rows_are_refused_and_few_are_warned_of(name, learnt):
    method, stream = begin(name, learnt), learnt[1]
    for n in (1, TOO_FEW - 1):
        with pytest.raises(DataError, match="collect rows"):
            method.update(stream.select(np.arange(n)))
        with pytest.raises(SettingError, match="--batch 64 collects"):
            begin(name, learnt, batch=n)
    assert method.batches_ == 0
    method.update(stream.select(np.arange(TOO_FEW)))
    method.update(stream.select(np.arange(TOO_FEW)))
    assert [w for w in method.warnings_ if "small" in w] == ["Batches of 16 rows are small: their statistics are "
                                                             "rough; 64 are better."]  # fmt: skip


@EVERY
def test_quiet(name, learnt):
    answers(begin(name, learnt), learnt[1])  # imports are done
    with nothing_opened():
        answers(begin(name, learnt), learnt[1])


@EVERY
def test_resets_on_collapse(name, learnt):
    if "resets_on_collapse" in online.METHODS[name].exempt:
        pytest.skip("exempt")
    method, stream = begin(name, learnt), learnt[1]
    start = state(method)
    with torch.no_grad():
        last = [layer for layer in method.net_.modules() if isinstance(layer, MixedBatchNorm)][-1]
        last.weight.zero_()
        last.bias.fill_(50.0)
    answer = method.answer(stream.select(np.arange(64)))
    assert answer.facts["reset"] and method.resets_ == 1
    assert effective_classes(torch.from_numpy(answer.probabilities)) > 2
    after = state(method)
    assert all(torch.equal(start[k], after[k]) for k in start if k.endswith((".weight", ".bias")))
    assert not method.answer(stream.select(np.arange(64, 128))).facts["reset"]


@EVERY
def test_an_estimator_that_must_be_started(name, learnt):
    method = online.METHODS[name](batch=32, prior=8.0)
    assert clone(method).get_params() == method.get_params()
    with pytest.raises(NotFittedError, match="start"):
        method.update(learnt[1])
    with pytest.raises(SettingError, match="class_shares"):
        method.start(learnt[0], class_shares=[0.5, 0.5])
    with pytest.raises(SettingError, match="out of range"):
        online.METHODS[name](concentration=2.0).start(learnt[0])


@EVERY
def test_a_rest_goes_with_the_last_batch_and_the_served_model_is_a_network_as_any(name, learnt):
    method, stream = begin(name, learnt), learnt[1].select(np.arange(140))
    assert [answer.facts["rows"] for answer in method.follow(stream)] == [64, 76]
    served = method.served()
    assert type(served.net) is type(learnt[0].net_) and served.net.state_dict().keys() == state(method).keys()
    assert served.predict(stream).shape == (140,)


class Own(nn.Module):
    """A network of one's own with a given normalisation layer."""

    def __init__(self, norm):
        super().__init__()
        self.body, self.head, self.width = nn.Sequential(nn.Linear(8, 16), norm, nn.ReLU()), nn.Linear(16, 3), 16


def served_own(norm):
    source, _ = shifted_domains()
    return small(SourceOnly, net=Own(norm), epochs=5, batch_norm="shared").fit(source)


def test_networks_without_batch_norm(learnt):
    layer_norm, none = served_own(nn.LayerNorm(16)), served_own(nn.Identity())
    with pytest.raises(SettingError, match=r"has no batch norm.*--method tent"):
        online.BatchNormAdaptation().start(layer_norm)
    for method in online.METHODS.values():
        with pytest.raises(SettingError, match="--batch-norm domain"):
            method().start(none)
    method = online.Tent(device="cpu", concentration=0.0, entropy_limit=1.0).start(layer_norm)
    answers(method, learnt[1])
    before, after = layer_norm.net_.state_dict(), method.served().net.state_dict()
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    assert changed == {"body.1.weight", "body.1.bias"}


def test_ordinary_batch_norm_serves_with_what_it_followed(learnt):
    own = served_own(nn.BatchNorm1d(16))
    method = online.BatchNormAdaptation(device="cpu", concentration=0.0).start(own)
    answers(method, learnt[1])
    before, after = own.net_.state_dict(), method.served().net.state_dict()
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    assert changed == {"body.1.running_mean", "body.1.running_var"}


def test_mixed_statistics_limits():
    source, batch = torch.tensor([1.0, -2.0]), torch.tensor([3.0, 4.0])
    assert torch.equal(mixed_statistics(source, batch, 0, 5), batch)
    assert torch.allclose(mixed_statistics(source, batch, 1e9, 5), source)
    assert torch.allclose(mixed_statistics(source, batch, 16, 48), 0.25 * source + 0.75 * batch)


@pytest.mark.parametrize("shape", [(20, 3), (20, 3, 4, 4)])
def test_without_prior_it_is_batch_norm_in_training_gradients_too(shape):
    torch.manual_seed(0)
    layer = (nn.BatchNorm2d if len(shape) == 4 else nn.BatchNorm1d)(3)
    nn.init.normal_(layer.weight)
    x, mixed = torch.randn(shape), MixedBatchNorm(layer, 0.0)
    one, other = x.clone().requires_grad_(), x.clone().requires_grad_()
    expected, found = layer(one), mixed(other)
    assert torch.allclose(expected, found, atol=1e-5)
    (expected**3).sum().backward(), (found**3).sum().backward()
    assert torch.allclose(one.grad, other.grad, atol=1e-3)
    assert torch.allclose(layer.weight.grad, mixed.weight.grad, atol=1e-3)


def test_with_all_prior_nothing_is_adapted(learnt):
    net = with_mixed_batch_norm(learnt[0].net_, 1e9)
    x = torch.from_numpy(learnt[1].x[:50])
    with torch.no_grad():
        assert torch.allclose(net(x), learnt[0].net_.eval()(x), atol=1e-4)


def test_the_target_statistics_are_the_start_where_the_target_was_seen():
    layer = DomainBatchNorm(2)
    layer.source_mean.fill_(1.0), layer.target_mean.fill_(2.0), layer.source_seen.fill_(True)
    assert MixedBatchNorm(layer, 1).mean.tolist() == [1.0, 1.0]
    layer.target_seen.fill_(True)
    assert MixedBatchNorm(layer, 1).mean.tolist() == [2.0, 2.0]


def test_what_serves_follows_the_batches(learnt):
    net = with_mixed_batch_norm(learnt[0].net_, 0.0)
    x = torch.from_numpy(learnt[1].x[:64])
    first = next(layer for layer in net.modules() if isinstance(layer, MixedBatchNorm))
    with torch.no_grad():
        for _ in range(200):  # the moving mean arrives
            net(x)
            for layer in net.modules():
                if isinstance(layer, MixedBatchNorm):
                    layer.keep()
        served = as_served(learnt[0].net_, net)
        assert torch.allclose(first.lasting_mean, first._last[0], atol=1e-5)
        assert torch.allclose(served.eval()(x), net(x), atol=1e-3)


def test_tent_takes_the_step_of_a_plain_reference(learnt):
    own, x = served_own(nn.BatchNorm1d(16)), torch.from_numpy(learnt[1].x[:64])
    plain = own.net_.train().requires_grad_(False)
    norm = plain.body[1].requires_grad_(True)
    optimiser = torch.optim.Adam([norm.weight, norm.bias], 1e-2)
    method = online.Tent(prior=0.0, learning_rate=1e-2, entropy_limit=1.0, concentration=0.0, device="cpu").start(
        Served(own.net_, own.shape_, own.classes_)
    )
    assert np.allclose(method.answer(learnt[1].x[:64]).probabilities, plain(x).softmax(1).detach(), atol=1e-5)
    entropy = -(plain(x).softmax(1) * plain(x).log_softmax(1)).sum(1)
    weight = torch.exp(np.log(3) - entropy.detach())
    (weight * entropy).mean().backward()
    optimiser.step()
    found = next(layer for layer in method.net_.modules() if isinstance(layer, MixedBatchNorm))
    assert torch.allclose(found.weight, norm.weight, atol=1e-5) and torch.allclose(found.bias, norm.bias, atol=1e-5)


def test_tents_options_change_the_step(learnt):
    runs = [begin("tent", learnt, **more) for more in ({}, {"sharpness": 0.05}, {"anchor": 100.0})]
    for method in runs:
        answers(method, learnt[1])
    moved = [sum(float((p - s).abs().sum().detach()) for p, s in zip(m._moved, m._start, strict=True)) for m in runs]
    assert len(set(moved)) == 3
    assert moved[2] < moved[0]


def test_entropies_and_reliable_rows():
    scores = torch.tensor([[0.0, 0.0, 0.0, 0.0], [50.0, 0.0, 0.0, 0.0], [0.0, 50.0, 0.0, 0.0]])
    assert torch.allclose(entropies(scores), torch.tensor([np.log(4), 0.0, 0.0], dtype=torch.float32), atol=1e-6)
    keep, weight = reliable_rows(scores, None, 0.4, 1.3)
    assert keep.tolist() == [False, True, True]
    assert weight[1:].tolist() == pytest.approx([4**0.4] * 2, rel=1e-5)
    once = torch.tensor([1.0, 0.0, 0.0, 0.0])
    assert reliable_rows(scores, once, 0.4, 1.3)[0].tolist() == [False, False, True]
    assert reliable_rows(scores, once, 0.4, 2.0 + 1e-3)[0].tolist() == [False, True, True]


def test_expected_classes_against_every_outcome():
    exact = 0.0
    for draw in itertools.product(range(2), repeat=6):
        p = np.bincount(draw, minlength=2) / 6
        exact += 0.3 ** sum(draw) * 0.7 ** (6 - sum(draw)) * np.exp(-(p[p > 0] * np.log(p[p > 0])).sum())
    assert expected_classes(6, (0.7, 0.3)) == pytest.approx(exact, abs=0.05)


def test_homogeneity_is_the_likelihood_ratio_test():
    table = np.array([[10, 20, 34], [100, 130, 410]])
    expected = chi2_contingency(table, correction=False, lambda_="log-likelihood").pvalue
    p, q = table / table.sum(1, keepdims=True)
    assert homogeneity(p, 64, q, 640) == pytest.approx(expected, rel=1e-6)


def batch(*counts, sure=1.0):
    """Probabilities of rows that are named so often; `sure` is how much of each goes to its class."""
    p = torch.eye(len(counts))[np.repeat(np.arange(len(counts)), counts)]
    return sure * p + (1 - sure) / len(counts)


def test_the_guard_reads_concentrated_unlike_and_mixed_batches():
    guard = ClassOrder((0.25,) * 4, 0.7)
    stream = [batch(16, 16, 16, 16), batch(40, 8, 8, 8), batch(64, 0, 0, 0), batch(18, 14, 16, 16)]
    assert [guard.read(p, p).reason for p in stream] == [None, "unlike", "concentrated", None]
    off = ClassOrder((0.25,) * 4, 0.0)
    assert all(off.read(p, p).reason is None for p in stream)
    rare = ClassOrder((0.97, 0.01, 0.01, 0.01), 0.7)
    assert rare.read(stream[2], stream[2]).reason is None  # what this source lets one expect


def test_the_guard_reads_blurred_batches():
    guard, even = ClassOrder((0.25,) * 4, 0.7), (16, 16, 16, 16)
    one_class = batch(64, 0, 0, 0)
    assert guard.read(batch(*even, sure=0.5), one_class).reason == "blurred"
    assert guard.read(batch(*even), one_class).reason is None  # they make it clear: the model was wrong
    assert guard.read(batch(*even, sure=0.95), batch(*even)).reason is None  # a shift that makes answers unsure


@pytest.mark.parametrize(("size", "batch"), [(16, 64), (64, 64), (79, 64), (80, 64), (200, 16), (1000, 33)])
def test_cut_takes_each_row_once_in_batches_that_are_large_enough(size, batch):
    parts = cut(size, batch)
    assert [row for first, end in parts for row in range(first, end)] == list(range(size))
    assert all(TOO_FEW <= end - first < batch + TOO_FEW for first, end in parts)
