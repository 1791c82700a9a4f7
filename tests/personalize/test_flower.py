"""Clients elsewhere: the same bits as in the simulator, who is lost and comes back, what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("flwr", reason="needs the extra federated")

from juyi.check.personaliser import small
from juyi.errors import ForeignFileError, SettingError, WriteError
from juyi.personalize import METHODS, FedAvg, FedRep, Local
from juyi.personalize.federation import Federation
from juyi.personalize.flower import server
from juyi.personalize.flower.launch import app_settings
from juyi.personalize.flower.parcel import Parcel, from_records, to_records
from juyi.personalize.flower.setup import Form, moments, own_version, put_together
from juyi.personalize.request import Request
from juyi.personalize.simulation import go_through
from juyi.runs import RunFolder
from juyi.training import Checkpoint
from personalize.in_process import (
    CLIENTS,
    FEDERATION,
    FORM,
    SECRET,
    InProcess,
    apart,
    client_data,
    does,
    elsewhere,
    node_for,
    over_the_wire,
    simulated,  # fmt: skip
)

MOVES = {"learning_rate": 0.1, "batch": 8}


def rounds(federation, count):
    for _ in range(count):
        federation.next_round()
    return federation


@pytest.mark.parametrize("name", [name for name in METHODS if name != "auto"])
def test_every_method_equals_the_simulator(name, tmp_path):
    method = small(METHODS[name], rounds=2, stragglers=0.5, dropouts=0.2, **MOVES)
    here, (there, _) = simulated(method), elsewhere(method, tmp_path)
    began = {key: value.clone() for key, value in here.shared.items()}
    for federation in (here, there):
        rounds(federation, 2).take_best()
    assert apart(here, there) == 0.0 and here.looks == there.looks and here.attendance == there.attendance
    assert name == "local" or any(not torch.equal(began[key], here.shared[key]) for key in began)
    tests = [one.test for one in client_data()[0]]
    for (a, b), (c, d) in zip(here.hits(tests), there.hits(()), strict=True):
        assert np.array_equal(a, c) and np.array_equal(b, d)


def test_noise_that_hides_clients_comes_from_what_only_the_server_knows(tmp_path):
    pytest.importorskip("opacus", reason="needs the extra private")
    hides = {"batch_norm": "none", "privacy": "client", "clip_norm": 0.5, "noise": 1.0}
    for participation in (0.5, 1.0):
        method = small(FedRep, rounds=3, participation=participation, **hides, **MOVES)
        here, (there, _) = simulated(method), elsewhere(method, tmp_path / f"nodes-{participation}")
        by_seed = Federation(method, here.model, here.clients, here.settings)
        for federation in (here, there, by_seed):
            rounds(federation, 3)
        assert apart(here, there) == 0.0 and here.budget.record() == there.budget.record()
        assert apart(here, by_seed) > 0.01  # where all take part, by the noise alone
    few = small(FedRep, rounds=3, participation=0.5, **hides)
    one, other = (Federation(few, here.model, here.clients, here.settings, secret) for secret in (SECRET, SECRET + 1))
    assert [one.participants(r) for r in range(9)] != [other.participants(r) for r in range(9)]


def test_the_secret_of_a_run_is_its_own_and_whole(tmp_path):
    secret = server.secret_of(tmp_path / "secret", "0a")
    assert secret == server.secret_of(tmp_path / "secret", "0a") > 2**100
    assert len({secret, server.secret_of(tmp_path / "secret", "0b"), server.secret_of(tmp_path / "other", "0a")}) == 3
    assert (tmp_path / "secret").stat().st_mode & 0o077 == 0


def test_who_is_lost_is_skipped_and_taken_back_with_what_it_had_kept(tmp_path):
    """Client 2 computes a round and dies before it answers; what it kept of that round must not count."""
    method = small(FedRep, rounds=4, **MOVES)
    said = []
    there, grid = elsewhere(method, tmp_path, said=said)
    here = simulated(method)
    rounds(there, 1), rounds(here, 1)
    works = grid.nodes.pop(3)

    def dies(records):
        works(records)

    grid.nodes[3] = dies
    waited = grid.now
    rounds(there, 1)
    assert there.attendance.lost == (2,) and grid.now - waited >= 10.0 and "did not answer" in said[-1]
    waited = grid.now
    del grid.nodes[3]
    rounds(there, 1)
    assert grid.now - waited < 2.0  # it is not waited for again
    grid.join(works)
    rounds(there, 1)
    assert there.attendance.answered == (0, 1, 2, 3) and any("client cem: is back" in line for line in said)
    every, held_out = here.participants, here.mean_held_out
    some = [number for number in range(4) if number != 2]
    here.participants = lambda at: [(number, 1.0, False) for number in some]
    here.mean_held_out = lambda: float(np.mean([here.right(k, here.clients[k].held_out) for k in some]))
    rounds(here, 2)
    here.participants, here.mean_held_out = every, held_out
    rounds(here, 1)
    assert apart(here, there) == 0.0 and here.looks == there.looks


def test_where_nobody_answers_the_run_stops_and_can_go_on(tmp_path):
    method = small(FedRep, rounds=3, **MOVES)
    there, grid = elsewhere(method, tmp_path)
    away, grid.nodes = dict(grid.nodes), {}
    store = Checkpoint(tmp_path / "checkpoint", 0.0)
    with pytest.raises(WriteError, match="none of them answers"):
        go_through(there, None, store)
    grid.nodes = away
    again, grid = elsewhere(method, tmp_path, InProcess())
    stops = iter([True, False])
    whole = again.next_round

    def round_or_stop():
        if again.round == 2 and next(stops, False):
            raise KeyboardInterrupt
        return whole()

    again.next_round = round_or_stop
    with pytest.raises(KeyboardInterrupt):
        go_through(again, None, store)
    resumed, _ = elsewhere(method, tmp_path, InProcess())  # other processes, the same disks
    go_through(resumed, None, store)
    assert apart(resumed, go_through(simulated(method))) == 0.0


def test_a_client_that_lost_its_disk_begins_anew_and_it_is_said(tmp_path):
    said = []
    there, _ = elsewhere(small(Local, rounds=3), tmp_path, said=said)
    rounds(there, 1)
    for path in (tmp_path / "bob").rglob("*.safetensors"):
        path.unlink()
    rounds(there, 1)
    assert there.attendance.answered == (0, 1, 2, 3)
    assert any("client bob: no longer has what it kept of round 0" in line for line in said)


def sends(change):
    """A node whose every update is changed before it is sent."""

    def wrapped(works):
        def answer(records):
            parcel = from_records(works(records), 10**9)
            tensors = change(dict(parcel.tensors)) if "size" in parcel.figures else parcel.tensors
            return to_records(Parcel(parcel.note, tensors, parcel.figures))

        return answer

    return wrapped


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: {**t, "body": torch.full_like(t["body"], torch.nan)}, "no number"),
        (lambda t: {**t, "body": torch.zeros(10**6)}, "bytes"),
        (lambda t: {**t, "body": t["body"][:-1]}, "is shared"),
        (lambda t: {**t, "body": t["body"].double()[: len(t["body"]) // 2]}, "is shared"),
        (lambda t: {"else": t["body"]}, "is shared"),
    ],
    ids=["nan", "oversized", "other network", "other number type", "other name"],
)
def test_a_wrong_update_is_refused_and_the_round_goes_on(change, words, tmp_path):
    said = []
    there, grid = elsewhere(small(FedRep, rounds=2), tmp_path, said=said)
    grid.nodes[2] = sends(change)(grid.nodes[2])
    rounds(there, 1)
    assert there.attendance.answered == (0, 2, 3) and there.attendance.refused == (1,) and there.rejected == 1
    assert any(line.startswith("client bob: refused") and words in line for line in said)
    assert all(bool(torch.isfinite(value).all()) for value in there.shared.values())


def test_another_version_and_an_unknown_node_are_refused_and_named(tmp_path):
    said = []
    grid = InProcess()
    data, _ = client_data()
    eve = type(data[0])("eve", data[0].train, data[0].held_out, data[0].test, False)
    old = does(node_for(data[0], tmp_path / "old"))

    def of_another_version(records):
        told = from_records(old(records), 10**6)
        return to_records(Parcel({**told.note, "juyi": "0.0.1"}, told.tensors, told.figures))

    grid.join(of_another_version)
    grid.join(does(node_for(eve, tmp_path)))
    grid.join(lambda records: to_records(Parcel({"client": ["?"]})))
    there, _ = elsewhere(small(FedRep, rounds=1), tmp_path, grid, said=said)
    rounds(there, 1)
    assert there.attendance.answered == (0, 1, 2, 3)
    for words in (
        "node 1: refused: the node of client ann: has Juyi 0.0.1",
        "client eve is none of",
        "node 3: refused",
    ):
        assert any(words in line for line in said)
    hello = {"do": "hello", "juyi": "0.0.1", "form": {"shape": [8], "classes": ["a"], "columns": []}}
    assert "the server: has Juyi 0.0.1" in node_for(data[0], tmp_path).answer(Parcel(hello)).note["refused"]


def test_a_node_runs_no_code_and_reads_no_file_that_a_server_names(tmp_path):
    node = node_for(client_data()[0][0], tmp_path)
    setup = {
        "juyi": own_version(), "method": "fedavg", "form": {"shape": [8], "classes": ["a", "b", "c"], "columns": []},
        "precision": "float32", "hyperparameters": {"net": "os:getcwd", "rounds": 1},
    }  # fmt: skip
    asked = {"do": "visit", "federation": FEDERATION, "name": "fedavg", "rounds_of": "fedavg", "client": 0, "round": 0}
    answer = node.answer(Parcel({**asked, "setup": setup}, {"beginning": torch.zeros(3)}))
    assert "os:getcwd: is none of Juyi's own" in answer.note["refused"]
    assert "no names" in node.answer(Parcel({**asked, "federation": "../../etc"})).note["refused"]
    assert "no names" in node.answer(Parcel({**asked, "name": "../x"})).note["refused"]
    assert "which no client does" in node.answer(Parcel({"do": "__init__"})).note["refused"]


def test_parcels_survive_the_way_and_others_are_refused():
    from flwr.app import Array, ArrayRecord, ConfigRecord, MetricRecord, RecordDict

    sent = Parcel({"a": [1, None]}, {"x": torch.rand(3, 2), "n": torch.tensor([2**40])}, {"loss": 0.5})
    found = from_records(over_the_wire(to_records(sent)), 64)
    assert found.note == sent.note and found.figures == sent.figures
    assert all(torch.equal(found.tensors[name], value) for name, value in sent.tensors.items())
    with pytest.raises(ForeignFileError, match="bytes"):
        from_records(to_records(Parcel({}, {"x": torch.zeros(100_000)})), 1_000)

    def records(array=None, note="{}", figure=0.0):
        return RecordDict(
            {
                "note": ConfigRecord({"json": note}), "figures": MetricRecord({"loss": figure}),
                "tensors": ArrayRecord({} if array is None else {"x": array}),
            }
        )  # fmt: skip

    good = Array(ndarray=np.zeros(4, np.float32))
    objects = Array(ndarray=np.zeros(4, np.complex64))
    longer = Array(dtype="float32", shape=(4,), stype="numpy.ndarray", data=good.data.replace(b"(4,)", b"(9,)"))
    pickled = Array(dtype="float32", shape=(4,), stype="pickle", data=b"cos\nsystem\n")
    for wrong in (
        records(objects), records(longer), records(pickled), records(note="[1]"), records(note='{"a": NaN}'),
        records(figure=float("nan")), RecordDict({}), records(note="{" * 100_000),
    ):  # fmt: skip
        with pytest.raises(ForeignFileError, match="is not one of Juyi's"):
            from_records(wrong, 10_000)


def test_scaling_from_each_client_is_scaling_of_all_rows():
    x = np.random.default_rng(0).normal(3.0, 2.0, (50, 4)).astype(np.float32)
    mean, spread = put_together([moments(part) for part in np.split(x, [7, 30])])
    assert np.allclose(mean, x.astype(float).mean(0)) and np.allclose(spread, x.astype(float).std(0))
    images = np.random.default_rng(0).integers(0, 256, (6, 3, 5, 5), np.uint8)
    mean, spread = put_together([moments(images[:2]), moments(images[2:])])
    assert np.allclose(mean, images.mean((0, 2, 3))) and np.allclose(spread, images.std((0, 2, 3)))


def test_a_whole_run_of_clients_elsewhere_writes_what_the_simulator_does(tmp_path):
    """What the server app does, from gathering to models at each client; and the page that shows it."""
    grid, method = InProcess(), small(FedRep, rounds=2, **MOVES)
    for one in client_data()[0]:
        grid.join(does(node_for(one, tmp_path / "nodes")))
    request = Request("each its own", patience=20.0)
    settings = app_settings(request, method, FORM, str(tmp_path / "run"), len(CLIENTS), "each its own", "domains")
    pages = []
    folder = server.serve(grid, json.loads(json.dumps(settings)), lambda run, at: pages.append(at), clock=grid.clock,
                          pause=grid.pause)  # fmt: skip
    record = RunFolder(Path(folder.path)).read()
    assert record["status"] == "finished" and list(record["personal"]) == [
        "local", "fedavg", "fedavg_ft", "fedrep", "served"
    ]  # fmt: skip
    assert record["federation"]["clients"] == sorted(CLIENTS) and record["traffic"]["fedrep"]["up"] > 0
    clients = json.loads((folder.figures / "clients.json").read_text())["clients"]
    assert [client["name"] for client in clients] == sorted(CLIENTS)
    models = {path.stem for path in (tmp_path / "nodes" / "models").iterdir()}
    assert models == {f"client-000{number}" for number in (1, 2, 3, 4)}
    assert [path.stem for path in folder.models.glob("*.safetensors")] == ["fedavg"]
    lines = [json.loads(line) for line in (folder.path / "participation.jsonl").read_text().splitlines()]
    assert [(line["model"], line["round"]) for line in lines] == [
        (name, at) for name in ("local", "fedavg", "fedrep") for at in (1, 2)
    ]
    assert pages[-1]["status"] == "finished" and any("waiting" in page["standing"] for page in pages)


def test_what_flower_cannot_do_is_said_in_a_line(monkeypatch):
    from juyi.personalize.flower import launch

    with pytest.raises(SettingError, match="--newcomers"):
        launch.check_flower(Request("digits", newcomers=1, engine="flower"), FedAvg())
    with pytest.raises(SettingError, match="--privacy sample"):
        launch.check_flower(Request("digits", engine="flower"), FedAvg(privacy="sample"))
    launch.check_flower(Request("digits", engine="flower"), FedAvg(privacy="client", clip_norm=1.0))
    monkeypatch.setattr(launch, "find_spec", lambda name: None)
    with pytest.raises(SettingError, match=r"pip install 'juyi\[federated\]'"):
        launch.check_flower(Request("digits", engine="flower"), FedAvg())
    assert Form.read({"shape": [3], "classes": ["a"], "columns": []}).shape == (3,)
