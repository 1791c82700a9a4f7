"""What kind of transfer a method is: the axes of the map, and which methods answer a question about one's own data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from juyi.errors import SettingError, nearest
from juyi.training import Method

QUESTIONS: dict[str, tuple[str, tuple[str, ...]]] = {
    "target_labels": ("labels that you have of the target: none, some or all", ("none", "some", "all")),
    "columns": ("columns of the target: the same as the source's, or other", ("same", "other")),
    "carried": (
        "what is to be carried over: instances, features, model or relations",
        ("instances", "features", "model", "relations"),
    ),
    "arrives": ("whether target rows are there at-once, or come online", ("at-once", "online")),
    "tells": ("what is to be told: classes or numbers", ("classes", "numbers")),
}
"""What `juyi methods` can be asked, and the answers that are allowed."""


def kind_of(method: type[Method]) -> dict[str, Any]:
    """Where a method stands on the axes, from its class attributes; `carries` is None where its room does not say.

    Example:
        >>> from juyi.adapt import CORAL
        >>> kind = kind_of(CORAL)
        >>> kind["carries"], kind["target_labels"], kind["columns"]
        ('features', 'none needed', 'same')
    """

    return {
        "carries": method.carries,
        "target_labels": "some needed" if method.needs_target_labels else "none needed",
        "columns": "other" if method.other_columns else "same",
        "arrives": "online" if method.online else "at once",
        "tells": "classes, numbers" if method.regression else "classes",
        "costs": method.costs,
    }


def asked_of(given: Mapping[str, Any]) -> dict[str, str]:
    """The questions that were asked, with the answers that a person gave.

    Raises:
        SettingError: an answer is none of those that are allowed.
    """
    asked = {name: given[name] for name in QUESTIONS if given.get(name) is not None}
    for name, answer in asked.items():
        if answer not in QUESTIONS[name][1]:
            option = "--" + name.replace("_", "-")
            raise SettingError(f"{option} {answer}: is not allowed; {nearest(answer, QUESTIONS[name][1])}")
    return asked


def fitting(
    rooms: Mapping[str, Mapping[str, type[Method]]], asked: Mapping[str, str]
) -> dict[str, dict[str, type[Method]]]:
    """The methods that can be used where these answers hold; all of them where nothing was asked."""
    kept = {
        room: {name: method for name, method in methods.items() if not asked or fits(method, asked)}
        for room, methods in rooms.items()
    }
    return {room: methods for room, methods in kept.items() if methods}


def fits(method: type[Method], asked: Mapping[str, str]) -> bool:
    """Whether a method can be used where these answers hold; one of a room that is not on the map never can."""
    kind = kind_of(method)
    if kind["carries"] is None:
        return False
    allowed = {
        "target_labels": {"none": kind["target_labels"] == "none needed", "some": True, "all": True},
        "columns": {kind["columns"]: True},
        "carried": {kind["carries"]: True},
        "arrives": {"at-once": kind["arrives"] == "at once", "online": kind["arrives"] == "online"},
        "tells": {"classes": True, "numbers": "numbers" in kind["tells"]},
    }
    return all(allowed[question].get(answer, False) for question, answer in asked.items())
