"""A round of FedAvg in the simulator against a plain loop over the clients, in turns, in one run.

    python bench/personalize_speed.py            writes bench/results/personalize_speed.json

20 clients with 500 images each, LeNet-5, one pass, batches of 32, SGD with momentum, float32.  The plain loop is
what one would write by hand: one model, channels-last, a fused optimiser, uint8 rows gathered from one contiguous
tensor, the weights as a list of tensors that is copied in and averaged.  A round of each follows the other; the ratio
is that of the medians, plain / Juyi, with a bootstrap interval.  The second row is memory: 1,000 clients with 50 rows
each, a network of 100 and 50 units, a tenth of them in a round, 100 rounds.
"""

from __future__ import annotations

import copy
import json
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from juyi.data import Domain
from juyi.personalize import Ditto, FedAvg
from juyi.personalize.client import ClientRows
from juyi.personalize.federation import Federation
from juyi.personalize.vector import Vector
from juyi.training import Rows, Settings
from juyi.training.machine import describe_machine, peak_memory, versions

CLIENTS, ROWS, ROUNDS, BATCH = 20, 500, 10, 32
CPU = torch.device("cpu")


def clients_of(domain: Domain, count: int) -> list[ClientRows]:
    """The rows dealt out evenly; a tenth of each is held out, and not looked at here."""
    parts = np.array_split(np.arange(domain.size), count)
    return [
        ClientRows(str(k), Rows(domain.select(p), CPU), Rows(domain.select(p[:2]), CPU)) for k, p in enumerate(parts)
    ]


class Plain:
    """The loop over the clients by hand."""

    def __init__(self, net, x, y):
        self.net = copy.deepcopy(net).to(memory_format=torch.channels_last).train()
        self.x, self.y = x, y
        self.general = [p.detach().clone() for p in self.net.parameters()]

    def round(self):
        sums = [torch.zeros_like(p) for p in self.general]
        for k in range(CLIENTS):
            with torch.no_grad():
                for p, value in zip(self.net.parameters(), self.general, strict=True):
                    p.copy_(value)
            optimiser = torch.optim.SGD(self.net.parameters(), 0.03, momentum=0.9, fused=True)
            order = torch.randperm(ROWS) + k * ROWS
            for start in range(0, ROWS - BATCH + 1, BATCH):
                index = order[start : start + BATCH]
                images = self.x.index_select(0, index).permute(0, 3, 1, 2)
                loss = cross_entropy(self.net(images), self.y.index_select(0, index))
                optimiser.zero_grad(set_to_none=True)
                loss.backward()
                loss.item()
                optimiser.step()
            with torch.no_grad():
                for total, p in zip(sums, self.net.parameters(), strict=True):
                    total.add_(p, alpha=1 / CLIENTS)
        self.general = sums


def measure_speed() -> dict:
    random = np.random.default_rng(0)
    x = random.integers(0, 256, (CLIENTS * ROWS, 28, 28, 1), np.uint8)
    y = random.integers(0, 10, CLIENTS * ROWS)
    domain = Domain(x.transpose(0, 3, 1, 2), y, classes=tuple("0123456789"))
    method = FedAvg(net="lenet5", batch_norm="none", batch=BATCH, rounds=10_000, learning_rate=0.03)
    layers = {"batch_norm": "none", "standardise": "image", "head": "own"}
    net = method._build("lenet5", Rows(domain, CPU), 10, layers).to(memory_format=torch.channels_last)
    plain = Plain(net, torch.from_numpy(x), torch.from_numpy(y))
    federation = Federation(method, Vector(net), clients_of(domain, CLIENTS), Settings(0))
    took: dict[str, list[float]] = {"plain": [], "juyi": []}
    for _ in range(ROUNDS + 1):
        for name, act in (("juyi", federation.next_round), ("plain", plain.round)):
            start = time.perf_counter()
            act()
            took[name].append(time.perf_counter() - start)
    bare, juyi = (np.array(took[name][1:]) for name in ("plain", "juyi"))
    draws = random.integers(0, ROUNDS, (2000, ROUNDS))
    ratios = np.median(bare[draws], 1) / np.median(juyi[draws], 1)
    return {
        "row": "20 clients, 500 images each, LeNet-5, one pass", "rounds": ROUNDS,
        "plain_seconds": round(float(np.median(bare)), 3), "juyi_seconds": round(float(np.median(juyi)), 3),
        "ratio": round(float(np.median(bare) / np.median(juyi)), 3),
        "low": round(float(np.quantile(ratios, 0.025)), 3), "high": round(float(np.quantile(ratios, 0.975)), 3),
    }  # fmt: skip


def measure_memory(clients: int = 1_000, rows: int = 50, rounds: int = 100) -> dict:
    random = np.random.default_rng(0)
    x = random.normal(size=(clients * rows, 20)).astype(np.float32)
    domain = Domain(x, (x[:, 0] > 0).astype(np.int64), classes=("a", "b"))
    method = Ditto(net="mlp-100-50", rounds=rounds, participation=0.1, batch=25)
    layers = {"batch_norm": "none", "standardise": "source", "head": "own"}
    model = Vector(method._build("mlp-100-50", Rows(domain, CPU), 2, layers))
    federation = Federation(method, model, clients_of(domain, clients), Settings(0))
    before = peak_memory()
    start = time.perf_counter()
    for _ in range(rounds):
        federation.next_round()
    return {
        "row": "1,000 clients, 50 rows each, ditto, a tenth in a round, 100 rounds", "weights": model.values.numel(),
        "clients_that_took_part": len(federation.own), "seconds": round(time.perf_counter() - start, 1),
        "peak_bytes": peak_memory(), "peak_bytes_before_the_rounds": before,
        "bytes_of_what_clients_keep": sum(
            value.numel() * value.element_size() for own in federation.own.values() for value in own.values()
        ),
    }  # fmt: skip


def main() -> None:
    results = [measure_speed(), measure_memory()]
    record = {
        "command": "python bench/personalize_speed.py", "results": results, "machine": describe_machine(CPU),
        "versions": versions(),
    }  # fmt: skip
    place = Path(__file__).parent / "results" / "personalize_speed.json"
    place.write_text(json.dumps(record, indent=1) + "\n")
    for result in results:
        print(result)


if __name__ == "__main__":
    main()
