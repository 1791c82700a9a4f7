"""MCC: target predictions must not confuse classes with one another."""

from __future__ import annotations

import torch
from torch import Tensor

from juyi.adapt.base import Adapter
from juyi.losses import entropy, full_precision
from juyi.nets import SOURCE, TARGET, Network
from juyi.training import PairBatch, Pairs, Rows, Stage, StageGenerator, Turn, hyperparameter, label_losses


def confusion_loss(scores: Tensor, temperature: float = 2.5) -> Tensor:
    """Return the minimum class confusion of a batch: how much predictions of one class go with those of others.

    With Y = softmax(scores / T), N×C, and the weights w_i ∝ 1 + exp(−H(Y_i)), of mean 1 and without gradient,

        M = Yᵀ diag(w) Y,   M̃ = M with rows that sum to 1,   loss = (Σ_jk M̃_jk − Σ_j M̃_jj) / C

    It goes from 0 (each prediction is certain) to 1 − 1/C (each is even).

    Args:
        scores: the scores (logits) of target rows, N×C.
        temperature: T, above 0.

    Example:
        >>> round(confusion_loss(torch.zeros(8, 4)).item(), 3), round(confusion_loss(99 * torch.eye(4)).item(), 3)
        (0.75, 0.0)

    Source: Jin et al., "Minimum Class Confusion for Versatile Domain Adaptation", ECCV 2020, equations 2-6.
    """
    with full_precision(scores):
        return _confusion((scores.float() / temperature).softmax(1))


def _confusion(predictions: Tensor) -> Tensor:
    weight = 1.0 + torch.exp(-entropy(predictions.detach()))
    weight = weight / weight.mean()
    confusion = predictions.T @ (weight[:, None] * predictions)
    confusion = confusion / confusion.sum(1, keepdim=True)
    return (confusion.sum() - confusion.trace()) / predictions.shape[1]


class MCC(Adapter):
    """Minimum class confusion: no critic, no schedule, and no assumption on the classes' shares.

    Minimises, with features f and head h,

        mean CE(h(f(x_s)), y_s) + w · confusion(h(f(x_t)))

    Source: Jin et al., "Minimum Class Confusion for Versatile Domain Adaptation", ECCV 2020, equation 7.

    Example:
        >>> import juyi
        >>> source = juyi.load("digits@train[:256]")
        >>> target = juyi.withhold_labels(juyi.load("digits_m@train[:256]"))
        >>> MCC(epochs=1, net="lenet").fit(source, target=target).predict(target).shape
        (256,)
    """

    batch_coupled = "the confusion is that of one process's rows, as are batch norm's statistics"

    temperature: float = hyperparameter(
        default=2.5, help="temperature of the predictions", low=0.01, high=100.0, source="section 4.1"
    )
    weight: float = hyperparameter(
        default=1.0, help="weight of the confusion", low=0.0, high=100.0, source="equation 7"
    )

    def stages(self, net: Network, source: Rows, target: Rows) -> StageGenerator:
        """One stage: labels, and the confusion of the target's predictions."""

        def losses(batch: PairBatch, progress: float) -> dict[str, Tensor]:
            z_source = net.features(batch.source.x, SOURCE)
            z_target = net.features(batch.target.x, TARGET)
            return {
                **label_losses(net, batch, z_source, z_target),
                "confusion": self.weight * confusion_loss(net.head(z_target[: batch.drawn]), self.temperature),
            }

        turn = Turn(losses, trains=[net], optimiser=self.recipe())
        batches = Pairs(source, target, self.batch)
        yield Stage("learn without confusion", over=batches, turns=[turn], epochs=self.passes(batches, self.epochs))
        return net
