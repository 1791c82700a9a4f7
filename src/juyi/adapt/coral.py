"""CORAL: give the source's rows the target's mean and covariance, then learn from them."""

from __future__ import annotations

from juyi.adapt.covariances import covariance_of, power
from juyi.adapt.samples import Map, Samples
from juyi.adapt.shallow import Shallow, Solved
from juyi.training import hyperparameter


class CORAL(Shallow):
    """Correlation alignment: a linear map gives the source's rows the mean and the covariance of the target's.

        x ↦ (x − m_s) C_s^(−½) C_t^(½) + m_t

    A model is then learnt from the mapped source, and works on the target as it is.  Covariances are shrunk towards
    a multiple of the identity, by as much as Ledoit and Wolf find, so that fewer rows than columns are no obstacle.

    Source: B. Sun, J. Feng and K. Saenko, "Return of Frustratingly Easy Domain Adaptation", AAAI 2016, algorithm 1;
    there covariances get 1 added to their diagonal, and means are taken to be equal.

    Example:
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> y = rng.integers(0, 2, 400)
        >>> x = rng.normal(size=(400, 2)) + 4 * y[:, None]
        >>> moved = x @ np.array([[2.0, 1.0], [0.0, 1.0]]) + 9.0
        >>> CORAL().fit(x, y, target=moved).score(moved, y) > 0.95
        True
    """

    shrinkage: float | None = hyperparameter(
        default=None, help="of covariances towards a multiple of the identity; by default found", low=0.0, high=1.0
    )

    def solve(self, given: Samples) -> Solved:
        """Map the source; the target stays."""
        (c_source, s), (c_target, t) = (covariance_of(x, self.shrinkage) for x in (given.source, given.target))
        given.remark(f"covariances are shrunk by {s:.2g} (source) and {t:.2g} (target)")
        weight = power(c_source, -0.5) @ power(c_target, 0.5)
        move = Map(weight, given.target.mean(0) - given.source.mean(0) @ weight)
        return self.solved(given, source_map=move)
