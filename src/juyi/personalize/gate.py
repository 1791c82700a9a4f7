"""The gate: which of its models a client serves, by rows that it holds out, steadied by what other clients see."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def choose_models(hits: Sequence[np.ndarray]) -> list[int]:
    """Choose a model for each client; of equals, the first.

    A client's few held-out rows say little: chance alone makes one of two equal models look better.  So what they say
    is steadied by what all clients see.  With a_km the share of client k's held-out rows that model m tells, less the
    mean over its models, and ā_m the mean over clients,

        ã_km = ā_m + B_km (a_km − ā_m),   B_km = τ_m² / (τ_m² + s_km²)

    s_km² is the variance of a_km by chance, and τ_m² what of the variance between clients chance does not explain.
    Where clients truly differ, each goes by its own rows; where they do not, all go by all rows.  Only shares are
    compared, so no row has to leave its client.

    Args:
        hits: for each client bool, models × its held-out rows: which of them each model tells.

    Returns:
        For each client the number of a model.

    Example:
        >>> rows = [np.array([[True] * 9 + [False], [False] * 9 + [True]]) for _ in range(4)]
        >>> choose_models([*rows, ~rows[0]])
        [0, 0, 0, 0, 1]

    Source: B. Efron, C. Morris, "Data Analysis Using Stein's Estimator and its Generalizations", Journal of the
    American Statistical Association, 1975, section 2 (unequal variances, moments for the variance between).
    """
    apart = [each.astype(float) - each.mean(0) for each in hits]
    a = np.stack([each.mean(1) for each in apart])
    s = np.stack([each.var(1) / each.shape[1] for each in apart])
    general = a.mean(0)
    between = np.maximum(0.0, a.var(0, ddof=1) - s.mean(0)) if len(a) > 1 else np.full(a.shape[1], np.inf)
    with np.errstate(invalid="ignore"):
        own = np.where(np.isinf(between), 1.0, np.where(between > 0, between / (between + s), 0.0))
    steadied = general + own * (a - general)
    return [int(row.argmax()) for row in np.round(steadied, 12)]
