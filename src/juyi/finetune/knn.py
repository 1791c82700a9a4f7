"""k nearest neighbours: the labelled rows that are nearest vote."""

from __future__ import annotations

from typing import ClassVar

from juyi.data.domain import Domain
from juyi.finetune.base import Finetuner, features_of
from juyi.nets import Network
from juyi.nets.heads import NeighbourHead
from juyi.training import Rows, StageGenerator, Step, hyperparameter


class KNN(Finetuner):
    """The votes of the k nearest labelled rows, each exp(c / τ), c the cosine of the features.

    The head remembers the features of all labelled rows; the backbone stays as it is.

    Source: Z. Wu, Y. Xiong, S. X. Yu, D. Lin, "Unsupervised Feature Learning via Non-Parametric Instance
    Discrimination", CVPR 2018, section 3.4.

    Example:
        >>> import juyi
        >>> digits = juyi.load("digits@train[:256]")
        >>> backbone = juyi.pretrain.ISIF(net="lenet5", epochs=1).fit(digits)
        >>> KNN(backbone=backbone).fit(digits).predict(digits).shape
        (256,)
    """

    draws: ClassVar[bool] = False
    costs: ClassVar[str] = "seconds, once the features are computed"

    k: int | None = hyperparameter(
        default=None, help="how many vote; by default half of the smallest class, from 1 to 20", low=1, high=1_000_000
    )
    temperature: float = hyperparameter(default=0.1, help="τ, above 0", low=1e-3, high=10.0)

    def neighbours(self, few: Domain) -> int:
        """How many vote."""
        counts = few.class_counts()
        return min(self.k or max(1, min(20, int(counts[counts > 0].min()) // 2)), few.size)

    def head_for(self, few: Domain) -> str:
        """A head that remembers the rows."""
        return f"neighbours-{few.size}-{self.neighbours(few)}"

    def stages(self, net: Network, few: Rows, unlabelled: Rows | None) -> StageGenerator:
        """One step."""
        head = net.head
        assert isinstance(head, NeighbourHead)
        head.temperature = self.temperature
        yield Step("remember", lambda: head.remember(features_of(net, few), few.y), keeps=[net])
        return net
