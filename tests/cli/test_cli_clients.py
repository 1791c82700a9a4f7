"""`juyi predict` of a run with a model for each client: whose model answers is said, and a client goes by its name."""

import numpy as np

from cli.cli_data import arrays
from juyi.runs import RunFolder
from juyi.runs.files import read_json, write_json

ASKED = ("personalize", "rows.npz", "--clients", "4", "--partition", "even", "--newcomers", "1", "--rounds", "2")


def test_a_clients_model_is_found_by_its_name(juyi, refused):
    arrays("rows.npz", n=120)
    said = juyi(*ASKED, "--out", "run")
    assert said.code == 0, said.err
    folder = RunFolder.open("run")
    names = [client["name"] for client in read_json(folder.figures / "clients.json")["clients"]]
    assert len(names) == 3
    everybody = juyi("predict", "run", "rows.npz")
    assert everybody.code == 0 and "fedavg is one model for all clients" in everybody.err
    last = juyi("predict", "run", "rows.npz", "--model", names[2])
    assert f"client-0003 is the model that {names[2]} serves" in last.err
    assert last.out == juyi("predict", "run", "rows.npz", "--model", "client-0003").out
    refused(("predict", "run", "rows.npz", "--model", "nobody"), "--model nobody", "no client of this name", names[0])
    refused(("predict", "run", "rows.npz", "--unknown"), "--unknown", "leave it out")
    figure = read_json(folder.figures / "clients.json")
    figure["clients"][0]["name"] = figure["clients"][1]["name"] = "a\x1b[2Jb"
    write_json(folder.figures / "clients.json", figure)
    assert "\x1b" not in juyi("predict", "run", "rows.npz", "--model", "client-0001").err
    refused(("predict", "run", "rows.npz", "--model", "a\x1b[2Jb"), "several clients of this name")
    said = juyi("report", "run")
    assert said.code == 0 and np.all([name in said.out for name in ("fedavg", "local", "served")])
