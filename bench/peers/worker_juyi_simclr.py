"""Juyi: `SimCLR(...).fit(images)` on photographs."""

from __future__ import annotations

import common

import juyi
from juyi.pretrain import SimCLR

request = common.asked()
counter = common.Counter(request.get("count", False))
images = juyi.Domain(common.photographs_of(request)[0].transpose(0, 3, 1, 2), name="photographs")

clock = common.Clock()
method = SimCLR(
    net="airbench-0.5", optimiser="sgd", learning_rate=common.SIMCLR_RATE, temperature=common.SIMCLR_TEMPERATURE,
    precision=request["precision"], epochs=request["epochs"], batch=common.SIMCLR_BATCH,
)  # fmt: skip
method.fit(images)
spent = {**clock.stop(), "computed_in": str(method.settings_.dtype)}


def features(photographs):
    return method.transform(juyi.Domain(photographs.transpose(0, 3, 1, 2), name="photographs"))


steps = images.size // common.SIMCLR_BATCH
common.report(request, spent, steps, common.neighbours(request, features), counter, ("juyi", "torch", "numpy"))
