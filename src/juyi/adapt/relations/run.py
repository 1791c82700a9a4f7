"""A whole run: from two lists of relations to a folder with the roles that were carried over."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from juyi.adapt.relations.chance import lucky
from juyi.adapt.relations.relational import Relational
from juyi.adapt.settle_files import write_table
from juyi.data.relations import Relations, load_relations, load_roles
from juyi.errors import DataError, RunFolderError
from juyi.measure.intervals import share
from juyi.runs.files import write_json
from juyi.training import declared

RECORD, PREDICTIONS = "relations.json", "predictions.csv"


@dataclass(frozen=True)
class Request:
    """What a person asks for.

    Args:
        source: a CSV file of relations, `from,to[,weight]`.
        target: likewise.
        roles: a CSV file, `name,label`, with roles of source items.
        known: the same with roles of target items that may be used, or None.
        test: the same with roles of target items that score the answer at the end, or None.
        command: the command line, for the record.
    """

    source: str
    target: str
    roles: str
    known: str | None = None
    test: str | None = None
    command: str = ""


def carry_over(request: Request, method: Relational, *, out: Path, overwrite: bool = False) -> dict[str, Any]:
    """Match two lists of relations, write `predictions.csv` and `relations.json` into a folder, and return the record.

    Raises:
        DataError: a file cannot be read, or the test names an item that has no relation; nothing was written.
        RunFolderError: the folder has such files already (without `overwrite`).
    """
    if (out / RECORD).exists() and not overwrite:
        raise RunFolderError(f"{out / RECORD}: is there already; add --overwrite to replace it, or name another --out")
    method.check_hyperparameters()
    source, target = load_relations(request.source, request.roles), load_relations(request.target, request.known)
    truth = load_roles(request.test) if request.test else {}
    if strangers := [item for item in truth if item not in set(target.items)]:
        raise DataError(
            f"{request.test}: {strangers[0]} is no item of {target.name}; name items as they are named there"
        )
    began = time.time()
    method.fit(source, target=target)
    record = {
        "command": request.command,
        "source": request.source,
        "target": request.target,
        "hyperparameters": {name: getattr(method, name) for name in declared(type(method))},
        "items": {"source": source.size, "target": target.size},
        "known_roles": {"source": int(source.known.sum()), "target": int(target.known.sum())},
        "roles": list(method.classes_),
        "discrepancy": method.discrepancy_,
        "residual": method.residual_,
        "settled": method.settled_,
        "p_values": method.p_values_,
        "by_chance": {name: values.tolist() for name, values in method.chance_.items()},
        "sentence": sentence(method),
        "warnings": list(method.remarks_),
        "notes": [f"{side.name}: {note}" for side in (source, target) for note in side.notes],
        "standing": standing(method, source),
        "results": scored(method, target, truth),
        "seconds": round(time.time() - began, 2),
    }
    out.mkdir(parents=True, exist_ok=True)
    write_table(out / PREDICTIONS, ["name", "relational", "confidence", "counterpart"], rows(method, source, target))
    write_json(out / RECORD, record)
    return record


def sentence(method: Relational) -> str:
    """Say in one sentence what the match is worth."""
    p = method.p_values_
    if not p:
        return "Roles were carried over; whether the match means anything was not tested."
    found = f"Matched pairs stand otherwise to each other by {method.discrepancy_:.1%} of what strangers do"
    by_chance = {name: float(np.mean(values)) for name, values in method.chance_.items()}
    if p["shuffled"] > 0.05:
        return f"The match may be chance. {found}, and {by_chance['shuffled']:.1%} if all relations are laid at random."
    if p["rewired"] > 0.05:
        return (
            f"Degrees match, and nothing beyond. {found}; with the same degrees, and else laid at random, by "
            f"{by_chance['rewired']:.1%}."
        )
    return (
        f"The relations match. {found}; by {by_chance['rewired']:.1%} if those of the target are laid at random with "
        f"the same degrees (p = {p['rewired']:.2g})."
    )


def standing(method: Relational, source: Relations) -> dict[str, list[list[float]]]:
    """How strongly those of one role stand to those of another, on both sides: c×c, in units of the mean."""
    found = {}
    there = np.array([[float(role == one) for one in method.classes_] for role in source.roles])
    sides = ((source.weights, there), (method.target_.weights, method.probabilities_))
    for name, (weights, roles) in zip(("source", "target"), sides, strict=True):
        many = np.maximum(roles.sum(0), 1e-12)
        found[name] = (roles.T @ weights @ roles / many / many[:, None] / np.abs(weights).mean()).tolist()
    return found


def scored(method: Relational, target: Relations, truth: dict[str, str]) -> list[dict[str, Any]]:
    """The accuracy on the items whose role the test tells and nobody gave, and how often luck does as well."""
    asked = [place for place, item in enumerate(target.items) if item in truth and target.roles[place] is None]
    if not asked:
        return []
    told, right = method.roles_[asked], np.array([truth[target.items[place]] for place in asked], dtype=object)
    often = max(np.unique(right.astype(str), return_counts=True)[1]) / len(right)
    by_luck = lucky(told, right, np.random.default_rng(method.random_state))
    return [{"name": "accuracy", **share(told == right), "largest_role": float(often), "p_value": by_luck}]


def rows(method: Relational, source: Relations, target: Relations) -> list[tuple[str, str, str, str]]:
    """For each target item its name, role, the probability of that, and its counterpart, if it has one."""
    sure = method.probabilities_.max(1)
    gets = method.plan_.max(0) > 0
    return [
        (item, str(method.roles_[j]), f"{sure[j]:.4f}", source.items[method.match_[j]] if gets[j] else "")
        for j, item in enumerate(target.items)
    ]
