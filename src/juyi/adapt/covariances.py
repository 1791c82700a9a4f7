"""Covariances that can be inverted, and their powers."""

from __future__ import annotations

import numpy as np
from sklearn.covariance import ledoit_wolf


def shrunk(c: np.ndarray, shrinkage: float) -> np.ndarray:
    """Return (1 − s) C + s (tr C / d) I of a covariance, d×d.

    >>> shrunk(np.diag([4.0, 0.0]), 0.5).tolist()
    [[3.0, 0.0], [0.0, 1.0]]
    """
    mixed: np.ndarray = (1.0 - shrinkage) * c + shrinkage * np.trace(c) / len(c) * np.eye(len(c))
    return mixed


def covariance_of(x: np.ndarray, shrinkage: float | None) -> tuple[np.ndarray, float]:
    """Return (1 − s) C + s (tr C / d) I of rows around their mean, d×d, and s.

    Args:
        x: n×d.
        shrinkage: s, 0 to 1; None for the one that Ledoit and Wolf find.

    Source: O. Ledoit and M. Wolf, "A Well-Conditioned Estimator for Large-Dimensional Covariance Matrices", Journal
    of Multivariate Analysis 88 (2004).
    """
    n, d = x.shape
    if n < 2:
        return np.eye(d), 1.0
    around = x - x.mean(0)
    if shrinkage is None:
        found, s = ledoit_wolf(around, assume_centered=True)
        return found, float(s)
    return shrunk(around.T @ around / n, shrinkage), shrinkage


def power(c: np.ndarray, exponent: float, least: float | None = None) -> np.ndarray:
    """Return C^p of a symmetric matrix without negative eigenvalues; directions without variance stay without.

    Args:
        c: d×d.
        exponent: p.
        least: the share of the largest eigenvalue up to which one is none; by default what rounding leaves.

    >>> power(np.diag([4.0, 0.0]), -0.5).tolist()
    [[0.5, 0.0], [0.0, 0.0]]
    """
    values, vectors = np.linalg.eigh(c)
    kept = values > max(values.max(), 0.0) * (len(c) * np.finfo(float).eps if least is None else least)
    raised = np.zeros_like(values)
    raised[kept] = values[kept] ** exponent
    found: np.ndarray = (vectors * raised) @ vectors.T
    return found
