"""A finished run, as far as a comparison needs it: read, checked, and held against another."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from juyi.errors import RunFolderError
from juyi.report.markup import finite
from juyi.report.predictions import disagreement
from juyi.report.summary import headline
from juyi.runs import RunFolder, refuse_numbers
from juyi.runs.predictions import Predictions, read_predictions

KINDS: dict[str, type] = {
    "serves": str, "method": str, "data": dict, "results": list, "verdict": dict, "seconds": dict, "classes": list,
    "hyperparameters": dict, "target_labels": dict, "machine": dict, "versions": dict, "network": dict,
    "warnings": list, "online": dict, "partition": dict, "request": dict,
}  # fmt: skip
"""What the parts of run.json are that a comparison reads; any but the first may be absent."""

CLIENT = "client"
DEALT = ("number", "client_column", "newcomers")
"""What of a request decides who the clients are."""


@dataclass(frozen=True, eq=False)
class Finished:
    """A finished run.

    Args:
        name: the path, as the person wrote it.
        record: what run.json holds.
        shown: the results that say most, one a model (see `headline`).
        predictions: what the model that serves says of the target; None without a target.
    """

    name: str
    record: dict[str, Any]
    shown: list[dict[str, Any]]
    predictions: Predictions | None

    def data(self, role: str) -> dict[str, Any]:
        """What run.json says of the source, the target or the test; empty if there was none."""
        return (self.record.get("data") or {}).get(role) or {}

    @property
    def labels(self) -> int:
        """How many labels of the target the run was given."""
        return int(finite((self.record.get("target_labels") or {}).get("given")) or 0)


def read_finished(run: RunFolder) -> Finished:
    """Read what a comparison needs of a run, and check it.

    Raises:
        RunFolderError: it is no run, is not finished, or its run.json is damaged.
        ForeignFileError: its predictions.csv is absent, though there was a target, or damaged.
    """
    record = RunFolder.open(run.path).read_finished()
    if wrong := misshapen(record):
        raise RunFolderError(f"{run.path / 'run.json'}: is damaged ({wrong}); restore it, or run again")
    refuse_numbers(record, run, "a comparison of runs")
    target = (record.get("data") or {}).get("target")
    predictions = None
    if target:
        classes = {str(name) for name in record.get("classes") or []}
        predictions = read_predictions(run, record["serves"], classes, int(finite(target.get("rows")) or 0))
    return Finished(str(run.path), record, headline(record), predictions)


def misshapen(record: dict[str, Any]) -> str:
    """Name the part of a record that is not what Juyi writes; empty if there is none.

    Example:
        >>> misshapen({"serves": "dann", "results": {}})
        'results is no list'
    """
    for key, kind in KINDS.items():
        if (record.get(key) is not None or key == "serves") and not isinstance(record.get(key), kind):
            return f"{key} is no {kind.__name__}"
    for role, entry in (record.get("data") or {}).items():
        if not isinstance(entry or {}, dict):
            return f"data: {role} is no dict"
    for result in record.get("results") or []:
        if not isinstance(result, dict) or not isinstance(result.get("on") or {}, dict):
            return "a result is no dict"
        if not isinstance(result.get("model"), str):
            return "a result names no model"
    try:
        json.dumps(record, allow_nan=False)
    except ValueError:  # Juyi writes none
        return "a number in it is not finite"
    return ""


def same_test(first: Finished, second: Finished) -> bool:
    """Tell whether two runs were scored on the same rows: their fingerprints are equal, or neither has a test."""
    one, other = first.data("test"), second.data("test")
    return not (one or other) or (bool(one.get("fingerprint")) and one.get("fingerprint") == other.get("fingerprint"))


def same_target(first: Finished, second: Finished) -> bool:
    """Tell whether two runs adapted to the same rows.

    A fingerprint is also of the labels that were given.  So where one of the two was given some, it cannot tell; name,
    number and names of the rows then have to agree.
    """
    one, other = first.data("target"), second.data("target")
    if not (one or other) or (one.get("fingerprint") and one.get("fingerprint") == other.get("fingerprint")):
        return True
    alike = bool(one) and all(one.get(key) == other.get(key) for key in ("name", "rows", "shape"))
    if not (alike and (first.labels or second.labels) and first.predictions and second.predictions):
        return False
    return first.predictions.names == second.predictions.names


def same_clients(first: Finished, second: Finished) -> bool:
    """Tell whether two runs had the same clients, with the same rows and the same test rows; or neither had any."""
    return dealt(first) == dealt(second)


def dealt(run: Finished) -> str:
    """Say what made a run's clients: their rows, how these were dealt out, by which seed; empty if it has none."""
    clients, request = run.data("clients"), run.record.get("request") or {}
    if not clients:
        return ""
    how = (run.record.get("partition") or {}).get("how")
    told = [f"{clients.get('name')}, fingerprint {clients.get('fingerprint')}, dealt out by {how}"]
    told += [f"{key.replace('_', ' ')} {request[key]}" for key in DEALT if request.get(key)]
    return ", ".join([*told, f"seed {run.record.get('seed')}"])


def differing(
    runs: Sequence[Finished], role: str, same: Callable[[Finished, Finished], bool]
) -> list[tuple[str, list[str]]]:
    """Group runs by their test, target or clients.

    Returns:
        For each group, what the data are and the runs' names; the fingerprint is said where the name does not tell.
    """
    groups: list[list[Finished]] = []
    for run in runs:
        group = next((group for group in groups if same(group[0], run)), None)
        if group is None:
            groups.append([run])
        else:
            group.append(run)
    named = [group[0].data(role).get("name") for group in groups]
    found = []
    for group, name in zip(groups, named, strict=True):
        entry = group[0].data(role)
        told = f"{name}, {entry.get('rows'):,} rows" if isinstance(entry.get("rows"), int) else str(name)
        told += f", fingerprint {entry.get('fingerprint')}" if named.count(name) > 1 else ""
        told = dealt(group[0]) if role == CLIENT else told if entry else ""
        found.append((told or f"no {role}", [run.name for run in group]))
    return found


def disagreements(
    runs: Sequence[Finished],
) -> tuple[tuple[tuple[float | None, ...], ...], dict[tuple[int, int], str]]:
    """Compare what each two runs predict on the target.

    Returns:
        The shares of rows for which they predict differently, a symmetric matrix, None where that cannot be said and
        on the diagonal; and why it cannot, by the places of the two runs.
    """
    matrix: list[list[float | None]] = [[None] * len(runs) for _ in runs]
    reasons = {}
    for i, first in enumerate(runs):
        for j, second in enumerate(runs[:i]):
            share = None
            if not first.predictions or not second.predictions:
                missing = [run.name for run in (second, first) if not run.predictions]
                reasons[j, i] = f"without a target: {', '.join(missing)}"
            elif not same_target(first, second):
                reasons[j, i] = "their targets differ"
            elif (share := disagreement(first.predictions, second.predictions)) is None:
                reasons[j, i] = "their rows cannot be matched by name"
            matrix[i][j] = matrix[j][i] = share
    return tuple(map(tuple, matrix)), dict(sorted(reasons.items()))
