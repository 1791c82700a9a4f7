"""Choose the student for a budget: one candidate of each kind that keeps it, taught briefly, and the best one taken."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from rich.console import Console
from sklearn.base import clone

from juyi.data.domain import Domain
from juyi.distill.base import Distiller
from juyi.distill.class_impressions import ClassImpressions
from juyi.distill.hinton import Hinton
from juyi.distill.request import Request, part
from juyi.distill.teacher import Teacher
from juyi.errors import SettingError
from juyi.nets import Network
from juyi.portable.budget import FOR_FEATURES, FOR_IMAGES, Budget, Meter, candidates, refuse_budget

BRIEF_STEPS = 600
MADE = 2_000
"""Impressions on which candidates are compared where there are no data."""


def read_budget(request: Request) -> Budget:
    """Return what the student may cost.

    Raises:
        SettingError: a limit cannot be understood.
    """
    return Budget.read(request.max_params, request.max_bytes, request.max_macs, request.max_latency)


def students_within(budget: Budget, method: Distiller, teacher: Teacher, console: Console) -> dict[str, Any]:
    """Return what run.json holds under `budget`: the limits, and the candidates with what they cost.

    A student that is named is the only candidate.

    Raises:
        SettingError: no student keeps the budget, or the named one does not.
    """

    def build(name: str) -> Network:
        network: Network = clone(method).set_params(student=name).check_network(teacher)
        return network

    meter = Meter(build, teacher.shape, teacher.classes, budget)
    if method.student != "auto":
        if not isinstance(method.student, str):
            raise SettingError("student: a budget is for networks that have a name; leave it out")
        costs = meter.measure(method.student)
        if not budget.kept_by(costs):
            raise SettingError(f"--student {method.student}: is over the budget ({_said(costs)}); leave it to auto")
        found = [{"name": method.student, **asdict(costs)}]
    else:
        if budget.bytes is not None or budget.latency is not None:
            console.print("looking for students within the budget: files are written to see", highlight=False)
        families = FOR_IMAGES if teacher.is_image_model else FOR_FEATURES
        kept, missed = candidates(families, meter, teacher.parameters or None)
        if not kept:
            raise refuse_budget(budget, missed)
        found = [{"name": candidate.name, **asdict(candidate.costs)} for candidate in kept]
        for candidate in kept:
            console.print(f"candidate {candidate.name}: {_said(candidate.costs)}", highlight=False)
    return {"limits": {k: v for k, v in asdict(budget).items() if v is not None}, "candidates": found}


def _said(costs: Any) -> str:
    units = {"parameters": "parameters", "macs": "multiplications", "bytes": "bytes", "latency": "ms"}
    return ", ".join(
        f"{value:,} {units[name]}" if isinstance(value, int) else f"{value:.3g} {units[name]}"
        for name, value in asdict(costs).items()
        if value is not None
    )


def comparison_data(
    method: Distiller, teacher: Teacher, training: Domain | None, validation: Domain | None
) -> tuple[Domain, Domain, str]:
    """Return what candidates learn on and are compared on, and in words what that is.

    Where there are data, these, and their held-out rows, by labels or else by the teacher's answers.  Where there are
    none, impressions of the teacher, and its answers to them.
    """
    if training is not None and validation is not None:
        what = "accuracy" if validation.labelled.any() else "agreement with the teacher"
        return training, validation, f"{what} on {validation.size:,} held-out rows"
    settings: dict[str, Any] = {"impressions": MADE, "at_once": MADE // 2, "epochs": 1}
    maker = ClassImpressions(student="auto", random_state=method.random_state, device=method.device, **settings)
    maker.learn(teacher, None)
    few, held = part(maker.impressions_, method.random_state)
    assert held is not None
    return few, held, f"agreement with the teacher on {held.size:,} impressions"


def brief(method: Distiller, name: str, data: Domain) -> Distiller:
    """Return the method that teaches a candidate briefly: the person's own, or `hinton` on impressions."""
    epochs = math.ceil(BRIEF_STEPS * method.batch / data.size)
    if method.takes_data:
        most = method.epochs or epochs
        found: Distiller = clone(method).set_params(student=name, epochs=min(most, epochs))
        return found
    settings: dict[str, Any] = {"loss": "dist", "temperature": 20.0, "soft_weight": 1.0, "hard_weight": 0.0}
    settings |= {key: getattr(method, key) for key in ("batch", "batch_norm", "head", "random_state", "device")}
    return Hinton(student=name, epochs=epochs, **settings)
