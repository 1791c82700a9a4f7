"""FixMatch: what is sure about a weak view of an unlabelled row is the label of a strong one."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from juyi.augmentation import Strong
from juyi.finetune.full import Tuned
from juyi.losses import label_loss
from juyi.losses.pseudo_labels import consistency_loss
from juyi.nets import Network
from juyi.training import PairBatch, Pairs, Rows, Stage, StageGenerator, hyperparameter, redeclare


class FixMatch(Tuned):
    """A few labels and many unlabelled rows, on one network.

        mean CE(y, z_weak) + λ mean 1[max q ≥ τ] CE(argmax q, z_strong),   q = softmax(z_weak) of unlabelled rows

    Batches hold as many unlabelled as labelled rows.  The moving average of the weights serves.

    Source: K. Sohn et al., "FixMatch: Simplifying Semi-Supervised Learning with Consistency and Confidence", NeurIPS
    2020, equations 3 and 4, algorithm 1.

    Example:
        >>> import juyi
        >>> few, more = juyi.load("digits@train[:60]"), juyi.load("digits@train[:256]")
        >>> backbone = juyi.pretrain.ISIF(net="lenet5", epochs=1).fit(more)
        >>> FixMatch(backbone=backbone, epochs=1).fit(few, unlabelled=more).predict(more).shape
        (256,)
    """

    takes_unlabelled: ClassVar[bool] = True

    body_rate: float = redeclare(Tuned, "body_rate", 1.0)
    average: float = redeclare(Tuned, "average", 0.999)
    threshold: float = hyperparameter(default=0.95, help="τ, how sure is sure", low=0.0, high=1.0, source="table 4")
    weight: float = hyperparameter(default=1.0, help="λ", low=0.0, high=1e4, source="table 4")

    def stages(self, net: Network, few: Rows, unlabelled: Rows | None) -> StageGenerator:
        """One stage, of labelled and unlabelled rows."""
        assert unlabelled is not None
        strong = Strong(self.excluded)

        def losses(batch: PairBatch, progress: float) -> dict[str, Tensor]:
            known, more = batch.source.x, batch.target.x
            x = torch.cat([known.float(), more.float(), strong(more)])
            z_known, z_weak, z_strong = net(x).split([len(known), len(more), len(more)])
            pseudo = z_weak.detach().float().softmax(1)
            return {
                "label": label_loss(z_known, batch.source.y),
                "pseudo_label": self.weight * consistency_loss(pseudo, z_strong, self.threshold),
            }

        batches = Pairs(few, unlabelled, min(self.batch, unlabelled.size))
        yield Stage("match", batches, [self.turn(net, losses)], self.passes(batches, self.epochs))
        return net
