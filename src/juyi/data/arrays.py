"""Arrays, tensors and lists as domains."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from juyi.data.array_labels import read_labels
from juyi.data.domain import Domain
from juyi.errors import DataError


def as_domain(X: Any, y: Any = None, name: str = "array", classes: Sequence[str] | None = None) -> Domain:
    """Take examples and labels as they come, and give a domain.

    Args:
        X: a `Domain` (returned as it is), or an array, tensor or list: images N×C×H×W, N×H×W×C or N×H×W with
            values 0-255, or floats in 0-1 (times 255, which is noted), or numbers N×d (features).
        y: N labels, or None for no labels: integers, texts or truth values are classes, floats that are not all
            whole are values to regress on.  A label which is unknown is None, NaN, or masked; −1 is a legal label.
        name: how the data are called.
        classes: the names of the classes, in the order of the codes; None for the sorted labels.  Integers in `y`
            are codes into `classes`, unless the names are integers themselves.

    Raises:
        DataError: the shape is ambiguous, a value is out of range or not finite, or `y` does not fit.

    Example:
        >>> import numpy as np
        >>> d = as_domain(np.zeros((3, 8, 8)), ["cat", None, "dog"])
        >>> d.x.shape, d.classes, d.labelled.tolist()
        ((3, 1, 8, 8), ('cat', 'dog'), [True, False, True])
    """
    if isinstance(X, Domain):
        if y is not None or classes is not None:
            raise DataError(f"{X.name}: is a Domain, which holds its labels itself; give no y and no classes beside it")
        return X
    array = _array(X, name)
    notes: list[str] = []
    x = _features(array, name) if array.ndim == 2 else _images(array, name, notes)
    if y is None:
        return Domain(x, classes=None if classes is None else tuple(classes), name=name, notes=tuple(notes))
    labels = read_labels(plain(y), len(x), name, None if classes is None else tuple(classes))
    return Domain(x, labels.y, labels.labelled, labels.classes, name=name, notes=(*notes, *labels.notes))


def plain(values: Any) -> Any:
    """Bring a torch tensor into NumPy; leave anything else as it is."""
    torch = sys.modules.get("torch")  # a tensor can only come from a torch that is loaded already
    if torch is None or not isinstance(values, torch.Tensor):
        return values
    values = values.detach().cpu()
    return (values.float() if values.dtype == torch.bfloat16 else values).numpy()


def _array(values: Any, name: str) -> np.ndarray:
    values = plain(values)
    if isinstance(values, np.ma.MaskedArray):
        if np.ma.getmaskarray(values).any():
            raise DataError(f"{name}: X has masked values; fill them, or drop such rows first")
        values = values.data
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise DataError(f"{name}: the rows of X differ in length; give a rectangular array") from error
    if array.ndim not in (2, 3, 4):
        mend = "reshape one column to N×1" if array.ndim == 1 else "give N×d features, or images N×C×H×W"
        what = f"has shape {array.shape}" if array.ndim else f"is {type(values).__name__} and no dense array"
        raise DataError(f"{name}: X {what}; {mend}")
    if array.dtype == object:
        array = _numbers(array, name)
    if array.dtype.kind not in "biuf":
        raise DataError(f"{name}: X holds {array.dtype} and no numbers; turn it into numbers first")
    if not array.size:
        raise DataError(f"{name}: X has shape {array.shape}, so there is not a single example; give some")
    return array


def _numbers(array: np.ndarray, name: str) -> np.ndarray:
    try:
        return array.astype(np.float64)
    except (TypeError, ValueError):
        for place, value in np.ndenumerate(array):
            if not isinstance(value, int | float | np.number | np.bool_):
                where = ", ".join(
                    f"{axis} {i}" for axis, i in zip(("row", "column", "place", "place"), place, strict=False)
                )
                raise DataError(f"{name}: X holds {value!r} at {where}; turn it into a number first") from None
        raise


def _features(array: np.ndarray, name: str) -> np.ndarray:
    with np.errstate(over="ignore"):
        x = np.ascontiguousarray(array, np.float32)
    if not np.isfinite(x).all():
        row, column = np.argwhere(~np.isfinite(x))[0]
        raise DataError(f"{name}: row {row}, column {column} is {array[row, column]}; fill or drop such rows first")
    return x


def _images(array: np.ndarray, name: str, notes: list[str]) -> np.ndarray:
    if array.ndim == 3:
        if array.shape[2] <= 4:
            raise DataError(
                f"{name}: X has shape {array.shape}: one colour image, or {len(array)} grey ones? "
                "Add the missing axis, N or C"
            )
        array = array[:, :, :, None]
    else:
        array = _channels_last(array, name)
    return np.ascontiguousarray(_bytes(array, name, notes)).transpose(0, 3, 1, 2)


def _channels_last(array: np.ndarray, name: str) -> np.ndarray:
    first, last = array.shape[1] in (1, 3), array.shape[3] in (1, 3)
    if first and last:
        raise DataError(
            f"{name}: X has shape {array.shape}: are the channels second or last? "
            "Give larger images, or a juyi Domain, which holds N×C×H×W"
        )
    if not first and not last:
        mend = "drop the alpha channel" if 4 in (array.shape[1], array.shape[3]) else "give N×C×H×W or N×H×W×C"
        raise DataError(f"{name}: X has shape {array.shape}, in which no axis is 1 (grey) or 3 (RGB) channels; {mend}")
    return array.transpose(0, 2, 3, 1) if first else array


def _bytes(array: np.ndarray, name: str, notes: list[str]) -> np.ndarray:
    """Turn pixels of any numeric type into uint8."""
    if array.dtype == np.uint8:
        return array
    if array.dtype == bool:
        notes.append("black and white pixels multiplied by 255")
        return array.astype(np.uint8) * np.uint8(255)
    low, high = array.min(), array.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        raise DataError(f"{name}: X has a pixel that is NaN or infinite; mend or drop that image")
    if low < 0 or high > 255:
        mend = "undo the normalisation" if low < 0 else "scale them down"
        raise DataError(f"{name}: X has pixels from {low:g} to {high:g}, but they lie in 0-255 or 0-1; {mend}")
    if array.dtype.kind == "f" and high <= 1:
        notes.append("pixels in 0-1 multiplied by 255")
        return np.round(array * 255.0).astype(np.uint8)
    return np.round(array).astype(np.uint8) if array.dtype.kind == "f" else array.astype(np.uint8)
