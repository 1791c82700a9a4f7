"""sheet.html: pictures to be labelled by clicking, on one page that loads nothing and tells nothing of the models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from juyi.report.markup import escape, script_json
from juyi.report.page import document, title
from juyi.runs.files import write_text

NONE_OF_THEM = "-"
MOST_BUTTONS = 20
"""With more classes, a list to choose from takes the place of a button each."""


def write_sheet(path: Path, record: dict[str, Any], classes: Sequence[str], cards: Sequence[Mapping[str, str]]) -> Path:
    """Write the page on which a person says what each picture shows.

    What the models answer is not on it, so that it sways nobody.  The labels stay in the browser until they are
    downloaded, as the CSV file that `juyi settle RUN --labels` reads.

    Args:
        path: where to.
        record: what run.json holds.
        classes: C names.
        cards: for each row, in the order in which they are to be labelled, `id`, `name`, `png` (base64) and `label`
            (empty, a class, or `-` for none of them).

    Returns:
        The path.

    Raises:
        WriteError: the page cannot be written.

    Example:
        >>> import tempfile
        >>> card = {"id": "abcdefgh-1", "name": "a.png", "png": "", "label": ""}
        >>> path = write_sheet(Path(tempfile.mkdtemp()) / "sheet.html", {}, ["cat", "dog"], [card])
        >>> "What does it show?" in path.read_text(encoding="utf-8")
        True
    """
    here = files("juyi.report")
    style = here.joinpath("sheet.css").read_text(encoding="utf-8")
    script = here.joinpath("sheet.js").read_text(encoding="utf-8")
    keys = keyboard(classes)
    shown = "".join(card(number, one, classes, keys) for number, one in enumerate(cards, 1))
    data = {
        "tag": str(cards[0]["id"]).rpartition("-")[0] if cards else "",
        "rows": [{key: one[key] for key in ("id", "name", "label")} for one in cards],
        "labels": [*classes, NONE_OF_THEM],
        "keys": keys,
    }
    body = (
        f"<style>{style}</style>{opening(record, len(cards), keys)}"
        f'<div class="asked">{shown}</div><script type="application/json" id="asked">{script_json(data)}</script>'
    )
    write_text(path, document("What does it show?", body, {}, "a run’s target", script))
    return path


def opening(record: dict[str, Any], cards: int, keys: Mapping[str, str]) -> str:
    """Write what the page is for, and the bar that counts."""
    named = [f"{escape(key)} {escape(label)}" for key, label in keys.items() if key != label]
    by_key = f"Keys: {', '.join(named) or 'the sign of each class'}, - none of them. They go on to the next picture."
    return (
        '<header><p class="brand"><b>Juyi</b> <span lang="zh">举一反三</span></p>'
        f"<h1>{escape(title(record))}</h1><h2>What does it show?</h2>"
        '<p class="lead">These pictures were drawn at random from those on which two models answer differently. What '
        "they answer is not shown, so that it does not sway you. Label them in this order; you may stop at any moment. "
        "“None” is for a picture that shows none of the classes. Then download the file and give it to "
        "<code>juyi settle RUN --labels filled.csv</code>.</p></header>"
        f'<div class="bar-top"><span class="count" role="status">0 of {cards} labelled</span>'
        f'<progress max="{cards}" value="0" aria-label="labelled"></progress>'
        '<button type="button" id="next">Next open</button>'
        '<button type="button" id="download" class="main">Download filled.csv</button></div>'
        f'<p class="hint keys">{by_key}</p>'
    )


def keyboard(classes: Sequence[str]) -> dict[str, str]:
    """Give classes keys: their names where these are single signs, else 1 to 9 by their order; `-` for none of them.

    Example:
        >>> keyboard(["3", "7"]), keyboard(["cat", "dog"])
        ({'3': '3', '7': '7', '-': '-'}, {'1': 'cat', '2': 'dog', '-': '-'})
    """
    single = all(len(name) == 1 and name.isprintable() and name not in " -" for name in classes)
    keys = list(classes) if single else [str(i) for i in range(1, 10)]
    return {**dict(zip(keys, classes, strict=False)), NONE_OF_THEM: NONE_OF_THEM}


def card(number: int, one: Mapping[str, str], classes: Sequence[str], keys: Mapping[str, str]) -> str:
    """Write a picture with its number and name, and what may be chosen."""
    name = escape(one["name"])
    picture = f'<img src="data:image/png;base64,{escape(one["png"])}" alt="picture {number}">'
    chosen = buttons(number, classes, keys) if len(classes) <= MOST_BUTTONS else menu(number, classes)
    return (
        f'<fieldset class="ask"><legend><span class="number">{number}</span> '
        f'<span class="file" title="{name}">{escape(one["name"].rsplit("/", 1)[-1])}</span></legend>'
        f"{picture}{chosen}</fieldset>"
    )


def buttons(number: int, classes: Sequence[str], keys: Mapping[str, str]) -> str:
    """Write a button a class, and one for none of them."""
    key_of = {label: key for key, label in keys.items()}
    choices = []
    for label, text in [*((name, name) for name in classes), (NONE_OF_THEM, "none")]:
        key = key_of.get(label)
        hint = f"<kbd>{escape(key)}</kbd>" if key is not None and key != text else ""
        choices.append(
            f'<label><input type="radio" name="row-{number}" value="{escape(label)}">{escape(text)}{hint}</label>'
        )
    return f'<div class="choices">{"".join(choices)}</div>'


def menu(number: int, classes: Sequence[str]) -> str:
    """Write a list of the classes to choose from."""
    choices = "".join(f'<option value="{escape(name)}">{escape(name)}</option>' for name in classes)
    return (
        f'<select aria-label="what picture {number} shows"><option value="">not labelled yet</option>{choices}'
        f'<option value="{NONE_OF_THEM}">none of them</option></select>'
    )
