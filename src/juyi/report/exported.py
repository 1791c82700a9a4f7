"""Of an export: the files, what they cost on this machine, and the account of what was kept on the way."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from juyi.report.markup import definitions, escape, finite, label, quantity, section, weight
from juyi.report.summary import interval_text

NOTE = (
    "Times are of one row after another on one thread of the machine named below, the files by turns; the middle one "
    "of the medians of five series, and what nine of ten rows stay below. Another machine has other times, and often "
    "another order. Multiplications, bytes and activations hang on no machine."
)
ACCOUNT_NOTE = (
    "The same test rows for all. “As the teacher” is how often the answers are the same, “on its mistakes” on rows "
    "where the teacher is wrong: a student that copies it agrees there too. The divergence (KL, in nats) compares all "
    "probabilities. The calibration error says by how much confidence and accuracy differ, before and after dividing "
    "the scores by a temperature."
)
COLUMNS = (
    ("accuracy", "right"), ("worst_class", "worst class"), ("agreement", "as the teacher"),
    ("agreement_on_mistakes", "on its mistakes"), ("divergence", "divergence"),
    ("calibration_error", "calibration error"), ("calibration_error_after", "with temperature"),
    ("mean_absolute_error", "mean absolute error"),
)  # fmt: skip


def exported(record: dict[str, Any]) -> str:
    """Show what was exported; nothing if nothing was."""
    found = record.get("export")
    if not isinstance(found, dict):
        return ""
    sentence = f"<p>{escape(found.get('sentence') or '')}</p>{_try(found)}"
    return section("export", "On the small machine", sentence + _files(found) + _costs(found), NOTE) + _account(found)


def _try(found: dict[str, Any]) -> str:
    file = (found.get("files") or {}).get(str(found.get("use"))) or {}
    if not found.get("has_page") or not isinstance(file.get("path"), str):
        return ""
    place = file["path"].rpartition("/")[0]
    return f'<p><a href="{escape(quote(f"{place}/model.html"))}">Try it on your own pictures</a>, without network.</p>'


def _files(found: dict[str, Any]) -> str:
    rows = []
    for name, file in (found.get("files") or {}).items():
        advised = " <small>advised</small>" if name == found.get("use") else ""
        cells = [weight(file.get("bytes")), *_times(file.get("latency") or {})]
        rows.append((f"{escape(file.get('path'))} <small>{escape(name)}</small>{advised}", cells))
    rows.append(("in torch", ["–", *_times(found.get("latency_torch") or {})]))
    return table(("", "size", "one row", "9 of 10 below", "spread"), rows)


def _times(latency: dict[str, Any]) -> list[str]:
    spread = finite(latency.get("spread"))
    return [milliseconds(latency.get("median")), milliseconds(latency.get("tenth")),
            "–" if spread is None else f"{spread:.0%}"]  # fmt: skip


def _costs(found: dict[str, Any]) -> str:
    costs, machine = found.get("costs") or {}, found.get("machine") or {}
    rows = [
        ("parameters", count(costs.get("parameters"))),
        ("multiplications a row", count(costs.get("macs"))),
        ("activations at most, a row", weight(costs.get("peak_activations"))),
        ("machine", f"{machine.get('processor') or 'unknown'}, 1 thread"),
    ]
    return definitions("What it costs", rows)


def _account(found: dict[str, Any]) -> str:
    entries = [entry for entry in found.get("account") or [] if isinstance(entry, dict)]
    columns = [(key, title) for key, title in COLUMNS if any(key in entry for entry in entries)]
    if found.get("reference") != "teacher":
        columns = [(key, title.replace("the teacher", str(found.get("reference")))) for key, title in columns]
    rows = [(escape(entry.get("model")), [_cell(key, entry.get(key)) for key, _ in columns]) for entry in entries]
    notes = "".join(f"<p>{escape(note)}</p>" for note in found.get("account_notes") or [])
    fitted = found.get("temperature_on")
    notes += f"<p>Temperatures were fitted on {escape(fitted)}.</p>" if fitted else ""
    body = table(("", *(title for _, title in columns)), rows) + notes if rows else ""
    return section("account", f"What was kept, on {found.get('account_on')}", body, ACCOUNT_NOTE)


def _cell(key: str, value: Any) -> str:
    if isinstance(value, dict) and key == "mean_absolute_error":
        return _ranged(value, quantity(value.get("value"), key, value.get("unit")), key)
    if isinstance(value, dict):
        named = f" ({value['class']})" if "class" in value else ""
        return _ranged(value, quantity(value.get("value")) + named, "accuracy")
    known = finite(value)
    return "–" if known is None else f"{known:.3f}"


def _ranged(value: dict[str, Any], shown: str, name: str) -> str:
    interval = interval_text({**value, "name": name})
    return f"{escape(shown)} <small>{interval}</small>" if interval else escape(shown)


def table(head: tuple[str, ...], rows: list[tuple[str, list[str]]]) -> str:
    """Write a table of figures, a row each, the names and the cells being markup already."""
    titles = "".join(f'<th scope="col">{escape(title)}</th>' for title in head)
    lines = "".join(
        f'<tr><th scope="row">{name}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>' for name, cells in rows
    )
    rows_of = f"<thead><tr>{titles}</tr></thead><tbody>{lines}</tbody>"
    return f'<div class="wide-table"><table class="account">{rows_of}</table></div>'


def account_lines(found: dict[str, Any]) -> list[str]:
    """Say in plain text what an export has found.

    Example:
        >>> file = {"path": "export/model.onnx", "bytes": 252_844, "latency": {"median": 0.091}}
        >>> print("\\n".join(account_lines({"files": {"float32": file}, "sentence": "It answers as the network."})))
        export/model.onnx  253 kB  0.091 ms a row
        It answers as the network.
    """
    lines = []
    for file in (found.get("files") or {}).values():
        time = milliseconds((file.get("latency") or {}).get("median"))
        lines.append(f"{file.get('path')}  {weight(file.get('bytes'))}  {time} a row")
    for entry in found.get("account") or []:
        told = [f"{label(key)} {quantity(entry[key]['value'], key)}" for key in ("accuracy", "agreement",
                "mean_absolute_error") if key in entry]  # fmt: skip
        lines.append(f"  {entry['model']}: {', '.join(told)}")
    lines.append(str(found.get("sentence") or ""))
    lines += [f"note: {note}" for note in found.get("account_notes") or []]
    return ["".join(sign if sign.isprintable() else " " for sign in line) for line in lines]


def milliseconds(time: object) -> str:
    """Write a time in ms, three digits.

    >>> milliseconds(0.0912), milliseconds(12.34), milliseconds(None)
    ('0.091 ms', '12.3 ms', '–')
    """
    known = finite(time)
    return "–" if known is None else f"{known:.2g} ms" if known < 1 else f"{known:.3g} ms"


def count(number: object) -> str:
    """Write a number of things.

    >>> count(61706), count(None)
    ('61,706', '–')
    """
    known = finite(number)
    return "–" if known is None else f"{known:,.0f}"
