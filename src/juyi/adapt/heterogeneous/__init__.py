"""Learn from rows there and a few labelled ones here, whose columns are other ones.

Every file of this folder that defines a `Heterogeneous` of its own is a method.
"""

from juyi.adapt.heterogeneous.base import Heterogeneous
from juyi.adapt.heterogeneous.cca import CCA
from juyi.adapt.heterogeneous.coot import COOT
from juyi.adapt.heterogeneous.dama import DAMA
from juyi.training.hyperparameters import find_methods

METHODS: dict[str, type[Heterogeneous]] = find_methods(__name__, __path__, Heterogeneous)  # type: ignore[type-abstract]
"""Every method by its name on the command line."""

__all__ = ["CCA", "COOT", "DAMA", "METHODS", "Heterogeneous"]
