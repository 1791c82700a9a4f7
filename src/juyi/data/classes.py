"""Classes are matched by name: what two domains have in common, what one lacks, and what it has besides."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from juyi.data.domain import Domain
from juyi.errors import ClassesDifferError, DataError


def same_classes(domains: list[Domain], intersect: bool) -> list[Domain]:
    """Give all domains the classes of the first that has any, or those that all have; refuse what does not fit."""
    regression = [domain for domain in domains if domain.classes is None and domain.labelled.any()]
    if regression:
        return [for_regression(domain, regression[0]) for domain in domains]
    named = [domain for domain in domains if domain.classes is not None]
    if not named:
        return domains
    reference = named[0]
    assert reference.classes is not None
    known = set(class_keys(reference.classes))
    if not intersect:
        for domain in named[1:]:
            if not set(class_keys(domain.classes or ())) <= known:
                raise classes_differ(reference, domain)
        return [_with_absent(domain, reference.classes) for domain in domains]
    common = known.intersection(*(class_keys(domain.classes or ()) for domain in named[1:]))
    if not common:
        raise ClassesDifferError(
            f"{', '.join(domain.name for domain in named)}: have not a single class in common; name their classes alike"
        )
    classes = tuple(c for c, key in zip(reference.classes, class_keys(reference.classes), strict=True) if key in common)
    return [recoded(domain, classes) for domain in domains]


def _with_absent(domain: Domain, classes: tuple[str, ...]) -> Domain:
    """Give a domain all the classes; those that its own list lacks are noted."""
    there = set(class_keys(domain.classes or classes))
    absent = [c for c, key in zip(classes, class_keys(classes), strict=True) if key not in there]
    whole = recoded(domain, classes)
    if not absent:
        return whole
    note = f"has no class {listed(absent)}; where that holds for all its rows, --class-shares estimated reckons with it"
    return replace(whole, notes=(*whole.notes, note))


def adopt_classes(domain: Domain, source: Domain) -> Domain:
    """Give a domain the source's classes, if all of its own are among them; else return it as it is.

    For a domain whose labels do not show every class that there is: a table with a few labels, a small test.

    Example:
        >>> import numpy as np
        >>> source = Domain(np.zeros((2, 1), np.float32), np.array([0, 1]), classes=("cat", "dog"), name="source")
        >>> few = Domain(np.zeros((2, 1), np.float32), np.array([0, 0]), np.array([True, False]), classes=("dog",))
        >>> adopt_classes(few, source).classes, adopt_classes(few, source).y.tolist()
        (('cat', 'dog'), [1, 0])
    """
    known = source.classes or ()
    regression = domain.classes is None and domain.labelled.any()
    if not known or regression or not set(class_keys(domain.classes or ())) <= set(class_keys(known)):
        return domain
    return recoded(domain, known)


def class_keys(classes: Sequence[str]) -> list[str]:
    """Give what classes are compared by: whole numbers by value (01 is 1), unless that makes two of them one."""
    plain = [str(int(c)) if re.fullmatch(r"[+-]?[0-9]{1,18}", c.strip()) else c for c in classes]
    return plain if len(set(plain)) == len(plain) else list(classes)


def recoded(domain: Domain, classes: tuple[str, ...]) -> Domain:
    """Give a domain these classes; labelled rows of other classes are left out, unlabelled rows stay."""
    if domain.classes is None:
        return replace(domain, y=np.zeros(domain.size, np.int64), classes=classes)
    if domain.classes == classes:
        return domain
    place = {key: code for code, key in enumerate(class_keys(classes))}
    codes = np.array([place.get(key, -1) for key in class_keys(domain.classes)], np.int64)
    y = codes[domain.y]
    stays = ~domain.labelled | (y >= 0)
    if not stays.any():
        raise ClassesDifferError(
            f"{domain.name}: has no row of the common classes ({listed(classes)}); give other data"
        )
    changed = replace(
        domain, y=np.where(domain.labelled & stays, y, 0), labelled=domain.labelled & stays, classes=classes
    )
    if len(classes) < len(domain.classes):
        gone = [c for c, code in zip(domain.classes, codes, strict=True) if code < 0]
        note = f"{int((~stays).sum()):,} labelled rows left out, of classes that not all have: {listed(gone)}"
        changed = replace(changed, notes=(*domain.notes, note))
    return changed if stays.all() else changed.select(stays)


def for_regression(domain: Domain, regression: Domain) -> Domain:
    """Give a domain numbers as labels, as another has; refuse one whose classes are no whole numbers.

    Example:
        >>> x = np.zeros((2, 1), np.float32)
        >>> days = for_regression(Domain(x, np.array([0, 1]), classes=("9", "21")), Domain(x, np.float32([9.5, 8])))
        >>> days.y.tolist(), days.classes
        ([9.0, 21.0], None)
    """
    unit = domain.unit or regression.unit
    if not domain.labelled.any():
        return replace(domain, y=np.zeros(domain.size, np.float32), classes=None, unit=unit)
    if domain.classes is None:
        return domain if domain.unit == unit else replace(domain, unit=unit)
    try:
        values = np.array([int(name) for name in domain.classes], np.float32)
    except ValueError:
        raise DataError(
            f"{regression.name} has numbers as labels and {domain.name} has classes; give two with labels of one kind"
        ) from None
    note = f"its labels are whole numbers, which are values and no classes, as in {regression.name}"
    return replace(domain, y=values[domain.y], classes=None, notes=(*domain.notes, note), unit=unit)


def classes_differ(reference: Domain, other: Domain) -> ClassesDifferError:
    """Return the error that says in what the classes of two domains differ, and how to mend it."""
    wanted, found = reference.classes or (), other.classes or ()
    wanted_keys, found_keys = class_keys(wanted), class_keys(found)
    missing = [c for c, key in zip(wanted, wanted_keys, strict=True) if key not in found_keys]
    extra = [c for c, key in zip(found, found_keys, strict=True) if key not in wanted_keys]
    parts = [f"it lacks {listed(missing)}"] if missing else []
    parts += [f"it has {listed(extra)} besides"] if extra else []
    alike = {c.strip().casefold(): c for c in missing}
    pairs = [f"{alike[c.strip().casefold()]!r} and {c!r}" for c in extra if c.strip().casefold() in alike]
    if pairs:
        parts.append(f"{pairs[0]} differ only in case or spaces")
    mend = "name the classes alike"
    if len(missing) < len(wanted):
        mend += ", or keep only the common ones with --intersect-classes"
    return ClassesDifferError(
        f"{other.name}: its classes differ from those of {reference.name}: {'; '.join(parts)}; {mend}"
    )


def listed(names: Sequence[str]) -> str:
    """Join names, the first ten of them."""
    return ", ".join(names[:10]) + (f" and {len(names) - 10:,} more" if len(names) > 10 else "")
