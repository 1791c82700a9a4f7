"""BBSE: how often each class occurs in the target, from how often a model names it and how it confuses classes."""

from __future__ import annotations

import numpy as np

from juyi.adapt.label_shift import LabelShift
from juyi.adapt.samples import Samples
from juyi.measure import bbse


class BBSE(LabelShift):
    """Black box shift estimation: the shares of the classes in the target, and the source's rows weighed by them.

        C w = μ,   w ≥ 0,   C_ij = P_s(ŷ = i, y = j),   μ_i = P_t(ŷ = i)

    A model's confusions are counted on source rows that it has not learnt from, and each source row counts w_y.  For
    targets in which classes look as they do in the source, but are not as frequent.

    Source: Z. C. Lipton, Y.-X. Wang and A. J. Smola, "Detecting and Correcting for Label Shift with Black Box
    Predictors", ICML 2018, algorithm 1.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> y, z = rng.integers(0, 2, (1000, 1)), rng.random((1000, 1)) < 0.9
        >>> model = BBSE().fit(rng.normal(y, 1.0), y.ravel(), target=rng.normal(z, 1.0))
        >>> bool(0.8 < model.shares_[1] < 1.0)
        True
    """

    def shares_of(self, given: Samples, told: np.ndarray, here: np.ndarray) -> np.ndarray:
        """The shares by counts of predictions."""
        return bbse(told.argmax(1), given.labels, here.argmax(1), given.classes)
