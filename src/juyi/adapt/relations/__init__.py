"""Carry over what relations tell: items that share no feature are matched by how they stand to one another."""

from juyi.adapt.relations.relational import Relational
from juyi.adapt.relations.run import Request, carry_over

__all__ = ["Relational", "Request", "carry_over"]
