"""Hyperparameters are declared once, beside the code that uses them: option, YAML key and docs row come from there."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import math
import pkgutil
import types
import typing
from abc import ABC
from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any, ClassVar, TypeVar, dataclass_transform

from sklearn.base import BaseEstimator

from juyi.errors import SettingError, nearest

T = TypeVar("T")


def hyperparameter(
    *,
    default: T,
    help: str,
    low: float | None = None,
    high: float | None = None,
    choices: Iterable[str] | None = None,
    source: str | None = None,
) -> T:
    """Declare a hyperparameter of a method.

    Args:
        default: its default; its type is what the field's annotation says.
        help: what it is, with its unit, in a few words.
        low: the least value that is allowed, or None.
        high: the largest value that is allowed, or None.
        choices: the words that are allowed, or None.
        source: where the default comes from, when that is a paper.
    """
    metadata = {
        "help": help,
        "low": low,
        "high": high,
        "choices": tuple(choices) if choices else None,
        "source": source,
    }
    return dataclasses.field(default=default, metadata=metadata)


def redeclare(method: type[Method], name: str, default: T) -> T:
    """Declare a hyperparameter of a parent class once more, with another default; all else stays as it is there."""
    return dataclasses.field(default=default, metadata=declared(method)[name].metadata)


@dataclass_transform(
    kw_only_default=True, eq_default=False, field_specifiers=(hyperparameter, redeclare, dataclasses.field)
)
class Method(ABC, BaseEstimator):  # type: ignore[misc]
    """A method: a dataclass of hyperparameters that is a scikit-learn estimator as well.

    A subclass needs no decorator: every subclass is made a keyword-only dataclass without `__eq__`, so that
    identity, `get_params`, `clone` and scikit-learn's repr hold.  Values are checked in `fit`, not before.  The class
    attributes are facts that the map of all methods is made of.
    """

    carries: ClassVar[str | None] = None
    """What it carries over: instances, features, model (parameters and answers) or relations; None off the map."""

    needs_target_labels: ClassVar[bool] = False
    """Whether some target labels must be given."""

    other_columns: ClassVar[bool] = False
    """Whether the target may have other columns than the source."""

    online: ClassVar[bool] = False
    """Whether it learns on as target rows arrive."""

    regression: ClassVar[bool] = False
    """Whether it can tell numbers as well as classes."""

    costs: ClassVar[str] = ""
    """What its time grows with, in a few words."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        dataclasses.dataclass(kw_only=True, eq=False, repr=False)(cls)

    def check_hyperparameters(self) -> None:
        """Raise `SettingError` for the first hyperparameter whose type or value is not allowed."""
        for field in declared(type(self)).values():
            check_value(field, getattr(self, field.name))


M = TypeVar("M", bound=Method)


def declared(method: type[Method]) -> dict[str, dataclasses.Field[Any]]:
    """Return the fields of the hyperparameters of a method, by name, in the order in which they are declared."""
    return {f.name: f for f in dataclasses.fields(typing.cast(Any, method)) if "help" in f.metadata}


def command_name(method: type[Method]) -> str:
    """The name of a method on the command line: that of its file."""
    return method.__module__.rpartition(".")[2]


def check_known(method: type[Method], names: Iterable[str]) -> None:
    """Raise `SettingError`, which names the nearest hyperparameter, for the first name that is none of `method`."""
    known = declared(method)
    for name in names:
        if name.replace("-", "_") not in known:
            raise SettingError(f"{name}: is no setting of {method.__name__}; {nearest(name, known)}")


def annotation(field: dataclasses.Field[Any], method: type[Method]) -> Any:
    """Return the type of a field as a type, not as a string."""
    return typing.get_type_hints(method)[field.name]


def check_value(field: dataclasses.Field[Any], value: Any) -> None:
    """Raise `SettingError` unless `value` fits the field's choices, range and kind of default."""
    name, meta = field.name, field.metadata
    if meta["choices"] is not None:
        if isinstance(value, str) and value not in meta["choices"]:
            raise SettingError(f"{name}: {value!r} is not allowed; {nearest(value, meta['choices'])}")
        if not isinstance(value, str):
            raise SettingError(f"{name}: must be one of {', '.join(meta['choices'])}, not {value!r}")
        return
    if meta["low"] is None and meta["high"] is None:
        for kind, word in (("bool", "true or false"), ("str", "text")):
            if field.type == kind and not isinstance(value, {"bool": bool, "str": str}[kind]):
                raise SettingError(f"{name}: must be {word}, not {value!r}")
        return
    if value is None and field.default is None:
        return
    if isinstance(value, bool) or not isinstance(value, Real) or math.isnan(value):
        raise SettingError(f"{name}: must be a number, not {value!r}")
    if "int" in str(field.type) and not isinstance(value, Integral):
        raise SettingError(f"{name}: must be a whole number, not {value!r}")
    low = -math.inf if meta["low"] is None else meta["low"]
    high = math.inf if meta["high"] is None else meta["high"]
    if not low <= typing.cast(float, value) <= high:
        raise SettingError(f"{name}: {value} is out of range; it goes from {low:g} to {high:g}")


def plain_type(kind: Any) -> Any:
    """Return a type without `None` and without what a command line cannot give (a module, say)."""
    if isinstance(kind, types.UnionType) or typing.get_origin(kind) is typing.Union:
        members = [member for member in typing.get_args(kind) if member in (int, float, str, bool)]
        return members[0] if len(members) == 1 else typing.Union[tuple(members)]  # noqa: UP007 (made at run time)
    return kind


def find_methods(package: str, path: Iterable[str], base: type[M]) -> dict[str, type[M]]:
    """Import every module of a package and return the methods defined there, by their module's name.

    A method is a subclass of `base` without abstract parts; a module defines at most one.
    """
    found: dict[str, type[M]] = {}
    for information in pkgutil.iter_modules(path):
        module = importlib.import_module(f"{package}.{information.name}")
        for value in vars(module).values():
            if (
                isinstance(value, type)
                and issubclass(value, base)
                and value.__module__ == module.__name__
                and not inspect.isabstract(value)
            ):
                found[information.name] = value
    return dict(sorted(found.items()))
