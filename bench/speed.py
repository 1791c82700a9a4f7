"""A training step of DANN against the bare loop on the same tensors, network and batch, interleaved in one run.

    python bench/speed.py            writes bench/results/speed.json

The bare loop is what one would write by hand for speed: channels-last, fused SGD, uint8 rows gathered from one
contiguous tensor, the same losses.  After every step of Juyi's loop one of the bare loop's is made, so that both
see the same machine; the ratio is that of the medians, bare / Juyi, with a bootstrap interval.
"""

from __future__ import annotations

import contextlib
import copy
import json
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from juyi.adapt import DANN
from juyi.data import Domain
from juyi.losses import reversal_ramp, reverse_gradient
from juyi.nets import SOURCE, TARGET, build_network, mlp
from juyi.training import Rows, Silent
from juyi.training.machine import describe_machine, versions

STEPS, WARM_UP, BATCH = 400, 50, 64


class Interleaved(Silent):
    """Times Juyi's steps from without, and makes a bare step after each."""

    def __init__(self, source, target, net):
        self.bare, self.juyi = [], []
        self.source, self.target = source, target
        self.net = copy.deepcopy(net).to(memory_format=torch.channels_last).train()
        self.critic = mlp(net.width, 100, 1)
        parameters = [*self.net.parameters(), *self.critic.parameters()]
        self.optimiser = torch.optim.SGD(parameters, 0.01, momentum=0.9, fused=True)
        self.ones, self.zeros = torch.ones(BATCH, 1), torch.zeros(BATCH, 1)
        self.order = [torch.randperm(len(x)) for x in (source[0], target)]
        self.end = None

    def step_done(self, run):
        now = time.perf_counter()
        if self.end is not None:
            self.juyi.append(now - self.end)
        start = time.perf_counter()
        self.step(run.step, run.progress)
        self.end = time.perf_counter()
        self.bare.append(self.end - start)

    def step(self, number, progress):
        at = number * BATCH % (len(self.order[0]) - BATCH)
        s, t = (order[at : at + BATCH] for order in self.order)
        x_source = self.source[0].index_select(0, s).permute(0, 3, 1, 2)
        x_target = self.target.index_select(0, t).permute(0, 3, 1, 2)
        z_source, z_target = self.net.features(x_source, SOURCE), self.net.features(x_target, TARGET)
        strength = reversal_ramp(progress)
        loss = cross_entropy(self.net.head(z_source), self.source[1].index_select(0, s))
        for z, truth in ((z_source, self.ones), (z_target, self.zeros)):
            score = self.critic(reverse_gradient(z, strength))
            loss = loss + binary_cross_entropy_with_logits(score, truth) / 2
        for group in self.optimiser.param_groups:
            group["lr"] = 0.01 * (1 + 10 * progress) ** -0.75
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()


def measure(batch_norm: str, rows: int = 20_000) -> dict:
    random = np.random.default_rng(0)
    images = [random.integers(0, 256, (rows, 28, 28, 3), np.uint8).transpose(0, 3, 1, 2) for _ in range(2)]
    y = random.integers(0, 10, rows)
    classes = tuple("0123456789")
    source, target = Domain(images[0], y, classes=classes), Domain(images[1], classes=classes)
    method = DANN(
        net="dann_mnist", batch_norm=batch_norm, epochs=1, batch=BATCH, optimiser="sgd", learning_rate=0.01,
        schedule="inverse", precision="float32",
    )  # fmt: skip
    net = build_network("dann_mnist", Rows(source, torch.device("cpu")).x, 10, batch_norm=batch_norm)
    channels_last = [torch.from_numpy(x.transpose(0, 2, 3, 1)) for x in images]
    watcher = Interleaved((channels_last[0], torch.from_numpy(y)), channels_last[1], net)

    class Enough(Exception):
        pass

    def step_done(run, real=watcher.step_done):
        real(run)
        if run.step == min(STEPS, run.total_steps - 1):
            raise Enough

    watcher.step_done = step_done
    with contextlib.suppress(Enough):
        method.learn(source, target, watcher=watcher)
    bare, juyi = np.array(watcher.bare[WARM_UP:]), np.array(watcher.juyi[WARM_UP - 1 :])
    draws = random.integers(0, len(juyi), (2000, len(juyi)))
    ratios = np.median(bare[: len(juyi)][draws], 1) / np.median(juyi[draws], 1)
    return {
        "batch_norm": batch_norm,
        "steps": len(juyi),
        "bare_milliseconds": round(1000 * float(np.median(bare)), 3),
        "juyi_milliseconds": round(1000 * float(np.median(juyi)), 3),
        "ratio": round(float(np.median(bare) / np.median(juyi)), 4),
        "low": round(float(np.quantile(ratios, 0.025)), 4),
        "high": round(float(np.quantile(ratios, 0.975)), 4),
    }


def main() -> None:
    results = [measure(kind) for kind in ("none", "domain")]
    record = {
        "command": "python bench/speed.py",
        "results": results,
        "machine": describe_machine(torch.device("cpu")),
        "versions": versions(),
    }
    place = Path(__file__).parent / "results" / "speed.json"
    place.parent.mkdir(exist_ok=True)
    place.write_text(json.dumps(record, indent=1) + "\n")
    for result in results:
        print(result)


if __name__ == "__main__":
    main()
