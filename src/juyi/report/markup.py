"""HTML from strings that nobody has checked: class names, file names and settings are data, never markup."""

from __future__ import annotations

import base64
import html
import json
import math
from collections.abc import Iterable
from typing import Any

SHARES = ("accuracy", "agreement", "fooling_rate", "f1", "area_under_curve", "rejected")
"""Results whose name ends like this are shares, 0 to 1, and are shown in percent with a bar."""


def escape(value: object) -> str:
    """Turn anything to text that is inert inside HTML, between tags and inside quoted attributes.

    Example:
        >>> escape('</script><img src=x onerror="a()">')
        '&lt;/script&gt;&lt;img src=x onerror=&quot;a()&quot;&gt;'
    """
    return html.escape(str(value).encode("utf-8", "replace").decode(), quote=True)


def script_json(content: object) -> str:
    """Write JSON that is inert inside a <script>: no character in it can end the element or start a comment.

    Example:
        >>> script_json({"name": "</script>"})
        '{"name":"\\\\u003c/script\\\\u003e"}'
    """
    text = json.dumps(content, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def finite(value: object) -> float | None:
    """Return a number, or None for anything that is none (absent, text, NaN, infinite).

    Example:
        >>> finite(0.5), finite(None), finite(float("nan")), finite(True), finite(10**400)
        (0.5, None, None, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:  # JSON's integers have no end
        return None


def is_share(name: object) -> bool:
    """Tell whether results of this name are shares, 0 to 1.

    Example:
        >>> is_share("balanced_accuracy"), is_share("mean_absolute_error")
        (True, False)
    """
    return str(name).endswith(SHARES)


def quantity(value: object, name: object = "accuracy", unit: object = "") -> str:
    """Write a result: a share in percent, anything else with four digits and its unit, what is absent as a dash.

    Example:
        >>> quantity(0.842), quantity(3.14159, "mean_absolute_error", "°C"), quantity(None)
        ('84.2 %', '3.142 °C', '–')
    """
    known = finite(value)
    if known is None:
        return "–"
    return f"{known * 100:.1f} %" if is_share(name) else f"{known:,.4g} {unit or ''}".rstrip()


def duration(seconds: object) -> str:
    """Write a time in the unit that fits; what is absent as a dash.

    Example:
        >>> duration(12.34), duration(79.7), duration(7300), duration(None)
        ('12.3 s', '1.3 min', '2.0 h', '–')
    """
    known = finite(seconds)
    if known is None:
        return "–"
    if known < 60:
        return f"{known:.1f} s"
    return f"{known / 60:.1f} min" if known < 3600 else f"{known / 3600:.1f} h"


def weight(size: object) -> str:
    """Write bytes in the unit that fits (a thousand, a million, a milliard of them); what is absent as a dash.

    >>> weight(512), weight(252_844), weight(9_592_428), weight(1_340_000_000), weight(None)
    ('512 B', '253 kB', '9.59 MB', '1.34 GB', '–')
    """
    known = finite(size)
    if known is None:
        return "–"
    for unit, scale in (("B", 1e0), ("kB", 1e3), ("MB", 1e6)):
        if known < 999.5 * scale:
            return f"{known / scale:.3g} {unit}"
    return f"{known / 1e9:.3g} GB"


def memory(size: object) -> str:
    """Write how much memory a run took; older runs did not record any.

    Example:
        >>> memory(512_000_000), memory(None)
        ('512 MB', 'not recorded')
    """
    return "not recorded" if finite(size) is None else weight(size)


def plain(value: Any) -> str:
    """Write a setting as people write it, fit to be typed again; nested ones on one line.

    Example:
        >>> plain(103256), plain(0.004), plain([3, 28, 28]), plain({"a": None}), plain(True)
        ('103256', '0.004', '3 × 28 × 28', 'a: –', 'yes')
    """
    if value is None or value == "" or value == [] or value == {}:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, dict):
        return "; ".join(f"{label(key)}: {plain(item)}" for key, item in value.items())
    if isinstance(value, list):
        numbers = all(isinstance(item, int) and not isinstance(item, bool) for item in value)
        return (" × " if numbers else ", ").join(plain(item) for item in value)
    return str(value)


def label(key: object) -> str:
    """Turn a key to words.

    Example:
        >>> label("source_validation")
        'source validation'
    """
    return str(key).replace("_", " ")


def definitions(title: str, rows: Iterable[tuple[object, object]]) -> str:
    """Write a titled table of settings, a row each; nothing if there are none."""
    body = "".join(f'<tr><th scope="row">{escape(key)}</th><td>{escape(plain(value))}</td></tr>' for key, value in rows)
    return f'<table class="settings"><caption>{escape(title)}</caption><tbody>{body}</tbody></table>' if body else ""


def image(png: object, what: str) -> str:
    """Set a picture, PNG in base64; nothing where it is none.

    >>> image("AAAA", "a <b>"), image("no!", "x"), image(None, "x")
    ('<img src="data:image/png;base64,AAAA" alt="a &lt;b&gt;">', '', '')
    """
    try:
        plain = base64.b64encode(base64.b64decode(png, validate=True)).decode() if isinstance(png, str) else ""
    except ValueError:
        plain = ""
    if not plain:
        return ""
    return f'<img src="data:image/png;base64,{plain}" alt="{escape(what)}">'


def section(identity: str, title: str, body: str, lead: str = "") -> str:
    """Write a section with a heading; nothing if its body is empty."""
    if not body:
        return ""
    opening = f'<p class="lead">{lead}</p>' if lead else ""
    return (
        f'<section id="{identity}" aria-labelledby="{identity}-title">'
        f'<h2 id="{identity}-title">{escape(title)}</h2>{opening}{body}</section>'
    )
