"""DeepJDOT: optimal transport pairs source rows with target rows, by features and labels at once."""

from __future__ import annotations

import ot
import torch
from torch import Tensor
from torch.nn.functional import log_softmax

from juyi.adapt.base import Adapter
from juyi.data import Domain
from juyi.errors import DataError
from juyi.nets import SOURCE, TARGET, Network
from juyi.training import PairBatch, Pairs, Rows, Stage, StageGenerator, Turn, hyperparameter, label_losses

MISSING = 0.5
"""The expected number of classes without a row in a batch from which on the plan cannot be trusted."""


def transport_cost(
    z_source: Tensor, z_target: Tensor, y_source: Tensor, scores: Tensor, alpha: float, weight: float
) -> Tensor:
    """Return what it costs to take each target row for each source row, N×M.

    cost_ij = α ‖z_i − z_j‖² / d + λ CE(y_i, h(z_j))

    The squared distance is divided by the number of features d, so that α means the same in every network.

    Args:
        z_source: features, N×d.
        z_target: features, M×d.
        y_source: labels, N.
        scores: the target's scores h(z_t), M×C.
        alpha: α.
        weight: λ.

    Example:
        >>> z, y = torch.eye(2), torch.tensor([0, 1])
        >>> transport_cost(z, z, y, 99 * z, alpha=1.0, weight=0.0).round(decimals=3).tolist()
        [[0.0, 1.0], [1.0, 0.0]]
    """
    distance = torch.cdist(z_source.float(), z_target.float()).square() / z_source.shape[1]
    return alpha * distance - weight * log_softmax(scores.float(), 1)[:, y_source].T


def transport_plan(cost: Tensor) -> Tensor:
    """Return the plan γ, N×M, that moves even masses at the least cost, Σ γ_ij cost_ij; exact, without gradient."""
    if not cost.isfinite().all():  # there is no plan; the loop says that the training diverged
        return torch.full_like(cost, torch.nan)
    costs = cost.detach().double().cpu().numpy()
    plan = ot.emd([], [], costs - costs.min())  # the same plan; costs far below 0 are called infeasible
    return torch.from_numpy(plan).to(cost)


class DeepJDOT(Adapter):
    """Deep joint distribution optimal transport.

    For each batch the plan γ is found that takes target rows for source rows at the least cost; then features f and
    head h are moved to lower

        mean CE(h(f(x_s)), y_s) + Σ_ij γ_ij [α ‖f(x_s,i) − f(x_t,j)‖² / d + λ CE(y_s,i, h(f(x_t,j)))]

    The plan moves every row of a batch somewhere.  So each class has to be in each batch of the source, in about the
    share that it has in the target: batches that are too small for that are refused.

    Source: Damodaran et al., "DeepJDOT: Deep Joint Distribution Optimal Transport for Unsupervised Domain Adaptation",
    ECCV 2018, equation 6 and algorithm 1; there the distance is not divided by d, and α = .001, λ = .0001.  The
    defaults here were the best of four tried on MNIST → USPS laid on photographs.

    Example:
        >>> import juyi
        >>> source = juyi.load("digits@train[:256]")
        >>> target = juyi.withhold_labels(juyi.load("digits_m@train[:256]"))
        >>> DeepJDOT(epochs=1, net="lenet").fit(source, target=target).predict(target).shape
        (256,)
    """

    batch_coupled = "the plan is that of one process's rows, as are batch norm's statistics"

    alpha: float = hyperparameter(default=1.0, help="α, weight of the features' distance", low=0.0, high=1e6)
    transfer_weight: float = hyperparameter(
        default=1.0, help="λ, weight of the source's labels on the target", low=0.0, high=1e6
    )

    def check_data(self, source: Domain, target: Domain | None) -> None:
        """Refuse batches in which classes will be missing, beside what every method refuses."""
        super().check_data(source, target)
        counts = source.class_counts()
        shares = counts[counts > 0] / counts.sum()
        if float(((1 - shares) ** self.batch).sum()) > MISSING:
            rarest = (source.classes or ())[int(counts.argmin())] if counts.min() else "the rarest"
            raise DataError(
                f"{source.name}: batches of {self.batch} would often lack a class ({rarest}, say), and transport would "
                "take its target rows for another; give a larger --batch, or fewer or more even classes"
            )

    def stages(self, net: Network, source: Rows, target: Rows) -> StageGenerator:
        """One stage: labels, and what the plan costs."""

        def losses(batch: PairBatch, progress: float) -> dict[str, Tensor]:
            z_source = net.features(batch.source.x, SOURCE)
            z_target = net.features(batch.target.x, TARGET)
            drawn = z_target[: batch.drawn]
            cost = transport_cost(z_source, drawn, batch.source.y, net.head(drawn), self.alpha, self.transfer_weight)
            return {
                **label_losses(net, batch, z_source, z_target),
                "transport": (transport_plan(cost) * cost).sum(),
            }

        turn = Turn(losses, trains=[net], optimiser=self.recipe())
        batches = Pairs(source, target, self.batch)
        yield Stage("transport", over=batches, turns=[turn], epochs=self.passes(batches, self.epochs))
        return net
