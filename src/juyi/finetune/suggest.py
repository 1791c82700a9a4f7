"""Which images to label first: typical ones of clusters in the features of a backbone."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from juyi.data import load, withhold_labels
from juyi.data.domain import Domain
from juyi.errors import RunFolderError
from juyi.finetune.base import bring
from juyi.measure.figures import picture
from juyi.measure.typical import typical_rows
from juyi.runs.files import write_text
from juyi.training.backbones import find_backbone

CSV, SHEET = "suggested.csv", "suggested.html"


@dataclass(frozen=True, eq=False)
class Suggested:
    """Rows to label, in order.

    Attributes:
        folder: where the files are.
        backbone: through which was looked.
        data: all rows.
        rows: the numbers of those to label.
        sizes: how many rows are like each.
    """

    folder: Path
    backbone: str
    data: Domain
    rows: np.ndarray
    sizes: np.ndarray

    def cards(self) -> list[dict[str, Any]]:
        """For each row its name, how many are like it, and for images the picture."""
        return [
            {
                "name": self.data.row_name(int(row)),
                "like": int(size),
                "png": picture(self.data.x[row]) if self.data.is_images else "",
            }
            for row, size in zip(self.rows, self.sizes, strict=True)
        ]


def suggest(
    backbone: str,
    images: str,
    count: int,
    *,
    out: Path | str | None = None,
    overwrite: bool = False,
    weights: str | None = None,
    seed: int = 0,
    **options: Any,
) -> Suggested:
    """Write `suggested.csv`, the names of rows to label first, and return what the sheet of pictures shows.

    Args:
        backbone: a run, RUN/models/NAME, a named network or module:factory with weights, hub/NAME.
        images: the name of data; labels that it has are not read.
        count: how many rows.
        out: the folder; None is `suggested`.
        overwrite: replace files that are there, and may hold labels already.
        weights: a safetensors file, for a named network.
        seed: of the clustering.
        options: how the data are read (`size`, `skip_bad`).

    Raises:
        DataError, SettingError: the input is wrong; nothing was written.
        RunFolderError: the file is there already.
    """
    folder = Path("suggested" if out is None else out)
    if (folder / CSV).exists() and not overwrite:
        raise RunFolderError(f"{folder / CSV}: is there, and may hold labels; name another --out, or --overwrite")
    data = withhold_labels(load(images, seed=seed, **options))
    found = find_backbone(backbone, data, 2, weights)
    if found.served is not None:
        data = bring(data, found.served)
        features = found.rows(data, "target")
    else:
        features = data.x.reshape(data.size, -1).astype(np.float32)
    rows, sizes = typical_rows(features, count, seed)
    folder.mkdir(parents=True, exist_ok=True)
    suggested = Suggested(folder, backbone, data, rows, sizes)
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerows([["name", "label"], *([data.row_name(int(row)), ""] for row in rows)])
    write_text(folder / CSV, text.getvalue())
    return suggested
