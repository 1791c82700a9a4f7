"""MLLS: how often each class occurs in the target, by what makes a calibrated model's answers likeliest."""

from __future__ import annotations

import numpy as np

from juyi.adapt.label_shift import LabelShift
from juyi.adapt.samples import Samples
from juyi.measure import fit_temperature, mlls


class MLLS(LabelShift):
    """The shares of the classes in the target, by maximum likelihood, and the source's rows weighed by them.

        q_k ← mean_t  (q_k p_tk / π_k) / Σ_j (q_j p_tj / π_j),   w_k = q_k / π_k

    p are a model's probabilities, calibrated on source rows that it has not learnt from; π are the source's shares.
    For targets in which classes look as they do in the source, but are not as frequent.

    Source: M. Saerens, P. Latinne and C. Decaestecker, "Adjusting the Outputs of a Classifier to New a Priori
    Probabilities", Neural Computation 14 (2002); with calibration: A. Alexandari, A. Kundaje and A. Shrikumar, "Maximum
    Likelihood with Bias-Corrected Calibration is Hard-To-Beat at Label Shift Adaptation", ICML 2020.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> y, z = rng.integers(0, 2, (1000, 1)), rng.random((1000, 1)) < 0.9
        >>> model = MLLS().fit(rng.normal(y, 1.0), y.ravel(), target=rng.normal(z, 1.0))
        >>> bool(0.8 < model.shares_[1] < 1.0)
        True
    """

    def shares_of(self, given: Samples, told: np.ndarray, here: np.ndarray) -> np.ndarray:
        """The shares by calibrated probabilities."""
        scores, seen = np.log(np.maximum(told, 1e-12)), np.log(np.maximum(here, 1e-12))
        present = np.bincount(given.labels, minlength=given.classes) > 0
        calm = seen / fit_temperature(scores, given.labels)
        p = np.exp(calm - calm.max(1, keepdims=True)) * present
        shares = np.zeros(given.classes)
        prior = np.bincount(given.labels, minlength=given.classes)[present] / len(given.labels)
        shares[present] = mlls((p / p.sum(1, keepdims=True))[:, present], prior)
        return shares
