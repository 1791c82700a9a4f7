"""The simulator: one process or two, resumed or not; who is lost, late or sends nonsense; what stays with a client."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from juyi.check.common import Kill, Killed, same
from juyi.check.personaliser import bits_of, skewed_clients
from juyi.data import Domain
from juyi.errors import DataError, SettingError
from juyi.personalize import Ditto, FedAvg, FedAvgFT, FedBABU, FedPer, FedProto, KNNPer, Local, Scaffold
from juyi.personalize.base import Update, weighted_means
from juyi.personalize.client import ClientRows
from juyi.personalize.federation import selected
from juyi.personalize.simulation import clients_of, federation_of, go_through
from juyi.runs.files import read_tensors
from juyi.training import Checkpoint, Rows
from personalize.two_servers import CPU, METHODS, ROUNDS, Broken, begun, went

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """What two processes left, by name of the method, whether it was taken up halfway, and process."""
    folder = tmp_path_factory.mktemp("two")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}
    command = [sys.executable, str(HERE / "two_servers.py"), str(folder)]
    started = [
        subprocess.Popen(command, env={**environment, "RANK": str(rank), "MASTER_PORT": str(port)}, stderr=-1)
        for rank in range(2)
    ]
    said = [one.communicate(timeout=300)[1].decode() for one in started]
    assert all(one.returncode == 0 for one in started), said
    return lambda name, halfway, rank: read_tensors(folder / f"{name}-{halfway}-{rank}")[0]


@pytest.mark.parametrize("name", METHODS)
def test_two_processes_and_a_federation_that_takes_up_halfway_end_with_the_bits_of_one(two, name):
    """Each process counted only those of its own clients that were lost or refused."""
    torch.set_num_threads(1)
    whole = went(name)
    assert same(whole, went(name, halfway=True))
    for rank in (0, 1):
        for halfway in (False, True):
            assert same(whole, two(name, halfway, rank)), (rank, halfway)
    if name == "broken":
        assert whole["rejected"] >= 4 and whole["lost"] >= 1


def test_what_is_no_number_is_refused_and_counted():
    found = begun(Broken(), rounds=3)
    before = found.shared["model"]
    found.next_round()
    mine = [begun(FedAvg(), rounds=3) for _ in range(4)]
    sent = [FedAvg.local_update(one.method, one.client(k), {"model": before}) for k, one in enumerate(mine)]
    refused = {1} | ({2} if 2 not in found.own else set())
    good = [Update(k, found.clients[k].rows.size, sent[k]) for k in range(4) if k not in refused]
    assert torch.equal(found.shared["model"], weighted_means(good)["model"])
    assert found.rejected == len(refused) and set(found.own) == {0, 1, 2, 3} - refused and found.lost == 0


def test_a_client_that_diverges_is_refused_and_the_rest_go_on():
    class Explodes(FedAvg):
        def local_update(self, client, shared):
            if client.number == 0:
                client.load(shared["model"])
                client.learn(losses=lambda batch: {"label": client.net(batch.x).square().mean() * torch.inf})
            return super().local_update(client, shared)

    found = go_through(begun(Explodes(), rounds=3), back=False)
    assert found.rejected == 3 and 0 not in found.own and torch.isfinite(found.shared["model"]).all()
    assert torch.isfinite(found.scores(0, found.clients[0].held_out)).all()


def test_where_nobody_answers_everything_stays():
    class Nonsense(FedAvg):
        def local_update(self, client, shared):
            return {"model": torch.full_like(shared["model"], torch.nan)}

    for method, counted in ((Nonsense(), "rejected"), (FedAvg(dropouts=1.0), "lost")):
        found = go_through(begun(method, rounds=2), back=False)
        assert torch.equal(found.shared["model"], found.beginning) and getattr(found, counted) == 8
        assert found.round == 2 and found.received == 0 and found.rejected + found.lost == 8


def test_who_is_lost_keeps_what_it_had():
    found = begun(Ditto(dropouts=0.5), rounds=6, random_state=1)
    while found.round < 6:
        gone = {number for number, _, lost in found.participants(found.round) if lost}
        before = {k: dict(own) for k, own in found.own.items()}
        found.next_round()
        for number in gone:
            assert found.own.get(number) is before.get(number) or same(found.own[number], before[number])
    assert 6 < found.lost < 18


def test_who_is_late_makes_half_of_its_steps():
    steps = []

    class Counts(FedAvg):
        def local_update(self, client, shared):
            sent = super().local_update(client, shared)
            steps.append((client.steps, client.size // 4))
            return sent

    for share in (0.0, 1.0):
        begun(Counts(stragglers=share), batch=4, epochs=2).next_round()
    assert [n for n, _ in steps[:4]] == [2 * whole for _, whole in steps[:4]]
    assert [n for n, _ in steps[4:]] == [2 * max(1, whole // 2) for _, whole in steps[4:]]


def test_who_takes_part_hangs_on_seed_and_round_alone():
    found = begun(FedAvg(participation=0.5, dropouts=0.3, stragglers=0.3))
    asked = [found.participants(r) for r in range(40)]
    assert asked == [begun(FedAvg(participation=0.5, dropouts=0.3, stragglers=0.3)).participants(r) for r in range(40)]
    assert all(len(one) == 2 and one[0][0] < one[1][0] for one in asked)
    assert {number for one in asked for number, *_ in one} == {0, 1, 2, 3}
    assert 0.1 < np.mean([lost for one in asked for *_, lost in one]) < 0.5
    assert asked != [begun(FedAvg(participation=0.5), random_state=1).participants(r) for r in range(40)]


@pytest.mark.parametrize(("share", "clients"), [(0.1, 4), (0.01, 20), (0.0, 3)])
def test_participation_that_selects_nobody(share, clients):
    with pytest.raises(SettingError, match=f"of {clients} clients selects nobody; give 0.* or more"):
        selected(share, clients)
    assert selected(1 / clients, clients) == 1


def test_the_state_of_the_optimiser_does_not_survive_a_round():
    """One step a round: momentum has nothing to add."""
    one, other = (go_through(begun(FedAvg(), momentum=m), back=False).shared["model"] for m in (0.9, 0.0))
    assert torch.allclose(one, other, atol=1e-6) and not torch.equal(one, begun(FedAvg()).beginning)


# Running statistics of batch norm.


def statistics(found, number):
    found.place(found.client(number))
    return found.model.copy("statistics")


def test_statistics_are_averaged_as_weights_are():
    found = begun(FedAvg(statistics="average"))
    sent = []
    for k in range(4):
        client = found.client(k)
        sent.append(Update(k, client.size, found.method.local_update(client, found.shared)))
    found.next_round()
    assert torch.equal(found.shared["model"], weighted_means(sent)["model"])
    assert torch.equal(statistics(found, 0), statistics(found, 3))
    assert torch.equal(statistics(found, 0), found.shared["model"][: 2 * 6])


@pytest.mark.parametrize("method", [FedAvg, FedPer, FedBABU, Local])
def test_local_statistics_stay_with_their_client(method):
    found = begun(method(statistics="local"))
    found.next_round()
    kept = [found.own[k]["statistics"].clone() for k in range(4)]
    assert not torch.equal(kept[0], kept[1])
    if method is not FedBABU:  # which goes on, in the end
        assert all(torch.equal(statistics(found, k), kept[k]) for k in range(4))


def test_local_statistics_go_on_from_where_they_were():
    """One batch moves them a tenth of the way to its own."""
    found = begun(Local(statistics="local"))
    found.next_round()
    expected = []
    for k in range(4):
        found.place(found.client(k))
        body, kept = found.model.net.body, found.own[k]["statistics"][:6]
        with torch.no_grad():
            hidden = body[1](found.model.net.standardise(found.clients[k].rows.x))
        expected.append(0.9 * kept + 0.1 * hidden.mean(0))
    found.next_round()
    for k in range(4):
        assert torch.allclose(found.own[k]["statistics"][:6], expected[k], atol=1e-5)


def test_recomputed_statistics_are_those_of_the_clients_rows():
    found = begun(FedAvg(statistics="recompute"))
    found.next_round()
    averaged = begun(FedAvg(statistics="average"))
    averaged.next_round()
    assert torch.equal(found.shared["model"], averaged.shared["model"])  # learning is the same
    for k in range(4):
        found.place(found.client(k))
        body = found.model.net.body
        with torch.no_grad():
            hidden = body[1](found.model.net.standardise(found.clients[k].rows.x))
        assert torch.allclose(body[2].running_mean, hidden.mean(0), atol=1e-5)
        assert torch.allclose(body[2].running_var, hidden.var(0), rtol=1e-4)
        assert torch.equal(found.model["weights"], found.shared["model"][2 * 6 :])


def test_the_model_for_all_has_nobodys_statistics():
    """The one on disk had those of the first client."""
    for policy in ("average", "local", "recompute"):
        found = begun(FedAvg(statistics=policy))
        found.next_round()
        found.place(found.client(0))
        found.place_general()
        assert torch.equal(found.model["all"], found.shared["model"])


# Clients of few rows.


def clients(*tables):
    made = [Domain(np.float32(x), np.array(y), classes=("a", "b", "c"), name="rows") for x, y in tables]
    return [ClientRows(f"client {k}", Rows(one, CPU), Rows(one, CPU)) for k, one in enumerate(made)]


def of(method, some, net="linear"):
    every = skewed_clients()
    method.set_params(net=net, batch=32, rounds=2, precision="float32", device="cpu")
    return federation_of(method, some, every, CPU)


@pytest.mark.parametrize("method", [FedAvg, Scaffold, FedProto, KNNPer, FedAvgFT, Ditto])
def test_a_client_with_one_row_or_one_class_does(method):
    x = np.random.default_rng(0).normal(size=(20, 8))
    some = clients((x[:1], [2]), (x[:9], [1] * 9), (x, np.arange(20) % 3))
    found = go_through(of(method(), some), back=False)
    assert found.rejected == 0
    for k in range(3):
        assert found.scores(k, some[2].rows).shape == (20, 3)


def test_a_client_without_rows_is_refused_by_name():
    x = np.random.default_rng(0).normal(size=(20, 8))
    good = clients((x, np.arange(20) % 3))[0]
    empty = good.rows.part(np.arange(0))
    with pytest.raises(DataError, match="client eve: has no row to learn from"):
        of(FedAvg(), [good, ClientRows("eve", empty, good.rows)])
    with pytest.raises(DataError, match="client eve: has no row that is held out"):
        of(FedAvg(), [good, ClientRows("eve", good.rows, empty)])
    with pytest.raises(DataError, match="client eve: has a single row to learn from, and batch norm"):
        of(FedAvg(), [good, ClientRows("eve", good.rows.part(np.arange(1)), good.rows)], net="mlp-6")


# What is stored, chosen and counted.


def test_it_begins_with_the_weights_that_were_stored_whatever_the_network_is_made_of(tmp_path):
    """A network of one's own may have randomness of its own: clients that joined after resuming began elsewhere."""

    class Own(nn.Module):
        def __init__(self, seed):
            super().__init__()
            with torch.random.fork_rng():
                torch.manual_seed(seed)
                self.body, self.head, self.width = nn.Linear(8, 4), nn.Linear(4, 3), 4

    def life(seed, watcher=None, folder=None):
        found = begun(FedPer(), net=Own(seed), participation=0.5)
        return bits_of(go_through(found, watcher, folder and Checkpoint(folder, every=0.0), back=False))

    whole = life(1)
    for at in (1, 3):
        with pytest.raises(Killed):
            life(1, Kill(at), tmp_path / str(at))
        assert same(whole, life(2, None, tmp_path / str(at)))
    assert not same(whole, life(2))


def test_it_goes_back_to_the_round_that_held_out_rows_prefer():
    found = begun(FedAvg(), rounds=5)
    values, states = iter([0.2, 0.5, 0.7, 0.7, 0.1]), []
    found.mean_held_out = lambda: next(values)
    while found.round < 5:
        found.next_round()
        states.append(found.shared["model"])
    found.take_best()
    assert found.round == 3 and torch.equal(found.shared["model"], states[2])  # of equals, the first
    assert [look for look, _ in found.looks] == [1, 2, 3, 4, 5]


def test_held_out_rows_are_asked_ten_times_at_most():
    found = go_through(begun(FedAvg(), rounds=37), back=False)
    assert [look for look, _ in found.looks] == [4, 8, 12, 16, 20, 24, 28, 32, 36, 37]
    seldom = go_through(begun(FedBABU(tuning_epochs=1), rounds=7), back=False)  # where asking is training
    assert [look for look, _ in seldom.looks] == [3, 6, 7]


def test_what_is_sent_is_counted():
    sizes = {}
    for method in (FedAvg(), FedPer(), Scaffold(), FedProto(), Local()):
        found = go_through(begun(method, rounds=2), back=False)
        assert found.visits == 8
        sizes[type(method).__name__] = (found.sent // 8, found.received // 8)
    everything, body = 4 * (12 + 12 + 8 * 6 + 6 + 6 * 3 + 3), 4 * (12 + 12 + 8 * 6 + 6)
    assert sizes == {
        "FedAvg": (everything, everything), "FedPer": (body, body), "Scaffold": (2 * everything, 2 * everything),
        "FedProto": (4 * (3 * 6 + 3), 4 * (3 * 6 + 3)), "Local": (0, 0),
    }  # fmt: skip


def test_who_follows_stands_where_the_other_stands():
    one = go_through(begun(FedAvg(), rounds=2))
    other = begun(FedAvgFT(tuning_epochs=1), rounds=2)
    other.follow(one)
    assert torch.equal(other.shared["model"], one.shared["model"])
    assert (other.sent, other.received, other.visits, other.round) == (one.sent, one.received, one.visits, one.round)


def test_the_rows_of_a_client_are_parted_once():
    made, every = clients_of(skewed_clients(), 0)
    for one, size in zip(made, (30, 40, 35, 25), strict=True):
        assert (one.train.size + one.held_out.size, one.held_out.size) == (size, round(size / 5))
        assert not set(one.train.row_names) & set(one.held_out.row_names)
    assert every.size == 130 and ROUNDS == 5
