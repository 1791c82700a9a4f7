"""Four clients as processes on Flower, one killed with `kill -9` in the middle of a round and started again.

    python bench/federation_killed.py [FOLDER]   writes bench/results/federation_killed.json

A run that is finished in FOLDER is only compared.

`fedrep` (and `fedavg`, which is trained beside it), three rounds, on a part of MNIST.  In the second round of `fedavg`
the node of client 3 is killed and at once started again; in the second round of `fedrep` it is killed and started only
when the server has gone on without it.  Then the same rounds are gone through in the simulator, where those and only
those clients answer and look that did: the models on disk, the general one and each client's own, must be the same.
"""

from __future__ import annotations

import json
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import ClassVar

import numpy as np

from juyi.cli import main
from juyi.personalize import METHODS
from juyi.personalize.flower import launch as launching
from juyi.personalize.flower.processes import Processes
from juyi.personalize.outcome import client_file
from juyi.personalize.request import Request, prepare
from juyi.personalize.run import plan_of
from juyi.personalize.simulation import Simulator
from juyi.runs import RunFolder
from juyi.runs.files import read_tensors
from juyi.training import choose_device
from juyi.training.machine import describe_machine, versions
from juyi.training.recording import begun_with

KILLED, ROUND, ROUNDS = 2, 2, 3
COMMAND = (
    "personalize", "mnist@train[:400]", "--clients", "4", "--partition", "pathological:4", "--test", "mnist@test[:400]",
    "--method", "fedrep", "--net", "lenet5", "--rounds", str(ROUNDS), "--precision", "float32", "--no-gate",
    "--engine", "flower", "--patience", "45",
)  # fmt: skip


class Killing(Processes):
    """Flower's processes, of which one is killed in the second round of each method."""

    events: ClassVar[list[dict]] = []

    def node(self, name, config):
        self.nodes = getattr(self, "nodes", {})
        self.nodes[config["number"]] = (super().node(name, config), name, config)
        return self.nodes[config["number"]][0]

    def submit(self, app):
        threading.Thread(target=self.kill, daemon=True).start()
        return super().submit(app)

    def kill(self):
        for model, at_once in (("fedavg", True), ("fedrep", False)):
            self.wait_for(model, ROUND - 1)
            time.sleep(2.0)
            node, name, config = self.nodes[KILLED]
            node.kill()
            self.events.append({"model": model, "round": ROUND, "killed": KILLED, "started_again_at_once": at_once})
            if not at_once:
                self.wait_for(model, ROUND)
            self.node(name, config)

    def wait_for(self, model, round_number):
        while (model, round_number) not in [(line["model"], line["round"]) for line in lines_of(self.folder.parent)]:
            time.sleep(0.1)


def lines_of(folder):
    path = Path(folder) / "participation.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def again(folder):
    """The same rounds in the simulator, with those who answered; the largest difference of each model on disk."""
    run = RunFolder(folder)
    record = run.read()
    method, request = begun_with(record, METHODS), Request(**record["request"])
    given = prepare(request, method)
    engine = Simulator(given.clients, given.every, choose_device("cpu"))
    found = {}
    for name, one in plan_of(method, given, METHODS).items():
        if name not in ("fedavg", "fedrep"):
            continue
        federation = engine.federation(name, one)
        for line in [line for line in lines_of(folder) if line["model"] == name]:
            federation.participants = lambda at, line=line: [(number, 1.0, False) for number in line["answered"]]
            federation.mean_held_out = lambda line=line, at=federation: float(
                np.mean([at.right(number, at.clients[number].held_out) for number in line["looked"]])
            )
            federation.next_round()
        federation.take_best()
        files = {"fedavg": [(None, "fedavg")], "fedrep": [(k, client_file(k)) for k in range(4)]}[name]
        for number, file in files:
            if number is None:
                federation.place_general()
            else:
                federation.place(federation.client(number))
            stored, _ = read_tensors(run.models / f"{file}.safetensors")
            mine = federation.model.net.state_dict()
            assert stored.keys() == mine.keys()
            # Not compared: what these images are not scaled by, and batch norm's counters, which nothing reads.
            learnt = [k for k, v in stored.items() if not k.startswith("standardise.") and v.is_floating_point()]
            found[file] = max(float((stored[key] - mine[key]).abs().max()) for key in learnt)
    return found


def bench(folder):
    launching.Processes = Killing
    since, seconds = time.time(), folder / "seconds.json"
    if not seconds.exists():
        code = main([*COMMAND, "--out", str(folder / "run")])
        seconds.write_text(
            json.dumps({"seconds": round(time.time() - since, 1), "code": code, "events": Killing.events})
        )
    run = folder / "run"
    result = {
        "command": "juyi " + " ".join(COMMAND), "what": __doc__.splitlines()[0], **json.loads(seconds.read_text()),
        "status": RunFolder(run).read()["status"],
        "participation": [line for line in lines_of(run) if line["model"] in ("fedavg", "fedrep")],
        "said": (run / "federation.log").read_text().splitlines(), "largest_difference": again(run),
        "versions": versions(), "machine": describe_machine(choose_device("cpu")),
    }  # fmt: skip
    path = Path(__file__).parent / "results" / "federation_killed.json"
    path.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        bench(Path(sys.argv[1] if len(sys.argv) > 1 else place))
