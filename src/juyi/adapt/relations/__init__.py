"""Carry over what relations tell: the methods, and a whole run from two lists of relations."""

from juyi.adapt.relations.relational import Relational

__all__ = ["Relational"]
