"""Liars among the clients, and noise that hides clients or rows: what personal and general models lose by them.

    JUYI_DATA=... python bench/defence.py                 every cell that is missing, one file each
    JUYI_DATA=... python bench/defence.py attack-both     those whose names begin so

A cell is one federation of `ditto`, whose general model goes through the rounds of `fedavg` to the bit; so that one
run gives three models: `fedavg`, `fedavg_ft` (the general model, fine-tuned by each client) and `ditto`.  What is
scored is the last round, on the test rows of the clients that are honest; no test chose anything.

- attacks: CIFAR-10, 20 clients, LeNet-5; 3 of them send their change turned round, 3 others send noise;
- privacy: MNIST, 20 clients, LeNet-5 without batch norm, ε = 8, δ = 1e-5.  ε is computed anew by a second library
  (`pip install dp-accounting`), by the same bound and by its tighter one.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from run import RESULTS, fill

from juyi.check.attacks import attacked, gaussian, sign_flip
from juyi.personalize import Ditto, FedAvgFT
from juyi.personalize.federation import Federation
from juyi.personalize.request import ClientData, Request, prepare
from juyi.personalize.simulation import federation_of, go_through, shared_settings, with_shared
from juyi.training import Rows, derive_seed

CPU = torch.device("cpu")
BAD = 3
"""So many send their change turned round, and so many others noise."""
IMAGES = Request("cifar10@train[:4000]", number=20, partition="dirichlet:0.1", test="cifar10@test")
DIGITS = Request("mnist@train[:10000]", number=20, partition="dirichlet:0.5", test="mnist@test")
RULES: dict[str, dict[str, Any]] = {
    "mean": {},
    "trimmed_mean": {"aggregation": "trimmed_mean", "trimmed": 0.3},
    "median": {"aggregation": "median"},
    "krum": {"aggregation": "krum", "bad_clients": 2 * BAD},
    "clip": {"clip_norm": 2.0},
}
NOISES: dict[str, dict[str, Any]] = {
    "none": {},
    "sample": {"privacy": "sample", "clip_gradient": 1.0},
    "client": {"privacy": "client", "clip_norm": 1.0},
}


def settings(seed: int, **more: Any) -> Ditto:
    return Ditto(net="lenet5", device="cpu", precision="float32", random_state=seed, **more)


def cells(seed: int) -> Iterator[tuple[str, Any]]:
    """Name and what measures it, the most wanted first."""
    for attack, rule in (
        ("none", "mean"), ("both", "trimmed_mean"), ("both", "mean"), ("none", "trimmed_mean"), ("both", "median"),
        ("both", "krum"), ("both", "clip"),
    ):  # fmt: skip
        yield f"attack-{attack}-{rule}-{seed}", partial(under_attack, attack, rule, seed)
    for noise in NOISES:
        yield f"privacy-{noise}-{seed}", partial(in_private, noise, seed)


def under_attack(attack: str, rule: str, seed: int) -> dict[str, Any]:
    """Some lie, and the server brings updates together by a rule."""
    method = settings(seed, rounds=20, **RULES[rule])
    every = np.random.default_rng(derive_seed(seed, 10)).permutation(20).tolist()
    turned, noisy = every[:BAD], every[BAD : 2 * BAD]
    if attack == "both":
        method = attacked(method, {k: sign_flip() for k in turned} | {k: gaussian() for k in noisy})
    given, found = went(IMAGES, method)
    honest = sorted(every[2 * BAD :])
    return {"attack": attack, "rule": rule, "settings": RULES[rule], **scored(found, given, honest)}


def in_private(noise: str, seed: int) -> dict[str, Any]:
    """Noise hides nothing, rows or clients."""
    method = settings(seed, rounds=20, batch=64, learning_rate=0.1, batch_norm="none", **NOISES[noise])
    given, found = went(DIGITS, method)
    record = {"noise": noise, "settings": NOISES[noise], **scored(found, given, list(range(20)))}
    if noise != "none":
        record["privacy"] = found.budget.record()
        record["recomputed"] = [
            recomputed(one["noise"], one["rate"], int(one["steps"]), method.delta) for one in found.budget.spent()
        ]
    return record


def went(request: Request, method: Ditto) -> tuple[list[ClientData], Federation]:
    """The clients, and a federation after its last round."""
    torch.set_num_threads(1)
    given = prepare(request, method)
    clients = [one.on(CPU) for one in given.clients]
    return list(given.clients), go_through(federation_of(method, clients, given.every, CPU), back=False)


def scored(found: Federation, given: list[ClientData], whom: list[int]) -> dict[str, Any]:
    """Each one's accuracy on its test, under its models."""
    tuned = Federation(with_shared(FedAvgFT, shared_settings(found.method)), found.model, found.clients, found.settings)
    tuned.follow(found)
    accuracy: dict[str, list[float]] = {"fedavg": [], "fedavg_ft": [], "ditto": []}
    for number in whom:
        rows = Rows(given[number].test, CPU)
        found.place_general()
        accuracy["fedavg"].append(found.client(number).right(rows))
        accuracy["fedavg_ft"].append(tuned.right(number, rows))
        accuracy["ditto"].append(found.right(number, rows))
    return {
        "clients": whom, "accuracy": accuracy, "means": {k: float(np.mean(v)) for k, v in accuracy.items()},
        "refused": found.rejected,
    }  # fmt: skip


def recomputed(noise: float, rate: float, steps: int, delta: float) -> dict[str, float]:
    """ε by another library, from the Rényi divergence and from the privacy loss distribution."""
    import dp_accounting
    from dp_accounting import pld, rdp

    event = dp_accounting.PoissonSampledDpEvent(rate, dp_accounting.GaussianDpEvent(noise))
    found = {}
    for name, accountant in (("renyi", rdp.RdpAccountant()), ("loss_distribution", pld.PLDAccountant())):
        accountant.compose(dp_accounting.SelfComposedDpEvent(event, steps))
        found[name] = float(accountant.get_epsilon(delta))
    return found


def main(wanted: list[str]) -> None:
    for seed in range(1):
        for name, measure in cells(seed):
            if not wanted or any(name.startswith(word) for word in wanted):
                command = f"python bench/defence.py {name}"
                fill(RESULTS / "defence" / f"{name}.json", lambda: {"command": command, **measure()})  # noqa: B023


if __name__ == "__main__":
    main(sys.argv[1:])
