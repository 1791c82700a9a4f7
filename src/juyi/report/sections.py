"""The parts of the page that are words, tables and pictures."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from juyi.report.markup import definitions, escape, finite, image, is_share, label, memory, quantity, section
from juyi.report.summary import BESIDE, FLOOR, FLOORS, headline, interval_text, measured, over_clients, serving

ANSWERS = {
    "helped": ("▲", "Verdict: it helped"),
    "no_difference": ("=", "Verdict: no difference that matters"),
    "hurt": ("▼", "Verdict: it hurt"),
    "cannot_tell": ("?", "Verdict: cannot tell"),
}
ROLES: dict[Any, str] = {
    "test": "test, opened at the end",
    "target": "target",
    "source_validation": "source, held out",
    "held_out": "held out",
}


def opening(record: dict[str, Any]) -> str:
    """Write the verdict, big: symbol, word and sentence, then the figures it rests on."""
    verdict = record.get("verdict") or {}
    answer = str(verdict.get("answer")) if verdict.get("answer") in ANSWERS else "none"
    shown = headline(record)
    if record.get("status", "finished") != "finished":
        answer, symbol, word = "none", "…", "Not finished"
        sentence = f"This run's status is “{record['status']}”; what is shown is what it had written by then."
    elif answer == "none":
        symbol, word = "●", "Done"
        sentence = verdict.get("sentence") or done_sentence(record, shown)
    else:
        symbol, word = ANSWERS[answer]
        sentence = verdict.get("sentence") or "No sentence was recorded for this verdict."
    return (
        f'<section class="verdict {answer}" aria-labelledby="verdict-title">'
        f'<h2 id="verdict-title"><span class="symbol" aria-hidden="true">{symbol}</span> {word}</h2>'
        f'<p class="sentence">{sentence_html(str(sentence))}</p>{big_figures(record, shown)}</section>'
    )


def done_sentence(record: dict[str, Any], shown: list[dict[str, Any]]) -> str:
    """Say what a run without a verdict did."""
    data = record.get("data") or {}
    data = data.get("source") or data.get("clients") or {}
    what = f"{record.get('method') or 'The run'} has learnt from {data.get('name', 'its data')}."
    if not shown:
        return what
    on = shown[-1].get("on") or {}
    value = quantity(shown[-1].get("value"), shown[-1].get("name"), shown[-1].get("unit"))
    return f"{what} {label(shown[-1].get('name', '')).capitalize()} on {on.get('data', 'the data')}: {value}."


def masthead(title: str, answer: str, heading: str, sentence: str) -> str:
    """Write the top of a page that is about one question: what was carried where, and what came of it.

    Args:
        title: what was carried where.
        answer: of the verdict, which gives the colour.
        heading: over the sentence.
        sentence: what came of it.
    """
    return (
        f'<header><p class="brand"><b>Juyi</b> <span lang="zh">举一反三</span></p><h1>{escape(title)}</h1></header>'
        f'<section class="verdict {escape(answer)}" aria-labelledby="verdict-title"><h2 id="verdict-title">'
        f'{escape(heading)}</h2><p class="sentence">{sentence_html(sentence)}</p></section>'
    )


def sentence_html(sentence: str) -> str:
    """Set the first sentence large, and what follows it small."""
    head, dot, rest = sentence.replace(" %", "\N{NO-BREAK SPACE}%").partition(". ")
    small = f'<span class="more">{escape(rest)}</span>' if rest else ""
    return f"{escape(head + dot.strip())}{' ' + small if small else ''}"


def big_figures(record: dict[str, Any], shown: list[dict[str, Any]]) -> str:
    """Write two of the headline's results and the last as large figures with their interval bars, the floor first."""
    if not shown or (record.get("verdict") and (shown[0].get("on") or {}).get("role") == "source_validation"):
        return ""  # held-out source figures say nothing about the target, so they do not stand beside its verdict
    cards = []
    for result in [*shown[:2], *shown[2:][-1:]]:
        model = result.get("model")
        beside = (FLOORS | BESIDE).get(str(model), "") if len(shown) > 1 else ""
        role = beside or ("serves" if model == serving(record) else "")
        if result.get("saw_target_labels"):
            role = f"{role}, saw target labels".lstrip(", ")
        interval = interval_text(result)
        cards.append(
            f'<li class="{"before" if model in FLOORS else "after"}">'
            f'<span class="name">{escape(model)}{f" <small>{role}</small>" if role else ""}</span>'
            f'<span class="big">{escape(quantity(result.get("value"), result.get("name"), result.get("unit")))}</span>'
            f"{bar(result)}<span class='range'>{escape(f'95 % interval {interval}' if interval else '')}</span></li>"
        )
    on, n = shown[0].get("on") or {}, shown[0].get("n")
    rows = f", {n:,} rows" if isinstance(n, int) else ""
    what = f"{measured(shown[0])} on {on.get('data', 'the data')} ({role_text(on)}{rows})"
    return f'<ul class="figures">{"".join(cards)}</ul><p class="what">{escape(what)}</p>'


def bar(result: dict[str, Any]) -> str:
    """Draw a share and its interval on a line from 0 to 100 %; the numbers stand beside it, so it has no text."""
    value = finite(result.get("value"))
    if value is None or not is_share(result.get("name")):
        return ""
    low, high = finite(result.get("low")), finite(result.get("high"))
    left, right = (value if end is None else min(max(end, 0.0), 1.0) for end in (low, high))
    kind = "before" if result.get("model") in FLOORS else "after"
    return (
        f'<svg class="bar {kind}" viewBox="0 0 100 12" preserveAspectRatio="none" aria-hidden="true">'
        '<line class="track" x1="0" x2="100" y1="6" y2="6"/>'
        f'<line class="reach" x1="{left * 100:.2f}" x2="{right * 100:.2f}" y1="6" y2="6"/>'
        f'<line class="point" x1="{value * 100:.2f}" x2="{value * 100:.2f}" y1="1" y2="11"/></svg>'
    )


def role_text(on: dict[str, Any]) -> str:
    """Say in words what the data of a result were to the run.

    Example:
        >>> role_text({"role": "source_validation"})
        'source, held out'
    """
    return ROLES.get(on.get("role"), label(on.get("role") or ""))


def results(record: dict[str, Any]) -> str:
    """Write the table of all results, each with its interval and what it was computed on."""
    rows = []
    given = [result for result in record.get("results") or [] if isinstance(result, dict)]
    names = {measured(result) for result in given}
    for result in given:
        on, name = result.get("on") or {}, result.get("name", "result")
        interval = interval_text(result)
        saw, n = result.get("saw_target_labels"), result.get("n")
        cells = [
            ("model", f"<strong>{escape(result.get('model', '–'))}</strong>"),
            ("on", f"{escape(on.get('data', '–'))} <small>{escape(role_text(on))}</small>"),
            (
                str(name),
                (f"{escape(measured(result))} " if len(names) > 1 else "")
                + f"<b>{escape(quantity(result.get('value'), name, result.get('unit')))}</b> "
                f"<small>{escape(interval)}</small>",
            ),
            ("interval", bar(result)),
            ("rows", escape(f"{n:,}" if isinstance(n, int) else "–")),
            ("saw target labels", '<span class="oracle">yes</span>' if saw else "no"),
        ]
        rows.append(
            "<tr>" + "".join(f'<td data-label="{escape(label(k))}"><span>{v}</span></td>' for k, v in cells) + "</tr>"
        )
    if not rows:
        return ""
    measure = names.pop() if len(names) == 1 else "result"
    heads = (
        "model",
        "on",
        f"{measure}, 95 % interval",
        "0 to 100 %" if "<svg" in "".join(rows) else "",
        "rows",
        "saw target labels",
    )
    head = "".join(f'<th scope="col">{escape(h)}</th>' for h in heads)
    table = f'<table class="results"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'
    covers = "clients" if all(map(over_clients, given)) else "these rows"
    lead = f"An interval covers the choice of {covers}, not the choice of seed."
    return section("results", "Results", table, lead)


def warnings(record: dict[str, Any]) -> str:
    """List what gives pause about the run, and what was done to its data."""
    verdict = record.get("verdict") or {}
    said = dict.fromkeys(str(w) for w in [*(record.get("warnings") or []), *(verdict.get("warnings") or [])])
    notes = dict.fromkeys(str(note) for note in record.get("notes") or [])
    return section("warnings", "Warnings", listed("warnings", said)) + section(
        "notes", "Notes on the data", listed("notes", notes)
    )


def listed(kind: str, lines: Iterable[str]) -> str:
    """Write a list of lines; nothing if there is none."""
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f'<ul class="{kind}">{items}</ul>' if items else ""


def least_sure(figure: dict[str, Any], record: dict[str, Any]) -> str:
    """Show the target images of which the served model is least sure, with what both models say."""
    cards = []
    for entry in figure.get("images") or []:
        name = str(entry.get("name"))
        says = escape(entry.get("prediction"))
        drawn = image(entry.get("png"), f"{name}: {entry.get('prediction')}")
        if not drawn:
            continue
        floor = escape(entry.get("prediction_floor"))
        differ = " differ" if says != floor else ""
        cards.append(
            f'<li class="card{differ}">{drawn}'
            f'<span class="says after">{says} <small>{escape(quantity(entry.get("confidence")))}</small></span>'
            f'<span class="says before">{floor} <small>{escape(quantity(entry.get("confidence_floor")))}</small></span>'
            f'<span class="file" title="{escape(name)}">{escape(name.rsplit("/", 1)[-1])}</span></li>'
        )
    body = f'<ul class="cards">{"".join(cards)}</ul>' if cards else ""
    serves = escape(record.get("serves") or "the model")
    lead = (
        f'What <span class="says after">{serves}</span> answers and how sure it is of it; '
        f'below, what <span class="says before">{FLOOR}</span> answers. Framed where the two differ. '
        "Looking at these, and labelling some of them, pays most."
    )
    return section("least-sure", "The target images it is least sure of", body, lead)


def settings(record: dict[str, Any]) -> str:
    """Write every setting of the run: what would be needed to repeat it."""
    told = {"schema", "method", "seed", "room", "serves", "command", "started", "status", "hyperparameters", "network"}
    told |= {"data", "versions", "machine", "results", "verdict", "warnings", "classes", "seconds", "openings"}
    told |= {"peak_memory", "settled", "temperatures", "budget", "export", "personal", "gate", "traffic", "newcomers"}
    tables = [definitions("Method", [(k, record[k]) for k in ("room", "method", "serves", "seed") if k in record])]
    tables += [definitions(k.capitalize(), facts(record.get(k), k)) for k in ("hyperparameters", "network")]
    for role, described in facts(record.get("data"), "data"):
        tables.append(definitions(f"Data: {label(role)}", facts(described, "name")))
    run: list[tuple[object, object]] = [(key, record[key]) for key in ("status", "started") if key in record]
    run += [(f"seconds, {model}", value) for model, value in facts(record.get("seconds"), "in all")]
    run += [("peak memory of the process", memory(record["peak_memory"]))] if record.get("peak_memory") else []
    run += [("opened", f"{o.get('data')} at {o.get('when')}") for o in record.get("openings") or []]
    run += [("classes", record["classes"])] if record.get("classes") else []
    run += [(label(key), value) for key, value in record.items() if key not in told and value not in ([], {}, None)]
    tables.append(definitions("Run", run))
    tables += [definitions(k.capitalize(), facts(record.get(k), k)) for k in ("versions", "machine")]
    command = record.get("command")
    shown = f'<pre class="command"><code>{escape(command)}</code></pre>' if command else ""
    return section("settings", "Every setting", f'{shown}<div class="tables">{"".join(tables)}</div>')


def facts(value: Any, name: str) -> list[tuple[str, Any]]:
    """List a part of the record as name and value, whether it is a dict, a single value, or absent.

    Example:
        >>> facts({"cores": 2}, "machine"), facts(12.3, "in all"), facts(None, "machine")
        ([('cores', 2)], [('in all', 12.3)], [])
    """
    if isinstance(value, dict):
        return [(str(key), item) for key, item in value.items()]
    return [] if value is None else [(name, value)]
