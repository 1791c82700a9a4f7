"""What shallow methods work on: the rows of two domains as arrays, and maps of rows that a network can hold."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from juyi.training.batches import derive_seed

BLOCK = 8_192
"""Rows that are lifted at once: a lift has many more columns."""


@dataclass(frozen=True, eq=False)
class Samples:
    """Two domains as plain arrays, standardised by the source's labelled rows; constant columns are zeros there.

    Args:
        source: the source's labelled rows, float64, n×d.
        labels: their labels, n: codes from 0, int64, or numbers, float64.
        target: the target's rows, float64, m×d.
        target_labels: the target's labels, m; those of rows without one are 0 and mean nothing.
        labelled: which of them were given, bool, m.
        classes: how many classes there are; 0 for numbers.
        seed: of whatever is drawn.
        remarks: what a method finds and a person should know, in sentences; methods add to it.
        alarms: those of them that make the result doubtful.
    """

    source: np.ndarray
    labels: np.ndarray
    target: np.ndarray
    target_labels: np.ndarray
    labelled: np.ndarray
    classes: int
    seed: int = 0
    remarks: list[str] = field(default_factory=list)
    alarms: list[str] = field(default_factory=list)

    @property
    def columns(self) -> int:
        """The number of columns, d."""
        return int(self.source.shape[1])

    @property
    def counted(self) -> np.ndarray:
        """The labels as columns, n×k: 0 and 1 for each class, or the numbers as they are."""
        return np.eye(self.classes)[self.labels] if self.classes else self.labels[:, None]

    def together(self) -> tuple[np.ndarray, np.ndarray]:
        """The labelled rows of both domains and their labels, the source's first."""
        x = np.concatenate([self.source, self.target[self.labelled]])
        return x, np.concatenate([self.labels, self.target_labels[self.labelled]])

    def draws(self, what: int = 0) -> np.random.Generator:
        """A generator that is a function of the seed and of what it is for."""
        return np.random.default_rng(derive_seed(self.seed, what))

    def remark(self, sentence: str, alarm: bool = False) -> None:
        """Tell the person something; an alarm where it makes the result doubtful."""
        self.remarks.append(sentence)
        if alarm:
            self.alarms.append(sentence)


@dataclass(frozen=True, eq=False)
class Waves:
    """Random Fourier features, √(2/D) cos(x Ω + b): the lift of x to where a Gaussian kernel is an inner product.

    Args:
        frequencies: Ω, d×D.
        phases: b, D.
    """

    frequencies: np.ndarray
    phases: np.ndarray

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """The features of rows, n×D."""
        found: np.ndarray = np.cos(x @ self.frequencies + self.phases) * np.sqrt(2.0 / len(self.phases))
        return found


@dataclass(frozen=True, eq=False)
class Map:
    """A map of rows that a network can hold: x ↦ φ(x) A + c, where φ is the identity or a lift to random features.

    Args:
        weight: A, d×k (or D×k).
        offset: c, k.
        lift: φ; None for the identity.

    Example:
        >>> move = Map(np.eye(2), np.array([1.0, 0.0]))
        >>> move(np.array([[1.0, 2.0]])).tolist()
        [[2.0, 2.0]]
    """

    weight: np.ndarray
    offset: np.ndarray
    lift: Waves | None = None

    @classmethod
    def identity(cls, columns: int) -> Map:
        """The map that changes nothing."""
        return cls(np.eye(columns), np.zeros(columns))

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Map rows, n×d, to n×k."""
        if self.lift is None:
            mapped: np.ndarray = x @ self.weight + self.offset
            return mapped
        mapped = np.empty((len(x), len(self.offset)))
        for start in range(0, len(x), BLOCK):
            mapped[start : start + BLOCK] = self.lift(x[start : start + BLOCK]) @ self.weight + self.offset
        return mapped

    def after(self, mean: np.ndarray, spread: np.ndarray) -> Map:
        """The map of x that is this map of (x − mean) / spread."""
        if self.lift is not None:
            scaled = self.lift.frequencies / spread[:, None]
            return replace(self, lift=Waves(scaled, self.lift.phases - mean @ scaled))
        weight = self.weight / spread[:, None]
        return Map(weight, self.offset - mean @ weight)

    def before(self, weight: np.ndarray, offset: np.ndarray) -> Map:
        """The map whose result is z W + c of this one's z."""
        return replace(self, weight=self.weight @ weight, offset=self.offset @ weight + offset)


def scale_of(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and spread of columns; a spread too small to be told from rounding counts as 1.

    >>> mean, spread = scale_of(np.array([[1.0, 5.0], [3.0, 5.0]]))
    >>> mean.tolist(), spread.tolist()
    ([2.0, 5.0], [1.0, 1.0])
    """
    mean, spread = x.mean(0), x.std(0)
    return mean, np.where(spread > 1e-7 * np.maximum(1.0, np.abs(mean)), spread, 1.0)


def effective_rows(weights: np.ndarray) -> float:
    """Return Kish's effective sample size, (Σ w)² / Σ w²: how many evenly weighted rows would be as sure.

    Source: L. Kish, "Survey Sampling", 1965.

    >>> effective_rows(np.array([1.0, 1.0, 0.0, 0.0]))
    2.0
    """
    largest = weights.max()
    even = weights / largest if largest > 0 else np.ones(len(weights))
    return float(even.sum() ** 2 / (even**2).sum())
