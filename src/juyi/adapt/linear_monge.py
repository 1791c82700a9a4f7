"""Linear Monge map: carry the source onto the target by the cheapest way between two normal distributions."""

from __future__ import annotations

from juyi.adapt.coral import CORAL
from juyi.adapt.covariances import covariance_of, power
from juyi.adapt.samples import Map, Samples
from juyi.adapt.shallow import Shallow, Solved
from juyi.training import redeclare


class LinearMonge(Shallow):
    """The optimal transport of a normal distribution onto another, which is linear, applied to the source's rows.

        x ↦ (x − m_s) A + m_t,   A = C_s^(−½) (C_s^(½) C_t C_s^(½))^(½) C_s^(−½)

    Of all maps that give the source the target's mean and covariance it moves the rows least, where `coral` may turn
    them besides.  A is symmetric.  Covariances are shrunk as in `coral`.

    Source: R. Flamary, K. Lounici and A. Ferrari, "Concentration bounds for linear Monge mapping estimation and optimal
    transport domain adaptation", 2019, equation 3.

    Example:
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> y = rng.integers(0, 2, 400)
        >>> x = rng.normal(size=(400, 2)) + 4 * y[:, None]
        >>> moved = x @ np.array([[2.0, 0.5], [0.5, 1.0]]) + 9.0
        >>> LinearMonge().fit(x, y, target=moved).score(moved, y) > 0.95
        True
    """

    shrinkage: float | None = redeclare(CORAL, "shrinkage", default=None)

    def solve(self, given: Samples) -> Solved:
        """Map the source; the target stays."""
        (c_source, s), (c_target, t) = (covariance_of(x, self.shrinkage) for x in (given.source, given.target))
        given.remark(f"covariances are shrunk by {s:.2g} (source) and {t:.2g} (target)")
        root, inverse = power(c_source, 0.5), power(c_source, -0.5)
        weight = inverse @ power(root @ c_target @ root, 0.5) @ inverse
        move = Map(weight, given.target.mean(0) - given.source.mean(0) @ weight)
        return self.solved(given, source_map=move)
