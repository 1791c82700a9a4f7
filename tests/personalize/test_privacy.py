"""Noise: steps that hide rows against a slow reference, ε against closed forms, what survives a stop, what is told."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from scipy.stats import norm
from torch.nn.functional import cross_entropy

from juyi.check.common import Kill, Killed, same
from juyi.check.personaliser import bits_of
from juyi.errors import SettingError
from juyi.personalize import (
    METHODS,
    Auto,
    Ditto,
    FedAvg,
    FedAvgFT,
    FedBABU,
    FedBN,
    FedDBE,
    FedPer,
    FedProto,
    FedRep,
    Local,
    Scaffold,
)
from juyi.personalize.privacy import noise_for, require_accountant, spent
from juyi.personalize.private_steps import PoissonBatches, noisy_gradients
from juyi.personalize.sharing import part_of, what_is_shared, would_send
from juyi.personalize.simulation import go_through
from juyi.training import Checkpoint
from personalize.two_servers import begun

pytest.importorskip("opacus")
CLIENT = {"privacy": "client", "clip_norm": 0.5, "participation": 0.5}
SAMPLE = {"privacy": "sample", "batch": 10}


def private(kind, **settings):
    method = kind(**{**kind.quick, **settings})
    return begun(method, batch_norm="none", batch=settings.get("batch", 32), rounds=settings.get("rounds", 5))


# Noise among clients.


def test_the_server_adds_the_clipped_changes_and_the_noise_over_a_fixed_number():
    found = private(FedAvg, **CLIENT, noise=0.0, rounds=1)
    before, changes = found.shared["model"], []
    chosen = [number for number, *_ in found.participants(0)]
    for k in chosen:
        change = found.method.local_update(found.client(k), found.shared)["model"] - before
        changes.append(change * min(1.0, 0.5 / float(change.norm())))
    found.next_round()
    assert torch.allclose(found.shared["model"], before + sum(changes) / (0.5 * 4), atol=1e-6)
    noisy = private(FedAvg, **CLIENT, noise=2.0, rounds=1)
    noisy.next_round()
    added = (noisy.shared["model"] - found.shared["model"]).numpy()
    assert added.std() == pytest.approx(2.0 * 0.5 / 2.0, rel=0.25) and len(added) == 75


def test_clients_come_each_by_its_own_chance():
    """A round with a set number of clients would not be what ε supposes."""
    found = private(FedAvg, **CLIENT)
    numbers = [[number for number, *_ in found.participants(r)] for r in range(300)]
    counts = np.bincount([len(one) for one in numbers], minlength=5) / 300
    assert np.allclose(counts, [math.comb(4, k) / 16 for k in range(5)], atol=0.08)
    assert all(0.4 < np.mean([k in one for one in numbers]) < 0.6 for k in range(4))


def test_no_noise_comes_twice():
    """Who subtracts the models of two methods, or two runs whose secrets share bits, must be left with noise."""
    noises = []
    for method, secret in ((FedAvg, 5), (FedAvg, 5 + 2**32), (Ditto, 5)):
        quiet, noisy = (private(method, **CLIENT | {"participation": 1.0}, noise=n, rounds=1) for n in (0.0, 3.0))
        for one in (quiet, noisy):
            one.secret = secret
            one.next_round()
        noises.append((noisy.shared["model"] - quiet.shared["model"]).numpy())
    assert np.abs(np.corrcoef(noises)[np.triu_indices(3, 1)]).max() < 0.5
    steps = []
    for method in (FedAvg, Ditto):
        quiet, noisy = (private(method, **SAMPLE, noise=n, rounds=1, clip_gradient=1e-6) for n in (0.0, 1e6))
        sent = [one.visit(one.client(0))[0].values["model"] for one in (quiet, noisy)]
        steps.append((sent[1] - sent[0]).numpy())
    assert abs(np.corrcoef(steps)[0, 1]) < 0.5


def test_a_round_in_which_nobody_comes_has_noise_as_well():
    found = private(FedAvg, **CLIENT)
    found.participants = lambda round_number: []
    before = found.shared["model"]
    found.next_round()
    assert not torch.equal(found.shared["model"], before) and found.round == 1


@pytest.mark.parametrize("kind", [FedAvgFT, FedBABU])
def test_a_model_drowned_in_noise_is_served_as_it_is_where_fine_tuning_comes_to_no_numbers(kind):
    """It raised an error, and the run was lost."""
    found = private(kind, **CLIENT, noise=1e30, rounds=1)
    found.next_round()
    found.place(found.client(0))
    name = next(iter(found.shared))
    assert torch.equal(found.model[{"model": "all"}.get(name, name)], found.shared[name])


# Noise among rows.


def test_a_step_is_the_sum_of_the_clipped_gradients_of_its_rows():
    """Against a loop over rows; with momentum and a pull, which come after."""
    found = private(FedAvg, privacy="sample", noise=0.0, clip_gradient=0.3, learning_rate=0.1)
    client, beginning = found.client(1), found.beginning.clone()
    client.private = found.budget.of_rows(1)
    client.load(beginning)
    net, batches = client.net, PoissonBatches(client.rows, 32)
    client.learn(epochs=1)
    learnt = client.model.copy("all")
    client.load(beginning)
    batch = batches.batch((client._seed, 0), 0, 0, 1)
    assert batches.steps_per_epoch(1) == 1 and len(batch.y) == client.size  # of 32 rows each comes surely
    total = torch.zeros_like(beginning)
    for k in range(len(batch.y)):
        for p in client.model.learnable:
            p.requires_grad_(True)
        loss = cross_entropy(net(batch.x[k : k + 1]), batch.y[k : k + 1])
        row = torch.zeros_like(beginning)
        for p, g in zip(client.model.learnable, torch.autograd.grad(loss, client.model.learnable), strict=True):
            client.model.piece(row, p).copy_(g)
        total += row * min(1.0, 0.3 / float(row.norm()))
    assert torch.allclose(learnt, beginning - 0.1 * total / batches.expected, atol=1e-6)


def test_without_limit_and_noise_a_private_step_is_a_plain_one():
    plain = private(FedAvg, rounds=1)
    hidden = private(FedAvg, privacy="sample", noise=0.0, clip_gradient=1e6, rounds=1)
    for found in (plain, hidden):
        found.next_round()
    assert torch.allclose(plain.shared["model"], hidden.shared["model"], atol=1e-5)


def test_the_noise_of_a_step_has_the_spread_that_was_said():
    p = torch.zeros(200, 100, requires_grad=True)
    p.grad, p.grad_sample = torch.zeros_like(p), torch.zeros(3, 200, 100)
    p.grad_sample[0, 0, 0], p.grad_sample[1, 0, 1] = 10.0, 0.1
    torch.manual_seed(0)
    noisy_gradients([p], longest=0.5, noise=0.0)
    assert p.grad[0, 0] == 0.5 and p.grad[0, 1] == pytest.approx(0.1) and p.grad_sample is None
    p.grad_sample = torch.zeros(0, 200, 100)
    noisy_gradients([p], longest=0.5, noise=3.0)
    assert float(p.grad.std()) == pytest.approx(1.5, rel=0.02)


def test_rows_come_each_by_its_own_chance_and_once_a_pass_on_average():
    rows = private(FedAvg).clients[1].rows
    batches = PoissonBatches(rows, 8)
    assert batches.rate == 1 / 4 and batches.steps_per_epoch(1) == 4 and batches.expected == rows.size / 4
    sizes = [len(batches.batch((7,), step, 0, 1).y) for step in range(400)]
    assert np.mean(sizes) == pytest.approx(8, rel=0.05) and np.var(sizes) == pytest.approx(32 / 4 * 3 / 4, rel=0.25)
    assert PoissonBatches(rows, 8, 0.5).steps_per_epoch(1) == 2


@pytest.mark.parametrize("kind", [FedBABU, FedPer, Scaffold])
def test_an_empty_batch_does(kind):
    found = private(kind, **SAMPLE, noise=1.0)
    client = found.client(0)
    client.private = found.budget.of_rows(0)
    client._batches = lambda rows, private: Empty(rows, 10)
    found.method.local_update(client, found.shared)
    assert client.private_steps and torch.isfinite(client.model["all"]).all()


class Empty(PoissonBatches):
    def batch(self, key, step, process, processes):
        return self.rows.take(np.arange(0))


def test_what_stays_with_a_client_needs_no_noise_and_spends_nothing():
    """Ditto's own model is not sent; Local sends nothing at all."""
    quiet, loud = (private(Ditto, **SAMPLE, noise=s, proximity=0.0, rounds=1) for s in (0.0, 50.0))
    for found in (quiet, loud):
        found.next_round()
    assert not torch.allclose(quiet.shared["model"], loud.shared["model"], atol=0.1)
    assert torch.equal(quiet.own[0]["model"], loud.own[0]["model"])
    alone = go_through(private(Local, **SAMPLE))
    assert alone.budget.record()["epsilon"] == 0.0 and "private_steps" not in alone.own[0]
    assert quiet.own[0]["private_steps"] == 2  # and not 4


def private_after(kind, **settings):
    return go_through(private(kind, **SAMPLE, **settings), back=False)


def test_clients_that_come_later_send_nothing_and_hide_nothing():
    found = private(FedAvg, **SAMPLE)
    assert found.budget.of_rows(3) is not None and found.budget.of_rows(4) is None


# What it costs.


def gaussian_epsilon(noise, steps, delta):
    """Of the Gaussian mechanism, exactly: μ = √T / σ, δ(ε) = Φ(μ/2 − ε/μ) − e^ε Φ(−μ/2 − ε/μ)."""
    mu = steps**0.5 / noise
    return brentq(lambda e: norm.cdf(mu / 2 - e / mu) - math.exp(e) * norm.cdf(-mu / 2 - e / mu) - delta, 1e-9, 500)


@pytest.mark.parametrize(("noise", "steps"), [(3.3, 25), (8.0, 100), (1.2, 1), (30.0, 4)])
def test_epsilon_is_a_bound_on_the_exact_one_and_not_far_above(noise, steps):
    exact = gaussian_epsilon(noise, steps, 1e-5)
    assert exact <= spent(noise, 1.0, steps, 1e-5) <= 1.25 * exact + 0.05


def test_epsilon_grows_with_steps_and_chance_and_falls_with_noise_and_delta():
    by_steps = [spent(1.2, 0.25, n, 1e-5) for n in (0, 1, 10, 100)]
    by_rate = [spent(1.2, q, 20, 1e-5) for q in (0.05, 0.25, 1.0)]
    by_noise = [spent(s, 0.25, 20, 1e-5) for s in (8.0, 2.0, 0.7, 0.0)]
    by_delta = [spent(1.2, 0.25, 20, d) for d in (1e-3, 1e-5, 1e-8)]
    for values in (by_steps, by_rate, by_noise, by_delta):
        assert values == sorted(values) and len(set(values)) == len(values)
    assert by_steps[0] == 0.0 and by_noise[-1] == math.inf


@pytest.mark.parametrize(("epsilon", "rate", "steps"), [(8.0, 0.25, 40), (1.0, 1.0, 10), (3.0, 0.5, 7)])
def test_the_noise_that_is_found_keeps_epsilon_and_hardly_more(epsilon, rate, steps):
    noise = noise_for(epsilon, 1e-5, rate, steps)
    assert spent(noise, rate, steps, 1e-5) <= epsilon < spent(0.95 * noise, rate, steps, 1e-5)


def test_a_second_accountant_agrees():
    dp = pytest.importorskip("dp_accounting")
    from dp_accounting import pld, rdp

    for noise, rate, steps in ((1.2, 0.25, 40), (3.3, 1.0, 25)):
        event = dp.SelfComposedDpEvent(dp.PoissonSampledDpEvent(rate, dp.GaussianDpEvent(noise)), steps)
        exact = pld.PLDAccountant().compose(event).get_epsilon(1e-5)
        assert rdp.RdpAccountant().compose(event).get_epsilon(1e-5) == pytest.approx(
            spent(noise, rate, steps, 1e-5), rel=0.01
        )
        assert exact <= spent(noise, rate, steps, 1e-5)


def test_all_rounds_together_reach_epsilon_and_no_more():
    for kind, settings in ((FedAvg, CLIENT), (FedRep, {**SAMPLE, "epsilon": 3.0, "head_epochs": 1})):
        found = private(kind, **settings, rounds=2)
        values = [found.budget.record()["epsilon"]]
        while found.round < found.method.rounds:
            found.next_round()
            values.append(found.budget.record()["epsilon"])
        assert values[0] == 0.0 and values == sorted(values) and len(set(values)) == 3
        assert 0.85 * found.method.epsilon < values[-1] <= found.method.epsilon


def test_who_is_not_chosen_spends_nothing_and_who_is_late_less():
    found = private_after(FedAvg, participation=0.5, stragglers=0.5, epsilon=3.0, rounds=3)
    steps = [one["steps"] for one in found.budget.spent()]
    assert sum(steps) < 3 * 11 and len(set(steps)) > 1
    assert found.budget.record()["epsilon"] < 3.0


# It goes on where it stopped.


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (Scaffold, CLIENT),
        (FedDBE, {**CLIENT, "participation": 0.3}),
        (FedRep, {**SAMPLE, "participation": 0.75, "head_epochs": 1}),
    ],
)
def test_killed_and_resumed_it_has_the_same_bits_and_the_same_epsilon(kind, settings, tmp_path):
    def life(watcher=None, folder=None):
        return go_through(
            private(kind, **settings, rounds=3), watcher, folder and Checkpoint(folder, every=0.0), back=False
        )

    whole = life()
    for at in (1, 2):
        with pytest.raises(Killed):
            life(Kill(at), tmp_path / str(at))
        resumed = life(None, tmp_path / str(at))
        assert same(bits_of(whole), bits_of(resumed))
        assert whole.budget.record() == resumed.budget.record()


# What is told.


def test_held_out_rows_and_losses_are_not_told_and_the_last_round_serves():
    for settings in (CLIENT, SAMPLE):
        found = private(FedAvg, **settings, rounds=3)
        found.mean_held_out = lambda: pytest.fail("held-out rows were asked")
        assert [found.next_round() for _ in range(3)] == [{}] * 3 and found.looks == []
        last = found.shared["model"]
        found.take_best()
        assert torch.equal(found.shared["model"], last) and found.round == 3


def test_what_is_shared_is_what_a_client_would_send():
    sizes = {}
    for name, kind in METHODS.items():
        if kind is Auto:
            continue
        found = go_through(begun(kind(**kind.quick), rounds=1), back=False)
        told = what_is_shared(found)
        sent = found.received / found.visits  # of one round, which was the first
        assert sum(one["bytes"] for one in told["up"]) == sent, name
        assert sum(one["bytes"] for one in told["down"]) == sum(4 * v.numel() for v in found.shared.values())
        assert told["besides"]["held_out_accuracy"] and told["besides"]["number_of_rows"] == (name != "local")
        sizes[name] = [(one["name"], one["part"], one["statistics"], one["first_round_only"]) for one in told["up"]]
    assert sizes["fedavg"] == sizes["ditto"] == [("model", "all", 12, False)]
    assert sizes["fedper"] == [("body", "body", 12, False)] and sizes["fedbn"] == [("rest", "rest", 0, False)]
    assert sizes["scaffold"] == [("model", "all", 12, False), ("control", None, 0, False)] and sizes["local"] == []
    assert sizes["feddbe"] == [("model", "all", 12, False), ("mean", None, 0, True)]
    assert [name for name, *_ in sizes["fedproto"]] == ["prototypes", "counts"]
    assert what_is_shared(private_after(FedAvg, rounds=1))["besides"]["mean_loss"] is False


def test_looking_at_what_would_be_sent_leaves_everything_as_it_is():
    one, other = begun(FedRep()), begun(FedRep())
    one.next_round()
    what_is_shared(one)
    planned, _ = would_send(one, 0, one.shared)
    assert planned.private_steps == 6 and part_of(one.model, torch.zeros(3)) is None
    other.next_round()
    for found in (one, other):
        found.next_round()
    assert same(bits_of(one), bits_of(other))


# What cannot be kept.


@pytest.mark.parametrize(
    ("method", "said"),
    [
        (FedAvg(privacy="client"), "needs a limit of what one client can change; give --clip-norm"),
        (FedAvg(privacy="client", clip_norm=1.0, aggregation="median"), "median is none"),
        (FedAvg(privacy="sample", epsilon=0.0), "epsilon: 0 promises"),
        (FedAvg(privacy="sample", epsilon=-1.0), "out of range"),
        (FedAvg(privacy="sample", delta=0.0), "delta: 0 promises"),
        (FedAvg(privacy="sample", delta=1.0), "delta: 1 promises"),
        (FedAvg(privacy="sample", clip_gradient=0.0), "leaves nothing of any gradient"),
        (FedAvg(privacy="rows"), "not allowed"),
        (Auto(privacy="sample"), "auto: compares methods by what clients tell"),
        (FedAvg(privacy="client", clip_norm=1.0, epsilon=1e-6), "less than any noise can keep"),
    ],
)
def test_a_promise_that_nothing_keeps_is_refused(method, said):
    with pytest.raises(SettingError, match=said):
        method.check_hyperparameters()
        begun(method, batch_norm="none")


@pytest.mark.parametrize(
    ("method", "said"),
    [
        (
            FedAvg(privacy="sample"),
            "batch norm mixes the rows of a batch, so none can be hidden; use --batch-norm",
        ),
        (FedAvg(privacy="client", clip_norm=1.0), "running statistics of batch norm would be sent"),
        (FedDBE(privacy="sample"), "feddbe: the mean of a client's features is sent, and has no noise"),
        (FedProto(privacy="sample"), "fedproto: sends sums"),
    ],
)
def test_a_network_or_a_method_that_leaks_is_refused(method, said):
    with pytest.raises(SettingError, match=said):
        begun(method, batch_norm="shared")
    assert begun(FedBN(privacy="client", clip_norm=1.0)).defence.noise  # its batch norm stays with the client


def test_without_the_library_it_is_said_how_to_get_it(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SettingError, match=r"pip install 'juyi\[private\]'"):
        require_accountant()
