"""Juyi: `DANN(...).fit(source, target=target)` on two domains."""

from __future__ import annotations

import common

import juyi
from juyi.adapt import DANN

request = common.asked()
counter = common.Counter(request.get("count", False))
rows = request.get("rows", 10_000)
source = juyi.load(f"mnist@train[:{rows}]")
target = juyi.withhold_labels(juyi.load(f"mnist_m@train[:{rows}]"))

clock = common.Clock()
method = DANN(
    net="dann_mnist", batch_norm="none", optimiser="sgd", learning_rate=common.LEARNING_RATE, schedule="inverse",
    precision=request["precision"], epochs=request["epochs"], batch=common.BATCH,
)  # fmt: skip
method.fit(source, target=target)
spent = {**clock.stop(), "computed_in": str(method.settings_.dtype)}


def scores(images):
    return method.scores(images[:, None].repeat(3, 1))


common.report(
    request, spent, source.size // common.BATCH, common.label_loss(request, scores), counter, ("juyi", "torch", "numpy")
)
