"""CDAN: a critic that sees features together with predictions, and listens most to what is certain."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from juyi.adapt.base import Adapter
from juyi.losses import domain_loss, entropy, full_precision, reversal_ramp, reverse_gradient
from juyi.nets import SOURCE, TARGET, Network, mlp
from juyi.training import PairBatch, Pairs, Rows, Stage, StageGenerator, Turn, hyperparameter, label_losses

LIMIT = 4096
"""The largest outer product that the critic sees as it is (section 3.2)."""


class MultilinearMap(nn.Module):
    """Features and predictions as one vector: the outer product f ⊗ p, or a random sketch where that is too large.

    T(f, p) = (R_f f) ⊙ (R_p p) / √d with fixed Gaussian R_f, R_p, whose inner products are those of the outer
    products in expectation: equation 7.

    Args:
        width: the number of features.
        outputs: the number of classes.
        sketch: d, the size of the random sketch.
    """

    def __init__(self, width: int, outputs: int, sketch: int) -> None:
        super().__init__()
        self.random = width * outputs > LIMIT
        self.width = sketch if self.random else width * outputs
        if self.random:
            self.register_buffer("of_features", torch.randn(width, sketch))
            self.register_buffer("of_predictions", torch.randn(outputs, sketch) / sketch**0.5)

    def forward(self, features: Tensor, predictions: Tensor) -> Tensor:
        """Join features N×width and predictions N×outputs: N×self.width."""
        if not self.random:
            return torch.einsum("nf,np->nfp", features, predictions).flatten(1)
        with full_precision(features):
            return (features @ self.get_buffer("of_features")) * (predictions @ self.get_buffer("of_predictions"))


class CDAN(Adapter):
    """Conditional adversarial domain adaptation, with entropy conditioning (CDAN+E).

    DANN, whose critic d sees the multilinear map of the features f and the predictions p, and in whose loss a row
    counts by its certainty, w = 1 + exp(−H(p)), normalised within each domain:

        mean CE(h(f(x_s)), y_s) + L_d(d(R(T(f_s, p_s))), d(R(T(f_t, p_t))); w_s, w_t)

    R is DANN's reversal with its schedule; no gradient goes through p in T, and through w it is reversed, as in the
    authors' code.

    Source: Long et al., "Conditional Adversarial Domain Adaptation", NeurIPS 2018, equations 6-9.

    Example:
        >>> import juyi
        >>> source = juyi.load("digits@train[:256]")
        >>> target = juyi.withhold_labels(juyi.load("digits_m@train[:256]"))
        >>> CDAN(epochs=1, net="lenet").fit(source, target=target).predict(target).shape
        (256,)
    """

    batch_coupled = "certainty is normalised over one process's rows, as are batch norm's statistics"

    critic_width: int = hyperparameter(
        default=500, help="units of the critic's hidden layer", low=1, high=65_536, source="the authors' digits"
    )
    sketch: int = hyperparameter(
        default=500, help="size of the random multilinear map", low=1, high=65_536, source="the authors' digits"
    )
    reversal: float = hyperparameter(default=1.0, help="strength that the reversal reaches", low=0.0, high=100.0)
    condition_entropy: bool = hyperparameter(default=True, help="let certain rows count for more in the critic's loss")

    def stages(self, net: Network, source: Rows, target: Rows) -> StageGenerator:
        """One stage: labels, and domains through the reversal."""
        device = source.x.device
        join = MultilinearMap(net.width, net.outputs, self.sketch).to(device)
        critic = mlp(join.width, self.critic_width, 1).to(device)

        def judged(features: Tensor, strength: float) -> tuple[Tensor, Tensor | None]:
            p = net.head(features).float().softmax(1)
            score = critic(reverse_gradient(join(features.float(), p.detach()), strength))
            weight = 1.0 + torch.exp(-reverse_gradient(entropy(p), strength)) if self.condition_entropy else None
            return score, weight

        def losses(batch: PairBatch, progress: float) -> dict[str, Tensor]:
            strength = self.reversal * reversal_ramp(progress)
            z_source = net.features(batch.source.x, SOURCE)
            z_target = net.features(batch.target.x, TARGET)
            (score_s, weight_s), (score_t, weight_t) = (
                judged(z, strength) for z in (z_source, z_target[: batch.drawn])
            )
            return {
                **label_losses(net, batch, z_source, z_target),
                "domain": domain_loss(score_s, score_t, weight_s, weight_t),
            }

        turn = Turn(losses, trains=[net, critic], optimiser=self.recipe())
        batches = Pairs(source, target, self.batch)
        yield Stage("align", over=batches, turns=[turn], epochs=self.passes(batches, self.epochs), keeps=[join])
        return net
