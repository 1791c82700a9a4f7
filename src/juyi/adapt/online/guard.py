"""What keeps a stream from harming the model: how concentrated a batch's predictions are, and how they might be."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from scipy.special import entr
from scipy.stats import chi2
from torch import Tensor

TOO_FEW = 16
"""Fewer rows than this are no batch: neither mean and spread nor shares of classes can be told from them."""
FEW = 32
"""Batches smaller than this are warned of."""
_DRAWS = 400
_CLEARLY_MIXED = 0.9
"""A batch that shows this share of the expected classes is mixed, whatever came before it."""
_BLURRED = 0.3
"""How much of log C a batch's own statistics may add to its entropy, where the unadapted model names all classes."""
_LEVEL = 1e-3
"""Below this probability, a batch is taken to differ from the stream so far."""
_HORIZON = 100
"""The shares of the stream so far are a moving mean over about this many batches."""


def effective_classes(probabilities: Tensor) -> float:
    """Return exp(H(p̄)), the effective number of classes among the mean probabilities p̄ of a batch, 1 to C.

    Args:
        probabilities: N×C, each row summing to 1.

    Example:
        >>> round(effective_classes(torch.eye(4)), 3), round(effective_classes(torch.eye(4)[:1]), 3)
        (4.0, 1.0)

    Source:
        The exponential of Shannon's entropy: L. Jost, "Entropy and diversity", Oikos 113 (2006).
    """
    shares = probabilities.detach().double().mean(0)
    return float(torch.exp(torch.special.entr(shares).sum()))


@lru_cache(maxsize=64)
def expected_classes(rows: int, shares: tuple[float, ...]) -> float:
    """Return the effective number of classes that a batch of a well mixed stream shows on average.

    It is E[exp(H(k/n))] for counts k ~ Multinomial(n, q), over 400 draws that are the same each time: a batch of 64
    rows cannot show 100 classes, and one of a source with two frequent classes will not show ten.

    Args:
        rows: n, 1 or more.
        shares: q, the shares of the classes, which sum to 1.

    Example:
        >>> round(expected_classes(64, (0.1,) * 10), 1), round(expected_classes(64, (0.98, 0.01, 0.01)), 1)
        (9.3, 1.1)
    """
    q = np.asarray(shares, float)
    counts = np.random.default_rng(0).multinomial(rows, q / q.sum(), _DRAWS)
    p = counts / rows
    entropy = -(p * np.log(np.where(p > 0, p, 1.0))).sum(1)
    return float(np.exp(entropy).mean())


def homogeneity(shares: np.ndarray, rows: int, other: np.ndarray, other_rows: int) -> float:
    """Return the probability of two shares that differ as much as these, if both were drawn from one distribution.

    The likelihood-ratio (G) test of homogeneity, with n and m rows and H Shannon's entropy:

        G = 2 [(n + m) H(pooled shares) − n H(p) − m H(q)],   compared with χ² of C − 1 degrees of freedom.

    Shares that are means of probabilities vary less than counts would, so the test errs towards "no difference".

    Args:
        shares: p, C shares that sum to 1.
        rows: n.
        other: q, likewise.
        other_rows: m.

    Example:
        >>> even, odd = np.array([0.5, 0.5]), np.array([0.1, 0.9])
        >>> homogeneity(even, 64, even, 640), homogeneity(odd, 64, even, 640) < 1e-3
        (1.0, True)
    """
    pooled = (rows * shares + other_rows * other) / (rows + other_rows)
    apart = (rows + other_rows) * entr(pooled).sum() - rows * entr(shares).sum() - other_rows * entr(other).sum()
    return float(chi2.sf(max(0.0, 2 * apart), len(shares) - 1))


@dataclass(frozen=True)
class Reading:
    """What the guard makes of a batch: its classes in effect, what a mixed one shows, and why it is held back."""

    classes: float
    expected: float
    reason: str | None


class ClassOrder:
    """Tells batches of an ordered stream from those of a mixed one, by the answers of the start's weights.

    A batch is held back, with the batch's own statistics where nothing else is said,

    - where its answers name few classes in effect (`concentrated`);
    - where its own statistics make the answers less sure by more than .3 log C · (k − 1)/(e − 1), with k the classes
      in effect that the unadapted model names and e those of a mixed batch (`blurred`): of a batch of one class they
      take away what tells it, so the fewer are named, the less of that is borne;
    - where its answers are neither clearly mixed nor like those of the stream so far, by the test of `homogeneity`
      (`unlike`): a model that is often wrong spreads what is of one class over many, but over the same few each time.

    Args:
        shares: how frequent each class is in a mixed stream.
        concentration: a batch that shows less than this share of the expected classes is concentrated; 0 turns the
            guard off.
    """

    def __init__(self, shares: tuple[float, ...], concentration: float) -> None:
        self.shares, self.concentration = shares, concentration
        self._stream: np.ndarray | None = None
        self._batches = 0

    def read(self, fresh: Tensor, start: Tensor) -> Reading:
        """Judge the next batch, and remember it.

        Args:
            fresh: what the start's weights say with the batch's own statistics, N×C probabilities.
            start: what the unadapted model says, likewise.
        """
        rows, batch = len(fresh), fresh.detach().double().mean(0).cpu().numpy()
        shown, expected = float(np.exp(entr(batch).sum())), expected_classes(rows, self.shares)
        reason = self._reason(batch, fresh, start, shown, expected) if self.concentration else None
        self._batches += 1
        before = batch if self._stream is None else self._stream
        self._stream = before + (batch - before) / min(self._batches, _HORIZON)
        return Reading(shown, expected, reason)

    def _reason(self, batch: np.ndarray, fresh: Tensor, start: Tensor, shown: float, expected: float) -> str | None:
        if shown < self.concentration * expected:
            return "concentrated"
        named = (effective_classes(start) - 1) / max(expected - 1, 0.1)
        less_sure = torch.special.entr(fresh).sum(1).mean() - torch.special.entr(start).sum(1).mean()
        if less_sure > _BLURRED * named * math.log(fresh.shape[1]):
            return "blurred"
        if self._stream is not None and shown < _CLEARLY_MIXED * expected:
            rows = len(fresh)
            if homogeneity(batch, rows, self._stream, rows * min(self._batches, _HORIZON)) < _LEVEL:
                return "unlike"
        return None


def cut(size: int, batch: int) -> list[tuple[int, int]]:
    """Cut a stream into batches, (first row, one past the last); a short rest goes with the batch before it.

    Example:
        >>> cut(150, 64), cut(140, 64)
        ([(0, 64), (64, 128), (128, 150)], [(0, 64), (64, 140)])
    """
    starts = list(range(0, size, batch))
    if len(starts) > 1 and size - starts[-1] < TOO_FEW:
        starts.pop()
    return list(zip(starts, [*starts[1:], size], strict=True))
