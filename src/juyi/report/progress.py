"""progress.html: how the rounds of a personalisation go on; the page renews itself as long as the run goes on."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from juyi.report.markup import escape, finite
from juyi.report.page import head_of, title
from juyi.runs import RunFolder
from juyi.runs.files import write_text

RENEWED = 2
"""Seconds after which a browser reads the page again."""
SAID = {
    "answered": "answered", "waiting": "waited for", "late": "late: made a part of its steps", "lost": "did not answer",
    "refused": "refused",
}  # fmt: skip


def write_progress(run: RunFolder, progress: dict[str, Any]) -> Path:
    """Write progress.html of a run that goes on, from what progress.json holds.

    Args:
        run: the run folder.
        progress: what progress.json holds.

    Returns:
        The path of the page.
    """
    path = run.path / "progress.html"
    write_text(path, render(run.read(), progress))
    return path


def render(record: dict[str, Any], progress: dict[str, Any]) -> str:
    """Assemble the page.

    Example:
        >>> page = render({"method": "ditto"}, {"status": "running", "model": "ditto", "round": 1, "rounds": 4,
        ...     "plan": ["ditto"], "looks": [[1, 0.5]], "standing": {"answered": ["<ann>"]}, "left": 3.0})
        >>> "&lt;ann&gt;" in page, "<ann>" in page, 'http-equiv="refresh"' in page
        (True, False, True)
    """
    running = progress.get("status") == "running"
    head = head_of(title(record), "default-src 'none'; style-src 'unsafe-inline'")
    renew = f'<meta http-equiv="refresh" content="{RENEWED}">' if running else ""
    body = _opening(progress, running) + _looks(progress) + _clients(progress)
    written = escape(str(progress.get("written") or "")[:19].replace("T", " "))
    renews = f"It is read again every {RENEWED} seconds."
    more = renews if running else '<a href="report.html">The report</a> says more.'
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head>{head}{renew}</head><body><main>'
        f'<header><p class="brand"><b>Juyi</b> <span lang="zh">举一反三</span><time>{written}</time></p>'
        f"<h1>{escape(title(record))}</h1></header>{body}"
        f"<footer>Made by Juyi from the run’s folder. {more} This page is one file and loads nothing.</footer>"
        "</main></body></html>\n"
    )


def _opening(progress: dict[str, Any], running: bool) -> str:
    """How far it is, and how long it will take."""
    plan = [str(name) for name in progress.get("plan") or []]
    model = str(progress.get("model"))
    at, of = finite(progress.get("round")) or 0.0, finite(progress.get("rounds")) or 1.0
    looks = _points(progress)
    figures = [("round", f"{at:.0f}<small> of {of:.0f}</small>", _bar(at / of))]
    if len(plan) > 1 and model in plan:
        place = plan.index(model) + 1
        figures.insert(0, ("method", escape(model), f"{place} of {len(plan)}: {escape(', '.join(plan))}"))
    if looks:
        figures.append(("held-out rows told", f"{100 * looks[-1][1]:.1f}<small> %</small>", "mean over the clients"))
    left = finite(progress.get("left"))
    if running and left is not None:
        figures.append(("left of this method", duration(left), "at the pace so far"))
    lost, refused = (finite(progress.get(name)) or 0.0 for name in ("lost", "refused"))
    figures.append(("lost and refused", f"{lost:.0f} · {refused:.0f}", "updates that were not taken"))
    items = "".join(
        f'<li><span class="name">{name}</span><span class="big">{value}</span><span class="range">{more}</span></li>'
        for name, value, more in figures
    )
    says = "The clients learn." if running else "All rounds are done."
    return f'<section class="verdict"><p class="sentence">{says}</p><ul class="figures">{items}</ul></section>'


def _bar(share: float) -> str:
    at = 100 * min(1.0, max(0.0, share))
    return (
        '<svg class="bar after" viewBox="0 0 100 12" preserveAspectRatio="none" aria-hidden="true">'
        '<line class="track" x1="0" x2="100" y1="6" y2="6"/>'
        f'<line class="point" x1="0" x2="{at:.1f}" y1="6" y2="6"/></svg>'
    )


def _looks(progress: dict[str, Any]) -> str:
    """How held-out rows were told, by rounds."""
    points = _points(progress)
    if len(points) < 2:
        return ""
    last = max(1.0, finite(progress.get("rounds")) or points[-1][0])
    low, high = min(value for _, value in points), max(value for _, value in points)
    low, high = max(0.0, low - 0.02), min(1.0, high + 0.02)
    place = [(60 + 920 * at / last, 180 - 160 * (value - low) / (high - low or 1.0)) for at, value in points]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in place)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="var(--after)"/>' for x, y in place)
    text = 'fill="var(--soft)" font-size="15"'
    return (
        '<section><h2>Held-out rows, by rounds</h2><svg viewBox="0 0 1000 220" width="100%" role="img" '
        f'aria-label="from {points[0][1]:.3f} to {points[-1][1]:.3f}">'
        f'<text x="0" y="186" {text}>{100 * low:.0f} %</text><text x="0" y="26" {text}>{100 * high:.0f} %</text>'
        '<line x1="60" x2="980" y1="190" y2="190" stroke="var(--line)"/>'
        f'<text x="60" y="213" {text}>0</text><text x="980" y="213" text-anchor="end" {text}>round {last:.0f}</text>'
        f'<polyline points="{line}" fill="none" stroke="var(--after)" stroke-width="3"/>{dots}</svg></section>'
    )


def _clients(progress: dict[str, Any]) -> str:
    """Who answered in this round, who is late, for whom it waits."""
    standing = progress.get("standing") or {}
    rows = "".join(
        f"<tr><td>{said}</td><td><b>{len(standing[how])}</b></td><td>{_listed(standing[how])}</td></tr>"
        for how, said in SAID.items()
        if standing.get(how)
    )
    if not rows:
        return ""
    head = "<tr><th>in this round</th><th>clients</th><th>which</th></tr>"
    table = f'<table class="results runs"><thead>{head}</thead><tbody>{rows}</tbody></table>'
    return f"<section><h2>Who is there</h2>{table}</section>"


def _listed(names: Iterable[Any], most: int = 20) -> str:
    every = [escape(name) for name in names]
    return ", ".join(every[:most]) + (f" and {len(every) - most} more" if len(every) > most else "")


def _points(progress: dict[str, Any]) -> list[tuple[float, float]]:
    found = [(finite(look[0]), finite(look[1])) for look in progress.get("looks") or [] if len(look) == 2]
    return [(at, value) for at, value in found if at is not None and value is not None]


def duration(seconds: float) -> str:
    """A time in words, as short as it may be.

    Example:
        >>> duration(42.2), duration(300.0), duration(7300.0)
        ('42 s', '5 min', '2.0 h')
    """
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
