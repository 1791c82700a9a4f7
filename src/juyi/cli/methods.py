"""`juyi methods`: what there is, and every setting."""

from __future__ import annotations

import inspect
import json
from collections.abc import Sequence
from typing import Any

from cyclopts import App

from juyi import adapt
from juyi.cli import options
from juyi.errors import SettingError, nearest
from juyi.training import Method, declared

ROOMS: dict[str, dict[str, type[Method]]] = {"adapt": dict(adapt.METHODS)}


def register(app: App, arguments: Sequence[str]) -> None:
    """Add the verb."""

    def methods(**given: Any) -> None:
        """List the methods, or with NAME the settings of one."""
        rooms = ROOMS
        if given["room"]:
            if given["room"] not in ROOMS:
                raise SettingError(f"--for {given['for']}: there is no such room; {nearest(given['for'], ROOMS)}")
            rooms = {given["room"]: ROOMS[given["room"]]}
        rows = [row for room, found in rooms.items() for row in describe_room(room, found)]
        if given["json"]:
            print(json.dumps({"methods": rows}, ensure_ascii=False))
            return
        for row in rows:
            print(f"{row['room']:<7} {row['name']:<12} {row['summary']}")
        print("\nevery setting of a method: juyi adapt --method NAME --help")

    parameters = [
        options.option("room", str | None, None, "only those of a room: adapt", name="--for"),
        *options.show_options(),
    ]
    options.register(app, arguments, "methods", methods, parameters)


def describe_room(room: str, found: dict[str, type[Method]]) -> list[dict[str, Any]]:
    """One record a method: room, name, class, the first line of its docstring, and its settings."""
    return [
        {
            "room": room,
            "name": name,
            "class": method.__name__,
            "summary": (inspect.getdoc(method) or "").splitlines()[0],
            "settings": {
                field.name: {"default": field.default, **{k: v for k, v in field.metadata.items() if v is not None}}
                for field in declared(method).values()
            },
        }
        for name, method in found.items()
    ]
