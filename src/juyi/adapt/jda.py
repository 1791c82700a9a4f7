"""JDA: directions in which the means of the domains agree, and those of their classes."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from juyi.adapt.joint_alignment import JointAlignment
from juyi.adapt.samples import Samples
from juyi.training import hyperparameter


class JDA(JointAlignment):
    """Joint distribution adaptation: as `tca`, and the means of each class have to agree as well.

        max tr(VᵀCV)   where   Vᵀ (½ Σ_c δ_cδ_cᵀ + λI) V = I,   c = 0 for the domains, 1 to C for the classes

    Which class a target row is of is what the model of the round before says; rounds end when that stays the same.

    Source: M. Long, J. Wang, G. Ding, J. Sun and P. S. Yu, "Transfer Feature Learning with Joint Distribution
    Adaptation", ICCV 2013, algorithm 1; the random features are this library's.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> y = rng.integers(0, 2, 400)
        >>> x = rng.normal(size=(400, 3)) + 4 * y[:, None] * [1, 0, 0]
        >>> moved = x + [0, 9, 9]
        >>> JDA(kernel="linear", dimensions=2).fit(x, y, target=moved).score(moved, y) > 0.95
        True
    """

    regression: ClassVar[bool] = False
    quick: ClassVar[dict[str, Any]] = {"net": "linear", "rounds": 2}
    scikit_exempt: ClassVar[dict[str, str]] = {}

    rounds: int = hyperparameter(default=10, help="of giving target rows classes anew, at most", low=0, high=1_000)

    def balance_of(self, given: Samples, mapped: tuple[np.ndarray, np.ndarray], told: np.ndarray) -> float:
        """Domains and classes count alike."""
        return 0.5
