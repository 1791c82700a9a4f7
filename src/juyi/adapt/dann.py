"""DANN: learn features from which no critic can tell the domains apart."""

from __future__ import annotations

from torch import Tensor

from juyi.adapt.base import Adapter
from juyi.losses import domain_loss, reversal_ramp, reverse_gradient
from juyi.nets import SOURCE, TARGET, Network, mlp
from juyi.training import PairBatch, Pairs, Rows, Stage, StageGenerator, Turn, hyperparameter, label_losses


class DANN(Adapter):
    """Domain-adversarial training of neural networks, by reversing a critic's gradient.

    With features f, label head h and critic d, one descent step on

        mean CE(h(f(x_s)), y_s) + L_d(d(R(f(x_s))), d(R(f(x_t))))

    where R is the identity whose gradient is multiplied by −λ(p), λ(p) = 2 / (1 + exp(−10 p)) − 1, teaches the
    critic to tell source from target and the features not to let it.  λ acts in the reversal only: the critic
    learns at its full rate from the start.

    Source: Ganin and Lempitsky, "Unsupervised Domain Adaptation by Backpropagation", ICML 2015, equations 13-15;
    Ganin et al., "Domain-Adversarial Training of Neural Networks", JMLR 2016.

    Example:
        >>> import juyi
        >>> source = juyi.load("digits@train[:256]")
        >>> target = juyi.withhold_labels(juyi.load("digits_m@train[:256]"))
        >>> DANN(epochs=1, net="lenet").fit(source, target=target).predict(target).shape
        (256,)
    """

    critic_width: int = hyperparameter(
        default=100, help="units of the critic's hidden layer", low=1, high=65_536, source="figure 4 (a)"
    )
    reversal: float = hyperparameter(default=1.0, help="strength that the reversal reaches", low=0.0, high=100.0)

    def stages(self, net: Network, source: Rows, target: Rows) -> StageGenerator:
        """One stage: labels, and domains through the reversal."""
        critic = mlp(net.width, self.critic_width, 1).to(source.x.device)

        def losses(batch: PairBatch, progress: float) -> dict[str, Tensor]:
            strength = self.reversal * reversal_ramp(progress)
            z_source = net.features(batch.source.x, SOURCE)
            z_target = net.features(batch.target.x, TARGET)
            return {
                **label_losses(net, batch, z_source, z_target),
                "domain": domain_loss(
                    critic(reverse_gradient(z_source, strength)),
                    critic(reverse_gradient(z_target[: batch.drawn], strength)),
                ),
            }

        turn = Turn(losses, trains=[net, critic], optimiser=self.recipe())
        batches = Pairs(source, target, self.batch)
        yield Stage("align", over=batches, turns=[turn], epochs=self.passes(batches, self.epochs))
        return net
