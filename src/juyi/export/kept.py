"""What eight-bit integers keep of the answers: classes, numbers, or the features of a backbone."""

from __future__ import annotations

from typing import Any

import numpy as np

from juyi.measure import cosine_agreement, share
from juyi.training import Served

LEAST_AGREEMENT = 0.97
"""Below this share of rows that int8 answers as float32 does, or this cosine of its features, it is called worse."""


def what_is_kept(served: Served, large: np.ndarray, small: np.ndarray) -> tuple[dict[str, Any], str, bool]:
    """Compare what two files of one model give of the same rows.

    Args:
        served: the model, which says what it is that they give.
        large: by float32, N×C.
        small: by int8, N×C.

    Returns:
        A figure (`value` and `n`, of classes with `low` and `high`, of numbers with `spread`), the words for it, to
        which the rows are to be added, and whether int8 is worse.
    """
    if served.tells_numbers:
        apart, spread = float(np.abs(large - small).mean()), float(large.std()) or 1.0
        words = f"its numbers differ by {apart:.3g} on average, of a spread of {spread:.3g}, on"
        worse = apart > (1 - LEAST_AGREEMENT) * spread
        return {"value": apart, "spread": spread, "n": len(large)}, words, worse
    if served.net.is_backbone:
        cosine = cosine_agreement(large, small)
        words = f"its features have a cosine of {cosine:.3f} with float32's, about their mean, on"
        return {"value": cosine, "n": len(large)}, words, cosine < LEAST_AGREEMENT
    alike = share(large.argmax(1) == small.argmax(1))
    words = f"it answers as float32 on {100 * alike['value']:.1f} % of"
    return alike, words, alike["value"] < LEAST_AGREEMENT
