"""Ridge: a linear head in closed form, for many labels or very many features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from juyi.finetune.base import Finetuner
from juyi.finetune.linear import put
from juyi.nets import Network
from juyi.training import Rows, StageGenerator, Step, compute, hyperparameter

STRENGTHS = tuple(10.0**power for power in range(-1, 5))
FOLDS, ROWS_AT_ONCE = 3, 2_000


class Ridge(Finetuner):
    """Least squares to the classes, +1 and −1, on standardised features; the backbone stays as it is.

        W = (XᵀX + λ I)⁻¹ XᵀY

    It needs sums over the rows alone, so the features are computed once and never held together: for tens of thousands
    of labels or features, where logistic regression (`linear`) would take minutes and gigabytes.  λ is the one whose
    squared error on rows that were not fitted is least, in three folds, which the same sums give.

    Source: R. Rifkin, G. Yeo, T. Poggio, "Regularized Least-Squares Classification", 2003, section 3.

    Example:
        >>> import juyi
        >>> digits = juyi.load("digits@train[:256]")
        >>> backbone = juyi.pretrain.Patches(maps=20, patches=2000).fit(digits)
        >>> Ridge(backbone=backbone).fit(digits).predict(digits).shape
        (256,)
    """

    draws: ClassVar[bool] = False
    costs: ClassVar[str] = "seconds, once the features are computed"

    strength: float | None = hyperparameter(
        default=None, help="λ, the strength of the regularisation; by default by cross-validation", low=1e-9, high=1e9
    )

    def stages(self, net: Network, few: Rows, unlabelled: Rows | None) -> StageGenerator:
        """One step."""
        head = net.head
        assert isinstance(head, nn.Linear)

        def solve() -> None:
            folds = [sums_of(net, few, np.arange(fold, few.size, FOLDS)) for fold in range(min(FOLDS, few.size))]
            every = sum(folds[1:], start=folds[0])
            strength = self._strength(folds, every) if self.strength is None else self.strength
            put(head, *every.solve([strength])[0])

        yield Step("solve for the head", solve, keeps=[net])
        return net

    def _strength(self, folds: list[Sums], every: Sums) -> float:
        """The strength with the least squared error on the folds that were not fitted."""
        if len(folds) < 2:
            return 1.0
        errors = np.zeros(len(STRENGTHS))
        for held in folds:
            errors += [held.squared_error(*found) for found in (every - held).solve(STRENGTHS)]
        return STRENGTHS[int(errors.argmin())]


def sums_of(net: Network, few: Rows, index: np.ndarray) -> Sums:
    """The sums over some labelled rows, of the features of a network."""
    gram = torch.zeros(net.width + 1, net.width + 1, dtype=torch.float64)
    products = torch.zeros(net.width + 1, net.outputs, dtype=torch.float64)
    for start in range(0, len(index), ROWS_AT_ONCE):
        some = index[start : start + ROWS_AT_ONCE]
        x = compute(net, few, some, net.features)
        x = torch.cat([x, torch.ones(len(x), 1)], 1)
        gram += x.T @ x
        products += x.T @ (2.0 * one_hot(few.y[some].cpu(), net.outputs).float() - 1.0)
    return Sums(gram, products)


@dataclass(frozen=True, eq=False)
class Sums:
    """What least squares needs of rows, with a column of ones in X; float64.

    Args:
        gram: XᵀX, (d + 1)×(d + 1).
        products: XᵀY, (d + 1)×C.
    """

    gram: Tensor
    products: Tensor

    def __add__(self, other: Sums) -> Sums:
        return Sums(self.gram + other.gram, self.products + other.products)

    def __sub__(self, other: Sums) -> Sums:
        return Sums(self.gram - other.gram, self.products - other.products)

    def solve(self, strengths: Sequence[float]) -> list[tuple[Tensor, Tensor]]:
        """For each strength the weight, C×d, and the bias, C, of the least squares."""
        n, mean, targets = self.gram[-1, -1], self.gram[-1, :-1] / self.gram[-1, -1], self.products[-1]
        scatter = self.gram[:-1, :-1] - n * mean.outer(mean)
        spread = (scatter.diagonal() / n).clamp(min=0.0).sqrt()
        spread = torch.where(spread > 1e-6, spread, torch.inf)  # what does not vary has no say
        scatter /= spread.outer(spread)
        wanted = (self.products[:-1] - mean.outer(targets)) / spread[:, None]
        found = []
        for strength in strengths:
            damped = scatter + strength * torch.eye(len(scatter), dtype=torch.float64)
            w = torch.cholesky_solve(wanted, torch.linalg.cholesky(damped)) / spread[:, None]
            found.append((w.T, targets / n - mean @ w))
        return found

    def squared_error(self, weight: Tensor, bias: Tensor) -> float:
        """‖Y − XW − b‖² over these rows."""
        w = torch.cat([weight.T, bias[None]])
        total = self.gram[-1, -1] * len(bias)  # of ones, each squared
        return float(total - 2.0 * (w * self.products).sum() + (w * (self.gram @ w)).sum())
