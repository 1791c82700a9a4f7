"""What each of two processes does for test_federation.py: python two_servers.py OUT, with RANK and WORLD_SIZE."""

import importlib.util
import sys
from pathlib import Path

import torch

from juyi.check.personaliser import bits_of, skewed_clients
from juyi.personalize import FedAvg, FedDBE, FedProto, Local, Scaffold
from juyi.personalize.simulation import clients_of, federation_of, go_through
from juyi.runs.files import write_tensors
from juyi.training import join_processes
from juyi.training.processes import leave_processes

CPU = torch.device("cpu")
ROUNDS = 5


class Broken(FedAvg):
    """Client 1 sends what is no number; client 2 does in the third round, and keeps it too."""

    def local_update(self, client, shared):
        sent = super().local_update(client, shared)
        if client.number == 1:
            sent["model"][3] = torch.nan
        if client.number == 2 and client.random(0).random() < 0.5:
            client.own["kept"] = torch.tensor([torch.inf])
        return sent


METHODS = {
    "broken": Broken(participation=0.75, dropouts=0.2),
    "fedavg": FedAvg(aggregation="trimmed_mean", trimmed=0.25, clip_norm=0.5),
    "scaffold": Scaffold(participation=0.75, stragglers=0.5, batch=8),
    "feddbe": FedDBE(dropouts=0.3),
    "fedproto": FedProto(statistics="local"),
    "local": Local(participation=0.5),
}
SETTINGS = {"scaffold": {"batch": 8}}
if importlib.util.find_spec("opacus"):
    METHODS["hides_clients"] = FedAvg(privacy="client", noise=1.0, clip_norm=0.5, participation=0.5)
    METHODS["hides_rows"] = FedAvg(privacy="sample", noise=1.0, stragglers=0.5)
    SETTINGS |= {"hides_clients": {"batch_norm": "none"}, "hides_rows": {"batch_norm": "none", "batch": 8}}


def begun(method, processes=None, **settings):
    """A federation before its first round."""
    found = {"net": "mlp-6", "batch": 32, "rounds": ROUNDS, "precision": "float32", "device": "cpu", **settings}
    clients, every = clients_of(skewed_clients(), 0)
    return federation_of(method.set_params(**found), [one.on(CPU) for one in clients], every, CPU, processes)


def went(name, processes=None, halfway=False):
    """What a method comes to, gone through at once, or taken up by another federation after two rounds."""
    settings = SETTINGS.get(name, {})
    if not halfway:
        return bits_of(go_through(begun(METHODS[name], processes, **settings), back=False))
    one, other = (begun(METHODS[name], processes, **settings) for _ in range(2))
    for _ in range(2):
        one.next_round()
    other.load_state_dict(one.state_dict())
    while other.round < ROUNDS:
        other.next_round()
    return bits_of(other)


def main():
    out, processes = Path(sys.argv[1]), join_processes()
    assert processes.count == 2
    for name in METHODS:
        for halfway in (False, True):
            write_tensors(out / f"{name}-{halfway}-{processes.rank}", went(name, processes, halfway))
    leave_processes()


if __name__ == "__main__":
    main()
