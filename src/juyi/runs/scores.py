"""The scores with which a run ended, in its folder: of held-out source rows and of target rows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from juyi.errors import RunFolderError
from juyi.runs.files import read_tensors, write_tensors
from juyi.runs.folder import RunFolder


def write_scores(folder: RunFolder, model: str, scores: Mapping[str, np.ndarray]) -> None:
    """Write `records/final-MODEL.safetensors`.

    Args:
        folder: the run.
        model: the name of the model.
        scores: `source` (float, N×C, logits of held-out rows), `source_label` (int, N), `target` (float, M×C) and
            `target_row` (int, M: their numbers); any may be absent.
    """
    tensors = {name: torch.from_numpy(np.ascontiguousarray(values)) for name, values in scores.items()}
    write_tensors(_path(folder, model), tensors, {"model": model})


def read_scores(folder: RunFolder, model: str) -> dict[str, np.ndarray]:
    """Read what `write_scores` wrote.

    Raises:
        RunFolderError: the run has none: it was made by an older Juyi, or is not finished.
        ForeignFileError: the file is damaged, or was not written by Juyi.
    """
    path = _path(folder, model)
    if not path.is_file():
        raise RunFolderError(f"{path}: is not there; a run of this version of Juyi has it, so train again")
    tensors, _ = read_tensors(path)
    return {name: value.numpy() for name, value in tensors.items()}


def _path(folder: RunFolder, model: str) -> Path:
    return folder.records / f"final-{model}.safetensors"
