"""The gate: which of its models a client serves, by rows that it holds out, steadied by what other clients see."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def choose_models(hits: Sequence[np.ndarray]) -> list[int]:
    """Choose a model for each client; of equals, the first.

    A client's few held-out rows say little: chance alone makes one of two equal models look better.  So what they say
    is steadied by what all clients see.  With a_km the share of client k's n_k held-out rows that model m tells, less
    the mean over its models,

        ã_km = ā_m + B_km (a_km − ā_m),   B_km = τ_m² / (τ_m² + s_km²),   ā_m = Σ_k w_km a_km / Σ_k w_km

    s_km² = σ_m² / n_k is the variance of a_km by chance (a row's σ_m² is that of all clients, since a few rows cannot
    tell their own), τ_m² what of the variance between clients chance does not explain, and w_km = 1 / (τ_m² + s_km²).
    Where clients truly differ, each goes by its own rows; where they do not, all go by all rows.  What clients with
    many rows agree in says little of a small one that is unlike them: ã_km stays within 2 s_km of a_km.  Only shares
    are compared, so no row has to leave its client.

    Args:
        hits: for each client bool, models × its held-out rows: which of them each model tells.

    Returns:
        For each client the number of a model.

    Example:
        >>> rows = [np.array([[True] * 9 + [False], [False] * 9 + [True]]) for _ in range(4)]
        >>> choose_models([*rows, ~rows[0]])
        [0, 0, 0, 0, 1]

    Source: B. Efron, C. Morris, "Data Analysis Using Stein's Estimator and its Generalizations", Journal of the
    American Statistical Association, 1975, section 2, and "Limiting the Risk of Bayes and Empirical Bayes Estimators",
    the same journal, 1972; τ² as in R. DerSimonian, N. Laird, "Meta-analysis in clinical
    trials", Controlled Clinical Trials, 1986, equation 8.
    """
    apart = [each.astype(float) - each.mean(0) for each in hits]
    rows = np.array([[each.shape[1]] for each in apart], float)
    a = np.stack([each.mean(1) for each in apart])
    within = sum(each.var(1) * each.shape[1] for each in apart)
    spread = (within + a.var(0)) / ((rows - 1.0).sum() + 1.0)  # the second, lest nothing be known of single rows
    s = np.maximum(spread, 1e-12) / rows
    weights = 1.0 / s
    total = weights.sum(0)
    excess = (weights * (a - (weights * a).sum(0) / total) ** 2).sum(0) - (len(a) - 1)
    between = np.maximum(0.0, excess / np.maximum(total - (weights**2).sum(0) / total, 1e-12))
    weights = 1.0 / (between + s)
    general = (weights * a).sum(0) / weights.sum(0)
    steadied = np.clip(general + between / (between + s) * (a - general), a - 2 * np.sqrt(s), a + 2 * np.sqrt(s))
    return [int(row.argmax()) for row in np.round(steadied, 12)]
