"""Candidates for choosing, read from the records of runs: their models, and their models at each epoch."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from juyi.adapt.choose import FLOOR, Candidate, Choice, choose
from juyi.errors import DataError
from juyi.nets import SOURCE, TARGET
from juyi.runs import RunFolder
from juyi.runs.files import read_tensors
from juyi.runs.scores import read_scores

_MOMENT = re.compile(r"(?P<model>.+)-(?P<stage>\d+)-(?P<epoch>\d{4})\.safetensors")


def choose_among(runs: Sequence[RunFolder | str | Path], *, moments: bool = False) -> Choice:
    """Choose, without labels, among the models of finished runs on the same source and target.

    Runs may differ in method, in hyperparameters, in seed; with `moments`, the end of each epoch is a candidate too.
    (What a run serves is the end of its training: the weights of earlier epochs are not kept.)

    Args:
        runs: folders of finished runs, each with a source_only beside its method.
        moments: also choose among epochs.

    Returns:
        The choice; a model is called `FOLDER/MODEL`, at the end of an epoch `FOLDER/MODEL@STAGE.EPOCH`, the source only
        of the first run `source_only`.

    Raises:
        DataError: there is no run with a source_only, or the runs have different targets or classes.
        RunFolderError: a folder is no finished run, or has no scores.

    Source: `juyi.adapt.choose.choose`.
    """
    candidates: dict[str, Candidate] = {}
    classes: list[str] = []
    target: tuple[str, str] | None = None
    for run in runs:
        folder = run if isinstance(run, RunFolder) else RunFolder.open(run)
        record = folder.read_finished()
        found = str((record.get("data") or {}).get("target", {}).get("fingerprint"))
        told = (found, str(record.get("classes")))
        if target not in (None, told):
            raise DataError(f"{folder.path}: has another target or other classes than the runs before it; leave it out")
        target, classes = told, record["classes"] or []
        candidates |= _of_run(folder, "" if not candidates else folder.path.name + "/", moments=moments)
    if FLOOR not in candidates:
        raise DataError("the runs have no source_only, without which nothing can be chosen; run `juyi adapt`")
    return choose(candidates, classes=classes)


def _of_run(folder: RunFolder, floor_prefix: str, *, moments: bool) -> dict[str, Candidate]:
    """The models of a run; source_only is called by that name where the prefix is empty."""
    found: dict[str, Candidate] = {}
    for path in sorted(folder.models.glob("*.json")):
        model = path.stem
        scores = read_scores(folder, model)
        if not {"source", "source_label", "target"} <= scores.keys():
            raise DataError(f"{folder.path}: has no held-out source rows, so nothing can be chosen by it; leave it out")
        name = f"{floor_prefix}{model}" if model == FLOOR else f"{folder.path.name}/{model}"
        found[name] = Candidate(scores["source"], scores["source_label"], scores["target"])
        for place in sorted(folder.records.glob(f"{model}-*.safetensors")) if moments and model != FLOOR else ():
            part = _MOMENT.fullmatch(place.name)
            if part and part["model"] == model:
                tensors, _ = read_tensors(place)
                sides = [tensors[side].float().numpy().astype(np.float64) for side in (SOURCE, TARGET)]
                moment = f"{name}@{part['stage']}.{int(part['epoch'])}"
                found[moment] = Candidate(sides[0], scores["source_label"], sides[1])
    return found
