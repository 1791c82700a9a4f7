"""What every online method shares: a start, answers batch by batch, the guard; a method adds how it learns."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from juyi.adapt.base import Adapter
from juyi.adapt.online.guard import FEW, TOO_FEW, ClassOrder, Reading, cut
from juyi.adapt.online.layers import as_served, mixed_layers, scales_and_shifts, with_mixed_batch_norm
from juyi.data import as_domain, withhold_labels
from juyi.errors import DataError, SettingError
from juyi.nets import Network
from juyi.runs import RunFolder
from juyi.training import Method, Rows, Served, choose_device, hyperparameter, read_run


@dataclass(frozen=True)
class Learnt:
    """What a method gives for a batch: probabilities (N×C), the share of rows learnt from, whether it went back."""

    probabilities: Tensor
    used: float
    reset: bool = False


@dataclass(frozen=True)
class Answer:
    """What was answered for a batch, once and for good.

    Args:
        probabilities: N×C, what counts.
        start: N×C, what the model says that is not adapted.
        facts: what the log says of the batch.
    """

    probabilities: np.ndarray
    start: np.ndarray
    facts: dict[str, Any]


class OnlineAdapter(Method):
    """Follow a stream: each batch is answered when it comes, and the answers are never revised.

    Of each batch the guard asks how many classes its answers name in effect, exp(H(p̄)), when the batch's own
    statistics are used with the weights of the start.  Where that is less than `concentration` times what a batch of
    mixed classes shows on average, or where two other signs say so (`juyi.adapt.online.guard.ClassOrder`), the stream
    seems to be ordered by class: mean, spread and entropy of such a batch would mislead, so the
    unadapted model answers and nothing is learnt from it.

    Everything is computed in float32, as `predict` does, so that an unadapted answer is that of `predict`.
    """

    needs: ClassVar[str] = "normalisation"
    """What the network must have: `batch_norm`, or any `normalisation` with scale and shift."""

    carries: ClassVar[str | None] = "model"
    """What it carries over."""

    online: ClassVar[bool] = True
    """Whether it learns on as target rows arrive."""

    costs: ClassVar[str] = "one pass over the stream"
    """What its time grows with, in a few words."""

    exempt: ClassVar[dict[str, str]] = {}
    """Checks of the contract that the method cannot keep, each with the reason."""

    batch: int = hyperparameter(default=64, help="images that are collected, then answered", low=1, high=65_536)
    prior: float = hyperparameter(
        default=16.0,
        help="how many images the source's statistics count as, beside the batch's",
        low=0.0,
        high=1e9,
        source="Schneider et al. 2020, figure 3: 8 to 128 for batches of 32 to 512",
    )
    concentration: float = hyperparameter(
        default=0.7,
        help="hold back where a batch shows less than this share of the classes that mixed ones do; 0 for never",
        low=0.0,
        high=1.0,
    )
    device: str = hyperparameter(default="auto", help="where to compute", choices=("auto", "cpu", "cuda"))
    random_state: int = hyperparameter(default=0, help="seed, for [:N] of names of data", low=0, high=2**63 - 1)

    def start(self, model: Any, *, class_shares: Sequence[float] | None = None) -> OnlineAdapter:
        """Begin at a trained model, which stays as it is.

        Args:
            model: a finished run (its folder, or the path), a fitted `Adapter`, or what `juyi.read_run` returned.
            class_shares: how frequent each class is in a mixed stream, C numbers that sum to 1; None for all alike.

        Raises:
            RunFolderError, ForeignFileError: the run cannot be read.
            SettingError: the network has nothing that the method could adapt, or a hyperparameter is out of range.
        """
        self.check_hyperparameters()
        self.check_batch()
        if isinstance(model, Adapter):
            check_is_fitted(model, "net_")
            served = Served(model.net_, model.shape_, model.classes_, model.columns_)
        else:
            served = model if isinstance(model, Served) else read_run(_folder(model))
        count = len(served.classes)
        shares = np.full(count, 1 / count) if class_shares is None else np.asarray(class_shares, float)
        if shares.shape != (count,) or (shares < 0).any() or not np.isclose(shares.sum(), 1, atol=1e-3):
            raise SettingError(f"class_shares: must be {count} shares that sum to 1, one a class")
        device = choose_device(self.device)
        net = copy.deepcopy(served.net).eval().requires_grad_(False).to(device)
        self.check_network(net)
        self.start_ = Served(net, served.shape, served.classes, served.columns)
        self.classes_ = self.start_.classes
        self.class_shares_ = tuple(float(share) for share in shares / shares.sum())
        self.fresh_ = with_mixed_batch_norm(net, self.prior)
        self.net_ = copy.deepcopy(self.fresh_)
        self._order = ClassOrder(self.class_shares_, self.concentration)
        self.batches_ = self.rows_ = self.held_back_ = self.resets_ = 0
        self.warnings_: list[str] = []
        self.prepare()
        return self

    def check_batch(self) -> None:
        """Raise a `SettingError` where the batches would be too small to tell anything from."""
        if self.batch < TOO_FEW:
            raise SettingError(
                f"--batch {self.batch}: mean, spread and shares of classes cannot be told from fewer than {TOO_FEW} "
                "images, and what is learnt from them does harm; --batch 64 collects images until there are 64"
            )

    def check_network(self, net: Network) -> None:
        """Raise a `SettingError` if the network has no layer that the method could adapt."""
        norms = mixed_layers(with_mixed_batch_norm(net, self.prior))
        if self.needs == "batch_norm" and not norms:
            mend = "use --method tent, or" if scales_and_shifts(net) else "train it with --batch-norm domain, or"
            raise SettingError(
                f"network {net.name}: has no batch norm, whose statistics are all that {type(self).__name__} changes; "
                f"{mend} start from a run of another network"
            )
        if not scales_and_shifts(with_mixed_batch_norm(net, self.prior)):
            raise SettingError(
                f"network {net.name}: has no normalisation layer with scale and shift, which is all that "
                f"{type(self).__name__} changes; train it with --batch-norm domain, or start from another run"
            )

    def prepare(self) -> None:
        """Get ready for the first batch; `net_` and `fresh_` are there."""

    @abstractmethod
    def learn_from(self, x: Tensor, fresh: Tensor) -> Learnt:
        """Answer a batch of mixed classes, then learn from it.

        Args:
            x: raw rows, as the network takes them.
            fresh: the probabilities (N×C) that the start's weights give with the batch's own statistics.
        """
        raise NotImplementedError

    def update(self, X: Any) -> np.ndarray:
        """Answer the next batch of the stream, and learn from it; return the predicted class of each row, N.

        Args:
            X: at least 16 rows: a `Domain`, whose labels are not looked at, or an array.

        Raises:
            DataError: there are too few rows, or they do not fit the network.
        """
        answer = self.answer(X)
        predicted: np.ndarray = self.classes_[answer.probabilities.argmax(1)]
        return predicted

    def answer(self, X: Any) -> Answer:
        """Answer the next batch as `update` does; return all that is known of it."""
        self._check_started()
        domain = self.start_.adopt(withhold_labels(as_domain(X, name="the batch")))
        return self._next(Rows(domain, next(self.net_.parameters()).device), 0, domain.size)

    def follow(self, X: Any) -> Iterator[Answer]:
        """Answer a whole stream, in order, batch by batch; a rest of fewer than 16 rows goes with the last batch."""
        self._check_started()
        domain = self.start_.adopt(withhold_labels(as_domain(X, name="the stream")))
        rows = Rows(domain, next(self.net_.parameters()).device)
        for first, end in cut(domain.size, self.batch):
            yield self._next(rows, first, end)

    def served(self) -> Served:
        """Return the model as it stands: the network with the scales, shifts and statistics of now."""
        self._check_started()
        net = as_served(self.start_.net, self.net_)
        return Served(net, self.start_.shape, self.classes_, self.start_.columns)

    def _check_started(self) -> None:
        if not hasattr(self, "net_"):
            raise NotFittedError(f"{type(self).__name__}: has no model to begin at; call start(run) first")

    def _next(self, rows: Rows, first: int, end: int) -> Answer:
        n = end - first
        if n < TOO_FEW:
            raise DataError(
                f"a batch of {n} row{'s' * (n > 1)}: mean, spread and shares of classes cannot be told from fewer than "
                f"{TOO_FEW}; collect rows, 64 say, and give them together"
            )
        x = rows.take(np.arange(first, end)).x
        with torch.no_grad():
            start = self.start_.net(x).softmax(1)
            fresh = self.fresh_(x).softmax(1)
        reading = self._order.read(fresh, start)
        learnt = Learnt(start, used=0.0) if reading.reason else self.learn_from(x, fresh)
        self.rows_, self.batches_ = self.rows_ + n, self.batches_ + 1
        self.held_back_ += reading.reason is not None
        self.resets_ += learnt.reset
        self._warn(n, reading, start)
        return _answer(self.batches_, learnt, start, reading)

    def _warn(self, n: int, reading: Reading, start: Tensor) -> None:
        """Say once that batches are small, and once that the stream seems to be ordered by class."""
        if n < FEW and not any(warning.startswith("Batches of") for warning in self.warnings_):
            self.warnings_.append(f"Batches of {n} rows are small: their statistics are rough; 64 are better.")
        if reading.reason and self.held_back_ == 1:
            few = f"shows {reading.classes:.1f} classes in effect, a mixed one about {reading.expected:.1f}"
            shown = {
                "concentrated": few,
                "blurred": "gives answers of few classes, which its own mean and spread would blur",
                "unlike": "gives answers unlike those before it",
            }[reading.reason]
            most = str(self.classes_[int(start.mean(0).argmax())])
            self.warnings_.append(
                f"The stream seems to be ordered by class: batch {self.batches_} {shown} (most often {most}); such "
                "batches are answered without adapting, and nothing is learnt from them."
            )


def _answer(batch: int, learnt: Learnt, start: Tensor, reading: Reading) -> Answer:
    p = learnt.probabilities
    changed = p.argmax(1) != start.argmax(1)
    facts = {
        "batch": batch,
        "rows": len(p),
        "held_back": reading.reason is not None,
        "reason": reading.reason,
        "classes": round(reading.classes, 3),
        "expected_classes": round(reading.expected, 3),
        "reset": learnt.reset,
        "used": round(learnt.used, 4),
        "entropy": round(float(torch.special.entr(p).sum(1).mean()), 4),
        "disagreement": round(float(changed.float().mean()), 4),
        "shares": [round(share, 4) for share in p.mean(0).tolist()],
    }
    return Answer(p.cpu().numpy(), start.cpu().numpy(), facts)


def _folder(model: Any) -> RunFolder:
    return model if isinstance(model, RunFolder) else RunFolder.open(model)
