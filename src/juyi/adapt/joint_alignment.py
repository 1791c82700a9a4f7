"""What TCA, JDA and BDA share: directions that vary much, but in which the domains' means differ little."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator

import numpy as np
from scipy.linalg import eigh

from juyi.adapt.kernels import lift_of
from juyi.adapt.samples import BLOCK, Map, Samples, Waves
from juyi.adapt.shallow import Shallow, Solved
from juyi.training import hyperparameter


class Moments:
    """What the directions are found from: the covariance of both domains' lifted rows, and means.

    Args:
        given: the domains.
        lift: φ; None for the identity.

    Attributes:
        covariance: of the rows of both domains together, D×D.
        means: of the source and of the target, D each.
    """

    def __init__(self, given: Samples, lift: Waves | None) -> None:
        self.given, self.lift = given, lift
        size = given.columns if lift is None else len(lift.phases)
        sums, second, n = [], np.zeros((size, size)), len(given.source) + len(given.target)
        for x in (given.source, given.target):
            total = np.zeros(size)
            for phi in self._blocks(x):
                total += phi.sum(0)
                second += phi.T @ phi
            sums.append(total)
        mean = (sums[0] + sums[1]) / n
        self.covariance = second / n - np.outer(mean, mean)
        self.means = sums[0] / len(given.source), sums[1] / len(given.target)
        self.of_source = self._class_means(given.source, given.labels) if given.classes else None

    def gaps(self, told: np.ndarray) -> np.ndarray:
        """The differences of the means of each class, if the target's rows are of these classes, D×C.

        A class without a row in either domain says nothing, and is left out.
        """
        assert self.of_source is not None
        here = self._class_means(self.given.target, told)
        both = np.isfinite(self.of_source).all(0) & np.isfinite(here).all(0)
        gaps: np.ndarray = (self.of_source - here)[:, both]
        return gaps

    def _class_means(self, x: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """The mean of each class, D×C; NaN for one without rows."""
        total = np.zeros((len(self.covariance), self.given.classes))
        for start, phi in zip(range(0, len(x), BLOCK), self._blocks(x), strict=True):
            total += phi.T @ np.eye(self.given.classes)[codes[start : start + BLOCK]]
        counts = np.bincount(codes, minlength=self.given.classes)
        return np.where(counts > 0, total / np.maximum(counts, 1), np.nan)

    def _blocks(self, x: np.ndarray) -> Iterator[np.ndarray]:
        """The lifted rows, some at a time."""
        parts = (x[start : start + BLOCK] for start in range(0, len(x), BLOCK))
        return parts if self.lift is None else map(self.lift, parts)


def directions(covariance: np.ndarray, gaps: np.ndarray, penalty: float, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Return V, D×m, whose columns maximise vᵀCv under vᵀ(ΔΔᵀ + λ (tr C / D) I)v = 1, and the values that they reach.

    Args:
        covariance: C, D×D.
        gaps: Δ, D×r, differences of means.
        penalty: λ above 0, in units of the mean variance.
        most: m.
    """
    size = len(covariance)
    unit = max(float(np.trace(covariance)) / size, 1e-12)
    below = gaps @ gaps.T + penalty * unit * np.eye(size)
    values, vectors = eigh(covariance, below, subset_by_index=(max(0, size - most), size - 1))
    return vectors[:, ::-1], values[::-1]


class JointAlignment(Shallow):
    """Directions in which both domains vary much, while their means, and those of their classes, differ little.

        max tr(VᵀCV)   where   Vᵀ (ΔΔᵀ + λI) V = I,   Δ = [√(1 − μ) δ₀, √μ δ₁, …, √μ δ_C]

    C is the covariance of lifted rows φ(x) of both domains, δ₀ the difference of the domains' means, and δ_c that of
    class c, for which target rows count as the class that the model of the round before gives them.  With an explicit
    lift to D random features this is a D×D eigenproblem whatever the number of rows, and it maps new rows too.
    """

    kernel: str = hyperparameter(
        default="linear", help="linear, or rbf (a Gaussian kernel, by random features)", choices=("linear", "rbf")
    )
    features: int = hyperparameter(default=512, help="random features of the kernel, D", low=2, high=20_000)
    dimensions: int = hyperparameter(default=30, help="directions, m, at most", low=1, high=10_000)
    penalty: float = hyperparameter(
        default=0.01,
        help="λ, in units of the mean variance; if smaller, means must agree more",
        low=1e-9,
        high=1e9,
    )

    @property
    def last(self) -> str:
        """What stands behind the features in a network."""
        return f"fourier-{self.features}" if self.kernel == "rbf" else "by-domain"

    @property
    @abstractmethod
    def rounds(self) -> int:
        """How often target rows are given classes anew."""

    @abstractmethod
    def balance_of(self, given: Samples, mapped: tuple[np.ndarray, np.ndarray], told: np.ndarray) -> float:
        """μ, how much the classes' means count against the domains', 0 to 1."""

    def without_transfer(self, given: Samples) -> Solved:
        """The model of lifted source rows as they are."""
        if self.kernel != "rbf":
            return super().without_transfer(given)
        lifted = Map(np.eye(self.features), np.zeros(self.features), lift_of(given, self.features))
        return self.solved(given, lifted, lifted)

    def solve(self, given: Samples) -> Solved:
        """Directions for the domains' means; then, round by round, for those of the classes too."""
        lift = lift_of(given, self.features) if self.kernel == "rbf" else None
        moments = Moments(given, lift)
        apart = (moments.means[0] - moments.means[1])[:, None]
        found = self._solved(given, moments, apart)
        before = np.full(len(given.target), -1)
        for _ in range(self.rounds):
            mapped = found.target_map(given.target)
            told = found.model.predict(mapped)
            told = np.where(given.labelled, given.target_labels, told)
            if (told == before).all():
                break
            share = self.balance_of(given, (found.source_map(given.source), mapped), told)
            gaps = np.concatenate([np.sqrt(1.0 - share) * apart, np.sqrt(share) * moments.gaps(told)], 1)
            found, before = self._solved(given, moments, gaps), told
        return found

    def _solved(self, given: Samples, moments: Moments, gaps: np.ndarray) -> Solved:
        """The model for these gaps; all directions are scaled alike, so that the widest varies by 1."""
        v, _ = directions(moments.covariance, gaps, self.penalty, self.dimensions)
        spread = np.sqrt(np.maximum((v * (moments.covariance @ v)).sum(0), 0.0)).max()
        v = v / (spread if spread > 0 else 1.0)
        move = Map(v, -(moments.means[0] @ v), moments.lift)
        return self.solved(given, move, move)
