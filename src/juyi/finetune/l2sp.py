"""L2-SP: everything is tuned, and pulled back to where it began."""

from __future__ import annotations

import torch
from torch import Tensor

from juyi.finetune.full import Tuned
from juyi.nets import Network
from juyi.training import Rows, StageGenerator, hyperparameter


class L2SP(Tuned):
    """Fine-tuning with the start as reference: weights of the backbone decay to their start, those of the head to 0.

        mean CE(y, head(body(x))) + α / 2 ‖w − w⁰‖² + β / 2 ‖w_head‖²

    Source: X. Li, Y. Grandvalet, F. Davoine, "Explicit Inductive Bias for Transfer Learning with Convolutional
    Networks", ICML 2018, equation 2.

    Example:
        >>> import juyi
        >>> digits = juyi.load("digits@train[:256]")
        >>> backbone = juyi.pretrain.ISIF(net="lenet5", epochs=1).fit(digits)
        >>> L2SP(backbone=backbone, epochs=1).fit(digits).predict(digits).shape
        (256,)
    """

    alpha: float = hyperparameter(
        default=0.1, help="α, how strongly the backbone is pulled to its start", low=0.0, high=1e6, source="section 4.2"
    )
    beta: float = hyperparameter(
        default=0.01, help="β, how strongly the head is pulled to 0", low=0.0, high=1e6, source="section 4.2"
    )

    def stages(self, net: Network, few: Rows, unlabelled: Rows | None) -> StageGenerator:
        """One stage."""
        self._start = [p.detach().clone() for p in net.body.parameters()]
        yield self.tune(net, few)
        del self._start
        return net

    def penalties(self, net: Network) -> dict[str, Tensor]:
        """The two squared distances."""
        moved = sum((p - s).square().sum() for p, s in zip(net.body.parameters(), self._start, strict=True))
        head = sum(p.square().sum() for p in net.head.parameters())
        return {"start": self.alpha / 2 * torch.as_tensor(moved), "head": self.beta / 2 * torch.as_tensor(head)}
