"""AdaMatch: pseudo-labels of weak views teach strong ones, on one network for both domains."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from juyi.adapt.base import Adapter
from juyi.augmentation import Strong
from juyi.losses import label_loss
from juyi.losses.pseudo_labels import consistency_loss
from juyi.nets import SOURCE, TARGET, Network
from juyi.training import PairBatch, Pairs, Rows, Stage, StageGenerator, Turn, hyperparameter, redeclare


def aligned(p: Tensor, mean_source: Tensor, mean_target: Tensor) -> Tensor:
    """Return the predictions p, N×C, as if the classes had the source's shares: p · E[p_s] / E[p_t], normalised.

    >>> aligned(torch.tensor([[0.5, 0.5]]), torch.tensor([0.2, 0.8]), torch.tensor([0.5, 0.5]))
    tensor([[0.2000, 0.8000]])
    """
    moved = p * mean_source / mean_target
    return moved / moved.sum(1, keepdim=True)


def ramp(progress: float) -> float:
    """Return ½ − ½ cos(min(π, 2πp)): from 0 to 1 over the first half of the training.

    >>> [round(ramp(p), 3) for p in (0.0, 0.25, 1.0)]
    [0.0, 0.5, 1.0]
    """
    return 0.5 - math.cos(min(math.pi, 2 * math.pi * progress)) / 2


class MeanPredictions(nn.Module):
    """The running mean predictions of both domains, of about the last hundred batches; even at first."""

    source: Tensor
    target: Tensor

    def __init__(self, outputs: int, momentum: float = 0.01) -> None:
        super().__init__()
        self.momentum = momentum
        for domain in (SOURCE, TARGET):
            self.register_buffer(domain, torch.full((outputs,), 1.0 / outputs))

    @torch.no_grad()
    def update(self, source: Tensor, target: Tensor) -> None:
        """Follow the mean predictions, N×C each, of one batch."""
        self.source.lerp_(source.mean(0), self.momentum)
        self.target.lerp_(target.mean(0), self.momentum)


class AdaMatch(Adapter):
    """AdaMatch: one loss for adaptation without, or with some, target labels.

    Each image is seen weakly (`augment`) and strongly.  With weak and strong scores of the source ẑ_w, ẑ_s and the
    target's pseudo-label distribution q,

        ½ mean CE(ẑ_w, y) + ½ mean CE(ẑ_s, y) + μ(p) mean 1[max q ≥ c] CE(argmax q, strong target scores)

    - *random logit interpolation*: the source's scores are λ z_joint + (1 − λ) z_alone, λ ~ U(0, 1) for each score:
      z_joint is computed with the target in the batch (so under common statistics of batch norm), z_alone without.
      Where batch norm keeps the domains apart it can be left out: on MNIST → USPS laid on photographs it made no
      difference (.935 and .935, one seed);
    - *distribution alignment*: q ∝ softmax(weak target scores) · E[p_s] / E[p_t].  It takes the classes to have the
      source's shares in the target; switch it off where they have not;
    - *relative threshold*: c = τ · mean max softmax(ẑ_w): as sure as the source is, not as a fixed number;
    - μ(p) = ½ − ½ cos(min(π, 2πp)) warms up; the moving average of the weights serves.

    Target labels that were given join the source's.

    Source: Berthelot et al., "AdaMatch: A Unified Approach to Semi-Supervised Learning and Domain Adaptation",
    ICLR 2022, equations 1-6.

    Example:
        >>> import juyi
        >>> source = juyi.load("digits@train[:256]")
        >>> target = juyi.withhold_labels(juyi.load("digits_m@train[:256]"))
        >>> AdaMatch(epochs=1, net="lenet").fit(source, target=target).predict(target).shape
        (256,)
    """

    augment: str = redeclare(Adapter, "augment", default="weak")
    average: float = redeclare(Adapter, "average", default=0.999)
    threshold: float = hyperparameter(
        default=0.9, help="τ, the relative threshold of confidence", low=0.0, high=1.0, source="table 6"
    )
    interpolate: bool = hyperparameter(default=True, help="random logit interpolation; without it a third is saved")
    align_distribution: bool = hyperparameter(
        default=True, help="take the classes to have the source's shares in the target"
    )

    def stages(self, net: Network, source: Rows, target: Rows) -> StageGenerator:
        """One stage, of both domains and both views."""
        means = MeanPredictions(net.outputs).to(source.x.device)
        strong = Strong(self.excluded)

        def losses(batch: PairBatch, progress: float) -> dict[str, Tensor]:
            n, drawn, known = len(batch.source.x), batch.drawn, batch.target.labelled
            x_source = torch.cat([batch.source.x, strong(batch.source.x)])
            x_target = torch.cat([batch.target.x, strong(batch.target.x)])
            z_source = net(x_source, SOURCE)
            if self.interpolate:
                z_joint, z_target = net(torch.cat([x_source, x_target]), TARGET).split([2 * n, len(x_target)])
                z_source = torch.lerp(z_source, z_joint, torch.rand_like(z_source))
            else:
                z_target = net(x_target, TARGET)
            z_weak, z_strong = z_target.chunk(2)

            p_source = z_source[:n].detach().float().softmax(1)
            pseudo = z_weak[:drawn].detach().float().softmax(1)
            means.update(p_source, pseudo)
            if self.align_distribution:
                pseudo = aligned(pseudo, means.source, means.target)
            threshold = self.threshold * p_source.amax(1).mean()
            found = {
                "label": label_loss(z_source, batch.source.y.repeat(2)),
                "pseudo_label": ramp(progress) * consistency_loss(pseudo, z_strong[:drawn], threshold),
            }
            if known.any():
                y = batch.target.y[known].repeat(2)
                found["target_label"] = label_loss(torch.cat([z_weak[known], z_strong[known]]), y)
            return found

        turn = Turn(losses, trains=[net], optimiser=self.recipe())
        batches = Pairs(source, target, self.batch)
        yield Stage("match", over=batches, turns=[turn], epochs=self.passes(batches, self.epochs), keeps=[means])
        return net
