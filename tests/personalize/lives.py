"""A command that lives undisturbed in one folder, and is killed again and again in another: lives.py AT,AT ARGUMENTS

The modules are read once, and each life is a fork, which ends by SIGKILL at the flush of that number (`dying.py`).  The
first life of the second folder has the arguments; the later ones resume.
"""

import os
import signal
import sys
import time
from pathlib import Path

import sklearn.datasets  # noqa: F401
import torch._dynamo  # noqa: F401  (read by the first optimiser)
from dying import run

import juyi.personalize
import juyi.report  # noqa: F401
from juyi.personalize.progress import Progress


def live(folder, at, arguments):
    """Run the command in a process of its own, to its end or to the flush of that number; return how it ended."""
    if not (child := os.fork()):
        os.chdir(folder)
        os._exit(run(at, arguments))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main(moments, arguments):
    """Live once to the end; then die at each moment, and live to the end."""
    Progress.__init__.__defaults__ = (None, 0.0, time.monotonic)  # at every step, so that no flush depends on a clock
    for folder in ("whole", "killed"):
        Path(folder).mkdir()
    assert live("whole", 0, arguments) == 0
    for at in moments:
        ended = live("killed", at, arguments)
        assert ended == -signal.SIGKILL, f"flush {at}: ended with {ended}"
        arguments = ["resume", "run"]
    return live("killed", 0, arguments)


if __name__ == "__main__":
    sys.exit(main([int(at) for at in sys.argv[1].split(",")], sys.argv[2:]))
