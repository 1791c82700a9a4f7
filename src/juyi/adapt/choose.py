"""Choosing without labels, over moments of training, hyperparameters and methods; and, marked as such, the oracle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.special import softmax

from juyi.errors import DataError
from juyi.measure.verdict import percent

SOURCE_DROP = 0.05
"""A candidate whose accuracy on held-out source rows is lower than that of source only by more is out."""
MISSED_SHARE = 0.1
"""A class that is predicted less often than this share of what is expected counts as missed."""
EXPECTED_ROWS = 5
"""With fewer rows expected of a class, chance alone may leave it out."""
ENTROPY_DROP = 0.5
"""The entropy of the mean prediction may be lower than that of the expected shares by this much, in nats."""


@dataclass(frozen=True)
class Candidate:
    """What a model, or a model at a moment of its training, says; nothing else is known of it.

    Args:
        source: float, N×C: logits of held-out source rows.
        source_label: int, N: their labels.
        target: float, M×C: logits of target rows, the same for all candidates.
    """

    source: np.ndarray
    source_label: np.ndarray
    target: np.ndarray


@dataclass(frozen=True)
class Choice:
    """Which candidate was chosen, and why not the others.

    Attributes:
        name: the chosen candidate.
        ranking: the candidates that were not out, the best first.
        out: why each of the others is out.
        agreement: the share of target rows on which a candidate answers as the ensemble does.
        diversity: InfoMax, H(mean p) − mean H(p), in nats, which breaks ties.
        oracle: whether labels of the target were used.
    """

    name: str
    ranking: tuple[str, ...]
    out: dict[str, str] = field(default_factory=dict)
    agreement: dict[str, float] = field(default_factory=dict)
    diversity: dict[str, float] = field(default_factory=dict)
    oracle: bool = False

    def as_json(self) -> dict[str, Any]:
        """The same, for run.json."""
        rounded = lambda found: {name: round(value, 5) for name, value in found.items()}  # noqa: E731
        return {
            "name": self.name, "ranking": list(self.ranking), "out": self.out, "oracle": self.oracle,
            "agreement": rounded(self.agreement), "diversity": rounded(self.diversity),
        }  # fmt: skip


def choose(candidates: Mapping[str, Candidate], floor: str = "source_only") -> Choice:
    """Choose a candidate without a label of the target: first who is out, then who agrees most with all together.

    Out is who has collapsed, which every score of confidence takes for the best: scores that are not finite; accuracy
    on held-out source rows more than five points below that of `floor`; a class that is predicted less than a tenth
    as often as the source leads one to expect; or predictions that are less various than that by half a nat.  Of the
    others, the one is chosen whose answers are most often those of the ensemble, argmax of the mean of all
    probabilities (`floor` among them); InfoMax breaks ties.  The floor is never out.

    Args:
        candidates: by name.
        floor: the name of the model without transfer.

    Raises:
        DataError: the floor is not there, or the candidates are not of the same rows and classes.

    Example:
        >>> label = np.repeat([0, 1], 50)
        >>> good, none = np.eye(2)[label] * 4, np.eye(2)[np.zeros(100, int)] * 9
        >>> half = np.where(np.arange(100)[:, None] % 5 == 0, 1 - good, good)
        >>> rows = {"source_only": half, "mcc": good, "cdan": good, "collapsed": none}
        >>> choice = choose({name: Candidate(good, label, z) for name, z in rows.items()})
        >>> choice.name, choice.out
        ('mcc', {'collapsed': 'misses class 1: 0.0 % of the predictions, 50.0 % expected'})

    Source: Hu, Liang, Liew, Xue, Bai and Wang, "Mixed Samples as Probes for Unsupervised Model Selection in Domain
    Adaptation", NeurIPS 2023, for what single scores miss; the agreement with the ensemble is that of their EnsV.
    """
    _check(candidates, floor)
    label = candidates[floor].source_label
    expected = np.bincount(label, minlength=candidates[floor].target.shape[1]) / len(label)
    reference = _accuracy(candidates[floor])
    out = {}
    for name, candidate in candidates.items():
        why = None if name == floor else _why_out(candidate, expected, reference)
        if why:
            out[name] = why
    left = {name: softmax(c.target.astype(np.float64), axis=1) for name, c in candidates.items() if name not in out}
    together = sum(left.values()).argmax(1)  # type: ignore[union-attr]
    agreement = {name: float((p.argmax(1) == together).mean()) for name, p in left.items()}
    diversity = {name: infomax(p) for name, p in left.items()}
    ranking = sorted(left, key=lambda name: (-agreement[name], -diversity[name]))
    return Choice(ranking[0], tuple(ranking), out, agreement, diversity)


def infomax(p: np.ndarray) -> float:
    """Return H(mean p) − mean H(p) of probabilities N×C: various over the rows, sure of each; 0 to ln C nats.

    Example:
        >>> round(infomax(np.eye(2)), 4), abs(round(infomax(np.full((3, 2), 0.5)), 4))
        (0.6931, 0.0)

    Source: Shi and Sha, "Information-Theoretical Learning of Discriminative Clusters for Unsupervised Domain
    Adaptation", ICML 2012.
    """
    return _entropy(p.mean(0)) - float(np.mean([_entropy(row) for row in p]))


def oracle_choice(accuracy: Mapping[str, float]) -> Choice:
    """Choose by the target's labels: what cannot be done in earnest, and what the honest choice is measured against.

    Args:
        accuracy: of each candidate, on labelled rows of the target.

    Returns:
        A choice that is marked as an oracle's.

    Example:
        >>> oracle_choice({"source_only": 0.5, "mcc": 0.75}).as_json()["oracle"]
        True
    """
    ranking = sorted(accuracy, key=lambda name: -accuracy[name])
    return Choice(ranking[0], tuple(ranking), oracle=True)


def _why_out(candidate: Candidate, expected: np.ndarray, reference: float) -> str | None:
    """Say why a candidate is out; None if it is not."""
    if not (np.isfinite(candidate.source).all() and np.isfinite(candidate.target).all()):
        return "its scores are not finite"
    accuracy = _accuracy(candidate)
    if accuracy < reference - SOURCE_DROP:
        return f"right on {percent(accuracy)} of the held-out source, source only on {percent(reference)}"
    counts = np.bincount(candidate.target.argmax(1), minlength=len(expected))
    share = counts / len(candidate.target)
    missed = (share < MISSED_SHARE * expected) & (expected * len(candidate.target) >= EXPECTED_ROWS)
    if missed.any():
        k = int(np.flatnonzero(missed)[np.argmin((share / np.maximum(expected, 1e-12))[missed])])
        return f"misses class {k}: {percent(share[k])} of the predictions, {percent(expected[k])} expected"
    mean = softmax(candidate.target.astype(np.float64), axis=1).mean(0)
    if (drop := _entropy(expected) - _entropy(mean)) > ENTROPY_DROP:
        return f"its predictions are less various than the source's classes by {drop:.2f} nats"
    return None


def _accuracy(candidate: Candidate) -> float:
    return float((candidate.source.argmax(1) == candidate.source_label).mean())


def _entropy(p: np.ndarray) -> float:
    return float(-(p * np.log(np.maximum(p, 1e-300))).sum())


def _check(candidates: Mapping[str, Candidate], floor: str) -> None:
    if floor not in candidates:
        raise DataError(f"the candidates lack {floor}, without which nothing can be chosen; add it")
    shape = candidates[floor].target.shape
    for name, candidate in candidates.items():
        if candidate.target.shape != shape:
            raise DataError(f"{name}: has scores of shape {candidate.target.shape}, {floor} of {shape}")
        if len(candidate.source) != len(candidate.source_label) or not len(candidate.source):
            raise DataError(f"{name}: needs held-out source rows with their labels")
