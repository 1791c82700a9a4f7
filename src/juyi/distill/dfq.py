"""DFQ: a generator whose rows have the statistics that the teacher's batch norm keeps of its data."""

from __future__ import annotations

from juyi.distill.dafl import DAFL
from juyi.training import redeclare


class DFQ(DAFL):
    """Data-free learning with the teacher's own statistics: DAFL's loop with four of its five weights.

    The generator descends

        w_b Σ_layers KL(N(m, v) ‖ N(μ, σ²)) − w_d D(s, v) + w_o mean CE(v, argmax v) + w_e Σ p̄ log p̄

    where m and v are mean and variance of a channel before a layer of batch norm, over the batch, and μ and σ² are
    those that the layer keeps.  A teacher without batch norm is refused.

    Source: Choi et al., "Data-Free Network Quantization With Adversarial Knowledge Distillation", CVPR workshops 2020,
    section 3, here for a student of any kind.

    Example:
        >>> import juyi
        >>> digits = juyi.load("digits@train[:256]")
        >>> teacher = juyi.adapt.SourceOnly(net="lenet5", batch_norm="shared", epochs=1).fit(digits)
        >>> method = DFQ(teacher=teacher, student="lenet5_half", epochs=1, epoch_steps=2, batch=16).fit()
        >>> method.predict(digits).shape
        (256,)
    """

    one_hot: float = redeclare(DAFL, "one_hot", default=1.0)
    activation: float = redeclare(DAFL, "activation", default=0.0)
    adversarial: float = redeclare(DAFL, "adversarial", default=1.0)
    statistics: float = redeclare(DAFL, "statistics", default=1.0)
