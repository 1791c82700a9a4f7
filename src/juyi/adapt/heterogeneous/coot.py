"""COOT: match rows and columns of two tables at once."""

from __future__ import annotations

import warnings
from typing import Any, ClassVar

import numpy as np
import ot.coot

from juyi.adapt.heterogeneous.base import Heterogeneous, Space, TwoKinds
from juyi.training import derive_seed
from juyi.training.hyperparameters import hyperparameter

FORBIDDEN = 10.0
"""What a pair of rows of different known classes costs, in units of the mean cost."""
TOLERANCE = 1e-5


def co_optimal_transport(
    x: np.ndarray, z: np.ndarray, cost: np.ndarray, start: np.ndarray, entropy: float, steps: int
) -> tuple[np.ndarray, np.ndarray, float]:
    """Find plans T of rows and V of columns that minimise Σ_ijkl (X_ik − Z_jl)² T_ij V_kl + Σ_ij M_ij T_ij.

    Given one plan, the other is an optimal transport; so they are found in turn, from a plan of columns.

    Args:
        x: X, n×d.
        z: Z, m×e.
        cost: M, n×m.
        start: V to begin with, d×e.
        entropy: weight of the entropy of both plans; 0 for none.
        steps: most turns.

    Returns:
        T, n×m and V, d×e, each summing to 1, and by which share the last turn lowered the sum (the residual).

    Source: I. Redko, T. Vayer, R. Flamary and N. Courty, "CO-Optimal Transport", NeurIPS 2020, algorithm 1.
    """
    begin: dict[str, Any] = {"pi_sample": np.full(cost.shape, 1 / cost.size), "pi_feature": start}
    for kind, plan in (("sample", cost), ("feature", start)):
        begin[f"duals_{kind}"] = tuple(map(np.zeros, plan.shape))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what POT would warn of is the residual
        rows, columns, log = ot.coot.co_optimal_transport(
            x, z, M_samp=cost, warmstart=begin, epsilon=entropy, alpha=(1.0, 0.0), nits_bcd=steps, nits_ot=1_000_000,
            method_sinkhorn="sinkhorn_log", early_stopping_tol=1e-9, log=True,
        )  # fmt: skip
    sums = [float(one) for one in log["distances"]]
    if len(sums) < 2:
        return rows, columns, 1.0
    return rows, columns, abs(sums[-1] - sums[-2]) / max(abs(sums[-2]), 1e-12)


class COOT(Heterogeneous):
    """Co-optimal transport: which row there is which here, and which column there is which here.

        min over T, V of  Σ_ijkl (X_ik − Z_jl)² T_ij V_kl,   even row and column sums,

    where rows of different known classes are kept apart, and given pairs together.  It begins with columns matched by
    the means of the classes in them.  A source row goes to the mean of the target rows that it is matched to, with its
    label; the model learns there, in the target's own columns.  `columns_`, d×e, says which column is matched to which,
    and `rows_` the same of `drawn_` rows of both sides.

    I. Redko, T. Vayer, R. Flamary and N. Courty, "CO-Optimal Transport", NeurIPS 2020.

    Example:
        >>> from juyi.data import as_domain
        >>> rng = np.random.default_rng(0)
        >>> y = np.arange(60) % 2
        >>> x, order = rng.normal(size=(60, 6)) + np.outer(y, np.arange(6)), rng.permutation(6)
        >>> few = [label if row < 8 else None for row, label in enumerate(y)]
        >>> model = COOT().fit(x, y, target=as_domain(x[:, order], few))
        >>> bool((model.columns_.argmax(0) == order).all())
        True
    """

    costs: ClassVar[str] = "seconds; grows with the square of the rows, of which some are drawn"

    entropy: float = hyperparameter(default=0.0, help="weight of the entropy of both plans", low=0.0, high=100.0)
    rows: int = hyperparameter(default=1_000, help="of a side that are matched, at most; drawn", low=2, high=10_000)
    steps: int = hyperparameter(default=100, help="turns between rows and columns, at most", low=1, high=100_000)

    def spaces(self, given: TwoKinds) -> tuple[np.ndarray, Space]:
        """Source rows where their counterparts are; rows that were not drawn, at the counterpart of their columns."""
        rng = np.random.default_rng(derive_seed(given.seed))
        ours = np.sort(rng.permutation(len(given.source))[: self.rows])
        must = np.union1d(np.flatnonzero(given.labelled), given.pairs[:, 1])
        others = rng.permutation(np.setdiff1d(np.arange(len(given.target)), must))
        theirs = np.sort(np.concatenate([must, others[: max(self.rows - len(must), 0)]])).astype(int)
        x, z = given.source[ours], given.target[theirs]
        cost = FORBIDDEN * (given.labelled[theirs] & (given.labels[ours][:, None] != given.target_labels[theirs]))
        for i, j in given.pairs:
            cost = np.where((ours == i)[:, None] ^ (theirs == j), FORBIDDEN, cost)
        rows, columns, residual = co_optimal_transport(x, z, cost, outlined(given), self.entropy, self.steps)
        if residual > TOLERANCE:
            given.remarks.append(
                f"the plans have not come to rest: the last turn lowered the sum by {residual:.2g} of it"
            )
        self.rows_, self.columns_, self.drawn_, self.residual_ = rows, columns, (ours, theirs), residual
        mapped = given.source @ (columns / columns.sum(0))
        mapped[ours] = (rows / rows.sum(1, keepdims=True)) @ z
        width = given.target.shape[1]
        return mapped, (np.eye(width), np.zeros(width))


def outlined(given: TwoKinds) -> np.ndarray:
    """Match columns by the means of the classes in them, over the classes with target labels, and in given pairs."""
    known = np.unique(given.target_labels[given.labelled])
    known = known[np.isin(known, given.labels)]
    x = [given.source[given.labels == c].mean(0) for c in known] + list(given.source[given.pairs[:, 0]])
    z = [given.target[given.labelled & (given.target_labels == c)].mean(0) for c in known]
    z += list(given.target[given.pairs[:, 1]])
    plan: np.ndarray = ot.emd([], [], ot.dist(np.array(x).T, np.array(z).T))
    return plan
