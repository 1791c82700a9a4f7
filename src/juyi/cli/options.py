"""Options that several verbs share, and those that a method's hyperparameters become."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import cyclopts.config
from cyclopts import App, Group, Parameter
from rich.console import Console

from juyi.errors import SettingError, nearest
from juyi.runs import RunFolder
from juyi.training import Method, annotation, declared, plain_type

KEYWORD = inspect.Parameter.KEYWORD_ONLY
POSITIONAL = inspect.Parameter.POSITIONAL_ONLY
OPTION_NAMES = {"random_state": "seed"}
"""What a hyperparameter is called on the command line, where that differs."""


def argument(name: str, help: str) -> inspect.Parameter:
    """A positional argument, a string."""
    return inspect.Parameter(name, POSITIONAL, annotation=Annotated[str, Parameter(help=help)])


def option(destination: str, kind: Any, default: Any, help: str, **kwargs: Any) -> inspect.Parameter:
    """An option; a `bool` is a switch without a negative form."""
    negative = {"negative": ""} if kind is bool else {}
    marked = Annotated[kind, Parameter(help=help, **negative, **kwargs)]
    return inspect.Parameter(destination, KEYWORD, default=default, annotation=marked)


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


def show_options() -> list[inspect.Parameter]:
    """How results are shown."""
    return [
        option("json", bool, False, "print for programs what run.json holds"),
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
        meta = field.metadata
        limits = ""
        if meta["choices"]:
            limits = f" ({', '.join(meta['choices'])})"
        elif meta["low"] is not None and meta["high"] is not None:
            limits = f" ({meta['low']:g} to {meta['high']:g})"
        name = OPTION_NAMES.get(field.name, field.name)
        kind = plain_type(annotation(field, method))
        found.append(option(name, kind, field.default, meta["help"] + limits, group=group))
    return found


def method_from(method: type[Method], settings: Mapping[str, Any]) -> Any:
    """Build the method from the options that belong to it."""
    names = {OPTION_NAMES.get(name, name): name for name in declared(method)}
    return method(**{names[key]: value for key, value in settings.items() if key in names})


def named_method(arguments: Sequence[str], methods: Mapping[str, type[Method]], default: str) -> str:
    """Find which method the arguments, or the YAML file that they name, ask for.

    Raises:
        SettingError: there is no such method; the nearest is named.
    """
    name = _value_of(arguments, "--method")
    if name is None and (path := _value_of(arguments, "--config")):
        name = read_config(Path(path)).get("method")
    name = default if name is None else str(name)
    if name not in methods:
        raise SettingError(f"--method {name}: there is no such method; {nearest(name, methods)}")
    return name


def read_config(path: Path) -> dict[str, Any]:
    """Read a YAML file of options.

    Raises:
        SettingError: it cannot be read, or is not a table of options.
    """
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(f"--config {path}: cannot be read ({error})") from error
    except yaml.YAMLError as error:
        raise SettingError(f"--config {path}: is not YAML ({' '.join(str(error).split())})") from error
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise SettingError(f"--config {path}: should hold lines such as `learning-rate: 0.01`")
    return content


def register(
    app: App, arguments: Sequence[str], name: str, function: Callable[..., Any], parameters: Sequence[inspect.Parameter]
) -> None:
    """Add a verb whose options are `parameters`; a `--config` file is read under the same names."""
    signature = inspect.Signature(parameters)

    def verb(*values: Any, **given: Any) -> Any:
        bound = signature.bind(*values, **given)
        bound.apply_defaults()
        return function(**bound.arguments)

    verb.__doc__ = function.__doc__
    verb.__signature__ = signature  # type: ignore[attr-defined]
    verb.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    app.command(verb, name=name)
    path = _value_of(arguments, "--config")
    if path and arguments and arguments[0] == name:
        read_config(Path(path))
        app[name].config = (cyclopts.config.Yaml(path, must_exist=True, use_commands_as_keys=False),)


def _value_of(arguments: Sequence[str], option: str) -> str | None:
    for number, argument in enumerate(arguments):
        if argument == option and number + 1 < len(arguments):
            return arguments[number + 1]
        if argument.startswith(option + "="):
            return argument.partition("=")[2]
    return None


def progress_console() -> Console:
    """Where progress is shown: standard error, so that standard output is the result alone."""
    return Console(stderr=True)


def print_record(folder: RunFolder) -> None:
    """Print what run.json holds, for programs."""
    print(json.dumps(folder.read(), ensure_ascii=False))
