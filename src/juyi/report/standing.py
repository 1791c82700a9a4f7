"""The rows of a comparison, and which of them is best, as far as that can be told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from juyi.measure.verdict import number
from juyi.report.finished import CLIENT, Finished, dealt, differing, same_clients, same_target, same_test
from juyi.report.markup import duration, finite, memory, quantity
from juyi.report.summary import FLOORS, SERVED, interval_text, over_clients, serving

ANSWERS = {"helped": "helped", "no_difference": "no difference", "hurt": "hurt", "cannot_tell": "cannot tell"}


@dataclass(frozen=True, eq=False)
class Row:
    """One model in the comparison: that which serves in a run, or the one without transfer beside it.

    Args:
        runs: the run; for a floor, every run that has it with the same figures.
        model: the model's name.
        is_floor: whether it is the model without transfer of those runs.
        result: the result that says most, as in run.json; empty if there is none.
        verdict: the run's own, whether transfer helped; empty for a floor.
        seconds: of training the model, one for each of `runs` that recorded them.
        peak_memory: bytes, of the run's whole process; None where it was not recorded, and for a floor.
        target_labels: how many labels of the target it was given.
        method: of a run with a model for each client, what made them; else empty.
    """

    runs: tuple[str, ...]
    model: str
    is_floor: bool
    result: dict[str, Any]
    verdict: dict[str, Any]
    seconds: tuple[float, ...]
    peak_memory: int | None
    target_labels: int
    method: str = ""

    @property
    def title(self) -> str:
        """What the row is called in the table."""
        return f"beside {', '.join(self.runs)}" if self.is_floor else self.runs[0]

    @property
    def short(self) -> str:
        """What the row is called in a sentence."""
        more = f" and {len(self.runs) - 1} more" if len(self.runs) > 1 else ""
        return f"{self.model} beside {self.runs[0]}{more}" if self.is_floor else f"{self.runs[0]} ({self.model})"

    @property
    def value(self) -> float | None:
        """The figure that the row is ranked by."""
        return finite(self.result.get("value"))

    def cells(self) -> dict[str, str]:
        """What the table says of it, in plain text, by the columns' heads."""
        interval = interval_text(self.result)
        value = quantity(self.value, self.result.get("name", "accuracy"))
        on = self.result.get("on") or {}
        held = " (source, held out)" if on.get("role") == "source_validation" else ""
        rows = f", {self.result['n']:,} rows" if isinstance(self.result.get("n"), int) else ""
        rows += ", mean over clients" if over_clients(self.result) else ""
        made = f" ({self.method})" if self.method else ""
        times = list(dict.fromkeys(duration(seconds) for seconds in sorted(self.seconds))) or ["–"]
        return {
            "run": self.title,
            "method": self.model + made + (f", saw {self.target_labels:,} target labels" if self.target_labels else ""),
            "accuracy (95 % interval)": value + (f" ({interval})" if interval else ""),
            "gain over the floor": gain_text(self.verdict),
            "training": times[0] if len(times) == 1 else f"{times[0]} to {times[-1]}",
            "peak memory": "–" if self.is_floor else memory(self.peak_memory),
            "on": f"{on['data']}{held}{rows}" if on.get("data") else "–",
        }


def gain_text(verdict: dict[str, Any]) -> str:
    """Write a run's gain over the model without transfer, in points, with its interval and the verdict's answer.

    Example:
        >>> gain_text({"answer": "helped", "gain": 0.158, "low": 0.117, "high": 0.197})
        '+15.8 (11.7 to 19.7): helped'
        >>> gain_text({"answer": "cannot_tell", "gain": None, "low": -0.3, "high": 0.3})
        '−30.0 to 30.0: cannot tell'
    """
    gain, low, high = (finite(verdict.get(key)) for key in ("gain", "low", "high"))
    answer = ANSWERS.get(str(verdict.get("answer")))
    if answer is None:
        return "–"
    reach = f"{number(low)} to {number(high)}" if low is not None and high is not None else ""
    if gain is None:
        return f"{reach}: {answer}" if reach else answer
    return f"{'+' if gain > 0 else ''}{number(gain)}{f' ({reach})' if reach else ''}: {answer}"


def serving_row(run: Finished) -> Row:
    """The row of the model that serves in a run."""
    record, model = run.record, serving(run.record)
    result = next((result for result in run.shown if result.get("model") == model), {})
    trained = (record.get("seconds") or {}).items()
    every = [finite(value) for name, value in trained if model in (name, SERVED)]  # clients choose among all of them
    seconds = [value for value in every if value is not None]
    peak = finite(record.get("peak_memory"))
    return Row(
        (run.name,), model, False, result, record.get("verdict") or {}, (sum(seconds),) if seconds else (),
        None if peak is None else int(peak), run.labels, str(record.get("method")) if model == SERVED else "",
    )  # fmt: skip


def floor_rows(runs: Sequence[Finished]) -> list[Row]:
    """The rows of the models without transfer: one where several runs have it with the same seed and figures."""
    found: dict[Any, list[tuple[Finished, dict[str, Any]]]] = {}
    for run in runs:
        named = str(run.record.get("floor"))
        models = {str(result.get("model")): result for result in reversed(run.shown)}
        result = models.get(named) or next((one for one in run.shown if one.get("model") in FLOORS), None)
        if result is None or serving(run.record) in (*FLOORS, named):
            continue
        test = run.data("test").get("fingerprint")
        key = repr((run.record.get("seed"), test, dealt(run), run.labels, sorted(result.items(), key=str)))
        found.setdefault(key, []).append((run, result))
    rows = []
    for members in found.values():
        model = members[0][1]["model"]
        times = [finite((run.record.get("seconds") or {}).get(model)) for run, _ in members]
        seconds = tuple(time for time in times if time is not None)
        names = tuple(run.name for run, _ in members)
        rows.append(Row(names, model, True, members[0][1], {}, seconds, None, members[0][0].labels))
    return rows


@dataclass(frozen=True, eq=False)
class Standing:
    """Which row is best, as far as it can be told.

    Args:
        answer: `best`, `cannot_tell`, or `not_comparable`.
        sentence: it, in words.
        best: the row that is best; None unless that can be told.
    """

    answer: str
    sentence: str
    best: Row | None = None


def rank(runs: Sequence[Finished], rows: Sequence[Row]) -> Standing:
    """Say which row is best on the test, if its difference to every other is more than chance of the test's rows.

    A run folder does not hold which test rows a model is right on: a test is to be scored, not to be kept.  So two
    runs cannot be compared row by row; but the standard error of a difference is at most the sum of the two standard
    errors, however the errors go together.  Two rows are therefore told apart where their 95 % intervals do not
    overlap, which holds at least at the 95 % level and is stricter than a paired comparison.  Only a run and the
    floor beside it are compared by the paired interval, which is in the run's verdict.

    Args:
        runs: the runs; they are ranked only if all have the same test and the same target.
        rows: their rows, the floors among them.
    """
    obstacles = []
    for role, same in (("test", same_test), ("target", same_target), (CLIENT, same_clients)):
        groups = differing(runs, role, same)
        if len(groups) > 1:
            told = "; ".join(f"{what}: {', '.join(names)}" for what, names in groups)
            obstacles.append(f"their {role}s differ ({told})")
    on = {repr(((row.result.get("on") or {}).get("data"), row.result.get("n"))) for row in rows if row.result}
    if not obstacles and len(on) > 1:
        obstacles.append("their results are on different data")
    if obstacles:
        return Standing("not_comparable", f"These runs cannot be ranked: {' and '.join(obstacles)}.")
    if any((row.result.get("on") or {}).get("role") != "test" or row.value is None for row in rows):
        return Standing(
            "not_comparable",
            "These runs cannot be ranked: no labelled test of the target was given, so nothing says which is best "
            "there. The accuracies are those on the source's held-out rows.",
        )
    first = max(rows, key=lambda row: row.value or 0.0)
    others = [row for row in rows if row is not first]
    unclear = [row for row in others if not surpasses(first, row)]
    test, value = (first.result.get("on") or {}).get("data"), quantity(first.value, first.result.get("name"))
    if unclear:
        alike = ", ".join(row.short for row in unclear)
        drawn = "clients" if over_clients(first.result) else "test rows"
        return Standing(
            "cannot_tell",
            f"This test cannot tell which is best: {first.short} has the highest accuracy on {test}, {value}, but the "
            f"choice of {drawn} may explain its lead over {alike}.",
        )
    held_against = "one model for all" if over_clients(first.result) else "not transferring"
    closing = f" So {held_against} is best." if first.model in FLOORS else ""
    return Standing("best", f"Best on {test}: {first.short}, {value}, apart from every other.{closing}", first)


def surpasses(first: Row, second: Row) -> bool:
    """Tell whether the first row is better than the second by more than the choice of test rows explains."""
    for run, floor, end, sign in ((first, second, "low", 1), (second, first, "high", -1)):
        paired = run.verdict.get("evidence") == "test_labels" and finite(run.verdict.get(end))
        if floor.is_floor and not run.is_floor and run.runs[0] in floor.runs and isinstance(paired, float):
            return sign * paired > 0
    low, high = finite(first.result.get("low")), finite(second.result.get("high"))
    return low is not None and high is not None and low > high
