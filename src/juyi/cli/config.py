"""A YAML file of options: read without trusting it, each key and type held against the options that there are."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from juyi.errors import SettingError, nearest

_NOT_IN_FILES = ("config", "debug")
_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text", Path: "a path"}


def read_config(path: Path) -> dict[str, Any]:
    """Read a YAML file of options; keys are given with `_`, whichever the file has.

    Raises:
        SettingError: it cannot be read, is not a table of options, or gives an option twice.
    """
    import yaml

    try:
        text = path.read_text(encoding="utf-8")
        node, content = yaml.compose(text, yaml.SafeLoader), yaml.safe_load(text)
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise SettingError(f"--config {path}: cannot be read ({why}); check the path") from error
    except yaml.constructor.ConstructorError as error:
        raise SettingError(f"--config {path}: {error.problem}; only plain values are read, never code") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        why = " ".join(str(error).split())[:200]
        raise SettingError(f"--config {path}: is not YAML ({why}); write lines such as learning-rate: 0.01") from error
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise SettingError(f"--config {path}: holds no options; write lines such as learning-rate: 0.01")
    keys = [str(key.value).replace("-", "_") for key, _ in node.value]
    if double := [key for number, key in enumerate(keys) if key in keys[:number]]:
        raise SettingError(f"--config {path}: gives {double[0].replace('_', '-')} twice; give it once")
    return {key.replace("-", "_"): value for key, value in content.items()}


def settings_from(path: Path, parameters: Sequence[inspect.Parameter]) -> dict[str, Any]:
    """Read a YAML file for a verb with these parameters.

    Raises:
        SettingError: see `read_config`; or a key is no option (the nearest is named), or a value has a wrong type.
    """
    options = {p.name: p for p in parameters if p.kind is p.KEYWORD_ONLY and p.name not in _NOT_IN_FILES}
    positional = [p.name for p in parameters if p.kind is not p.KEYWORD_ONLY]
    found = {}
    for key, value in read_config(path).items():
        shown = key.replace("_", "-")
        if key in (*positional, *_NOT_IN_FILES):
            raise SettingError(f"--config {path}: {shown} is given on the command line, not in a file; remove it there")
        if key not in options:
            near = nearest(shown, [name.replace("_", "-") for name in options])
            raise SettingError(f"--config {path}: {shown} is no option; {near}")
        found[key] = _value(value, options[key].annotation, f"--config {path}: {shown}")
    return found


def _value(value: Any, annotated: Any, where: str) -> Any:
    """Bring a value of a YAML file to the type of its option."""
    kind = typing.get_args(annotated)[0]
    kinds = typing.get_args(kind) or (kind,)
    plain = isinstance(value, bool | int | float | str)
    for wanted in (bool, int, float, Path, str):
        if wanted not in kinds or not plain or isinstance(value, bool) != (wanted is bool):
            continue
        if wanted is int and isinstance(value, float):
            continue
        try:
            return wanted(value)
        except ValueError:
            continue
    shown = repr(value) if plain else {"NoneType": "nothing"}.get(type(value).__name__, f"a {type(value).__name__}")
    words = " or ".join(_WORDS[wanted] for wanted in kinds if wanted in _WORDS)
    quotes = ", in quotes" if str in kinds else ""
    raise SettingError(f"{where} is {shown}; give {words}{quotes}")
