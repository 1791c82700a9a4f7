"""SimCLR: of all views of a batch, each has to find the other view of its image."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import normalize

from juyi.losses.contrastive import simclr_loss
from juyi.nets import Network
from juyi.pretrain.base import Pretrainer, over_pairs, projector
from juyi.training import Batch, Rows, StageGenerator, hyperparameter


class SimCLR(Pretrainer):
    """Contrastive learning with the normalised, temperature-scaled cross-entropy (NT-Xent).

        − mean_i log P(i' | i),   P(k | i) = exp(z_i·z_k / τ) / Σ_{k'≠i} exp(z_i·z_k' / τ)

    over the 2N views of a batch, i' being the other view of i's image, z = g(f(x)) of length 1, and g a network of one
    hidden layer that is thrown away at the end.  With more than two views, it is the mean over every two.

    Source: T. Chen, S. Kornblith, M. Norouzi, G. Hinton, "A Simple Framework for Contrastive Learning of Visual
    Representations", ICML 2020, equation 1 and algorithm 1.

    Example:
        >>> import juyi
        >>> digits = juyi.load("digits@train[:256]")
        >>> SimCLR(net="lenet5", epochs=1).fit(digits).transform(digits).shape
        (256, 84)
    """

    temperature: float = hyperparameter(default=0.2, help="τ, above 0", low=1e-3, high=10.0)
    width: int = hyperparameter(default=128, help="numbers in an embedding", low=1, high=65_536, source="section 2.1")
    hidden: int = hyperparameter(default=512, help="units of the projector's hidden layer", low=1, high=65_536)

    def stages(self, net: Network, data: Rows) -> StageGenerator:
        """One stage."""
        embed = projector(net.width, self.hidden, self.width).to(data.x.device)

        def losses(batch: Batch, progress: float) -> dict[str, Tensor]:
            views = normalize(embed(net.features(self.see(batch.x))).float()).chunk(self.views)
            return {"instances": over_pairs(lambda z, other: simclr_loss(z, other, self.temperature), views)}

        yield self.stage("contrast", data, losses, trains=[net, embed])
        return net
