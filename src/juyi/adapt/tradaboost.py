"""TrAdaBoost: source rows that contradict the few target labels lose weight, round by round."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from juyi.adapt.heads import probabilities
from juyi.adapt.pool import LEAST, Pool
from juyi.adapt.samples import Map, Samples
from juyi.adapt.shallow import Shallow, Solved, usable
from juyi.adapt.target_only import check_few_labels
from juyi.data.domain import Domain
from juyi.training import hyperparameter


class TrAdaBoost(Shallow):
    """With some target labels: boosting that trusts target rows the more, and source rows the less, they are missed.

    Each round t fits a model to all rows as they weigh, and tells how far it misses each, e_i = 1 − p_t(y_i | x_i):

        ε = Σ_target w e / Σ_target w,   α_t = ln((1 − ε) / ε) + ln(C − 1),   β = 1 / (1 + √(2 ln n / N))
        target:  w ← w exp(α_t e),       source:  w ← w g β^e,   g = Σ_target w exp(α_t e) / Σ_target w

    With classifiers that are surely right or wrong and two classes these are the paper's, but for g, by which the
    target grows as a whole: with it source rows that are told rightly keep their place, and without it all would fade.
    There it is C (1 − ε), the published correction.  ln(C − 1) is for more than two classes.  The last ⌈N/2⌉ rounds
    answer together, their log-probabilities weighted by α_t.  A round that is no better than luck, or misses nothing,
    is the last one.

    Source: W. Dai et al., "Boosting for Transfer Learning", ICML 2007, figure 1; g: S. Al-Stouhi and C. K.
    Reddy, "Adaptive Boosting for Transfer Learning using Dynamic Updates", ECML 2011; ln(C − 1): J. Zhu et al.,
    "Multi-class AdaBoost", Statistics and Its Interface 2009.

    Example:
        >>> from juyi.data import Domain
        >>> rng = np.random.default_rng(0)
        >>> x, z = rng.normal(size=(2, 500, 2))
        >>> there = np.where(x[:, 1] < 0, x[:, 0] > 0, x[:, 0] < 0).astype(int)  # right below, reversed above
        >>> here = (z[:, 0] > 0).astype(int)
        >>> few = Domain(z.astype("float32"), here, np.arange(500) < 20, classes=("0", "1"))
        >>> model = TrAdaBoost().fit(x, there, target=few)
        >>> model.score(z, here) > 0.9
        True
        >>> bool(model.weights_[x[:, 1] < 0].mean() > 3 * model.weights_[x[:, 1] > 0].mean())
        True
    """

    carries: ClassVar[str | None] = "instances"
    needs_target_labels: ClassVar[bool] = True
    regression: ClassVar[bool] = False
    scikit_exempt: ClassVar[dict[str, str]] = {}

    rounds: int = hyperparameter(default=20, help="N, models that are learnt in turn", low=1, high=10_000)

    def check_target(self, target: Domain, rows: int) -> None:
        """Refuse a target with too few labels too."""
        super().check_target(target, rows)
        check_few_labels(type(self).__name__, target)

    def solve(self, given: Samples) -> Solved:
        """Round by round."""
        (x, y), n = given.together(), len(given.source)
        m = len(x) - n
        weights = np.concatenate([np.full(n, 1 / n), np.full(m, 1 / m)])
        beta = 1 / (1 + np.sqrt(2 * np.log(n) / self.rounds))
        models: list[Any] = []
        counts: list[float] = []
        told = weights[:n]
        for _ in range(self.rounds):
            model, told = self.fitted_model(given, x, y, weights), weights[:n].copy()
            missed = 1 - probabilities(model, x, given.classes)[np.arange(n + m), y]
            error = float(weights[n:] @ missed[n:] / weights[n:].sum())
            count = np.log((1 - error) * (given.classes - 1) / max(error, LEAST)) if error < 1 else -np.inf
            if count <= 0 and models:
                break
            models.append(model)
            counts.append(max(count, LEAST))
            if count <= 0 or error <= LEAST:
                break
            raised = np.exp(count * missed[n:])
            weights[:n] *= weights[n:] @ raised / weights[n:].sum() * beta ** missed[:n]
            weights[n:] *= raised
            weights /= weights.sum()
        if len(models) < self.rounds:
            why = "it missed nothing" if error <= LEAST else "the next was no better than luck"
            given.remark(f"{len(models):,} of {self.rounds:,} rounds were made: {why}")
        last = len(models) // 2
        same = Map.identity(given.columns)
        pool = Pool(models[last:], np.array(counts[last:]) / sum(counts[last:]))
        return Solved(pool, same, same, usable(given, told))
