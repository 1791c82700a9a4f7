"""Strangers: rows of classes that the source lacks, in a target or a test, and the word that answers them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from juyi.data.classes import class_keys, listed, recoded
from juyi.data.domain import Domain
from juyi.data.doors import follow
from juyi.errors import ClassesDifferError, SettingError

UNKNOWN = "unknown"
"""What is answered for a row that is taken to be of none of the classes."""


def unlabel_strangers(domain: Domain, source: Domain) -> Domain:
    """Give a domain the source's classes; rows of other classes stay, but without their labels.

    Args:
        domain: a target, say.
        source: whose classes are known.

    Raises:
        ClassesDifferError: the two have not a single class in common.
        SettingError: a class of the source is called `unknown`.

    Example:
        >>> source = Domain(np.zeros((2, 1), np.float32), np.array([0, 1]), classes=("cat", "dog"), name="source")
        >>> zoo = Domain(np.zeros((3, 1), np.float32), np.array([0, 1, 2]), classes=("ape", "cat", "dog"), name="zoo")
        >>> known = unlabel_strangers(zoo, source)
        >>> known.classes, known.labelled.tolist(), known.notes
        (('cat', 'dog'), [False, True, True], ('there are classes that source lacks: ape; their rows are strangers',))
    """
    if UNKNOWN in (source.classes or ()):
        raise SettingError(f"{source.name}: has a class called {UNKNOWN}, which --unknown answers; rename the class")
    strangers = _strangers(domain, source)
    if not len(strangers):
        return domain
    names = [(domain.classes or ())[code] for code in strangers]
    if len(names) == len(domain.classes or ()):
        raise ClassesDifferError(
            f"{domain.name} and {source.name} have not a single class in common; name their classes alike"
        )
    kept = domain.labelled & ~np.isin(domain.y, strangers)
    plain = replace(domain, y=np.where(kept, domain.y, 0), labelled=kept)
    note = f"there are classes that {source.name} lacks: {listed(names)}; their rows are strangers"
    return replace(recoded(plain, source.classes or ()), notes=(*domain.notes, note))


def follow_with_strangers(domain: Domain, settled: Domain) -> Domain:
    """Bring a test to the shape and the classes of a settled domain, as `follow` does, and mark its strangers.

    Args:
        domain: the test.
        settled: what it is brought to.

    Returns:
        The test, rows in their order; if it has strangers, they are of one more class, the last, called `unknown`.

    Raises:
        DataError, ClassesDifferError, SettingError: as `follow` and `unlabel_strangers` do.

    Example:
        >>> source = Domain(np.ones((2, 1), np.float32), np.array([0, 1]), classes=("cat", "dog"), name="source")
        >>> zoo = Domain(np.ones((3, 1), np.float32), np.array([0, 1, 2]), classes=("ape", "cat", "dog"), name="zoo")
        >>> test = follow_with_strangers(zoo, source)
        >>> test.classes, test.y.tolist()
        (('cat', 'dog', 'unknown'), [2, 0, 1])
    """
    mask = domain.labelled & np.isin(domain.y, _strangers(domain, settled))
    brought = follow(unlabel_strangers(domain, settled), settled)
    if not mask.any():
        return brought
    classes = brought.classes or ()
    y = np.where(mask, len(classes), brought.y)
    return replace(brought, y=y, labelled=brought.labelled | mask, classes=(*classes, UNKNOWN))


def _strangers(domain: Domain, source: Domain) -> np.ndarray:
    """The codes of a domain's classes that the source lacks."""
    known = set(class_keys(source.classes or ()))
    return np.array([c for c, key in enumerate(class_keys(domain.classes or ())) if key not in known], np.int64)
