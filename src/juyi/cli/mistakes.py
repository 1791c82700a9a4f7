"""What a wrong command line is answered: one line that says what, where and how to mend it."""

from __future__ import annotations

from collections.abc import Sequence

from cyclopts import CycloptsError, MissingArgumentError, UnknownOptionError
from cyclopts.exceptions import RepeatArgumentError, UnusedCliTokensError

from juyi import adapt
from juyi.adapt import online
from juyi.training import declared


def explain(error: CycloptsError, arguments: Sequence[str]) -> str:
    """Put an error of the command line into words."""
    help_ = " ".join(["juyi", *(error.command_chain or ()), "--help"])
    if isinstance(error, MissingArgumentError) and error.argument is not None:
        name = error.argument.name
        if name.startswith("-"):
            return f"{name}: needs a value; {help_} shows which"
        return f"{name.upper()} is missing: {error.argument.parameter.help}; {help_} shows all"
    if isinstance(error, UnusedCliTokensError):
        extra = " ".join(error.unused_tokens or ())
        return f"{extra}: is one word too many, or has an option before it that takes none; {help_} shows what fits"
    if isinstance(error, RepeatArgumentError):
        return f"{error.token.keyword}: is given more than once; give it once"
    unknown = (error.token.keyword or error.token.value) if isinstance(error, UnknownOptionError) else ""
    in_adapt = bool(error.command_chain) and error.command_chain[0] == "adapt"  # type: ignore[index]
    if unknown and in_adapt and (other := _methods_with(unknown, arguments)):
        return f"{unknown}: is a setting of {' and '.join(other)}; name the method with --method"
    return " ".join(str(error).split()).removesuffix(".")


def _methods_with(option: str, arguments: Sequence[str]) -> list[str]:
    methods = (
        online.METHODS if "online" in {a.partition("=")[0].removeprefix("--") for a in arguments} else adapt.METHODS
    )
    name = option.partition("=")[0].removeprefix("--").replace("-", "_")
    return [method for method, kind in methods.items() if name in declared(kind)]
