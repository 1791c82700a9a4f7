"""What is compared at the door: two domains must agree in kind, channels, size, range and classes.

A silent mismatch here is the commonest failure of the field, so each is either mended and said, or refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from juyi.data import cache
from juyi.data.classes import adopt_classes, classes_differ, for_regression, recoded, same_classes
from juyi.data.domain import Domain
from juyi.data.shapes import conform, resize, to_rgb
from juyi.errors import DataError, SettingError

_SAMPLE = 2000


def align(
    source: Domain, *others: Domain, size: int | None = None, intersect_classes: bool = False
) -> tuple[Domain, ...]:
    """Make domains fit one another: same channels, size and classes; whatever is changed is noted.

    Grey becomes RGB if another has colour; sizes become the largest height and width, or `size`.  Classes are
    matched by name, and codes follow the source's order; names that are whole numbers match as numbers.  A
    domain without classes and labels takes the source's classes, and so does one that lacks some of them.

    Args:
        source: the domain that gives the order of the classes.
        others: the domains to fit to it.
        size: height and width in pixels, at least 1; None for the largest among the domains.
        intersect_classes: keep only labelled rows of classes that all have, instead of refusing.

    Returns:
        The domains, in the order given; those that needed no change are the same objects.

    Raises:
        DataError: images stand against features, the number of features differs, one is for regression and the
            other has classes, or the pixels of one are surely scaled wrongly.
        ClassesDifferError: one has classes that the source lacks.
        SettingError: `size` is not positive, or given for features.

    Example:
        >>> import numpy as np
        >>> a = Domain(np.full((1, 1, 2, 2), 200, np.uint8), np.array([0]), classes=("cat", "dog"), name="a")
        >>> b = Domain(np.full((1, 3, 4, 4), 90, np.uint8), np.array([0]), classes=("dog", "cat"), name="b")
        >>> a, b = align(a, b)
        >>> a.x.shape, b.classes, b.y.tolist()
        ((1, 3, 4, 4), ('cat', 'dog'), [1])
    """
    domains = [source, *others]
    _check_kinds(domains)
    if source.is_images:
        domains = [source, *(_compare_pixels(source, other) for other in others)]
        domains = _same_images(domains, size)
    else:
        if size is not None:
            raise SettingError(f"size is {size}, but {source.name} holds features; drop the size")
        domains = [source, *(_compare_features(source, other) for other in others)]
    return tuple(same_classes(domains, intersect_classes))


def follow(domain: Domain, settled: Domain, *, intersect_classes: bool = False) -> Domain:
    """Bring a domain, a test say, to the shape and the classes of one that is settled and that it must not change.

    Args:
        domain: what is brought.
        settled: what it is brought to.
        intersect_classes: leave out the domain's labelled rows of other classes, instead of refusing.

    Raises:
        DataError: the kinds or the columns differ, or the pixels of one are surely scaled wrongly.
        ClassesDifferError: the domain has classes that the other has not.

    Example:
        >>> import numpy as np
        >>> small = Domain(np.full((1, 1, 2, 2), 200, np.uint8), np.array([0]), classes=("cat", "dog"), name="small")
        >>> large = Domain(np.full((1, 3, 4, 4), 90, np.uint8), np.array([0]), classes=("dog",), name="large")
        >>> test = follow(large, small)
        >>> test.x.shape, test.classes, test.y.tolist()
        ((1, 1, 2, 2), ('cat', 'dog'), [1])
    """
    _check_kinds([settled, domain])
    if settled.is_images:
        domain = conform(_compare_pixels(settled, domain), settled.x.shape[1:])
    else:
        domain = _compare_features(settled, domain)
    if settled.classes is None and settled.labelled.any():
        return for_regression(domain, settled)
    if domain.classes is None and domain.labelled.any():
        for_regression(settled, domain)
    adopted = adopt_classes(domain, settled)
    if adopted.classes == settled.classes or settled.classes is None:
        return adopted
    if not intersect_classes:
        raise classes_differ(settled, domain)
    return recoded(domain, settled.classes)


def _check_kinds(domains: Sequence[Domain]) -> None:
    first = domains[0]
    for other in domains[1:]:
        if first.is_images != other.is_images:
            kinds = ("images", "features") if first.is_images else ("features", "images")
            raise DataError(f"{first.name} holds {kinds[0]} and {other.name} {kinds[1]}; give two of one kind")
        if not first.is_images and first.x.shape[1] != other.x.shape[1]:
            raise DataError(
                f"{first.name} has {first.x.shape[1]} features and {other.name} {other.x.shape[1]}; "
                "give both the same columns, in the same order, or use coot, cca or dama (juyi.adapt.heterogeneous)"
            )
        check_order(other, first.columns or (), first.name)


def check_order(table: Domain, columns: Sequence[str], whose: str) -> None:
    """Refuse a table that has these columns in another order: each would silently be taken for another."""
    names, found = tuple(columns), table.columns or ()
    if names != found and sorted(names) == sorted(found):
        place = next(i for i, (a, b) in enumerate(zip(names, found, strict=True)) if a != b)
        raise DataError(
            f"{table.name}: has the same columns as {whose} in another order (feature {place + 1} is "
            f"{found[place]}, there {names[place]}); give both the same columns, in the same order"
        )


def _sample(domain: Domain) -> np.ndarray:
    """Take up to 2,000 rows, evenly spread: enough to see a range."""
    return domain.x[:: max(1, domain.size // _SAMPLE)]


def _compare_pixels(source: Domain, other: Domain) -> Domain:
    """Compare how bright two domains are; note what looks wrong, refuse what surely is."""
    seen = [(domain, _sample(domain)) for domain in (source, other)]
    (dark, dark_top), (bright, bright_top) = sorted(
        ((domain, int(x.max())) for domain, x in seen), key=lambda pair: pair[1]
    )
    if dark_top <= 1 and bright_top >= 128:
        raise DataError(
            f"{dark.name}: its pixels reach only {dark_top}, those of {bright.name} reach {bright_top}; "
            f"they seem to be scaled to 0-1: multiply the pixels of {dark.name} by 255"
        )
    notes = []
    if dark_top <= 16 and bright_top >= 128:
        notes.append(
            f"the pixels of {dark.name} reach only {dark_top}, those of {bright.name} reach {bright_top}; "
            f"if their range is 0-{dark_top}, multiply them by 255/{dark_top}"
        )
    low, high = sorted(float(x.mean()) for _, x in seen)
    if low < 85 and high > 170:
        notes.append(
            f"{source.name} and {other.name} differ in brightness (mean {low:.0f} and {high:.0f} of 255); "
            "if one is dark on light and the other light on dark, invert one (255 − x)"
        )
    return replace(other, notes=(*other.notes, *notes)) if notes else other


def _compare_features(source: Domain, other: Domain) -> Domain:
    tops = [float(np.abs(_sample(domain)).max()) for domain in (source, other)]
    if max(tops) <= 100 * min(tops):
        return other
    note = (
        f"the features of {source.name} reach {tops[0]:.3g}, those of {other.name} reach {tops[1]:.3g}; "
        "check that both are in the same units"
    )
    return replace(other, notes=(*other.notes, note))


def _same_images(domains: list[Domain], size: int | None) -> list[Domain]:
    if any(domain.x.shape[1] == 3 for domain in domains):
        domains = [to_rgb(domain) for domain in domains]
    height = size if size is not None else max(domain.x.shape[2] for domain in domains)
    width = size if size is not None else max(domain.x.shape[3] for domain in domains)
    return [resize(domain, (height, width)) for domain in domains]


def rows_in_common(domain: Domain, other: Domain) -> int:
    """Count the rows of `domain` that stand in `other` as well, to the last bit.

    Example:
        >>> import numpy as np
        >>> rows_in_common(Domain(np.eye(3, dtype=np.float32)), Domain(np.eye(3, dtype=np.float32)[1:]))
        2
    """
    seen = {_digest(row) for row in other.x}
    return sum(_digest(row) in seen for row in domain.x)


def check_test(test: Domain, source: Domain | None, target: Domain | None) -> Domain:
    """Refuse a test without labels; note rows of it that are learnt from as well."""
    if not test.labelled.any():
        raise DataError(f"{test.name}: has no labels, so nothing can be scored on it; give labelled data as --test")
    known = len((source.classes if source is not None else test.classes) or ())
    if test.classes is not None and not (test.y[test.labelled] < known).any():
        raise DataError(f"{test.name}: has strangers only, and no labelled row of a known class; give some as --test")
    notes = list(test.notes)
    if hidden := int((~test.labelled).sum()):
        notes.append(f"{hidden:,} of {test.size:,} rows have no label, so they are not scored")
    if target is not None and (shared := rows_in_common(test, target)):
        how = "without their labels, except those that were given" if target.labelled.any() else "without their labels"
        notes.append(
            f"{shared:,} of {test.size:,} rows are also in {target.name} and so are learnt from, {how}: "
            "the score may be better than on new data"
        )
    if source is not None and (shared := rows_in_common(test, source)):
        notes.append(
            f"{shared:,} of {test.size:,} rows are also in {source.name} and so are learnt from, with their labels: "
            "the score is better than on new data"
        )
    return replace(test, notes=tuple(notes))


def _digest(row: np.ndarray) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(row).data, digest_size=16).digest()


def join(domains: Sequence[Domain], name: str) -> Domain:
    """Put several domains into one, each a group of its own.

    Args:
        domains: at least one; they are made equal as in `align`, and their names become the names of the groups.
        name: the name of the whole.

    Example:
        >>> import numpy as np
        >>> both = join([Domain(np.zeros((2, 3), np.float32), name=name) for name in ("here", "there")], "both")
        >>> both.groups, both.group.tolist(), both.row_names[2]
        (('here', 'there'), [0, 0, 1, 1], 'there/0')
    """
    domains = align(*domains)
    sizes = [domain.size for domain in domains]
    parts = [domain.x.transpose(0, 2, 3, 1) if domain.is_images else domain.x for domain in domains]
    x = cache.scratch((sum(sizes), *parts[0].shape[1:]), parts[0].dtype)
    np.concatenate(parts, out=x)
    return Domain(
        x.transpose(0, 3, 1, 2) if domains[0].is_images else x,
        np.concatenate([domain.y for domain in domains]),
        np.concatenate([domain.labelled for domain in domains]),
        classes=domains[0].classes,
        group=np.repeat(np.arange(len(domains)), sizes),
        groups=tuple(domain.name for domain in domains),
        name=name,
        row_names=[f"{domain.name}/{domain.row_name(i)}" for domain in domains for i in range(domain.size)],
        columns=domains[0].columns if len({domain.columns for domain in domains}) == 1 else None,
        notes=tuple(f"{domain.name}: {note}" for domain in domains for note in domain.notes),
        unit=domains[0].unit,
    )
