"""MME: with a few target labels, the head seeks what is common to the target, and the features gather around it."""

from __future__ import annotations

from torch import Tensor

from juyi.adapt.base import Adapter
from juyi.losses import entropy, reverse_gradient
from juyi.nets import SOURCE, TARGET, Network
from juyi.training import (
    PairBatch,
    Pairs,
    Rows,
    Stage,
    StageGenerator,
    Turn,
    hyperparameter,
    label_losses,
    redeclare,
)


class MME(Adapter):
    """Minimax entropy: semi-supervised adaptation with a cosine head.

    With features f, cosine head h and p = softmax h(f(x)), the head moves to raise, and the features to lower, the
    entropy of the target's unlabelled rows; both move to lower the cross-entropy of all labels:

        head:      min  mean CE − λ mean H(p_t)
        features:  min  mean CE + λ mean H(p_t)

    which is one descent step with a reversed gradient between the two.  The head's columns, one a class, so move
    towards the target, and its features then gather around them.  It needs some labels of the target.

    Source: Saito et al., "Semi-supervised Domain Adaptation via Minimax Entropy", ICCV 2019, equations 3-5.

    Example:
        >>> import juyi
        >>> source = juyi.load("digits@train[:256]")
        >>> target = juyi.withhold_labels(juyi.load("digits_m@train[:256]"), 3)
        >>> MME(epochs=1, net="lenet").fit(source, target=target).predict(target).shape
        (256,)
    """

    needs_target_labels = True

    head: str = redeclare(Adapter, "head", default="cosine")
    entropy_weight: float = hyperparameter(
        default=0.1, help="λ, weight of the entropy", low=0.0, high=100.0, source="section 4.1"
    )

    def stages(self, net: Network, source: Rows, target: Rows) -> StageGenerator:
        """One stage: the labels of both domains, and the entropy on which head and features disagree."""

        def losses(batch: PairBatch, progress: float) -> dict[str, Tensor]:
            z_source = net.features(batch.source.x, SOURCE)
            z_target = net.features(batch.target.x, TARGET)
            p = net.head(reverse_gradient(z_target[: batch.drawn])).float().softmax(1)
            return {
                **label_losses(net, batch, z_source, z_target),
                "entropy": -self.entropy_weight * entropy(p).mean(),
            }

        turn = Turn(losses, trains=[net], optimiser=self.recipe())
        batches = Pairs(source, target, self.batch)
        yield Stage("minimax entropy", over=batches, turns=[turn], epochs=self.passes(batches, self.epochs))
        return net
