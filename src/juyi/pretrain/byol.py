"""BYOL: a network foretells what a slow average of itself says of another view."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from juyi.nets import Network
from juyi.pretrain.base import Pretrainer, projector
from juyi.training import Batch, Rows, StageGenerator, WeightAverage, hyperparameter


class BYOL(Pretrainer):
    """Bootstrap your own latent: no image is compared with another, and nothing is pushed apart.

    With the prediction q of the online network for a view and the projection z' of the target network for another view
    of the same image, both of length 1,

        mean ‖q − z'‖² = 2 − 2 mean q·z'

    over all ordered pairs of views.  The target's weights follow the online ones, ξ ← a ξ + (1 − a) θ, where a goes
    from `momentum_target` to 1 by a half cosine.

    Source: J.-B. Grill et al., "Bootstrap Your Own Latent: A New Approach to Self-Supervised Learning", NeurIPS 2020,
    equations 1 and 2, section 3.2.

    Example:
        >>> import juyi
        >>> digits = juyi.load("digits@train[:256]")
        >>> BYOL(net="lenet5", epochs=1).fit(digits).transform(digits).shape
        (256, 84)
    """

    momentum_target: float = hyperparameter(
        default=0.99,
        help="a, the share of itself that the target network keeps in a step, at the start",
        low=0.0,
        high=1.0,
    )
    width: int = hyperparameter(default=128, help="numbers in an embedding", low=1, high=65_536)
    hidden: int = hyperparameter(default=512, help="hidden units of projector and predictor", low=1, high=65_536)

    def stages(self, net: Network, data: Rows) -> StageGenerator:
        """One stage, in which the target network follows after each step."""
        online = Projected(net, projector(net.width, self.hidden, self.width)).to(data.x.device)
        predict = projector(self.width, self.hidden, self.width).to(data.x.device)
        average = WeightAverage(online, self.momentum_target)

        def losses(batch: Batch, progress: float) -> dict[str, Tensor]:
            average.decay = 1.0 - (1.0 - self.momentum_target) * (math.cos(math.pi * progress) + 1.0) / 2.0
            seen = self.see(batch.x)
            foretold = normalize(predict(online(seen)).float()).chunk(self.views)
            average.net.train()  # it looks at the batch's own statistics, as the online network does
            with torch.no_grad():
                said = normalize(average.net(seen).float()).chunk(self.views)
            pairs = [(q, z) for i, q in enumerate(foretold) for j, z in enumerate(said) if i != j]
            return {"foretelling": torch.stack([(2.0 - 2.0 * (q * z).sum(1)).mean() for q, z in pairs]).mean()}

        yield self.stage(
            "follow", data, losses, trains=[net, online.embed, predict],
            keeps=[average.net, average], after_step=[average.update],
        )  # fmt: skip
        return net


class Projected(nn.Module):
    """A backbone and the projector after it."""

    def __init__(self, net: Network, embed: nn.Module) -> None:
        super().__init__()
        self.net, self.embed = net, embed

    def forward(self, x: Tensor) -> Tensor:
        """From raw images to embeddings."""
        found: Tensor = self.embed(self.net.features(x))
        return found
