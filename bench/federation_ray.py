"""The simulator against Flower's own simulation, on Ray: 20 clients, rounds that do nothing and rounds with training.

    python bench/federation_ray.py nothing PYTHON        writes bench/results/federation_ray/nothing.json
    python bench/federation_ray.py training PYTHON       writes bench/results/federation_ray/training.json

PYTHON is that of an environment with `flwr[simulation]` and torch; Flower runs there, one client a core, with its
FedAvg strategy and the client that its own example has: a network, the sent weights, a plain loop.  Both train LeNet-5
on 20 clients with 500 images each, one pass, batches of 32, SGD with momentum; where nothing is done the weights go
there and back.  The times are of single rounds, without start and end; the ratio is that of their medians, Flower
/ Juyi.
"""

from __future__ import annotations

import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CLIENTS, ROWS, BATCH = 20, 500, 32
ROUNDS = {"nothing": 5, "training": 3}


def rows_of(number):
    import torch

    random = torch.Generator().manual_seed(number)
    x = torch.randint(0, 256, (ROWS, 1, 28, 28), generator=random, dtype=torch.uint8)
    return x, torch.randint(0, 10, (ROWS,), generator=random)


def lenet5():
    from torch import nn

    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )  # fmt: skip


def flower(kind, out):
    """Run Flower's simulation, and write the seconds of each of its rounds."""
    import torch
    from flwr.app import ArrayRecord, Message, MetricRecord, RecordDict
    from flwr.clientapp import ClientApp
    from flwr.serverapp import ServerApp
    from flwr.serverapp.strategy import FedAvg
    from flwr.simulation import run_simulation

    client, server, times = ClientApp(), ServerApp(), []

    @client.train()
    def train(message, context):
        torch.set_num_threads(1)
        arrays = message.content["arrays"]
        if kind == "training":
            net = lenet5()
            net.load_state_dict(arrays.to_torch_state_dict())
            x, y = rows_of(int(context.node_config["partition-id"]))
            x = x.float() / 255
            optimiser = torch.optim.SGD(net.parameters(), 0.03, momentum=0.9)
            order = torch.randperm(ROWS)
            for index in order.split(BATCH):
                optimiser.zero_grad()
                torch.nn.functional.cross_entropy(net(x[index]), y[index]).backward()
                optimiser.step()
            arrays = ArrayRecord(net.state_dict())
        content = RecordDict({"arrays": arrays, "metrics": MetricRecord({"num-examples": ROWS})})
        return Message(content, reply_to=message)

    class Timed(FedAvg):
        def configure_train(self, server_round, *rest):
            times.append(time.perf_counter())
            return super().configure_train(server_round, *rest)

    @server.main()
    def main(grid, context):
        strategy = Timed(fraction_evaluate=0.0, min_available_nodes=CLIENTS, min_train_nodes=CLIENTS)
        strategy.start(grid=grid, initial_arrays=ArrayRecord(lenet5().state_dict()), num_rounds=ROUNDS[kind] + 1)
        times.append(time.perf_counter())
        seconds = [b - a for a, b in itertools.pairwise(times)][1:]  # the first makes actors and imports
        Path(out).write_text(json.dumps(seconds))

    backend = {"client_resources": {"num_cpus": 1, "num_gpus": 0.0}, "init_args": {"num_cpus": 2}}
    run_simulation(server_app=server, client_app=client, num_supernodes=CLIENTS, backend_config=backend)


def juyi(kind):
    """Seconds of each round in the simulator."""
    import torch

    from juyi.data import Domain
    from juyi.personalize import FedAvg
    from juyi.personalize.client import ClientRows
    from juyi.personalize.simulation import federation_of
    from juyi.training import Rows

    class Nothing(FedAvg):
        """Sends what it was sent."""

        def local_update(self, client, shared):
            return {"model": shared["model"]}

    cpu = torch.device("cpu")
    parts = [rows_of(number) for number in range(CLIENTS)]
    domains = [Domain(x.numpy(), y.numpy(), classes=tuple("0123456789")) for x, y in parts]
    clients = [ClientRows(str(k), Rows(d, cpu), Rows(d.select(range(2)), cpu)) for k, d in enumerate(domains)]
    method = {"nothing": Nothing, "training": FedAvg}[kind](
        net="lenet5", batch=BATCH, rounds=10_000, learning_rate=0.03, precision="float32", device="cpu"
    )
    federation = federation_of(method, clients, domains[0], cpu)
    federation.next_round()
    seconds = []
    for _ in range(10 * ROUNDS[kind]):
        since = time.perf_counter()
        federation.next_round()
        seconds.append(time.perf_counter() - since)
    return seconds


def bench(kind, python):
    from juyi.training import choose_device
    from juyi.training.machine import describe_machine, versions

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "seconds.json"
        mine = juyi(kind)
        subprocess.run([python, __file__, "flower", kind, str(out)], check=True)
        theirs = json.loads(out.read_text())
        mine += juyi(kind)
    ratio = statistics.median(theirs) / statistics.median(mine)
    result = {
        "command": f"python bench/federation_ray.py {kind} PYTHON", "what": __doc__.splitlines()[0],
        "juyi_seconds_a_round": round(statistics.median(mine), 5), "juyi_rounds": len(mine),
        "flower_seconds_a_round": round(statistics.median(theirs), 3), "flower_rounds": len(theirs),
        "ratio": round(ratio, 1), "low": round(min(theirs) / max(mine), 1), "high": round(max(theirs) / min(mine), 1),
        "versions": versions(), "machine": describe_machine(choose_device("cpu")),
    }  # fmt: skip
    path = Path(__file__).parent / "results" / "federation_ray" / f"{kind}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    if sys.argv[1] == "flower":
        flower(sys.argv[2], sys.argv[3])
    else:
        bench(sys.argv[1], sys.argv[2])
