"""Carry over what relations tell: items that share no feature are matched by how they stand to one another."""

from juyi.adapt.relations.relational import Relational
from juyi.adapt.relations.run import Request, carry_over
from juyi.training.hyperparameters import find_methods

METHODS: dict[str, type[Relational]] = find_methods(__name__, __path__, Relational)
"""The method by its name on the command line."""

__all__ = ["METHODS", "Relational", "Request", "carry_over"]
