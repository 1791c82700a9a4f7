"""BDA: directions in which the domains' means agree, and those of their classes as far as these are what differs."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from juyi.adapt.jda import JDA
from juyi.adapt.joint_alignment import JointAlignment
from juyi.adapt.samples import Samples
from juyi.measure.linear import cross_validated_error
from juyi.training import hyperparameter, redeclare

LOOKED_AT = 500
"""Rows of a domain, or of a class, by which it is judged how far apart the domains are."""


class BDA(JointAlignment):
    """Balanced distribution adaptation: as `jda`, with a share μ for the classes that the data decide.

        Δ = [√(1 − μ) δ₀, √μ δ₁, …, √μ δ_C],   μ = d_C / (d₀ + d_C)

    d₀ is how well a linear classifier tells the domains apart, 2 (1 − 2 error), and d_C the mean of the same within
    each class; both are found anew in each round, on what the round before made of the rows.

    Source: J. Wang, Y. Chen, S. Hao, W. Feng and Z. Shen, "Balanced Distribution Adaptation for Transfer Learning",
    ICDM 2017; μ from the distances: J. Wang et al., "Visual Domain Adaptation with Manifold Embedded Distribution
    Alignment", ACM Multimedia 2018, equation 11.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> y = rng.integers(0, 2, 400)
        >>> x = rng.normal(size=(400, 3)) + 4 * y[:, None] * [1, 0, 0]
        >>> moved = x + [0, 9, 9]
        >>> BDA(kernel="linear", dimensions=2).fit(x, y, target=moved).score(moved, y) > 0.95
        True
    """

    regression: ClassVar[bool] = False
    quick: ClassVar[dict[str, Any]] = {"net": "linear", "rounds": 2}
    scikit_exempt: ClassVar[dict[str, str]] = {}

    rounds: int = redeclare(JDA, "rounds", default=10)
    balance: float | None = hyperparameter(default=None, help="μ; by default found", low=0.0, high=1.0)

    def balance_of(self, given: Samples, mapped: tuple[np.ndarray, np.ndarray], told: np.ndarray) -> float:
        """The share that is named, or that by which classes differ more than domains."""
        if self.balance is not None:
            return self.balance
        draws, (source, target) = given.draws(1), mapped
        whole = distance(source, target, draws)
        within = [distance(source[given.labels == c], target[told == c], draws) for c in range(given.classes)]
        known = [d for d in within if np.isfinite(d)]
        classes = float(np.mean(known)) if known else 0.0
        return classes / (whole + classes) if whole + classes > 0 else 0.5


def distance(source: np.ndarray, target: np.ndarray, draws: np.random.Generator) -> float:
    """How well a linear classifier tells two sets of rows apart, from 0 to 2; NaN for fewer than five rows of one."""
    some = [x[draws.permutation(len(x))[:LOOKED_AT]] for x in (source, target)]
    if min(map(len, some)) < 5:
        return float("nan")
    domain = np.repeat([0, 1], list(map(len, some)))
    error = cross_validated_error(np.concatenate(some), domain, 2, int(draws.integers(2**31)))
    return 2.0 * max(0.0, 1.0 - 2.0 * error)
