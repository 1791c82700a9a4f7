"""Tables of a run with clients, and what models are called in them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from juyi.report.clients import LOCAL, in_words
from juyi.report.markup import escape


def model_of(name: str, personal: str) -> str:
    """A model's name, and what it is."""
    return f"<strong>{escape(name)}</strong>{_words(name, personal)}"


def head_of(name: str, personal: str) -> str:
    """The head of a model's column."""
    return f"{escape(name)}{_words(name, personal)}"


def _words(name: str, personal: str) -> str:
    words = in_words(name, personal)
    return f" <small>{words}</small>" if words and name != LOCAL else ""


def table(heads: Iterable[str], body: Iterable[Sequence[str]]) -> str:
    """Write a table whose first column names the rows; heads and cells are markup."""
    head = "".join(f'<th scope="col">{one}</th>' for one in heads)
    rows = "".join(
        f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in rest)}</tr>' for first, *rest in body
    )
    table = f'<table class="account by-client"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
    return f'<div class="wide-table">{table}</div>'
