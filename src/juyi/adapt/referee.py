"""The referee: a third model, learnt from the target rows on which two models agree, judges where they do not."""

from __future__ import annotations

import numpy as np

from juyi.adapt.base import Adapter
from juyi.adapt.source_only import SourceOnly
from juyi.data.domain import Domain
from juyi.training import declared, softmax

STEPS = 150


def ask_referee(floor: Adapter, method: Adapter, target: Domain) -> np.ndarray:
    """Return what a model says of each target row that has learnt, on the target, from what the two agree on.

    Where two models agree they are right more often than either alone, whatever each is wrong about.  A network of
    the same kind, with its own weights, learns these rows with the labels on which both agree, and sees no other row
    and no label of the source.  On the rows where they differ it has learnt from neither.

    Args:
        floor: the fitted model without transfer.
        method: the fitted model of the method.
        target: the target's rows.

    Returns:
        The probabilities, N×C; all equal where the two agree on too little to learn from.
    """
    first, second = (model.scores(target).argmax(1) for model in (floor, method))
    classes = method.domain_classes_
    agreed = first == second
    if agreed.sum() < 32 or len(np.unique(first[agreed])) < 2:
        return np.full((target.size, len(classes)), 1 / len(classes))
    known = Domain(target.x[agreed], first[agreed], classes=classes, columns=target.columns, name="agreed rows")
    shared = {name: getattr(floor, name) for name in declared(Adapter)}
    batch = min(method.batch, known.size)
    shared |= {"epochs": max(2, round(STEPS * batch / known.size)), "batch": batch, "class_shares": "source"}
    referee = SourceOnly(**{**shared, "random_state": floor.random_state + 1}).fit(known)
    return softmax(referee.scores(target))
