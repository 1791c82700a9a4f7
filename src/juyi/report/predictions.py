"""What the models of several runs say of the same rows, compared."""

from __future__ import annotations

import numpy as np

from juyi.runs.predictions import Predictions


def disagreement(first: Predictions, second: Predictions) -> float | None:
    """Return the share of rows for which two models predict different classes, joined by the rows' names.

    Where two models agree, both are right or both are wrong.  So, on exactly these rows and whatever the labels are,

        |accuracy(first) − accuracy(second)| ≤ disagreement

    Returns:
        0 to 1; None if the two are not about the same rows, or if rows cannot be told apart by their names.

    Example:
        >>> first = Predictions(("a", "b", "c", "d"), np.array(["cat", "cat", "dog", "dog"], object))
        >>> second = Predictions(("d", "c", "b", "a"), np.array(["dog", "cat", "cat", "cat"], object))
        >>> disagreement(first, second)
        0.25
    """
    if not first.names:
        return None
    if first.names == second.names:
        return float(np.mean(first.classes != second.classes))
    place = {name: row for row, name in enumerate(second.names)}
    if len(place) != len(second.names) or len(second.names) != len(first.names) or set(first.names) != set(place):
        return None
    order = [place[name] for name in first.names]
    return float(np.mean(first.classes != second.classes[order]))
