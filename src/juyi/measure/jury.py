"""The jury: other models, asked which of two is right where these differ."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from scipy.special import softmax

from juyi.errors import DataError
from juyi.measure.estimate import Estimate
from juyi.measure.intervals import paired_difference


def ask_jury(method: np.ndarray, floor: np.ndarray, jurors: Sequence[np.ndarray]) -> Estimate:
    """Ask other models, on the rows where two differ, with which of them they side.

    With the jurors' mean probabilities p̄(x), a row counts for the method if argmax p̄ is its answer, for the floor if it
    is the floor's, for neither if the jury says something else:

        gain = share of rows for the method − share of rows for the floor

    Were the jury always right, that would be the difference of the two accuracies, exactly.  It is not; but models that
    were adapted in different ways are wrong about different rows.  A mistake that all of them share goes unseen.

    Args:
        method: float, N×C: logits of the model that is judged.
        floor: float, N×C: logits of the model without transfer.
        jurors: logits N×C of other models, one at least; neither of the two may be among them.

    Returns:
        The gain, −1 to 1, with the interval that the drawing of rows gives it (Bonett and Price).

    Raises:
        DataError: there is no juror, or the scores are not of the same rows and classes.

    Example:
        >>> truth = np.repeat([0, 1], 50)
        >>> right, wrong = 4.0 * np.eye(2)[truth], 4.0 * np.eye(2)[1 - truth]
        >>> half = np.where(np.arange(100)[:, None] % 2 == 0, right, wrong)
        >>> ask_jury(right, half, [right, right, half]).value
        0.5

    Source: The decision by the ensemble of candidates is that of EnsV: Hu et al., "Mixed Samples as Probes for
    Unsupervised Model Selection in Domain Adaptation", NeurIPS 2023; asked only where two models differ, it is Juyi's.
    """
    if not len(jurors):
        raise DataError("a jury needs one model at least besides the two that it judges")
    if any(np.shape(z) != np.shape(method) for z in (floor, *jurors)):
        raise DataError(f"a jury judges the same rows and classes, not scores of {[np.shape(z) for z in jurors]}")
    says = np.mean([softmax(np.asarray(z, np.float64), axis=1) for z in jurors], axis=0).argmax(1)
    found = paired_difference(says == method.argmax(1), says == floor.argmax(1))
    note = f"by {len(jurors)} other models, asked where the two differ; a mistake that all share goes unseen"
    return Estimate("jury_gain", found.gain, found.low, found.high, 0, found.n, p_value=found.p_value, note=note)


def coherence(jurors: Sequence[np.ndarray]) -> float:
    """Return how often two jurors agree, the mean over all pairs of them, 0 to 1.

    Models that are right agree; models that are wrong, each in its own way, do not.  So where models adapted in
    different ways contradict one another, they know too little of the target to judge.

    Args:
        jurors: logits N×C, two at least.

    Example:
        >>> z = np.eye(2)
        >>> coherence([z, z, 1 - z])
        0.3333333333333333

    Source: Jiang, Nagarajan, Baek and Kolter, "Assessing Generalization of SGD via Disagreement", ICLR 2022: the share
    of rows on which two trained models agree estimates their accuracy.
    """
    says = [np.asarray(z).argmax(1) for z in jurors]
    return float(np.mean([(one == other).mean() for one, other in combinations(says, 2)]))
