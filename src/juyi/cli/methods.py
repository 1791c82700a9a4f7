"""`juyi methods`: what there is, and every setting."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from cyclopts import App
from rich.table import Table
from rich.text import Text

from juyi import adapt, distill, finetune, personalize, pretrain
from juyi.adapt import arriving, forests, heterogeneous, online, relations
from juyi.cli import options
from juyi.cli.kinds import QUESTIONS, asked_of, fitting, kind_of
from juyi.errors import SettingError, nearest
from juyi.training import Method, declared

ROOMS: dict[str, dict[str, type[Method]]] = {
    "adapt": dict(adapt.METHODS),
    "adapt.online": dict(online.METHODS),
    "adapt.relations": dict(relations.METHODS),
    "adapt.heterogeneous": dict(heterogeneous.METHODS),
    "adapt.arriving": dict(arriving.METHODS),
    "adapt.forests": dict(forests.METHODS),
    "distill": dict(distill.METHODS),
    "pretrain": dict(pretrain.METHODS),
    "finetune": dict(finetune.METHODS),
    "personalize": dict(personalize.METHODS),
}


def register(app: App, arguments: Sequence[str]) -> None:
    """Add the verb."""

    def methods(**given: Any) -> None:
        """List the methods; with NAME, what it does and its settings."""
        asked = asked_of(given)
        chosen = fitting(find(given["name"], given["room"]), asked)
        rows = [row for room, found in chosen.items() for row in describe_room(room, found)]
        if given["json"]:
            options.print_json({"methods": rows})
        elif given["name"]:
            for room, found in chosen.items():
                for name, method in found.items():
                    _show_one(room, name, method)
        else:
            _show_all(rows, asked=bool(asked))

    parameters = [
        options.argument("name", "a method; leave it out to list them all", default=None),
        options.option("room", str | None, None, f"only those of a room: {', '.join(ROOMS)}", name=("--room", "--for")),
        *(options.option(question, str | None, None, help) for question, (help, _) in QUESTIONS.items()),
        *options.show_options("print methods and settings as JSON"),
    ]
    options.register(app, arguments, "methods", methods, parameters)


def find(name: str | None, room: str | None) -> dict[str, dict[str, type[Method]]]:
    """Choose the rooms and methods that are asked for.

    Raises:
        SettingError: there is no such room, or no such method in it.
    """
    if room is not None and room not in ROOMS:
        raise SettingError(f"--room {room}: there is no such room; {nearest(room, ROOMS)}")
    rooms = ROOMS if room is None else {room: ROOMS[room]}
    if name is None:
        return rooms
    chosen = {place: {name: found[name]} for place, found in rooms.items() if name in found}
    if not chosen:
        known = [method for found in rooms.values() for method in found]
        raise SettingError(f"{name}: there is no such method; {nearest(name, known)}")
    return chosen


def describe_room(room: str, found: dict[str, type[Method]]) -> list[dict[str, Any]]:
    """One record a method: room, name, class, the first line of its docstring, and its settings."""
    return [
        {
            "room": room,
            "name": name,
            "class": method.__name__,
            "summary": _doc(method)[0],
            **kind_of(method),
            "settings": {
                field.name: {"default": field.default, **{k: v for k, v in field.metadata.items() if v is not None}}
                for field in declared(method).values()
            },
        }
        for name, method in found.items()
    ]


def _doc(method: type[Method]) -> list[str]:
    return (inspect.getdoc(method) or method.__name__).splitlines()


def _show_all(rows: Sequence[dict[str, Any]], asked: bool) -> None:
    console = options.table_console()
    if not rows:
        console.print("no method does all of that; leave a condition out")
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    heads = {"room": "room", "name": "method", "summary": "what it does"}
    if asked:
        heads |= {"carries": "carries over", "target_labels": "target labels", "costs": "time"}
    for head in heads.values():
        table.add_column(head, overflow="fold")
    for row in rows:
        table.add_row(*(Text(str(row[key])) for key in heads))
    console.print(table)
    console.print("\nwhat one does, and its settings: juyi methods NAME")


def _show_one(room: str, name: str, method: type[Method]) -> None:
    doc = "\n".join(_doc(method)).partition("\nExample:")[0].rstrip()
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for head in ("setting", "default", "allowed", "what it is"):
        table.add_column(head, overflow="fold")
    for field in declared(method).values():
        meta = field.metadata
        option = "--" + options.option_name(field.name).replace("_", "-")
        limits = ", ".join(meta["choices"]) if meta["choices"] else options.allowed(meta)
        table.add_row(
            *(Text("" if cell is None else str(cell)) for cell in (option, field.default, limits, meta["help"]))
        )
    console = options.table_console()
    console.print(f"{name} (juyi.{room}.{method.__name__})\n\n{doc}\n", soft_wrap=True)
    console.print(table)
