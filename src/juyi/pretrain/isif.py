"""ISIF: an image is known by any view of it, and no image is taken for another."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import normalize

from juyi.losses.contrastive import isif_loss, isif_released_loss
from juyi.nets import Network
from juyi.pretrain.base import Pretrainer, over_pairs
from juyi.training import Batch, Rows, StageGenerator, hyperparameter, redeclare

FORMS = {"paper": isif_loss, "released": isif_released_loss}


class ISIF(Pretrainer):
    """Invariant and spreading features: each image is a class of its own.

    With the embeddings f_i of a batch of images and f̂_i of other views of them, of length 1,

        − 1/N Σ_i log P(i | x̂_i) − 1/N Σ_i Σ_{j≠i} log(1 − P(i | x_j)),   P(i | x) ∝ exp(f_i·f(x) / τ)

    `form released` is what the authors' code computes: both views stand among what is compared with, and no gradient
    goes through them (`juyi.losses.contrastive`).  In either form both sides are views; with more than two, it is the
    mean over every two.  `embedding_` is the linear layer from features to embeddings: as in the paper, neighbours are
    asked for in the embeddings too (`isif_embedding` in the results).

    Source: M. Ye, X. Zhang, P. C. Yuen, S.-F. Chang, "Unsupervised Embedding Learning via Invariant and Spreading
    Instance Feature", CVPR 2019, equations 2, 4 and 6.

    Example:
        >>> import juyi
        >>> digits = juyi.load("digits@train[:256]")
        >>> ISIF(net="lenet5", epochs=1).fit(digits).transform(digits).shape
        (256, 84)
    """

    temperature: float = hyperparameter(default=0.1, help="τ, above 0", low=1e-3, high=10.0, source="section 4.1")
    width: int = hyperparameter(
        default=128, help="numbers in an embedding", low=1, high=65_536, source="section 4.1"
    )  # fmt: skip
    form: str = hyperparameter(
        default="paper", help="the loss: that of the paper, or of the released code", choices=FORMS
    )
    optimiser: str = redeclare(Pretrainer, "optimiser", "sgd")
    learning_rate: float = redeclare(Pretrainer, "learning_rate", 0.03)
    weight_decay: float = redeclare(Pretrainer, "weight_decay", 5e-4)

    def stages(self, net: Network, data: Rows) -> StageGenerator:
        """One stage."""
        self.embedding_ = embed = nn.Linear(net.width, self.width).to(data.x.device)

        def losses(batch: Batch, progress: float) -> dict[str, Tensor]:
            views = normalize(embed(net.features(self.see(batch.x))).float()).chunk(self.views)
            return {"instances": over_pairs(lambda f, g: FORMS[self.form](f, g, self.temperature), views)}

        yield self.stage("spread", data, losses, trains=[net, embed])
        return net
