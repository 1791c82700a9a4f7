"""Deep CORAL: features of both domains get the same covariance."""

from __future__ import annotations

import torch
from torch import Tensor

from juyi.adapt.base import Adapter
from juyi.losses import full_precision
from juyi.nets import SOURCE, TARGET, Network
from juyi.training import PairBatch, Pairs, Rows, Stage, StageGenerator, Turn, hyperparameter, label_losses


def coral_loss(source: Tensor, target: Tensor) -> Tensor:
    """Return the squared distance of two covariances, ‖C_s − C_t‖²_F / (4 d²).

    C is the sample covariance, with N − 1 below.

    Args:
        source: features, N×d, N ≥ 2.
        target: features, M×d, M ≥ 2.

    Example:
        >>> x = torch.tensor([[0.0, 0.0], [2.0, 0.0]])
        >>> coral_loss(x, x).item(), coral_loss(x, 0 * x).item()
        (0.0, 0.25)

    Source: Sun and Saenko, "Deep CORAL", 2016, equations 1-3.
    """
    with full_precision(source):
        gap = torch.cov(source.float().T) - torch.cov(target.float().T)
    return gap.square().sum() / (4 * source.shape[1] ** 2)


class DeepCORAL(Adapter):
    """Correlation alignment within a network: a loss of one line.

    Minimises, with features f and head h,

        mean CE(h(f(x_s)), y_s) + w ‖cov(z_s) − cov(z_t)‖²_F / (4 d²)

    where z are the features f(x), or the scores h(f(x)) as in the paper.  On MNIST → USPS laid on photographs the
    features with w = 100 were the best of the four settings that were tried.

    Source: Sun and Saenko, "Deep CORAL: Correlation Alignment for Deep Domain Adaptation", ECCV workshops 2016,
    equation 6.

    Example:
        >>> import juyi
        >>> source = juyi.load("digits@train[:256]")
        >>> target = juyi.withhold_labels(juyi.load("digits_m@train[:256]"))
        >>> DeepCORAL(epochs=1, net="lenet").fit(source, target=target).predict(target).shape
        (256,)
    """

    batch_coupled = "covariances are those of one process's rows, as are batch norm's statistics"

    weight: float = hyperparameter(
        default=100.0,
        help="weight of the distance; it should end about as large as the label loss",
        low=0.0,
        high=1e6,
    )
    layer: str = hyperparameter(
        default="features", help="what is aligned: features, or scores as in the paper", choices=("features", "scores")
    )

    def stages(self, net: Network, source: Rows, target: Rows) -> StageGenerator:
        """One stage: labels, and the distance of the covariances."""

        def losses(batch: PairBatch, progress: float) -> dict[str, Tensor]:
            z_source = net.features(batch.source.x, SOURCE)
            z_target = net.features(batch.target.x, TARGET)
            pair = (z_source, z_target[: batch.drawn])
            if self.layer == "scores":
                pair = (net.head(pair[0]), net.head(pair[1]))
            return {**label_losses(net, batch, z_source, z_target), "coral": self.weight * coral_loss(*pair)}

        turn = Turn(losses, trains=[net], optimiser=self.recipe())
        batches = Pairs(source, target, self.batch)
        yield Stage("align", over=batches, turns=[turn], epochs=self.passes(batches, self.epochs))
        return net
