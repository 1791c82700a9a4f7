"""VICReg: views are told alike, and what is told varies and does not say the same twice."""

from __future__ import annotations

import torch
from torch import Tensor

from juyi.losses.redundancy import covariance_loss, invariance_loss, variance_loss
from juyi.nets import Network
from juyi.pretrain.base import Pretrainer, over_pairs, projector
from juyi.training import Batch, Rows, StageGenerator, hyperparameter


class VICReg(Pretrainer):
    """Variance, invariance and covariance: no image is compared with another.

        λ s(Z, Z') + μ (v(Z) + v(Z')) + ν (c(Z) + c(Z'))

    with s the squared distance of the two views' embeddings, v what a number of the embedding lacks of a spread of 1,
    and c the squares of the covariances between numbers (`juyi.losses.redundancy`).  With more than two views, s is the
    mean over every two, and v and c twice the mean over all.

    Source: A. Bardes, J. Ponce, Y. LeCun, "VICReg: Variance-Invariance-Covariance Regularization for Self-Supervised
    Learning", ICLR 2022, equation 6.

    Example:
        >>> import juyi
        >>> digits = juyi.load("digits@train[:256]")
        >>> VICReg(net="lenet5", epochs=1).fit(digits).transform(digits).shape
        (256, 84)
    """

    invariance: float = hyperparameter(default=25.0, help="λ", low=0.0, high=1e4, source="section 4.2")
    variance: float = hyperparameter(default=25.0, help="μ", low=0.0, high=1e4, source="section 4.2")
    covariance: float = hyperparameter(default=1.0, help="ν", low=0.0, high=1e4, source="section 4.2")
    width: int = hyperparameter(default=512, help="units of each of the projector's three layers", low=1, high=65_536)

    def stages(self, net: Network, data: Rows) -> StageGenerator:
        """One stage."""
        embed = projector(net.width, self.width, self.width, self.width).to(data.x.device)

        def losses(batch: Batch, progress: float) -> dict[str, Tensor]:
            views = embed(net.features(self.see(batch.x))).float().chunk(self.views)
            return {
                "invariance": self.invariance * over_pairs(invariance_loss, views),
                "variance": 2.0 * self.variance * torch.stack([variance_loss(z) for z in views]).mean(),
                "covariance": 2.0 * self.covariance * torch.stack([covariance_loss(z) for z in views]).mean(),
            }

        yield self.stage("regularise", data, losses, trains=[net, embed])
        return net
