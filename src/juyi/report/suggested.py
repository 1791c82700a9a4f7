"""suggested.html: the pictures to label first, with their names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from juyi.report.markup import escape, image
from juyi.report.page import document
from juyi.runs.files import write_text


def write_suggested(path: Path, backbone: str, data: str, cards: Sequence[Mapping[str, Any]]) -> Path:
    """Write the page with the pictures that are worth a label first.

    Args:
        path: where to.
        backbone: through which was looked.
        data: the name of the data.
        cards: for each row, in order, `name`, `like` (how many are like it) and `png` (base64).

    Returns:
        The path.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "suggested.html"
        >>> page = write_suggested(path, "runs/isif-1", "photos", [{"name": "a.png", "like": 13, "png": ""}])
        >>> "like 12 others" in page.read_text(encoding="utf-8")
        True
    """
    shown = "".join(
        f'<li class="card">{image(one["png"], str(one["name"]))}<span class="says">{number}. '
        f"{escape(str(one['name']).rsplit('/', 1)[-1])}</span><small>like {one['like'] - 1:,} others</small></li>"
        for number, one in enumerate(cards, 1)
    )
    body = (
        '<header><p class="brand"><b>Juyi</b> <span lang="zh">举一反三</span></p>'
        f"<h1>{escape(data)}</h1><h2>What to label first</h2>"
        f'<p class="lead">The images were parted into {len(cards)} clusters by the features of {escape(backbone)}, and '
        "of each the most typical one is shown, those of the largest clusters first. Write what they show into "
        "<code>suggested.csv</code>, leave a label empty where you cannot tell, and give it to "
        "<code>juyi finetune BACKBONE IMAGES --labels suggested.csv</code>.</p></header>"
        f'<ul class="cards">{shown}</ul>'
    )
    write_text(path, document("What to label first", body, {}, "the backbone’s features"))
    return path
