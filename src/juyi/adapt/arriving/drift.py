"""An alarm that rings when mistakes become more frequent."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass
class PageHinkley:
    """Tell when the mean of what arrives has risen: the Page-Hinkley test.

    With x̄ the mean so far and U the sum of x − x̄ − δ, it rings when U exceeds its least value so far by more than λ,
    and begins anew.  Of a stream without change, δ keeps U falling; λ is how many units of excess are waited for.

    Args:
        threshold: λ.
        tolerance: δ.
        least: it does not ring before so many values.

    Example:
        >>> alarm = PageHinkley(threshold=5.0, tolerance=0.005, least=30)
        >>> rung = [t for t in range(200) if alarm.add(float(t >= 100))]
        >>> rung
        [105]

    Source: E. S. Page, "Continuous Inspection Schemes", Biometrika 1954; D. V. Hinkley, 1971; the running mean as in
    J. Gama, R. Sebastião and P. P. Rodrigues, "On Evaluating Stream Learning Algorithms", Machine Learning 2013.
    """

    threshold: float = 20.0
    tolerance: float = 0.005
    least: int = 30
    count: int = 0
    mean: float = 0.0
    excess: float = 0.0
    lowest: float = math.inf

    def add(self, value: float) -> bool:
        """Take in a value, and tell whether it rings."""
        self.count += 1
        self.mean += (value - self.mean) / self.count
        self.excess += value - self.mean - self.tolerance
        self.lowest = min(self.lowest, self.excess)
        if self.count < self.least or self.excess - self.lowest <= self.threshold:
            return False
        self.count, self.mean, self.excess, self.lowest = 0, 0.0, 0.0, math.inf
        return True
