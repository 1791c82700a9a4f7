"""A whole personalisation: what its folder holds, who serves what, how it goes on, what is refused."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cli.cli_data import image_folder, tree
from juyi import personalize
from juyi.check.personaliser import skewed_clients
from juyi.cli import main
from juyi.personalize.request import Request, prepare
from juyi.runs import RunFolder
from juyi.training import read_run

HERE = Path(__file__).parent
QUICK = ("--rounds", "2", "--precision", "float32", "--device", "cpu", "--out", "run")
DIGITS = (
    "digits@train[:300]", "--clients", "5", "--partition", "pathological:4", "--test", "digits@test[:200]",
    "--newcomers", "1", "--newcomer-rows", "9", "--net", "lenet5", "--learning-rate", "0.1", "--epochs", "3",
)  # fmt: skip


@pytest.fixture(autouse=True)
def apart(monkeypatch, tmp_path):
    """Every test works in an empty folder of its own."""
    monkeypatch.chdir(tmp_path)


def command(*arguments, code=0):
    assert main(["personalize", *arguments]) == code
    return RunFolder(Path("run"))


def models(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.models.iterdir())}


def figures(folder):
    return json.loads((folder.figures / "clients.json").read_text())


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run on digits, made once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("whole"))
        return RunFolder(command(*DIGITS, *QUICK).path.resolve())


@pytest.mark.data
def test_a_run_holds_a_model_for_each_client_and_what_it_was_held_against(whole):
    record = whole.read()
    assert (record["room"], record["method"], record["status"]) == ("personalize", "ditto", "finished")
    assert record["partition"]["how"] == "pathological:4" and 0 < record["partition"]["differing"] < 1
    names = ["local", "fedavg", "fedavg_ft", "ditto", "served"]
    assert [result["model"] for result in record["results"]] == names == list(record["personal"])
    for result in record["results"]:
        one = record["personal"][result["model"]]
        assert 0 <= result["low"] <= result["value"] == one["mean"] <= result["high"] <= 1
        assert one["worst_tenth"] <= one["mean"] and result["on"]["over"] == "clients"
    assert len(record["openings"]) == 1 and "ersonalising" in record["verdict"]["sentence"]
    assert [f"client-000{k}" for k in range(1, 5)] + ["fedavg"] == sorted(
        {path.stem for path in whole.models.iterdir()}
    )
    assert (whole.path / "report.html").exists() and not whole.checkpoint.exists()
    assert record["traffic"]["local"]["up"] == 0 < record["traffic"]["fedavg"]["up"] == record["traffic"]["ditto"]["up"]
    assert record["traffic"]["fedavg_ft"] == record["traffic"]["fedavg"]  # the rounds are the same
    rounds = json.loads((whole.figures / "rounds.json").read_text())["held_out"]
    assert {name: [at for at, _ in looks] for name, looks in rounds.items()} == {
        name: [1, 2] for name in ("local", "fedavg", "ditto")
    }


@pytest.mark.data
def test_the_models_on_disk_have_the_accuracies_that_are_told(whole):
    request = Request(**whole.read()["request"])
    given = prepare(request, personalize.Ditto(rounds=2))
    told = figures(whole)["clients"]
    assert [one["name"] for one in told] == [client.name for client in given.clients] and len(told) == 4
    for number, (one, client) in enumerate(zip(told, given.clients, strict=True)):
        served = read_run(whole, f"client-{number + 1:04d}")
        right = (served.predict(client.test) == np.asarray(client.test.classes)[client.test.y]).mean()
        assert right == pytest.approx(one["accuracy"]["served"], abs=1e-4)
        assert one["accuracy"]["served"] == one["accuracy"][one["serves"]]
        assert one["rows"] == sum(one["classes"]) == client.train.size and one["tested"] == client.test.size
        assert sum(n > 0 for n in one["classes"]) == 4
        assert set(client.test.y.tolist()) <= set(np.flatnonzero(one["classes"]))  # tests are like the client
        assert not set(client.train.row_names) & set(client.held_out.row_names)
    general = read_run(whole)
    assert general.predict(given.clients[0].test).shape == (given.clients[0].test.size,)


@pytest.mark.data
def test_newcomers_were_not_there_and_have_few_rows(whole):
    record, told = whole.read(), figures(whole)
    (later,) = told["newcomers"]
    assert later["rows"] == 9 and later["serves"] is None
    assert set(record["newcomers"]) == {"local", "fedavg", "fedavg_ft", "ditto"}
    assert later["name"] not in [one["name"] for one in told["clients"]]
    assert any(later["name"] in note for note in record["notes"])


@pytest.mark.data
def test_the_gate_serves_what_held_out_rows_prefer_and_can_be_left_out(whole):
    gate = whole.read()["gate"]
    assert gate["on"] and sum(gate["serve"].values()) == 4 and set(gate["serve"]) == {"ditto", "fedavg", "local"}
    assert gate["shortfall"] >= 0
    small = ("digits@train[:120]", "--clients", "3", "--net", "lenet5", "--method", "fedper", "--no-gate", *QUICK)
    record = command(*small).read()
    assert record["gate"]["serve"] == {"fedper": 3, "fedavg": 0, "local": 0} and not record["gate"]["on"]
    assert record["personal"]["served"] == record["personal"]["fedper"]


@pytest.mark.data
def test_killed_again_and_again_and_resumed_the_same_models(tmp_path):
    """By SIGKILL, in the rounds of the first, the second and the last method, and while models are written."""
    arguments = ["personalize", "digits@train[:150]", "--clients", "3", "--partition", "dirichlet:1", "--net", "lenet5",
                 "--method", "feddbe", "--participation", "0.7", "--newcomers", "1", *QUICK]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = os.pathsep.join([str(HERE.parent / "training"), environment.get("PYTHONPATH", "")])
    script = [sys.executable, str(HERE / "lives.py"), "10,23,27,27"]
    done = subprocess.run([*script, *arguments], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    one, other = (RunFolder(tmp_path / name / "run") for name in ("whole", "killed"))
    assert models(one) == models(other) and len(models(one)) == 2 * (2 + 1)
    assert len(one.read()["openings"]) == 1 and len(other.read()["openings"]) == 2  # an opening is never forgotten
    for key in ("results", "personal", "newcomers", "gate", "traffic", "partition"):
        assert one.read()[key] == other.read()[key], key
    for name in ("clients.json", "rounds.json"):
        assert (one.figures / name).read_bytes() == (other.figures / name).read_bytes()
    lines = [json.loads(line) for line in other.log.read_text().splitlines()]
    places = [(line["model"], line["epoch"]) for line in lines]
    assert places == [(model, epoch) for model in ("local", "fedavg", "feddbe") for epoch in (1, 2)]


def table(path, rows=80, clients=("ann", "bob", "cem"), seed=0):
    """A table of three classes with a column of clients."""
    made = skewed_clients(seed, (rows,) * len(clients))
    lines = ["who,kind," + ",".join(f"x{k}" for k in range(8))]
    for x, y, who in zip(made.x, made.y, made.group, strict=True):
        lines.append(f"{clients[who]},{'abc'[y]}," + ",".join(f"{value:.5f}" for value in x))
    Path(path).write_text("\n".join(lines) + "\n")
    return lines


TABLE = ("clients.csv", "--label", "kind", "--client-column", "who")


def test_a_table_says_in_a_column_whose_a_row_is(monkeypatch):
    table("clients.csv")
    folder = command(*TABLE, "--net", "mlp-6", "--method", "fedproto", *QUICK)
    assert [one["name"] for one in figures(folder)["clients"]] == ["ann", "bob", "cem"]
    assert folder.read()["partition"]["how"] == "domains"
    assert json.loads((folder.models / "client-0001.json").read_text())["columns"] == [f"x{k}" for k in range(8)]
    if "fedproto" in figures(folder)["clients"][0]["serves"]:
        assert any("the models of fedproto on disk are networks alone" in note for note in folder.read()["notes"])


def test_a_private_run_says_what_it_hides_and_asks_nobody(capsys):
    """Noise so loud that fine-tuning comes to no numbers did end the run."""
    pytest.importorskip("opacus")
    table("clients.csv")
    hidden = ("--net", "mlp-6", "--batch-norm", "none", "--privacy", "client", "--clip-norm", "1e9", "--noise", "1e6")
    record = command(*TABLE, *hidden, *QUICK).read()
    assert record["privacy"]["ditto"]["hides"] == "client" and record["privacy"]["local"]["epsilon"] == 0.0
    assert record["privacy"]["fedavg"]["spent"][0]["steps"] == 2 == record["traffic"]["fedavg"]["round"]
    assert record["shared"]["ditto"]["besides"] == {
        "number_of_rows": False, "mean_loss": False, "held_out_accuracy": False, "scale_of_inputs": True
    }  # fmt: skip
    assert "Noise hides whether a client took part" in (Path("run") / "report.html").read_text()
    assert main(["personalize", *TABLE, "--net", "mlp-6", "--privacy", "client", *QUICK, "--overwrite"]) == 2
    assert "give --clip-norm, such as 1" in capsys.readouterr().err


def test_a_folder_has_a_folder_for_each_client_and_not_all_have_the_same_classes(capsys):
    """Clients with other classes than the first were refused, which is what clients are like."""
    for name, classes in (("ann", ("dog", "cat")), ("bob", ("cat", "eel")), ("cem", ("bee", "eel"))):
        image_folder(Path("photos") / name, classes, n=8, seed=len(name) + ord(name[0]))
    folder = command("photos", "--net", "lenet5", *QUICK)
    told = figures(folder)
    assert told["classes"] == ["bee", "cat", "dog", "eel"]
    assert [one["name"] for one in told["clients"]] == ["ann", "bob", "cem"]
    assert [[n > 0 for n in one["classes"]] for one in told["clients"]][2] == [True, False, False, True]


@pytest.mark.data
def test_several_sets_by_commas_are_clients():
    folder = command("digits@train[:60],digits_m@train[:60]", "--net", "lenet5", "--method", "fedbn", *QUICK)
    assert [one["name"] for one in figures(folder)["clients"]] == ["digits@train[:60]", "digits_m@train[:60]"]


def test_auto_compares_on_held_out_rows():
    table("clients.csv")
    folder = command(*TABLE, "--net", "mlp-6", "--method", "auto", "--candidates", "fedper,ditto", *QUICK)
    compared = folder.read()["compared"]
    values = {name: one["value"] for name, one in compared["candidates"].items()}
    assert set(values) == {"fedper", "ditto"} and values[compared["chosen"]] == max(values.values())
    assert folder.read()["gate"]["serve"].keys() == {compared["chosen"], "fedavg", "local"}


def test_labels_of_the_test_teach_nothing():
    """Neither those of a test that is named, nor those of the rows that are kept for it."""
    rows = skewed_clients(0, (60, 60, 60, 60))
    np.savez("clients.npz", x=rows.x, y=rows.y)
    arguments = ("clients.npz", "--clients", "4", "--net", "mlp-6", *QUICK, "--overwrite")
    asked = skewed_clients(1)
    found = []
    for y in (asked.y, np.random.default_rng(0).permutation(asked.y)):
        np.savez("test.npz", x=asked.x, y=y)
        found.append(models(command(*arguments, "--test", "test.npz")))
    assert found[0] == found[1]

    given = prepare(Request("clients.npz", number=4), personalize.Ditto())
    tested = np.array([int(name) for client in given.clients for name in client.test.row_names])
    assert len(tested) == 4 * 15
    found, values = [], []
    for shift in (0, 1):
        y = rows.y.copy()
        y[tested] = (y[tested] + shift) % 3
        np.savez("clients.npz", x=rows.x, y=y)
        folder = command(*arguments)
        found.append(models(folder))
        values.append(folder.read()["personal"]["served"]["mean"])
    assert found[0] == found[1] and values[0] > values[1]


REFUSED = [
    (("digits@train[:100]",), "is one set of data, so say how it is dealt out: --clients 20"),
    (("digits@train[:100]", "--partition", "domains", "--clients", "3"), "is one set of data"),
    (("digits@train[:100]", "--partition", "dirichlet:0.1"), "say to how many clients with --clients"),
    (("digits@train[:100]", "--clients", "60"), "100 labelled rows are too few for 60 clients"),
    (("digits@train[:100]", "--clients", "3", "--partition", "dirichelt:1"), "did you mean dirichlet?"),
    (("digits@train[:100]", "--clients", "4", "--newcomers", "3"), "two of the 4 clients have to take part"),
    (("digits@train[:100]", "--clients", "4", "--newcomers", "1", "--newcomer-rows", "1"), "two labelled rows"),
    (("digits@train[:100]", "--clients", "4", "--participation", "0.05"), "selects nobody"),
    (("digits@train[:100]", "--clients", "4", "--net", "linear", "--method", "fedrep"), "no weights to share"),
    (("digits@train[:100]", "--clients", "4", "--net", "lenet5", "--batch-norm", "none", "--method", "fedbn"),
     "has no batch norm"),
    (("digits@train[:100]", "--clients", "4", "--method", "auto", "--candidates", "ditto,fedparr"), "fedparr"),
    (("digits@train[:100]", "--clients", "4", "--test", "fashion_mnist@test[:0]"), "fashion_mnist"),
    (("few.csv", "--label", "kind", "--client-column", "who"), "client eve: has a single row with a label"),
    (("empty.csv", "--label", "kind", "--client-column", "who"), "row 4 does not say to which group it belongs"),
    (("one.csv", "--label", "kind", "--client-column", "who"), "is one client, and personal models are for two"),
    (("few.csv", "--label", "kind", "--client-column", "whom"), "there is no column whom"),
    (("gone/",), "gone/: there is no such file or folder"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "words"), REFUSED)
def test_wrong_input_is_one_line_and_writes_nothing(arguments, words, capsys):
    lines = table("few.csv", rows=10)
    Path("few.csv").write_text("\n".join([*lines, "eve," + lines[1].partition(",")[2]]) + "\n")
    Path("empty.csv").write_text("\n".join([*lines[:5], "," + lines[1].partition(",")[2]]) + "\n")
    Path("one.csv").write_text("\n".join(lines[:9]) + "\n")
    before = tree()
    capsys.readouterr()
    command(*arguments, "--out", "run", code=2)
    said = capsys.readouterr()
    assert len(said.err.splitlines()) == 1 and said.out == "" and tree() == before
    assert re.search(re.escape(words), said.err), said.err


def test_a_run_goes_on_only_with_the_rows_and_the_clients_that_it_began_with(monkeypatch, capsys):
    """Whose a row is was no part of the data's fingerprint."""
    lines = table("clients.csv")
    real, rounds = personalize.federation.Federation.next_round, iter(range(100))

    def stop(federation):
        if next(rounds) == 3:
            raise KeyboardInterrupt
        return real(federation)

    with monkeypatch.context() as patch:
        patch.setattr(personalize.federation.Federation, "next_round", stop)
        command(*TABLE, "--net", "mlp-6", *QUICK, code=130)
    Path("clients.csv").write_text("\n".join([lines[0], "bob," + lines[1].partition(",")[2], *lines[2:]]) + "\n")
    assert main(["resume", "run"]) == 2
    assert "clients.csv: has changed since the run in run began" in capsys.readouterr().err
    table("clients.csv")
    assert main(["resume", "run"]) == 0
    assert RunFolder(Path("run")).read()["status"] == "finished"


def test_what_was_refused_is_told():
    """Of updates that are no numbers there was a count, and not a word."""
    table("clients.csv")
    folder = command(*TABLE, "--net", "mlp-6", "--batch-norm", "none", "--learning-rate", "10", "--weight-decay", "1",
                     "--momentum", "0.999", "--epochs", "200", "--standardise", "source", *QUICK)  # fmt: skip
    record = folder.read()
    assert record["traffic"]["fedavg"]["refused"] > 0
    assert any("no numbers" in warning for warning in record["warnings"])
