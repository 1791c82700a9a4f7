"""Options that several verbs share, and those that a method's hyperparameters become."""

from __future__ import annotations

import inspect
import json
import sys
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Group, Parameter
from rich.console import Console

from juyi.cli.config import read_config, settings_from
from juyi.errors import SettingError, nearest
from juyi.runs import RunFolder
from juyi.training import Method, annotation, declared, plain_type
from juyi.training.hyperparameters import check_value

KEYWORD = inspect.Parameter.KEYWORD_ONLY
POSITIONAL = inspect.Parameter.POSITIONAL_ONLY
OPTION_NAMES = {"random_state": "seed"}
"""What a hyperparameter is called on the command line, where that differs."""


def argument(name: str, help: str, default: Any = inspect.Parameter.empty) -> inspect.Parameter:
    """A positional argument, a string; it may be left out if it has a default."""
    kind = str if default is inspect.Parameter.empty else str | None
    return inspect.Parameter(name, POSITIONAL, default=default, annotation=Annotated[kind, Parameter(help=help)])


def option(destination: str, kind: Any, default: Any, help: str, **kwargs: Any) -> inspect.Parameter:
    """An option; a `bool` is a switch, and one that is on from the start is switched off by `--no-NAME`."""
    if kind is bool:
        kwargs |= {"show_default": bool(default)} | ({} if default else {"negative": ""})
    if kind is int or int in typing.get_args(kind):
        kwargs |= {"converter": _whole_number}
    marked = Annotated[kind, Parameter(help=help, **kwargs)]
    return inspect.Parameter(destination, KEYWORD, default=default, annotation=marked)


def _whole_number(kind: Any, tokens: Sequence[Any]) -> int:
    """Read a whole number; cyclopts itself would round 1.5 to 2 without a word."""
    try:
        return int(tokens[0].value)
    except ValueError as error:
        raise ValueError(f"{tokens[0].value} is no whole number") from error


def data_options() -> list[inspect.Parameter]:
    """How data are read."""
    return [
        option("label", str | None, None, "column of the labels, in tables"),
        option("size", int | None, None, "bring all images to this many pixels square"),
        option("skip_bad", bool, False, "leave out images that cannot be read, and count them"),
    ]


def run_options() -> list[inspect.Parameter]:
    """Where a run goes, and how it is shown."""
    return [
        option(
            "out", Path | None, None, "the run's folder [default: the first free runs/METHOD-N]", show_default=False
        ),
        option("overwrite", bool, False, "replace a run that is in that folder"),
        *show_options(),
    ]


def show_options(json_help: str = "print what run.json holds, for programs") -> list[inspect.Parameter]:
    """How results are shown."""
    return [
        option("json", bool, False, json_help),
        option("debug", bool, False, "show a traceback with an error"),
    ]


def config_option() -> inspect.Parameter:
    """A file with options."""
    return option("config", Path | None, None, "YAML file with options; what the command line says counts more")


def method_options(method: type[Method]) -> list[inspect.Parameter]:
    """One option for each hyperparameter that a command line can give, from the method's own declarations."""
    group = Group(f"Settings of {method.__name__}")
    found = []
    for field in declared(method).values():
        kind = plain_type(annotation(field, method))
        limits = allowed(field.metadata)
        help = field.metadata["help"] + (f" ({limits})" if limits else "")
        found.append(option(option_name(field.name), kind, field.default, help, group=group))
    return found


def allowed(meta: Mapping[str, Any]) -> str:
    """Say in words which values a hyperparameter may have; empty where its help says so already.

    Example:
        >>> allowed({"choices": None, "low": 0, "high": 2**63 - 1, "help": "seed"})
        '0 or more'
        >>> allowed({"choices": None, "low": 1, "high": 100_000, "help": "epochs"})
        '1 to 100,000'
        >>> allowed({"choices": ("sgd", "adam"), "low": None, "high": None, "help": "sgd or adam"})
        ''
    """
    if meta["choices"]:
        return "" if all(choice in meta["help"] for choice in meta["choices"]) else ", ".join(meta["choices"])
    low, high = meta["low"], meta["high"]
    if low is not None and (high is None or high >= 1e9):
        return f"{low:,} or more"
    if high is not None and low is None:
        return f"{high:,} or less"
    return "" if high is None else f"{_short(low)} to {_short(high)}"


def _short(number: float) -> str:
    return f"{int(number):,}" if number == int(number) else f"{number:g}"


def option_name(field: str) -> str:
    """What a hyperparameter is called on the command line, without dashes."""
    return OPTION_NAMES.get(field, field)


def method_from(method: type[Method], settings: Mapping[str, Any]) -> Any:
    """Build the method from the options that belong to it.

    Raises:
        SettingError: a value is not allowed; the option is named as the person wrote it.
    """
    fields = declared(method).values()
    values = {field.name: settings[option_name(field.name)] for field in fields if option_name(field.name) in settings}
    for field in fields:
        if field.name not in values:
            continue
        try:
            check_value(field, values[field.name])
        except SettingError as error:
            name = option_name(field.name).replace("_", "-")
            what, limits = f"--{name} {values[field.name]}", allowed(field.metadata)
            if field.metadata["choices"]:
                near = nearest(str(values[field.name]), field.metadata["choices"])
                raise SettingError(f"{what}: is not allowed; {near}") from error
            raise SettingError(f"{what}: is out of range; give {limits}") from error
    return method(**values)


def named_method(arguments: Sequence[str], methods: Mapping[str, type[Method]], default: str) -> str:
    """Find which method the arguments, or the YAML file that they name, ask for.

    Raises:
        SettingError: there is no such method; the nearest is named.
    """
    name, where = _method_and_where(arguments)
    name = default if name is None else str(name)
    if name not in methods:
        raise SettingError(f"{where} {name}: there is no such method; {nearest(name, methods)}")
    return name


def method_asked_for(verb: str, arguments: Sequence[str]) -> str | None:
    """The method that a verb's arguments, or the YAML file that they name, ask for; None if they name none."""
    return _method_and_where(arguments)[0] if arguments and arguments[0] == verb else None


def _method_and_where(arguments: Sequence[str]) -> tuple[Any, str]:
    name = value_of(arguments, "--method")
    if name is None and (path := value_of(arguments, "--config")):
        return read_config(Path(path)).get("method"), f"--config {path}: method"
    return name, "--method"


def register(
    app: App, arguments: Sequence[str], name: str, function: Callable[..., Any], parameters: Sequence[inspect.Parameter]
) -> None:
    """Add a verb whose options are `parameters`; a `--config` file is read under the same names."""
    signature = inspect.Signature(parameters)
    path = value_of(arguments, "--config") if arguments and arguments[0] == name else None
    stored = settings_from(Path(path), parameters) if path and "config" in signature.parameters else {}

    def verb(*values: Any, **given: Any) -> Any:
        bound = signature.bind(*values, **{**stored, **given})
        bound.apply_defaults()
        for named in ("net", "student", "teacher"):
            _look_here(bound.arguments.get(named))
        return function(**bound.arguments)

    verb.__doc__ = function.__doc__
    verb.__signature__ = signature  # type: ignore[attr-defined]
    verb.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    app.command(verb, name=name)


def value_of(arguments: Sequence[str], option: str) -> str | None:
    """Find what follows an option, before the command line is taken apart; None if it is not there."""
    for number, argument in enumerate(arguments):
        if argument == option and number + 1 < len(arguments):
            return arguments[number + 1]
        if argument.startswith(option + "="):
            return argument.partition("=")[2]
    return None


def _look_here(net: str | None) -> None:
    """Let `module:factory` be found in the folder where the person stands, who typed it, after all that is installed.

    It is not done for what a run's file says: that could name code which lies there.
    """
    here = str(Path.cwd())
    if net and ":" in net and here not in sys.path:
        sys.path.append(here)


def progress_console() -> Console:
    """Where progress is shown: standard error, so that standard output is the result alone."""
    return Console(stderr=True, soft_wrap=True, markup=False, highlight=False, emoji=False)


def table_console() -> Console:
    """Where tables are shown: standard output; as wide as they need where that is no terminal."""
    console = Console(markup=False, highlight=False, emoji=False)
    return console if console.is_terminal else Console(width=400, markup=False, highlight=False, emoji=False)


def print_json(content: Any) -> None:
    """Print one JSON document, for programs."""
    print(json.dumps(content, ensure_ascii=False, allow_nan=False, default=str))


def print_record(folder: RunFolder) -> None:
    """Print what run.json holds, for programs."""
    print_json(folder.read())
