"""Nearest centroid: a class is the mean of its few rows."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import nn

from juyi.finetune.base import Finetuner, features_of
from juyi.nets import Network
from juyi.training import Rows, StageGenerator, Step


class NearestCentroid(Finetuner):
    """The class whose mean is nearest in the features; with one to five labels a class it is hard to beat.

    With the mean m_c of the features of the rows of class c, all divided by the spread s of each feature over the few,

        score_c = −½ ‖(f − m_c) / s‖² + const = (m_c / s²)·f − ½ ‖m_c / s‖²

    which is a linear head; the backbone stays as it is.

    Source: J. Snell, K. Swersky, R. Zemel, "Prototypical Networks for Few-shot Learning", NeurIPS 2017, equations 1 and
    8, with squared distances of features in units of their spread.

    Example:
        >>> import juyi
        >>> digits = juyi.load("digits@train[:256]")
        >>> backbone = juyi.pretrain.ISIF(net="lenet5", epochs=1).fit(digits)
        >>> NearestCentroid(backbone=backbone).fit(digits).predict(digits).shape
        (256,)
    """

    draws: ClassVar[bool] = False
    costs: ClassVar[str] = "seconds, once the features are computed"

    def stages(self, net: Network, few: Rows, unlabelled: Rows | None) -> StageGenerator:
        """One step."""
        head = net.head
        assert isinstance(head, nn.Linear)

        def average() -> None:
            features = features_of(net, few)
            spread = features.std(0, correction=0).clamp(min=1e-6)
            scaled = features / spread
            means = torch.stack([scaled[few.y == code].mean(0) for code in range(net.outputs)]).nan_to_num(1e6)
            with torch.no_grad():
                head.weight.copy_(means / spread)
                head.bias.copy_(-means.square().sum(1) / 2)

        yield Step("average", average, keeps=[net])
        return net
