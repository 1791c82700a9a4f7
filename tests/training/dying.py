"""The command, which kills itself with SIGKILL at its N-th flush to the disk: python dying.py N ARGUMENTS...

A file is flushed before it is renamed into its place, and its folder after; so odd moments lie before, and even
ones after a file is there.  N = 0 only counts, and says how many there were.
"""

import os
import signal
import sys

from juyi.cli import main
from juyi.training import Checkpoint


def run(at, arguments):
    """Run the command; die at the flush of that number."""
    count, fsync = 0, os.fsync

    def counted(descriptor):
        nonlocal count
        fsync(descriptor)
        count += 1
        if count == at:
            os.kill(os.getpid(), signal.SIGKILL)

    os.fsync = counted
    Checkpoint.__init__.__defaults__ = (0.0,)  # at every step, not every 30 seconds
    code = main(arguments)
    print("flushes:", count, file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(run(int(sys.argv[1]), sys.argv[2:]))
