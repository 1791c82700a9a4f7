"""ADDA: a second encoder learns to be taken for the first."""

from __future__ import annotations

import copy

from torch import Tensor
from torch.nn.functional import softplus

from juyi.adapt.base import Adapter
from juyi.adapt.source_only import supervised
from juyi.losses import domain_loss
from juyi.nets import SOURCE, TARGET, Network, mlp
from juyi.training import (
    Optimiser,
    PairBatch,
    Pairs,
    Rows,
    Stage,
    StageGenerator,
    Turn,
    hyperparameter,
    target_label_losses,
)


class ADDA(Adapter):
    """Adversarial discriminative domain adaptation, in three steps.

    1. Encoder M_s and classifier C learn the source: mean CE(C(M_s(x_s)), y_s).
    2. The target encoder M_t starts as a copy of M_s, which is frozen.  In turns, a critic D learns to tell
       M_s(x_s) from M_t(x_t), and M_t learns to be taken for the source: mean −log D(M_t(x_t)).
    3. M_t under C serves the target.

    The paper's LeNet has no batch norm.  Where a network has it, the critic's turn sees M_t as it serves (running
    statistics), and M_t's own turn sees it as it learns (the batch's).

    Source: Tzeng et al., "Adversarial Discriminative Domain Adaptation", CVPR 2017, equation 9; the critic of
    two hidden layers of 500 units and Adam at 2·10⁻⁴ with β₁ = .5 from section 5.1 and the authors' settings.

    Example:
        >>> import juyi
        >>> source = juyi.load("digits@train[:256]")
        >>> target = juyi.withhold_labels(juyi.load("digits_m@train[:256]"))
        >>> ADDA(epochs=1, adversarial_epochs=1, net="lenet").fit(source, target=target).predict(target).shape
        (256,)
    """

    critic_width: int = hyperparameter(
        default=500, help="units of each of the critic's two hidden layers", low=1, high=65_536, source="section 5.1"
    )
    adversarial_epochs: int | None = hyperparameter(
        default=None,
        help="passes over the larger domain in step 2; by default 10, and at least 2000 steps",
        low=1,
        high=100_000,
    )
    adversarial_rate: float = hyperparameter(
        default=2e-4,
        help="learning rate of step 2 (Adam, beta 0.5)",
        low=0.0,
        high=1.0,
        source="the authors' settings",
    )

    def stages(self, net: Network, source: Rows, target: Rows) -> StageGenerator:
        """The source; then critic and target encoder in turns."""
        yield from supervised(self, net, source, target)

        adapted = copy.deepcopy(net)
        critic = mlp(net.width, self.critic_width, self.critic_width, 1).to(source.x.device)
        recipe = Optimiser("adam", self.adversarial_rate, momentum=0.5)

        def critic_losses(batch: PairBatch, progress: float) -> dict[str, Tensor]:
            z_source, z_target = net.features(batch.source.x, SOURCE), adapted.features(batch.target.x, TARGET)
            return {"domain": domain_loss(critic(z_source), critic(z_target[: batch.drawn]))}

        def encoder_losses(batch: PairBatch, progress: float) -> dict[str, Tensor]:
            z_target = adapted.features(batch.target.x, TARGET)
            fooling = softplus(-critic(z_target[: batch.drawn]).float()).mean()  # −log D
            return {"fooling": fooling, **target_label_losses(adapted, batch, z_target)}

        turns = [
            Turn(critic_losses, trains=[critic], optimiser=recipe),
            Turn(encoder_losses, trains=[adapted.body], optimiser=recipe),
        ]
        batches = Pairs(source, target, self.batch)
        yield Stage(
            "adapt the encoder",
            over=batches,
            turns=turns,
            epochs=self.passes(batches, self.adversarial_epochs),
            keeps=[adapted],
            serves=adapted,
        )
        return adapted
