"""What a run says in a few lines of plain text."""

from __future__ import annotations

from typing import Any

from juyi.report.markup import finite, label, quantity

ROLES = ("test", "target", "source_validation", "held_out")
"""From the most telling to the least."""
FLOOR = "source_only"
FLOORS = {
    FLOOR: "not adapted",
    "student_alone": "from the labels alone",
    "untrained": "before it learnt",
    "from_scratch": "from these labels alone",
    "fedavg": "one model for all",
}
"""What models are held against, mostly one without transfer, and what is said of them beside others."""
SERVED = "served"
"""Of a run with a model for each client: for each client the model that it serves."""
BESIDE = {"local": "each client alone", SERVED: "what each client serves"}
"""What is said of other models, likewise."""
HELD_OUT = {"source_validation": " (source, held out)", "held_out": " (held out)"}


def headline(record: dict[str, Any]) -> list[dict[str, Any]]:
    """Choose the results that say most: one a model, all of one measure, on one set of data.

    Of the test, the target and the held-out source the first that has results is taken; what is held against
    transfer comes first (the floor that the record names after those without transfer), what serves comes last.

    Args:
        record: what run.json holds.

    Returns:
        Results as in run.json, none to several.

    Example:
        >>> on = {"data": "digits_m@test", "role": "test"}
        >>> results = [{"model": m, "name": "accuracy", "value": 0.5, "on": on} for m in ("dann", "source_only")]
        >>> [result["model"] for result in headline({"results": results, "serves": "dann"})]
        ['source_only', 'dann']
    """
    results = [r for r in record.get("results") or [] if isinstance(r, dict) and finite(r.get("value")) is not None]
    for role in ROLES:
        there = [r for r in results if (r.get("on") or {}).get("role") == role]
        if there:
            first = there[0]
            same = [r for r in there if (r.get("name"), r.get("on")) == (first.get("name"), first.get("on"))]
            order = {str(record.get("floor")): 1} | dict.fromkeys(FLOORS, 0) | {serving(record): 3}
            return sorted(same, key=lambda r: order.get(str(r.get("model")), 2))
    return []


def serving(record: dict[str, Any]) -> str:
    """Name the model whose results stand for the run: the one that serves, or what each client serves.

    Example:
        >>> serving({"serves": "dann"}), serving({"serves": "fedavg", "results": [{"model": "served"}]})
        ('dann', 'served')
    """
    results = record.get("results") or []
    by_client = any(isinstance(result, dict) and result.get("model") == SERVED for result in results)
    return SERVED if by_client else str(record.get("serves"))


def over_clients(result: dict[str, Any]) -> bool:
    """Tell whether a result is a mean over clients, and its interval covers the choice of clients."""
    return (result.get("on") or {}).get("over") == "clients"


def measured(result: dict[str, Any]) -> str:
    """Say in words what a result measures.

    Example:
        >>> measured({"name": "accuracy"}), measured({"name": "accuracy", "on": {"over": "clients"}})
        ('accuracy', 'mean accuracy of the clients')
    """
    name = label(result.get("name", "result"))
    return f"mean {name} of the clients" if over_clients(result) else name


def interval_text(result: dict[str, Any]) -> str:
    """Write a result's 95 % interval without brackets; empty if there is none.

    Example:
        >>> interval_text({"low": 0.47, "high": 0.57, "name": "accuracy"})
        '47.0 to 57.0'
    """
    low, high = finite(result.get("low")), finite(result.get("high"))
    if low is None or high is None:
        return ""
    name = result.get("name")
    return f"{quantity(low, name).removesuffix(' %')} to {quantity(high, name).removesuffix(' %')}"


def summary_lines(record: dict[str, Any]) -> list[str]:
    """Say in plain text what a run has found: both accuracies with intervals, the verdict, the warnings.

    If transferring hurt, that is the first line.

    Args:
        record: what run.json holds; any part may be absent.

    Returns:
        Lines without line breaks or any other control character; the caller adds where the report is.

    Example:
        >>> result = {"name": "accuracy", "model": "dann", "value": 0.842, "low": 0.808, "high": 0.871, "n": 500,
        ...           "on": {"data": "digits_m@test", "role": "test"}}
        >>> verdict = {"answer": "helped", "sentence": "Adapting helped: ..."}
        >>> print("\\n".join(summary_lines({"serves": "dann", "results": [result], "verdict": verdict})))
        accuracy on digits_m@test, 500 rows (95 % interval)
          dann  84.2 %  (80.8 to 87.1)
        Adapting helped: ...
    """
    shown = headline(record)
    lines = []
    if shown:
        on, n = shown[0].get("on") or {}, shown[0].get("n")
        rows = f", {n:,} rows" if isinstance(n, int) else ""
        held = HELD_OUT.get(str(on.get("role")), "")
        lines.append(f"{measured(shown[0])} on {on.get('data', 'the data')}{held}{rows} (95 % interval)")
        width = max(len(str(result.get("model"))) for result in shown)
        for result in shown:
            interval = interval_text(result)
            oracle = "  saw target labels" if result.get("saw_target_labels") else ""
            value = quantity(result.get("value"), result.get("name"), result.get("unit"))
            lines.append(
                f"  {result.get('model')!s:<{width}}  {value}" + (f"  ({interval})" if interval else "") + oracle
            )
    verdict = record.get("verdict") or {}
    sentence = verdict.get("sentence")
    if sentence:
        lines = [sentence, *lines] if verdict.get("answer") == "hurt" else [*lines, sentence]
    said = sentence or ""
    lines += [f"Warning: {warning}" for warning in record.get("warnings") or [] if str(warning) not in said]
    return ["".join(sign if sign.isprintable() else " " for sign in str(line)) for line in lines]
