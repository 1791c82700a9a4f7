"""Archives of NumPy arrays (`.npz`)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from juyi.data.domain import Domain
from juyi.errors import DataError


def load_npz(path: Path, choose: Callable[[int], np.ndarray], *, name: str) -> Domain:
    """Placeholder."""
    raise DataError(f"{path}: not yet")
