"""Gaussian kernels of rows: distances without large arrays, widths that suit the data, and a lift in their place."""

from __future__ import annotations

import numpy as np

from juyi.adapt.samples import Samples, Waves

WIDTHS = (0.3, 0.5, 0.7, 1.0, 1.5, 2.5)
"""Kernel widths that are tried, in units of the median distance."""
LOOKED_AT = 1_000
"""Rows of a domain whose distances decide a width."""


def squared_distances(x: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Return ‖x_i − c_l‖², n×b, without an array of n×b×d."""
    found: np.ndarray = (x**2).sum(1)[:, None] - 2.0 * (x @ centres.T) + (centres**2).sum(1)
    np.maximum(found, 0.0, out=found)
    return found


def median_distance(squared: np.ndarray) -> float:
    """Return the median of distances that are not 0; 1 where all are."""
    some = squared[squared > 0]
    return float(np.sqrt(np.median(some))) if len(some) else 1.0


def lift_of(given: Samples, number: int) -> Waves:
    """Draw random Fourier features of the Gaussian kernel whose width is the median distance of both domains' rows.

    k(x, x') = exp(−‖x − x'‖² / 2σ²) is about φ(x)·φ(x'), with frequencies from N(0, σ⁻² I) and phases from 0 to 2π.

    Args:
        given: the domains.
        number: D.

    Source: A. Rahimi and B. Recht, "Random Features for Large-Scale Kernel Machines", NIPS 2007.
    """
    draws = given.draws()
    some = np.concatenate([x[draws.permutation(len(x))[:LOOKED_AT]] for x in (given.source, given.target)])
    width = median_distance(squared_distances(some, some))
    frequencies = draws.normal(size=(given.columns, number)) / width
    return Waves(frequencies, draws.uniform(0.0, 2.0 * np.pi, number))
