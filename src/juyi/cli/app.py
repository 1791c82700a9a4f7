"""Put the verbs together, run one, and turn every error into one line and an exit code."""

from __future__ import annotations

import io
import os
import sys
import traceback
from collections.abc import Sequence

from cyclopts import App, CycloptsError

import juyi
from juyi.cli import (
    adapt,
    compare,
    data,
    demo,
    distill,
    export,
    finetune,
    measure,
    methods,
    personalize,
    predict,
    pretrain,
    report,
    resume,
    settle,
    train,
)
from juyi.cli.mistakes import explain
from juyi.errors import JuyiError
from juyi.training import leave_processes

VERBS = (
    measure,
    adapt,
    train,
    distill,
    export,
    pretrain,
    finetune,
    personalize,
    predict,
    settle,
    resume,
    report,
    compare,
    methods,
    data,
    demo,
)


def build(arguments: Sequence[str]) -> App:
    """Return the command; the verbs look at the arguments to offer the settings of the method that is named."""
    app = App(
        name="juyi",
        help="Transfer learning: learn there, work here. 举一反三",
        version=juyi.__version__,
        result_action="return_value",
        suppress_keyboard_interrupt=False,
    )
    for verb in VERBS:
        verb.register(app, arguments)
    return app


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0 done, 1 the run failed, 2 the input was wrong, 130 stopped."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name that the terminal cannot show must not end the work
            stream.reconfigure(errors="backslashreplace")
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in arguments  # taken out here, so that it also holds for errors of the command line itself
    arguments = [argument for argument in arguments if argument != "--debug"]
    try:
        build(arguments)(arguments, exit_on_error=False, print_error=False)
        if sys.stdout:  # None where the person has closed it
            sys.stdout.flush()
    except CycloptsError as error:
        return _fail(explain(error, arguments), 2, debug)
    except JuyiError as error:
        return _fail(str(error), error.exit_code, debug)
    except KeyboardInterrupt as stop:
        # adapt.run says, in the exception, from which folder the run can go on.
        mend = f"to go on where it was: juyi resume {stop.args[0]}" if stop.args else "nothing was written"
        return _fail(f"stopped; {mend}", 130, debug)
    except BrokenPipeError:  # whoever read the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        return _fail(f"{error.filename or 'a file'}: {error.strerror or error}", 1, debug)
    except Exception as error:  # the last resort: a fault of Juyi's own, said as one
        return _fail(f"a fault in Juyi itself ({type(error).__name__}: {error}); --debug shows where", 1, debug)
    finally:
        leave_processes()
    return 0


def _fail(message: str, code: int, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    line = "".join(sign if sign.isprintable() else " " for sign in message)  # a file's name may hold anything
    print(f"juyi: {' '.join(line.split())}", file=sys.stderr)
    return code
