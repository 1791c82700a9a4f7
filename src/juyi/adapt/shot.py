"""SHOT: the source's head stays, and features of the target learn to be told apart by it; no source data is needed."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize, one_hot

from juyi.adapt.base import Adapter
from juyi.adapt.source_only import supervised
from juyi.errors import SettingError
from juyi.losses import entropy, label_loss
from juyi.nets import TARGET, Network
from juyi.nets.freezing import trainable
from juyi.training import (
    PairBatch,
    Pairs,
    Rows,
    Stage,
    StageGenerator,
    Step,
    Turn,
    compute,
    hyperparameter,
    join_processes,
    target_label_losses,
)
from juyi.training.processes import take_from_first


def information_losses(scores: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean_i H(p_i) and H(mean_i p_i): predictions should be certain, and various.

    Args:
        scores: the scores (logits) of a batch, N×C.

    Example:
        >>> certain, various = information_losses(99 * torch.eye(2))
        >>> round(certain.item(), 3), round(various.item(), 3)
        (0.0, 0.693)

    Source: Liang et al., ICML 2020, equations 2 and 3 (the second with the other sign).
    """
    p = scores.float().softmax(1)
    return entropy(p).mean(), entropy(p.mean(0))


def pseudo_labels(features: Tensor, scores: Tensor, rounds: int = 2) -> Tensor:
    """Return, for each row, the class whose centroid is nearest by cosine.

    The centroid of class k is Σ_i p_ik f_i / Σ_i p_ik, first with the predictions p, then with the labels that came
    out; the features f have a 1 appended and unit length.

    Args:
        features: N×d.
        scores: the scores (logits), N×C.
        rounds: how often labels are assigned.

    Example:
        >>> z = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]])
        >>> pseudo_labels(z, torch.tensor([[9.0, 0.0], [0.0, 0.1], [0.0, 9.0]]))
        tensor([0, 0, 1])

    Source: Liang et al., ICML 2020, equations 4-6.
    """
    outputs = scores.shape[1]
    f = normalize(torch.cat([features, torch.ones(len(features), 1, device=features.device)], 1))
    weight = scores.softmax(1)
    alive = torch.ones(outputs, dtype=torch.bool, device=f.device)
    label = weight.argmax(1)
    for _ in range(rounds):
        centroids = normalize(weight.T @ f)
        label = (f @ centroids.T).masked_fill(~alive, -2.0).argmax(1)
        weight = one_hot(label, outputs).to(f)
        alive = weight.sum(0) > 0
    return label


class SHOT(Adapter):
    """Source hypothesis transfer: information maximisation and pseudo-labels under a frozen head.

    With the head h of the source frozen, the features f are moved to lower, on target rows alone,

        mean H(p_i) − H(mean p_i) + β mean CE(h(f(x_i)), ŷ_i),   p = softmax h(f(x))

    where ŷ is found once an epoch from the centroids of the features (`pseudo_labels`).  The second term takes the
    classes to be about equally many; `--class-shares estimated` leaves it out.  Given a run, no source data is needed.
    The paper's bottleneck with batch norm and its weight-normalised head are not added: the network is the person's.

    Source: Liang, Hu and Feng, "Do We Really Need to Access the Source Data? Source Hypothesis Transfer for
    Unsupervised Domain Adaptation", ICML 2020, equation 7; β = .1 from the authors' digits.

    Example:
        >>> import juyi
        >>> source = juyi.load("digits@train[:256]")
        >>> target = juyi.withhold_labels(juyi.load("digits_m@train[:256]"))
        >>> SHOT(epochs=1, net="lenet").fit(source, target=target).predict(target).shape
        (256,)
    """

    source_free = True
    carries = "model"
    batch_coupled = "the mean prediction is that of one process's rows, as are batch norm's statistics"

    pseudo_weight: float = hyperparameter(
        default=0.1, help="β, weight of the pseudo-labels", low=0.0, high=100.0, source="the authors' digits"
    )
    label_smoothing: float = hyperparameter(
        default=0.1, help="smoothing of the source's labels", low=0.0, high=0.99, source="equation 1"
    )
    target_epochs: int | None = hyperparameter(
        default=None, help="passes over the target; by default as many as --epochs", low=1, high=100_000
    )

    def check_net(self, net: Network) -> None:
        """Refuse a body that is frozen as a whole, since nothing else is trained."""
        super().check_net(net)
        if not trainable(net.body):
            raise SettingError("--freeze: leaves nothing to train, since SHOT trains the body alone; freeze less")

    def stages(self, net: Network, source: Rows | None, target: Rows) -> StageGenerator:
        """The source, if there is one; then the target under the frozen head."""
        if source:
            yield from supervised(self, net, source, target, self.label_smoothing)

        guessed = target.with_labels(target.y.clone())
        batches = Pairs(None, guessed, self.batch)
        processes = join_processes()
        every = batches.steps_per_epoch(processes.count)
        steps = torch.zeros((), dtype=torch.int64)

        def both(x: Tensor) -> Tensor:
            z = net.features(x, TARGET)
            return torch.cat([z, net.head(z)], 1)

        def guess() -> None:
            if int(steps) % every == 0:
                found = compute(net, target, np.arange(target.size), both)
                label = pseudo_labels(found[:, : net.width], found[:, net.width :])
                label = take_from_first(label, processes)  # batch norm's statistics may differ for a moment
                guessed.y.copy_(torch.where(target.labelled, target.y, label.to(target.y)))
            steps.add_(1)

        def losses(batch: PairBatch, progress: float) -> dict[str, Tensor]:
            z = net.features(batch.target.x, TARGET)
            scores = net.head(z)
            certain, various = information_losses(scores[: batch.drawn])
            found = {
                "entropy": certain,
                "pseudo_label": self.pseudo_weight * label_loss(scores[: batch.drawn], batch.target.y[: batch.drawn]),
                **target_label_losses(net, batch, z),
            }
            return found if self.class_shares == "estimated" else {**found, "variety": -various}

        turn = Turn(losses, trains=[net.body], optimiser=self.recipe())
        kept = [guessed.y, steps]
        yield Step("guess labels", guess, keeps=kept)
        yield Stage(
            "learn the target",
            over=batches,
            turns=[turn],
            epochs=self.passes(batches, self.target_epochs or self.epochs),
            keeps=kept,
            after_step=[guess],
        )
        return net
