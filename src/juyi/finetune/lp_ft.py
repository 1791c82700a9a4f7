"""LP-FT: first the head alone, then everything."""

from __future__ import annotations

from juyi.finetune.full import Tuned
from juyi.finetune.linear import fit_linear_head
from juyi.nets import Network
from juyi.training import Rows, StageGenerator, Step


class LPFT(Tuned):
    """Linear probing, then fine-tuning: a head that is right already does not disturb the features.

    1. fit a linear head on the frozen features (`linear`);
    2. tune backbone and head together (`full`).

    Source: A. Kumar, A. Raghunathan, R. Jones, T. Ma, P. Liang, "Fine-Tuning can Distort Pretrained Features and
    Underperform Out-of-Distribution", ICLR 2022, section 3.4.

    Example:
        >>> import juyi
        >>> digits = juyi.load("digits@train[:256]")
        >>> backbone = juyi.pretrain.ISIF(net="lenet5", epochs=1).fit(digits)
        >>> LPFT(backbone=backbone, epochs=1).fit(digits).predict(digits).shape
        (256,)
    """

    def stages(self, net: Network, few: Rows, unlabelled: Rows | None) -> StageGenerator:
        """The head, then all."""
        yield Step("fit the head", lambda: fit_linear_head(net, few, None), keeps=[net])
        yield self.tune(net, few)
        return net
