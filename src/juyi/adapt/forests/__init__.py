"""Learn a forest there, and correct what its leaves say here."""

from juyi.adapt.forests.stored import load_forest
from juyi.adapt.forests.transfer_forest import TransferForest
from juyi.training.hyperparameters import Method, find_methods

METHODS: dict[str, type[Method]] = find_methods(__name__, __path__, Method)
"""Every method by its name."""

__all__ = ["METHODS", "TransferForest", "load_forest"]
