"""Pure loss functions that more than one method needs: tensors in, a scalar out."""

from juyi.losses.domain import domain_loss, reversal_ramp, reverse_gradient
from juyi.losses.entropy import entropy
from juyi.losses.labels import label_loss, number_loss
from juyi.losses.precision import full_precision

__all__ = [
    "domain_loss",
    "entropy",
    "full_precision",
    "label_loss",
    "number_loss",
    "reversal_ramp",
    "reverse_gradient",
]
