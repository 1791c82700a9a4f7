"""Gradual unfreezing: from the head inwards, part by part, the deeper the more carefully."""

from __future__ import annotations

from juyi.errors import SettingError
from juyi.finetune.base import blocks_of
from juyi.finetune.full import Tuned
from juyi.nets import Network
from juyi.training import Rows, Single, StageGenerator, hyperparameter


class Gradual(Tuned):
    """Gradual unfreezing with discriminative rates.

    First the head learns alone; then, stage by stage, one part more of the backbone, from the last to the first.  Part
    number l counted from the head learns at the rate η / d^l.  The passes are shared among the stages.

    Source: J. Howard, S. Ruder, "Universal Language Model Fine-tuning for Text Classification", ACL 2018, section 3.2
    and 3.3 (d = 2.6).

    Example:
        >>> import juyi
        >>> digits = juyi.load("digits@train[:256]")
        >>> backbone = juyi.pretrain.ISIF(net="lenet5", epochs=1).fit(digits)
        >>> Gradual(backbone=backbone, epochs=6).fit(digits).predict(digits).shape
        (256,)
    """

    slower: float = hyperparameter(
        default=2.6, help="d, by which each part is slower than the one after it", low=1.0, high=100.0,
        source="section 3.2",
    )  # fmt: skip
    most_stages: int = hyperparameter(
        default=4, help="stages at most; where there are more parts, several are added at a time", low=1, high=100
    )

    def check_hyperparameters(self) -> None:
        """Raise `SettingError` also where a setting has no say."""
        super().check_hyperparameters()
        if self.freeze is not None:
            raise SettingError("--freeze: gradual frees all parts, one after the other; leave it out, or use full")

    def stages(self, net: Network, few: Rows, unlabelled: Rows | None) -> StageGenerator:
        """The head, then with ever more parts of the body."""
        blocks = [net.head, *reversed(blocks_of(net.body))]
        rates = [(block, self.learning_rate / self.slower**depth) for depth, block in enumerate(blocks)]
        count = min(self.most_stages, len(blocks))
        epochs = max(count, self.passes(Single(few, self.rows_a_step(few)), self.epochs))
        for number in range(count):
            free = 1 + round((len(blocks) - 1) * number / max(1, count - 1))
            some = epochs * (number + 1) // count - epochs * number // count
            yield self.tune(net, few, f"free {free} of {len(blocks)} parts", rates=rates[:free], epochs=some)
        return net
