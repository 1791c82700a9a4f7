"""Training steps of DANN and ISIF against bare loops on the same tensors, network and batch, interleaved in one run.

    python bench/speed.py            writes bench/results/speed.json

A bare loop is what one would write by hand for speed: channels-last, a fused optimiser, uint8 rows gathered from one
contiguous tensor, the same losses and views.  After every step of Juyi's loop one of the bare loop's is made, so that
both see the same machine; the ratio is that of the medians, bare / Juyi, with a bootstrap interval.
"""

from __future__ import annotations

import contextlib
import copy
import json
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, normalize

from juyi.adapt import DANN
from juyi.augmentation import LOOKS, Crops
from juyi.data import Domain
from juyi.losses import reversal_ramp, reverse_gradient
from juyi.losses.contrastive import isif_loss
from juyi.nets import SOURCE, TARGET, build_network, mlp
from juyi.pretrain import ISIF
from juyi.training import Rows, Silent
from juyi.training.machine import describe_machine, versions

STEPS, WARM_UP = 400, 50
RANDOM = np.random.default_rng(0)


class EnoughError(Exception):
    """Ends a training after as many steps as are timed."""


class Interleaved(Silent):
    """Times Juyi's steps from without, and makes a bare step after each."""

    def __init__(self, bare, steps=STEPS):
        self.step, self.steps, self.bare, self.juyi, self.end = bare, steps, [], [], None

    def step_done(self, run):
        now = time.perf_counter()
        if self.end is not None:
            self.juyi.append(now - self.end)
        start = time.perf_counter()
        self.step(run.step, run.progress)
        self.end = time.perf_counter()
        self.bare.append(self.end - start)
        if run.step == min(self.steps, run.total_steps - 1):
            raise EnoughError

    def result(self) -> dict:
        warm_up = min(WARM_UP, self.steps // 4)
        bare, juyi = np.array(self.bare[warm_up:]), np.array(self.juyi[warm_up - 1 :])
        draws = RANDOM.integers(0, len(juyi), (2000, len(juyi)))
        ratios = np.median(bare[: len(juyi)][draws], 1) / np.median(juyi[draws], 1)
        return {
            "steps": len(juyi),
            "bare_milliseconds": round(1000 * float(np.median(bare)), 3),
            "juyi_milliseconds": round(1000 * float(np.median(juyi)), 3),
            "ratio": round(float(np.median(bare) / np.median(juyi)), 4),
            "low": round(float(np.quantile(ratios, 0.025)), 4),
            "high": round(float(np.quantile(ratios, 0.975)), 4),
        }


class BareDANN:
    """DANN's loop by hand."""

    batch = 64

    def __init__(self, source, labels, target, net):
        self.source, self.labels, self.target = source, labels, target
        self.net = copy.deepcopy(net).to(memory_format=torch.channels_last).train()
        self.critic = mlp(net.width, 100, 1)
        parameters = [*self.net.parameters(), *self.critic.parameters()]
        self.optimiser = torch.optim.SGD(parameters, 0.01, momentum=0.9, fused=True)
        self.ones, self.zeros = torch.ones(self.batch, 1), torch.zeros(self.batch, 1)
        self.order = [torch.randperm(len(x)) for x in (source, target)]

    def __call__(self, number, progress):
        at = number * self.batch % (len(self.order[0]) - self.batch)
        s, t = (order[at : at + self.batch] for order in self.order)
        x_source = self.source.index_select(0, s).permute(0, 3, 1, 2)
        x_target = self.target.index_select(0, t).permute(0, 3, 1, 2)
        z_source, z_target = self.net.features(x_source, SOURCE), self.net.features(x_target, TARGET)
        strength = reversal_ramp(progress)
        loss = cross_entropy(self.net.head(z_source), self.labels.index_select(0, s))
        for z, truth in ((z_source, self.ones), (z_target, self.zeros)):
            score = self.critic(reverse_gradient(z, strength))
            loss = loss + binary_cross_entropy_with_logits(score, truth) / 2
        for group in self.optimiser.param_groups:
            group["lr"] = 0.01 * (1 + 10 * progress) ** -0.75
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()


class BareISIF:
    """ISIF's loop by hand; what making two views takes is timed in it."""

    batch = 128

    def __init__(self, images, net, half):
        self.images, self.half = images, half
        self.net = copy.deepcopy(net).to(memory_format=torch.channels_last).train()
        self.embed = torch.nn.Linear(net.width, 128)
        parameters = [*self.net.body.parameters(), *self.embed.parameters()]
        self.optimiser = torch.optim.AdamW(parameters, 0.002, weight_decay=5e-4, fused=True)
        self.order, self.crops, self.views = torch.randperm(len(images)), Crops(LOOKS["photographs"]), []

    def __call__(self, number, progress):
        at = number * self.batch % (len(self.order) - self.batch)
        x = self.images.index_select(0, self.order[at : at + self.batch]).permute(0, 3, 1, 2)
        start = time.perf_counter()
        both = self.crops(x.repeat(2, 1, 1, 1))
        self.views.append(time.perf_counter() - start)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.half):
            embedded = self.embed(self.net.features(both))
        first, second = normalize(embedded.float()).chunk(2)
        loss = isif_loss(first, second, 0.1)
        for group in self.optimiser.param_groups:
            group["lr"] = 0.002 * (1 + np.cos(np.pi * progress)) / 2
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()


def photographs(rows: int, side: int) -> np.ndarray:
    """Random images, N×3×side×side of uint8, channels-last in memory."""
    return RANDOM.integers(0, 256, (rows, side, side, 3), np.uint8).transpose(0, 3, 1, 2)


def measure_dann(batch_norm: str, rows: int = 20_000) -> dict:
    images, y = [photographs(rows, 28) for _ in range(2)], RANDOM.integers(0, 10, rows)
    classes = tuple("0123456789")
    source, target = Domain(images[0], y, classes=classes), Domain(images[1], classes=classes)
    method = DANN(
        net="dann_mnist", batch_norm=batch_norm, epochs=1, batch=BareDANN.batch, optimiser="sgd", learning_rate=0.01,
        schedule="inverse", precision="float32",
    )  # fmt: skip
    net = build_network("dann_mnist", Rows(source, torch.device("cpu")).x, 10, batch_norm=batch_norm)
    tensors = [torch.from_numpy(x.transpose(0, 2, 3, 1)) for x in images]
    watcher = Interleaved(BareDANN(tensors[0], torch.from_numpy(y), tensors[1], net))
    with contextlib.suppress(EnoughError):
        method.learn(source, target, watcher=watcher)
    return {"method": "dann", "batch_norm": batch_norm, **watcher.result()}


def measure_isif(precision: str, steps: int = 60) -> dict:
    images = Domain(photographs(128 * (steps + 1), 32))
    method = ISIF(
        net="airbench-0.5", optimiser="adam", learning_rate=0.002, batch=BareISIF.batch, epochs=1, precision=precision
    )
    bare = BareISIF(torch.from_numpy(images.x.transpose(0, 2, 3, 1)), method.build(images), precision == "bfloat16")
    watcher = Interleaved(bare, steps)
    with contextlib.suppress(EnoughError):
        method.learn(images, watcher=watcher)
    found = watcher.result()
    share = 1000 * float(np.median(bare.views)) / found["juyi_milliseconds"]
    return {"method": "isif", "precision": precision, **found, "share_of_augmentation": round(share, 4)}


def main() -> None:
    results = []
    for measure, kinds in ((measure_dann, ("none", "domain")), (measure_isif, ("float32", "bfloat16"))):
        for kind in kinds:
            results.append(measure(kind))
            print(results[-1], flush=True)
    record = {
        "command": "python bench/speed.py",
        "results": results,
        "machine": describe_machine(torch.device("cpu")),
        "versions": versions(),
    }
    place = Path(__file__).parent / "results" / "speed.json"
    place.parent.mkdir(exist_ok=True)
    place.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
