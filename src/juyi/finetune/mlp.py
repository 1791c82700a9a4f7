"""MLP: a head of one hidden layer on the frozen features."""

from __future__ import annotations

import torch
from torch import Tensor

from juyi.data.domain import Domain
from juyi.finetune.base import Finetuner, features_of
from juyi.losses import label_loss
from juyi.nets import Network
from juyi.training import Batch, Rows, Single, Stage, StageGenerator, Turn, hyperparameter, redeclare


class MLP(Finetuner):
    """A head with one hidden layer and dropout, trained on features that are computed once; the backbone stays.

    As the first of the seed's two ways of transferring a model: what the backbone learnt is kept as it is, and only a
    small network is trained on the new labels.

    Source: J. Yosinski, J. Clune, Y. Bengio, H. Lipson, "How transferable are features in deep neural networks?",
    NeurIPS 2014, section 2 (transferred layers frozen); the dropout of N. Srivastava et al., JMLR 2014.

    Example:
        >>> import juyi
        >>> digits = juyi.load("digits@train[:256]")
        >>> backbone = juyi.pretrain.ISIF(net="lenet5", epochs=1).fit(digits)
        >>> MLP(backbone=backbone, epochs=5).fit(digits).predict(digits).shape
        (256,)
    """

    hidden: int = hyperparameter(default=256, help="units of the hidden layer", low=1, high=65_536)
    weight_decay: float = redeclare(Finetuner, "weight_decay", 1e-2)

    def head_for(self, few: Domain) -> str:
        """One hidden layer."""
        return f"mlp-{self.hidden}"

    def stages(self, net: Network, few: Rows, unlabelled: Rows | None) -> StageGenerator:
        """One stage, over the features."""
        features = features_of(net, few)
        spread = features.std(0, correction=0).clamp(min=1e-6).mean()  # one number: what is small stays small
        names = tuple(str(code) for code in range(net.outputs))
        rows = Rows(Domain((features / spread).cpu().numpy(), few.y.cpu().numpy(), classes=names), few.x.device)

        def losses(batch: Batch, progress: float) -> dict[str, Tensor]:
            return {"label": label_loss(net.head(batch.x), batch.y)}

        batches = Single(rows, self.rows_a_step(rows))
        turn = Turn(losses, trains=[net.head], optimiser=self.recipe())
        yield Stage("train the head", over=batches, turns=[turn], epochs=self.passes(batches, self.epochs))
        with torch.no_grad():  # the head takes the features as they are, which it learnt divided by their spread
            net.head.get_submodule("0").get_parameter("weight").div_(spread)
        return net
