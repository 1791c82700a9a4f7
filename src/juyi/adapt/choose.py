"""Choosing without labels, over moments of training, hyperparameters and methods; and, marked as such, the oracle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.special import softmax

from juyi.errors import DataError
from juyi.measure import Evidence, red_flags, share_shift, weigh_evidence

FLOOR = "source_only"


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
        name: the candidate that agrees most with all that are not out.
        serves: that one if the evidence is that it is better than source only, else source only.
        ranking: the candidates that were not out, the best first.
        out: why each of the others is out.
        agreement: the share of target rows on which a candidate answers as the ensemble does.
        diversity: InfoMax, H(mean p) − mean H(p), in nats, which breaks ties.
        evidence: of each candidate against source only, with the others as its jury.
        oracle: whether labels of the target were used.
    """

    name: str
    serves: str
    ranking: tuple[str, ...]
    out: dict[str, str] = field(default_factory=dict)
    agreement: dict[str, float] = field(default_factory=dict)
    diversity: dict[str, float] = field(default_factory=dict)
    evidence: dict[str, Evidence] = field(default_factory=dict)
    oracle: bool = False

    @property
    def judged(self) -> str:
        """Of whom the verdict speaks: the choice; where that is source only, the next in the ranking, or it itself."""
        others = [name for name in (*self.ranking, *self.evidence) if name in self.evidence]
        return self.name if self.name in self.evidence or not others else others[0]

    def as_json(self) -> dict[str, Any]:
        """The same, for run.json."""
        return {
            "name": self.name,
            "judged": self.judged,
            "serves": self.serves,
            "ranking": list(self.ranking),
            "out": self.out,
            "oracle": self.oracle,
            "agreement": {name: round(value, 5) for name, value in self.agreement.items()},
            "diversity": {name: round(value, 5) for name, value in self.diversity.items()},
            "evidence": {name: found.as_json() for name, found in self.evidence.items()},
        }


def choose(candidates: Mapping[str, Candidate], floor: str = FLOOR, classes: Sequence[str] = ()) -> Choice:
    """Choose a candidate without a label of the target: first who is out, then who agrees most with all together.

    Out is who has collapsed (`juyi.measure.red_flags`), which every score of confidence takes for the best.  Of the
    others, the one is chosen whose answers are most often those of the ensemble, argmax of the mean of all
    probabilities, source only among them; InfoMax breaks ties.  The floor is never out.

    Args:
        candidates: by name.
        floor: the name of the model without transfer.
        classes: names of the classes, to tell which one a candidate misses.

    Raises:
        DataError: the floor is not there, or the candidates are not of the same rows and classes.

    Example:
        >>> label = np.repeat([0, 1], 50)
        >>> good, none = np.eye(2)[label] * 4, np.eye(2)[np.zeros(100, int)] * 9
        >>> half = np.where(np.arange(100)[:, None] % 5 == 0, 4 - good, good)
        >>> rows = {"source_only": half, "mcc": good, "cdan": good, "collapsed": none}
        >>> choice = choose({name: Candidate(good, label, z) for name, z in rows.items()})
        >>> choice.name, choice.serves, choice.out
        ('mcc', 'mcc', {'collapsed': 'misses class 1: 0.0 % of its predictions, 50.0 % expected'})

    Source: the agreement is that of EnsV: Hu, Liang, Liew, Xue, Bai and Wang, "Mixed Samples as Probes for Unsupervised
    Model Selection in Domain Adaptation", NeurIPS 2023, which compares itself with it.
    """
    _check(candidates, floor)
    first = candidates[floor]
    shift = share_shift(first.source, first.source_label, first.target)
    out = {
        name: "; ".join(flags)
        for name, c in candidates.items()
        if name != floor
        and (flags := red_flags((c.source, c.target), (first.source, first.target), c.source_label, shift, classes))
    }
    left = {name: softmax(c.target.astype(np.float64), axis=1) for name, c in candidates.items() if name not in out}
    together = np.mean(list(left.values()), axis=0).argmax(1)
    agreement = {name: float((p.argmax(1) == together).mean()) for name, p in left.items()}
    diversity = {name: infomax(p) for name, p in left.items()}
    ranking = sorted(left, key=lambda name: (-agreement[name], -diversity[name]))
    evidence = {
        name: weigh_evidence(
            (c.source, c.target), (first.source, first.target), c.source_label,
            [candidates[other].target for other in left if other not in (name, floor)], classes,
        )
        for name, c in candidates.items() if name != floor and np.isfinite(c.target).all()
    }  # fmt: skip
    serves = floor
    if ranking[0] != floor:
        jury = evidence[ranking[0]].jury
        serves = ranking[0] if jury is not None and (jury.low or 0) > 0 else floor
    return Choice(ranking[0], serves, tuple(ranking), out, agreement, diversity, evidence)


def infomax(p: np.ndarray) -> float:
    """Return H(mean p) − mean H(p) of probabilities N×C: various over the rows, sure of each; 0 to ln C nats.

    Example:
        >>> round(infomax(np.eye(2)), 4), abs(round(infomax(np.full((3, 2), 0.5)), 4))
        (0.6931, 0.0)

    Source: Shi and Sha, "Information-Theoretical Learning of Discriminative Clusters for Unsupervised Domain
    Adaptation", ICML 2012.
    """
    mean = p.mean(0)
    both = [(q * np.log(np.maximum(q, 1e-300))).sum(-1) for q in (mean, p)]
    return float(np.mean(both[1]) - both[0])


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
    return Choice(ranking[0], ranking[0], tuple(ranking), oracle=True)


def _check(candidates: Mapping[str, Candidate], floor: str) -> None:
    if floor not in candidates:
        raise DataError(f"the candidates lack {floor}, without which nothing can be chosen; add it")
    shape = candidates[floor].target.shape
    for name, candidate in candidates.items():
        if candidate.target.shape != shape:
            raise DataError(f"{name}: has scores of shape {candidate.target.shape}, {floor} of {shape}")
        if len(candidate.source) != len(candidate.source_label) or not len(candidate.source):
            raise DataError(f"{name}: needs held-out source rows with their labels")
