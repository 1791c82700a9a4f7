"""Several finished runs beside one another: what each found, what it cost, and where their models disagree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from juyi.errors import SettingError
from juyi.report.finished import Finished, dealt, disagreements, read_finished
from juyi.report.markup import label
from juyi.report.standing import Row, Standing, floor_rows, rank, serving_row
from juyi.report.summary import over_clients
from juyi.runs import RunFolder

LIMITS = (
    "Two rows are told apart only where their 95 % intervals do not overlap (a run and the floor beside it: "
    "where the paired interval does not hold 0). That is the 95 % level or stricter, however their errors go together; "
    "comparing row by row would tell more, but needs what no run keeps.",
    "An interval covers the choice of test rows, not the choice of seed. And who picks the best of several by a test "
    "has used that test: the picked one's figure is a little too good.",
)
BOUND = "On these rows the accuracies of two models differ by at most their disagreement, whatever the labels are."


@dataclass(frozen=True, eq=False)
class Comparison:
    """Several runs beside one another.

    Args:
        runs: the runs' names, in the order given: rows and columns of `disagreement`.
        rows: the model that serves in each run, in that order, then the floors.
        standing: which of them is best, as far as it can be told.
        warnings: what gives pause about single runs; those that adapting hurt come first.
        notes: how the figures are to be read.
        disagreement: for each two runs, the share of target rows for which they predict differently; None where that
            cannot be said, and on the diagonal.
        reasons: why it cannot be said, by the places of the two runs, the smaller first.
        target_rows: on how many rows two runs were compared; several numbers if their targets differ.
        settings: what differs between the runs: a setting, and its value in each.
    """

    runs: tuple[str, ...]
    rows: tuple[Row, ...]
    standing: Standing
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    disagreement: tuple[tuple[float | None, ...], ...]
    reasons: dict[tuple[int, int], str]
    target_rows: tuple[int, ...]
    settings: tuple[tuple[str, tuple[Any, ...]], ...]

    def as_json(self) -> dict[str, Any]:
        """Give it as plain JSON, for programs."""
        rows = [
            {
                "runs": list(row.runs), "model": row.model, "is_floor": row.is_floor, "best": row is self.standing.best,
                "result": row.result or None, "verdict": row.verdict or None, "seconds": list(row.seconds),
                "peak_memory": row.peak_memory, "target_labels": row.target_labels,
            }
            for row in self.rows
        ]  # fmt: skip
        reasons = [{"runs": [self.runs[i], self.runs[j]], "reason": why} for (i, j), why in self.reasons.items()]
        return {
            "rows": rows,
            "standing": {"answer": self.standing.answer, "sentence": self.standing.sentence},
            "disagreement": {
                "runs": list(self.runs), "shares": [list(row) for row in self.disagreement], "unknown": reasons
            },
            "warnings": list(self.warnings),
            "notes": list(self.notes),
        }  # fmt: skip


def compare(runs: Sequence[RunFolder | Path | str]) -> Comparison:
    """Put finished runs beside one another.

    Each run's serving model is shown with its accuracy and interval, its verdict, its time and memory; the model
    without transfer beside it once, where several runs have the same one.  Runs with another test or another target
    are shown, but not ranked; of what can be said of the others, see `juyi.report.standing.rank`.

    Args:
        runs: two finished runs or more, each once.

    Raises:
        SettingError: there are fewer than two, or one is there twice.
        RunFolderError: one is no run, is not finished, or its run.json is damaged.
        ForeignFileError: a run's predictions.csv is absent or damaged.

    Example:
        >>> import tempfile
        >>> on, folders = {"data": "test/", "role": "test"}, []
        >>> for method, value in (("dann", 0.9), ("adda", 0.5)):
        ...     ends = {"low": value - 0.05, "high": value + 0.05}
        ...     result = {"name": "accuracy", "model": method, "value": value, **ends, "n": 100, "on": on}
        ...     test = {"name": "test/", "fingerprint": "00ff"}
        ...     record = {"method": method, "serves": method, "status": "finished", "data": {"test": test}}
        ...     folders.append(RunFolder.create(Path(tempfile.mkdtemp()) / method, method))
        ...     folders[-1].write({**record, "results": [result]})
        >>> compare(folders).standing.answer
        'best'
    """
    folders = [run if isinstance(run, RunFolder) else RunFolder(Path(run)) for run in runs]
    if len(folders) < 2:
        raise SettingError("RUN: name at least two runs to compare; juyi report RUN shows one")
    seen: dict[Path, RunFolder] = {}
    for run in folders:
        if (earlier := seen.setdefault(run.path.resolve(), run)) is not run:
            raise SettingError(f"{run.path}: is named twice (as {earlier.path} before); name each run once")
    finished = [read_finished(run) for run in folders]
    rows = (*(serving_row(run) for run in finished), *floor_rows(finished))
    standing = rank(finished, rows)
    matrix, reasons = disagreements(finished)
    return Comparison(
        tuple(run.name for run in finished),
        rows,
        standing,
        tuple(warnings(finished, rows)),
        tuple(notes(finished, rows, standing)),
        matrix,
        reasons,
        tuple(sorted({len(run.predictions.names) for run in finished if run.predictions})),
        tuple(differing_settings(finished)),
    )


def warnings(runs: Sequence[Finished], rows: Sequence[Row]) -> list[str]:
    """Say what gives pause: who was hurt, the runs' own warnings, and who had more to learn from."""
    found = [f"{row.short}: transfer hurt." for row in rows if row.verdict.get("answer") == "hurt"]
    found += [f"{run.name}: {warning}" for run in runs for warning in run.record.get("warnings") or []]
    if len({run.labels for run in runs}) > 1:
        saw = ", ".join(f"{run.name} ({run.labels:,})" for run in runs if run.labels)
        found.append(f"Not all runs had the same to learn from: target labels were given to {saw}.")
    if len({repr((run.record.get("online") or {}).get("scored")) for run in runs}) > 1:
        found.append("Not all runs were scored in one way: some while a stream passed, others when all was learnt.")
    sources = dict.fromkeys(str(run.data("source").get("name")) for run in runs)
    if len(sources) > 1:
        found.append(f"The runs have different sources: {', '.join(sources)}.")
    return found


def notes(runs: Sequence[Finished], rows: Sequence[Row], standing: Standing) -> list[str]:
    """Say how the figures are to be read."""
    found = [] if standing.answer == "not_comparable" else list(LIMITS)
    if any(over_clients(row.result) for row in rows):
        found.append(
            "Of a run with a model for each client the accuracy is the mean over its clients, and its interval covers "
            "the choice of clients. It was trained together with what its clients could serve instead: all of that is "
            "in its time."
        )
    if any(row.peak_memory is not None for row in rows):
        found.append(
            "Peak memory is that of the run's whole process, libraries and the floor included, without a GPU's own."
        )
    if len({repr([(run.record.get("machine") or {}).get(key) for key in MACHINE]) for run in runs}) > 1:
        found.append("The runs were not made on the same machine, threads and number type: times do not compare.")
    return found


MACHINE = ("processor", "device", "threads", "precision")
"""What the time of a run hangs on, besides the load of the machine."""


def differing_settings(runs: Sequence[Finished]) -> list[tuple[str, tuple[Any, ...]]]:
    """List the settings in which runs differ: method, data, hyperparameters, versions, machine."""
    tables = []
    for run in runs:
        record = run.record
        table = {"method": record.get("method"), "seed": record.get("seed")}
        table |= {role: run.data(role).get("name") for role in ("source", "target", "clients", "test")}
        table |= {key: (record.get("request") or {}).get(key) for key in ("newcomers", "gate")} if dealt(run) else {}
        table["partition"] = (record.get("partition") or {}).get("how")
        table["target labels given"] = run.labels
        table["network"] = (record.get("network") or {}).get("name")
        settings = record.get("hyperparameters") or {}
        table |= {label(key): value for key, value in settings.items() if key != "random_state"}
        for part in ("versions", "machine"):
            table |= {f"{part}: {label(key)}": value for key, value in (record.get(part) or {}).items()}
        tables.append(table)
    keys = dict.fromkeys(key for table in tables for key in table)
    listed = ((key, tuple(table.get(key) for table in tables)) for key in keys)
    return [(key, values) for key, values in listed if len({repr(value) for value in values}) > 1]


def disagreement_lines(comparison: Comparison, most: int = 8) -> list[str]:
    """Say in plain text where the runs disagree: a matrix for up to `most` runs, else the smallest and largest."""
    known = [share for row in comparison.disagreement for share in row if share is not None]
    reasons = [f"no disagreement of {comparison.runs[i]} and {comparison.runs[j]}: {why}"
               for (i, j), why in comparison.reasons.items()]  # fmt: skip
    if not known:
        return reasons[:most]
    rows = f"{comparison.target_rows[0]:,} target rows" if len(comparison.target_rows) == 1 else "target rows"
    lines = [f"disagreement: share of the {rows} for which two runs predict differently"]
    if len(comparison.runs) > most:
        lines.append(f"  {min(known) * 100:.1f} % to {max(known) * 100:.1f} %; the page has them all")
    else:
        places = [f"{place} {name}" for place, name in enumerate(comparison.runs, 1)]
        width = max(map(len, places))
        lines.append("  " + " " * width + "".join(f"{place:>8}" for place in range(1, len(places) + 1)))
        for place, shares in zip(places, comparison.disagreement, strict=True):
            cells = ("–" if share is None else f"{share * 100:.1f} %" for share in shares)
            lines.append(f"  {place:<{width}}" + "".join(f"{cell:>8}" for cell in cells))
    return [*lines, BOUND, *reasons[:most]]
