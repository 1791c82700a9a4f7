"""Batches as a pure function of seed, stage and step: shuffled passes without any sampler's state."""

from __future__ import annotations

import copy
import hashlib
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from juyi.data.domain import Domain

_MASK = (1 << 63) - 1


def derive_seed(*key: int) -> int:
    """Return a seed that is a pure function of the key (seed, stage, step, ...), 0 to 2⁶³ − 1.

    >>> derive_seed(0, 1) == derive_seed(0, 1), derive_seed(0, 1) == derive_seed(1, 0)
    (True, False)
    """
    return int.from_bytes(hashlib.blake2b(repr(tuple(map(int, key))).encode(), digest_size=8).digest(), "big") & _MASK


def seed_torch(device: torch.device, *key: int) -> None:
    """Seed torch's generators of the CPU and of `device` from the key.

    `torch.manual_seed` would do the same, but where CUDA was never used it keeps a traceback a call for later,
    which costs most of a millisecond a step.
    """
    seed = derive_seed(*key)
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)


@dataclass(frozen=True)
class Batch:
    """Rows of one domain: raw inputs, labels, which labels may be read, groups, and what a teacher says of them."""

    x: Tensor
    y: Tensor
    labelled: Tensor
    group: Tensor | None = None
    said: Tensor | None = None


@dataclass(frozen=True)
class PairBatch:
    """Rows of the source and of the target; the target has no rows where a stage needs none of them.

    The first `drawn` rows of the target were drawn from all of it.  Those after them were added for their labels:
    the same few come again and again, so what compares the domains should leave them out.
    """

    source: Batch
    target: Batch
    drawn: int


class Rows:
    """The rows of a domain on the device, in the memory order in which a step takes them fastest.

    Images stay uint8 and run N×H×W×C in memory, so that a gathered batch is channels-last already.

    Args:
        domain: the data.
        device: where the training runs; the rows are moved there once.
    """

    def __init__(self, domain: Domain, device: torch.device) -> None:
        x = domain.x.transpose(0, 2, 3, 1) if domain.is_images else domain.x
        with warnings.catch_warnings():
            # Memory-mapped data are read-only, and are only read.
            warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
            self._x = torch.from_numpy(np.ascontiguousarray(x)).to(device)
            self.y = torch.from_numpy(domain.y).to(device)
        self.labelled = torch.from_numpy(domain.labelled).to(device)
        self.group = None if domain.group is None else torch.from_numpy(domain.group).to(device)
        self.said: Tensor | None = None
        self.labelled_rows = np.flatnonzero(domain.labelled)
        self.size = domain.size
        self.is_images = domain.is_images

    @property
    def x(self) -> Tensor:
        """All inputs, N×C×H×W (a view) or N×d."""
        return self._x.permute(0, 3, 1, 2) if self.is_images else self._x

    def with_labels(self, y: Tensor) -> Rows:
        """The same rows under other labels; which of them may be read as true ones stays."""
        other = copy.copy(self)
        other.y = y
        return other

    def with_said(self, scores: Tensor) -> Rows:
        """The same rows with what a teacher says of each, N×C."""
        other = copy.copy(self)
        other.said = scores.to(self._x.device)
        return other

    def part(self, index: np.ndarray) -> Rows:
        """These rows, as rows of their own."""
        other, at = copy.copy(self), torch.from_numpy(index).to(self._x.device)
        other._x, other.y, other.labelled = (t.index_select(0, at) for t in (self._x, self.y, self.labelled))
        other.group = None if self.group is None else self.group.index_select(0, at)
        other.said = None if self.said is None else self.said.index_select(0, at)
        other.labelled_rows, other.size = np.flatnonzero(other.labelled.cpu().numpy()), len(index)
        return other

    def take(self, rows: np.ndarray) -> Batch:
        """Return these rows as a batch."""
        index = torch.from_numpy(rows).to(self._x.device)
        x = self._x.index_select(0, index)
        return Batch(
            x.permute(0, 3, 1, 2) if self.is_images else x,
            self.y.index_select(0, index),
            self.labelled.index_select(0, index),
            None if self.group is None else self.group.index_select(0, index),
            None if self.said is None else self.said.index_select(0, index),
        )


class Shuffle:
    """An endless sequence of shuffled passes over `rows`: its part from `start` on is a pure function of the key."""

    def __init__(self, rows: np.ndarray) -> None:
        self.rows = rows
        self._passes: dict[tuple[int, ...], np.ndarray] = {}

    def slice(self, key: tuple[int, ...], start: int, count: int) -> np.ndarray:
        """Return `count` row numbers from position `start` of the sequence that `key` names."""
        size, pieces = len(self.rows), []
        while count > 0:
            number, offset = divmod(start, size)
            piece = self._pass((*key, number))[offset : offset + count]
            pieces.append(piece)
            start, count = start + len(piece), count - len(piece)
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)

    def _pass(self, key: tuple[int, ...]) -> np.ndarray:
        if key not in self._passes:
            while len(self._passes) > 2:  # the pass before last is never asked for again
                self._passes.pop(next(iter(self._passes)))
            self._passes[key] = np.random.default_rng(derive_seed(*key)).permutation(self.rows)
        return self._passes[key]


class Single:
    """Batches of one domain: of all its rows, or of those with a label.

    Args:
        rows: the domain.
        size: rows a batch and process.
        labelled_only: leave out rows without a label.
    """

    def __init__(self, rows: Rows, size: int, labelled_only: bool = False) -> None:
        self.rows = rows
        self.shuffle = Shuffle(rows.labelled_rows if labelled_only else np.arange(rows.size))
        self.size = size

    def steps_per_epoch(self, processes: int) -> int:
        """The number of full batches in a pass, at least 1."""
        return max(1, len(self.shuffle.rows) // (self.size * processes))

    def batch(self, key: tuple[int, ...], step: int, process: int, processes: int) -> Batch:
        """The batch of this step: processes take turns in one global order, so that together they hold it all."""
        return self.rows.take(self.indices(key, step, process, processes))

    def indices(self, key: tuple[int, ...], step: int, process: int, processes: int) -> np.ndarray:
        """The row numbers of that batch."""
        count = self.size * processes
        return self.shuffle.slice(key, step * count, count)[process::processes]


class Steps:
    """Steps without data, for what is made and not drawn: a batch has nothing.

    Args:
        per_epoch: how many steps count as an epoch.
    """

    def __init__(self, per_epoch: int) -> None:
        self.per_epoch = per_epoch

    def steps_per_epoch(self, processes: int) -> int:
        """As many as was said, whatever the number of processes."""
        return self.per_epoch

    def batch(self, key: tuple[int, ...], step: int, process: int, processes: int) -> None:
        """Nothing: a method draws what it needs in its losses."""
        return None


class ByClass:
    """Batches of the labelled rows of a domain in which the classes have shares of one's own choice.

    With the shares' running sums F and one number u ~ U(0, 1) a step, a batch of n rows holds

        ⌊n F_k + u⌋ − ⌊n F_{k−1} + u⌋

    of class k (systematic sampling): n times its share, rounded up or down, and on average exactly that.  Which rows
    they are comes from shuffled passes over each class.  So a batch is a pure function of (key, step, shares).

    Args:
        rows: the domain.
        size: rows a batch and process.
        shares: gives the shares of the classes, C, as they now are; a class without rows gets none.
    """

    def __init__(self, rows: Rows, size: int, shares: Callable[[], np.ndarray]) -> None:
        self.rows, self.size, self.shares = rows, size, shares
        label = rows.y.cpu().numpy()[rows.labelled_rows]
        self.classes = [Shuffle(rows.labelled_rows[label == code]) for code in range(len(shares()))]
        self.present = np.array([len(shuffle.rows) > 0 for shuffle in self.classes])

    def steps_per_epoch(self, processes: int) -> int:
        """As many as in a pass over all labelled rows, at least 1."""
        return max(1, len(self.rows.labelled_rows) // (self.size * processes))

    def indices(self, key: tuple[int, ...], step: int, process: int, processes: int) -> np.ndarray:
        """The row numbers of the batch of this step for this process."""
        count = self.size * processes
        random = np.random.default_rng(derive_seed(*key, step))
        sums = np.cumsum(self.shares() * self.present)
        sums /= sums[-1]
        ends = np.floor(count * sums + random.random()).astype(int)
        counts = np.diff(ends, prepend=0)
        most = np.ceil(count * np.diff(sums, prepend=0.0) - 1e-9)  # that a step can take
        strides = np.maximum(1, most).astype(int)
        found = [
            shuffle.slice((*key, code), step * int(stride), int(n))
            for code, (shuffle, stride, n) in enumerate(zip(self.classes, strides, counts, strict=True))
            if n
        ]
        return random.permutation(np.concatenate(found))[process::processes]


class Pairs:
    """Batches with as many rows of the source as of the target; an epoch is a pass over the larger domain.

    This is the one mechanism by which the target labels that a person gave reach every method.  Where only some
    target rows have a label, each batch ends with `size // 4` of them, and only their labels are shown: so every
    process holds as many labels as any other, and a handful of them is not lost among thousands of rows.
    Source rows without a label are never drawn.

    Args:
        source: the labelled domain; None for none, and the batch's source has no rows.
        target: the other one, or None.
        size: rows of each domain a batch and process.
        unlabelled: draw the target rows that have no label too (else the batch's target holds labelled rows only,
            and has no rows where there are none).
    """

    def __init__(self, source: Rows | None, target: Rows | None, size: int, unlabelled: bool = True) -> None:
        self.source: Single | ByClass | None = Single(source, size, labelled_only=True) if source else None
        self.target = Single(target, size) if target else None
        known = len(target.labelled_rows) if target else 0
        all_known = target is not None and known == target.size
        self.labels = (
            Single(target, max(1, size // 4), labelled_only=True) if target and known and not all_known else None
        )
        self.draw_target = unlabelled or all_known

    def with_source(self, source: ByClass) -> Pairs:
        """Return these batches with their source rows drawn in another way."""
        changed = copy.copy(self)
        changed.source = source
        return changed

    def steps_per_epoch(self, processes: int) -> int:
        """The number of full batches in a pass over the larger domain, at least 1."""
        sides = [side for side in (self.source, self.target) if side]
        return max(side.steps_per_epoch(processes) for side in sides)

    def batch(self, key: tuple[int, ...], step: int, process: int, processes: int) -> PairBatch:
        """The batch of this step for this process."""
        index = none = np.empty(0, np.int64)
        if self.target and self.draw_target:
            index = self.target.indices((*key, 1), step, process, processes)
        drawn = len(index)
        if self.labels:
            index = np.concatenate([index, self.labels.indices((*key, 2), step, process, processes)])
        one, other = self.source or self.target, self.target or self.source
        assert one and other, "one of the two domains is needed"
        source = one.rows.take(self.source.indices((*key, 0), step, process, processes) if self.source else none)
        target = other.rows.take(index)
        if self.labels:
            target.labelled[:drawn] = False
        return PairBatch(source, target, drawn)
