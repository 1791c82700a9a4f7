"""Full: everything is tuned, the backbone more carefully than the head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor, nn

from juyi.finetune.base import Finetuner
from juyi.losses import label_loss
from juyi.nets import Network
from juyi.training import Batch, Rows, Single, Stage, StageGenerator, Turn, hyperparameter, redeclare
from juyi.training.stages import Losses

Rates = Sequence[tuple[nn.Module, float]]
"""What learns, each with its learning rate."""


class Tuned(Finetuner):
    """What methods share that change the backbone: how fast it learns, and a stage over the labelled rows."""

    tunes_body: ClassVar[bool] = True

    augment: str = redeclare(Finetuner, "augment", "weak")
    body_rate: float = hyperparameter(
        default=0.1, help="the backbone's learning rate, as a multiple of the head's", low=0.0, high=10.0
    )

    def tune(
        self, net: Network, few: Rows, name: str = "tune", *, rates: Rates | None = None, epochs: int | None = None
    ) -> Stage:
        """The stage in which a network learns from the labels.

        Args:
            net: the network.
            few: the labelled rows.
            name: of the stage.
            rates: what learns, each with its learning rate; None for body and head.
            epochs: passes; None for those of the settings.
        """

        def losses(batch: Batch, progress: float) -> dict[str, Tensor]:
            return {"label": label_loss(net(batch.x), batch.y), **self.penalties(net)}

        batches = Single(few, self.rows_a_step(few))
        return Stage(name, batches, [self.turn(net, losses, rates)], epochs or self.passes(batches, self.epochs))

    def turn(self, net: Network, losses: Losses, rates: Rates | None = None) -> Turn:
        """An update in which each part learns at its own rate: body and head, unless something else is named."""
        rates = rates or [(net.body, self.careful_rate), (net.head, self.learning_rate)]
        recipes = [self.recipe(learning_rate=rate) for _, rate in rates]
        return Turn(losses, trains=[part for part, _ in rates], optimiser=recipes)

    @property
    def careful_rate(self) -> float:
        """The backbone's learning rate."""
        return self.learning_rate * self.body_rate

    def penalties(self, net: Network) -> dict[str, Tensor]:
        """What is added to the loss."""
        return {}


class Full(Tuned):
    """Fine-tuning: backbone and a new head learn together, the backbone at a smaller rate.

        min  mean CE(y, head(body(x)))

    Source: R. Girshick, J. Donahue, T. Darrell, J. Malik, "Rich feature hierarchies for accurate object detection and
    semantic segmentation", CVPR 2014, section 2.3 (a tenth of the rate for what was pretrained).

    Example:
        >>> import juyi
        >>> digits = juyi.load("digits@train[:256]")
        >>> backbone = juyi.pretrain.ISIF(net="lenet5", epochs=1).fit(digits)
        >>> Full(backbone=backbone, epochs=1).fit(digits).predict(digits).shape
        (256,)
    """

    def stages(self, net: Network, few: Rows, unlabelled: Rows | None) -> StageGenerator:
        """One stage."""
        yield self.tune(net, few)
        return net
