"""Pure loss functions that more than one method needs: tensors in, a scalar out."""

from juyi.losses.domain import domain_loss, reversal_ramp, reverse_gradient
from juyi.losses.entropy import entropy
from juyi.losses.labels import label_loss

__all__ = ["domain_loss", "entropy", "label_loss", "reversal_ramp", "reverse_gradient"]
