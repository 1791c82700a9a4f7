"""The space in which distances are taken: features of all sides, without constant ones, on one scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from sklearn.decomposition import PCA

from juyi.data.classes import listed
from juyi.data.domain import Domain
from juyi.data.shapes import resize
from juyi.data.splits import subset_rows
from juyi.errors import DataError
from juyi.training.backbones import PIXELS, Backbone, sides_of

SIDE = 32
"""Pixels are looked at in images of at most this side."""
PIXEL_COMPONENTS = 64
MOST_FEATURES = 256
"""More features than these are reduced to as many principal components."""
FIT_ROWS = 2_000
"""Of each side, at most so many rows tell the principal directions."""


@dataclass(frozen=True, eq=False)
class Space:
    """Features of several sides.

    Attributes:
        sources: float64, N×d each: SOURCE first, then candidates.
        target: float64, M×d.
        names: d names of the features; None where they have none that mean something.
        notes: how the features were made, in sentences.
        warnings: what gives pause.
    """

    sources: tuple[np.ndarray, ...]
    target: np.ndarray
    names: tuple[str, ...] | None
    notes: tuple[str, ...]
    warnings: tuple[str, ...] = field(default=())

    @property
    def source(self) -> np.ndarray:
        """The features of the source that was asked about."""
        return self.sources[0]


def build_space(backbone: Backbone, sources: Sequence[Domain], target: Domain, seed: int) -> Space:
    """Look at all sides through one backbone, and bring the features to one scale.

    Columns of a table have units of their own: each is divided by its spread over both sides.  Pixels, and the
    features of a network, have one unit: all are divided by one number, the root mean square of their spreads.

    Args:
        backbone: see `juyi.training.backbones`.
        sources: in one form with the target.
        target: the target.
        seed: of the rows that tell the principal directions.

    Raises:
        DataError: all features are constant, or one is not finite.
    """
    if backbone.served is not None:
        space = Space((), np.empty(0), None, (f"features of {backbone.name}", *backbone.notes))
        return _finished(space, sides_of(backbone, sources, target), MOST_FEATURES, seed)
    if backbone.name == PIXELS:
        small = [shrink(domain) for domain in (*sources, target)]
        height, width = small[0].x.shape[2:]
        space = Space((), np.empty(0), None, (f"pixels of images of {height}×{width}",))
        return _finished(space, [flat(domain) for domain in small], PIXEL_COMPONENTS, seed)
    names = target.columns or tuple(f"column {number}" for number in range(1, target.x.shape[1] + 1))
    parts, names, notes, warnings = drop_constant([one.x for one in (*sources, target)], names)
    scaled = standardise(parts, by_column=True)
    notes = (*notes, "each column is divided by its spread over both sides")
    *first, last = scaled
    return Space(tuple(first), last, names, notes, warnings)


def reduced(space: Space, seed: int) -> Space:
    """Reduce many columns to principal components, for the distances; the columns themselves stay in the given one."""
    if space.target.shape[1] <= MOST_FEATURES:
        return space
    parts, share = project([*space.sources, space.target], MOST_FEATURES, seed)
    note = f"distances are taken on the first {MOST_FEATURES} principal components ({share:.0%} of the variance)"
    return replace(space, sources=tuple(parts[:-1]), target=parts[-1], names=None, notes=(*space.notes, note))


def _finished(space: Space, parts: list[np.ndarray], most: int, seed: int) -> Space:
    """Leave out what is constant, reduce what is too much, and divide all by one scale."""
    notes = space.notes
    count = parts[0].shape[1]
    parts, _, gone, _ = drop_constant(parts, None)
    if gone:
        notes += (f"{count - parts[0].shape[1]:,} of {count:,} are the same in all rows, and left out",)
    if parts[0].shape[1] > most:
        parts, share = project(parts, most, seed)
        notes += (f"reduced to their first {most} principal components, {share:.0%} of the variance of both sides",)
    *first, last = standardise(parts, by_column=False)
    notes += ("all are divided by one number, so that the mean variance of a feature is 1",)
    return replace(space, sources=tuple(first), target=last, notes=notes)


def shrink(domain: Domain) -> Domain:
    """Bring images whose sides are longer than 32 pixels to 32."""
    height, width = domain.x.shape[2:]
    longest = max(height, width)
    if longest <= SIDE:
        return domain
    return resize(domain, (max(1, round(height * SIDE / longest)), max(1, round(width * SIDE / longest))))


def flat(domain: Domain) -> np.ndarray:
    """Return images as rows of pixels, float32."""
    return np.asarray(domain.x.reshape(domain.size, -1), np.float32)


def drop_constant(
    parts: Sequence[np.ndarray], names: Sequence[str] | None
) -> tuple[list[np.ndarray], tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Leave out features that are the same in all rows of all sides; warn of those that are so on each side alone.

    Returns:
        The sides, the names that stay, notes, warnings.

    Raises:
        DataError: nothing is left.

    Example:
        >>> a, b = np.array([[1.0, 5.0, 7.0], [2.0, 5.0, 7.0]]), np.array([[3.0, 5.0, 8.0], [2.0, 5.0, 8.0]])
        >>> parts, names, notes, warnings = drop_constant([a, b], ["x", "y", "z"])
        >>> names, notes
        (('x', 'z'), ('the same in all rows, so left out: y',))
        >>> warnings[0][:52]
        'z: the same in all rows of a side, but not the same '
    """
    lows, highs = (np.array([edge(part, axis=0) for part in parts]) for edge in (np.min, np.max))
    varies = lows.min(0) < highs.max(0)
    if not varies.any():
        raise DataError("all features are the same in all rows of all sides, so nothing can be measured")
    apart = varies & (lows == highs).all(0)
    labels = list(names) if names is not None else []
    kept = tuple(name for name, stays in zip(labels, varies, strict=False) if stays)
    gone = [name for name, stays in zip(labels, varies, strict=False) if not stays]
    notes = () if varies.all() else (f"the same in all rows, so left out: {listed(gone)}",)
    warnings: tuple[str, ...] = ()
    if labels and apart.any():
        telling = listed([name for name, tells in zip(labels, apart, strict=True) if tells])
        warnings = (
            f"{telling}: the same in all rows of a side, but not the same on all sides. Such a column alone tells the "
            "sides apart; drop it if it only says where a row is from.",
        )
    if varies.all():
        return list(parts), kept, notes, warnings
    return [np.ascontiguousarray(part[:, varies]) for part in parts], kept, notes, warnings


def standardise(parts: Sequence[np.ndarray], *, by_column: bool) -> list[np.ndarray]:
    """Centre all sides at their common mean, and divide by the spread: of each column, or one for all.

    Each side counts as much as another, however many rows it has: with the means m_s and variances v_s of S sides, the
    mean is 1/S Σ m_s and the variance 1/S Σ (v_s + (m_s − mean)²).

    Example:
        >>> a, b = standardise([np.array([[0.0], [2.0]]), np.array([[4.0], [6.0]])], by_column=True)
        >>> b.round(3).ravel().tolist()
        [0.447, 1.342]
    """
    means = np.array([part.mean(0, dtype=np.float64) for part in parts])
    centre = means.mean(0)
    variance = np.mean([part.var(0, dtype=np.float64) for part in parts], axis=0) + np.square(means - centre).mean(0)
    spread = np.sqrt(variance if by_column else np.full_like(variance, variance.mean()))
    spread = np.where(spread > 0, spread, 1.0)
    return [(np.asarray(part, np.float64) - centre) / spread for part in parts]


def project(parts: Sequence[np.ndarray], count: int, seed: int) -> tuple[list[np.ndarray], float]:
    """Project sides on their common first principal directions, which equally many rows of each side tell.

    Returns:
        The sides, and the share of the variance that the components hold.
    """
    least = min(FIT_ROWS, *(len(part) for part in parts))
    fit = np.concatenate([part[subset_rows(len(part), least, seed)] for part in parts])
    count = min(count, fit.shape[1], len(fit) - 1)
    solver = "randomized" if fit.shape[1] > 4 * count else "auto"
    components = PCA(count, svd_solver=solver, random_state=seed).fit(fit)
    return [components.transform(part) for part in parts], float(components.explained_variance_ratio_.sum())
