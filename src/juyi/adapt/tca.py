"""TCA: directions that vary much, but in which the means of the domains differ little."""

from __future__ import annotations

import numpy as np

from juyi.adapt.joint_alignment import JointAlignment
from juyi.adapt.samples import Samples


class TCA(JointAlignment):
    """Transfer component analysis: both domains by the directions, in a kernel's space, in which their means agree.

        max tr(VᵀCV)   where   Vᵀ (δ₀δ₀ᵀ + λI) V = I

    C is the covariance of lifted rows of both domains and δ₀ the difference of their means, so ‖Vᵀδ₀‖² is their maximum
    mean discrepancy.  The regulariser is the norm in the kernel's space, and the lift is explicit (random features), so
    that time grows linearly with the rows.

    Source: S. J. Pan, I. W. Tsang, J. T. Kwok and Q. Yang, "Domain Adaptation via Transfer Component Analysis", IEEE
    Transactions on Neural Networks 22 (2011), section III; the random features are this library's.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> y = rng.integers(0, 2, 400)
        >>> x = rng.normal(size=(400, 3)) + 4 * y[:, None] * [1, 0, 0]
        >>> moved = x + [0, 9, 9]
        >>> TCA(kernel="linear", dimensions=2).fit(x, y, target=moved).score(moved, y) > 0.95
        True
    """

    @property
    def rounds(self) -> int:
        """None: classes do not count."""
        return 0

    def balance_of(self, given: Samples, mapped: tuple[np.ndarray, np.ndarray], told: np.ndarray) -> float:
        """Classes do not count."""
        return 0.0
