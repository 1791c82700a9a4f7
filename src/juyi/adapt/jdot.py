"""JDOT: couple rows and labels of the source with rows and answers of the target, and learn from the couples."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from juyi.adapt.heads import probabilities
from juyi.adapt.kernels import median_distance, squared_distances
from juyi.adapt.samples import Map, Samples
from juyi.adapt.shallow import Shallow, Solved
from juyi.training import hyperparameter

CHANGED = 0.002
"""Of what a target row is taught, on average; a label that becomes another counts twice, numbers in their spread."""


class JDOT(Shallow):
    """Joint distribution optimal transport: a model f of the target, learnt together with who teaches whom.

        min over f, γ  Σ_ij γ_ij (α ‖x_i − x_j‖² + ℓ(y_i, f(x_j)))

    In turns: with f fixed, γ is the cheapest plan; with γ fixed, f is learnt from target rows that bear the labels of
    those coupled to them.  ℓ is the cross-entropy, or the squared error of numbers in units of their variance;
    distances are in units of their median.  It ends when on average less than a thousandth of what target rows
    are taught changes.

    Two things are this library's.  A plan gives every row away, so where the target has less of a class than the
    source, rows of the others must bear its label.  With `follow_shares` source rows weigh so much that classes have
    the shares of f's answers in the target: right where classes lie apart, but where they overlap f gives the rarer
    one too few answers, and it vanishes.  And time and memory grow with the rows, not with their square: large domains
    are coupled part by part, each with a random part of the other.

    Source: N. Courty, R. Flamary, A. Habrard and A. Rakotomamonjy, "Joint Distribution Optimal Transportation for
    Domain Adaptation", NIPS 2017, algorithm 1; parts as in K. Fatras et al., "Learning with minibatch Wasserstein",
    AISTATS 2020.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> y = rng.integers(0, 2, 200)
        >>> x = rng.normal(size=(200, 2)) + 6 * y[:, None]
        >>> moved = x @ np.array([[0.7, -0.7], [0.7, 0.7]]) + 3
        >>> JDOT().fit(x, y, target=moved).score(moved, y) > 0.95
        True
    """

    costs: ClassVar[str] = "seconds to minutes; grows with the rows"

    distance: float = hyperparameter(default=1.0, help="α, how much the distance of rows counts", low=0.0, high=1e6)
    rounds: int = hyperparameter(default=10, help="of coupling and learning, at most", low=1, high=1_000)
    follow_shares: bool = hyperparameter(
        default=False, help="whether classes get the shares of the model's answers in the target; for such as lie apart"
    )
    rows: int = hyperparameter(default=2_000, help="rows of a domain that are coupled at once", low=2, high=20_000)

    def solve(self, given: Samples) -> Solved:
        """Couple, learn, and again."""
        import ot  # here, since it takes half a second to import

        parts, same, model = parts_of(given, self.rows), Map.identity(given.columns), None
        unit = median_distance(squared_distances(given.source[parts[0][0]], given.target[parts[0][1]])) ** 2
        weights, before = np.ones(len(given.source)), np.full((len(given.target), given.counted.shape[1]), np.inf)
        scale = 1.0 if given.classes else max(float(given.labels.std()), 1e-300)
        for _ in range(self.rounds):
            if model is not None and given.classes and self.follow_shares:
                told = np.bincount(probabilities(model, given.target, given.classes).argmax(1), minlength=given.classes)
                weights = ((told + 1.0) / np.maximum(given.counted.sum(0), 1.0))[given.labels]  # none vanishes for good
            taught, times = np.zeros_like(before), np.zeros((len(before), 1))
            for source, target in parts:
                x, z = given.source[source], given.target[target]
                cost = self.distance * squared_distances(x, z) / unit
                if model is not None:
                    cost += losses(model, given.labels[source], z, given.classes)
                mass = weights[source] / weights[source].sum()
                plan = ot.emd(mass, ot.unif(len(z)), cost, numItermax=1_000_000)
                taught[target] += len(z) * (plan.T @ given.counted[source])
                times[target] += 1.0
            taught /= times
            if np.abs(taught - before).sum() < CHANGED * scale * len(taught):
                break
            before, model = taught, self._taught(given, taught, same)
        else:
            given.remark(f"after {self.rounds} rounds the couplings still change")
        return Solved(model, same, same, weights / weights.mean())

    def _taught(self, given: Samples, taught: np.ndarray, same: Map) -> Any:
        """A model of target rows with the labels that came to them, each class by its share."""
        z = given.target
        if not given.classes:
            return self.model_of(given, z, taught[:, 0], np.ones(len(z)), same)
        rows, codes = np.nonzero(taught > 1e-3)
        return self.model_of(given, z[rows], codes, taught[rows, codes], same)


def parts_of(given: Samples, most: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Numbers of source and of target rows that are coupled with each other, at most so many of each.

    All rows take part; a part of the smaller domain as often as it must.

    Example:
        >>> few, many = np.zeros((2, 1)), np.zeros((9, 1))
        >>> given = Samples(many, np.zeros(9, int), few, np.zeros(2, int), np.zeros(2, bool), 2)
        >>> [(len(source), len(target)) for source, target in parts_of(given, 3)]
        [(3, 2), (3, 2), (3, 2)]
    """
    draws = given.draws()
    numbers = (len(given.source), len(given.target))
    source, target = (np.array_split(draws.permutation(n), -(-n // most)) for n in numbers)
    return [(source[k % len(source)], target[k % len(target)]) for k in range(max(len(source), len(target)))]


def losses(model: Any, y: np.ndarray, z: np.ndarray, classes: int) -> np.ndarray:
    """ℓ(y_i, f(z_j)), n×m: cross-entropy, or the squared error in units of the labels' variance."""
    if not classes:
        squared: np.ndarray = (y[:, None] - model.predict(z)) ** 2 / max(float(y.var()), 1e-300)
        return squared
    surprise: np.ndarray = -np.log(np.maximum(probabilities(model, z, classes), 1e-6))
    each: np.ndarray = surprise.T[y]
    return each
