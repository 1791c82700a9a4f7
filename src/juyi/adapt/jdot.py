"""JDOT: couple rows and labels of the source with rows and answers of the target, and learn from the couples."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from juyi.adapt.heads import probabilities
from juyi.adapt.ot import OT, drawn, median_cost
from juyi.adapt.samples import Map, Samples
from juyi.adapt.shallow import Shallow, Solved
from juyi.training import hyperparameter, redeclare


class JDOT(Shallow):
    """Joint distribution optimal transport: a model f of the target, learnt together with who teaches whom.

        min over f, γ  Σ_ij γ_ij (α ‖x_i − x_j‖² + ℓ(y_i, f(x_j)))

    In turns: with f fixed, γ is the cheapest plan; with γ fixed, f is learnt from target rows that bear the labels of
    those coupled to them.  ℓ is the cross-entropy, or the squared error of numbers in units of their variance;
    distances are in units of their median.  It ends when no coupling changes.

    Source: N. Courty, R. Flamary, A. Habrard and A. Rakotomamonjy, "Joint Distribution Optimal Transportation for
    Domain Adaptation", NIPS 2017, algorithm 1.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> y = rng.integers(0, 2, 200)
        >>> x = rng.normal(size=(200, 2)) + 6 * y[:, None]
        >>> moved = x @ np.array([[0.7, -0.7], [0.7, 0.7]]) + 3
        >>> JDOT().fit(x, y, target=moved).score(moved, y) > 0.95
        True
    """

    costs: ClassVar[str] = "seconds; grows with the square of the rows, of which some are drawn"

    distance: float = hyperparameter(default=1.0, help="α, how much the distance of rows counts", low=0.0, high=1e6)
    rounds: int = hyperparameter(default=10, help="of coupling and learning, at most", low=1, high=1_000)
    rows: int = redeclare(OT, "rows", default=2_000)

    def solve(self, given: Samples) -> Solved:
        """Couple, learn, and again."""
        import ot  # here, since it takes half a second to import

        source, target = drawn(given, self.rows)
        x, y, z = given.source[source], given.labels[source], given.target[target]
        near, same = self.distance * median_cost(x, z), Map.identity(given.columns)
        before, model = np.zeros(0), None
        for _ in range(self.rounds):
            told = near if model is None else near + losses(model, y, z, given.classes)
            plan = ot.emd(ot.unif(len(x)), ot.unif(len(z)), told, numItermax=1_000_000)
            taught = len(z) * (plan.T @ (np.eye(given.classes)[y] if given.classes else y[:, None]))
            if before.shape == taught.shape and np.abs(taught - before).max() < 1e-6:
                break
            before, model = taught, self._taught(given, z, taught, same)
        else:
            given.remark(f"after {self.rounds} rounds the couplings still change")
        counts = np.zeros(len(given.source))
        counts[source] = 1.0
        return Solved(model, same, same, counts)

    def _taught(self, given: Samples, z: np.ndarray, taught: np.ndarray, same: Map) -> Any:
        """A model of target rows with the labels that came to them, each class by its share."""
        if not given.classes:
            return self.model_of(given, z, taught[:, 0], np.ones(len(z)), same)
        rows, codes = np.nonzero(taught > 1e-3)
        return self.model_of(given, z[rows], codes, taught[rows, codes], same)


def losses(model: Any, y: np.ndarray, z: np.ndarray, classes: int) -> np.ndarray:
    """ℓ(y_i, f(z_j)), n×m: cross-entropy, or the squared error in units of the labels' variance."""
    if not classes:
        squared: np.ndarray = (y[:, None] - model.predict(z)) ** 2 / max(float(y.var()), 1e-300)
        return squared
    surprise: np.ndarray = -np.log(np.maximum(probabilities(model, z, classes), 1e-6))
    each: np.ndarray = surprise.T[y]
    return each
