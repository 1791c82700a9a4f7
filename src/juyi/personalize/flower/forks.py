"""One process that has imported everything, and from which Flower's commands on this machine are forked.

Flower starts a process for every message that a client gets, and importing what it needs takes seconds.  Forked from a
process that has it all in memory, it takes hundredths of one.  All children end when whoever started this process does.

Run as `python -m juyi.personalize.flower.forks SOCKET`; a request is a line of JSON (`argv`, `cwd`, `env`) that comes
with the descriptors of stdout and stderr, and is answered by the number of the process.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import select
import signal
import socket
import sys
import time
import traceback
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

COMMANDS = ("flower-superlink", "flower-superexec", "flower-supernode", "flwr-serverapp", "flwr-clientapp", "flwr")
AHEAD = (
    "fastapi", "uvicorn", "sqlalchemy", "httpx", "httpcore", "h11", "alembic", "juyi.report",
    "juyi.personalize.flower.server", "juyi.personalize.flower.client",
)  # fmt: skip
"""What is imported ahead, besides what the commands themselves import."""
MOST = 1 << 20
"""Bytes of a request, at most."""
GRACE = 3.0
"""Seconds that children have to end by themselves."""

SHIM = """#!{python} -ISs
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as to:
    to.connect({path!r})
    asked = json.dumps({{"argv": [{command!r}, *sys.argv[1:]], "cwd": os.getcwd(), "env": dict(os.environ)}}) + "\\n"
    socket.send_fds(to, [asked.encode()], [1, 2])
    said = b""
    while more := to.recv(100):
        said += more
    sys.exit(int(said.split()[-1]) if len(said.split()) == 2 else 1)
"""
"""What stands in the place of a command: it asks for a fork, and ends as the fork does."""


def write_shims(folder: Path, path: str) -> None:
    """Write what stands in the place of the commands that Flower starts itself."""
    folder.mkdir(parents=True, exist_ok=True)
    for command in COMMANDS:
        shim = folder / command
        shim.write_text(SHIM.format(python=sys.executable, path=path, command=command))
        shim.chmod(0o700)


def ask(path: str, argv: list[str], env: dict[str, str], log: int) -> int:
    """Ask for a fork; return its number."""
    with socket.socket(socket.AF_UNIX) as to:
        to.connect(path)
        asked = json.dumps({"argv": argv, "cwd": str(Path.cwd()), "env": env}) + "\n"
        socket.send_fds(to, [asked.encode()], [log, log])
        return int(to.recv(100))  # the rest, how it ends, is not waited for


def alive(pid: int) -> bool:
    """Whether a process is there."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def main(path: str) -> None:
    """Import everything, then fork what is asked for, until stdin ends."""
    known = {point.name: point for point in entry_points(group="console_scripts") if point.name in COMMANDS}
    for point in known.values():
        point.load()
    for name in AHEAD:
        importlib.import_module(name)
    children: set[int] = set()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt), socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen(64)
        while True:
            ready, _, _ = select.select([server, sys.stdin], [], [], 0.1)
            _reap(children)
            if sys.stdin in ready:
                break
            if server in ready:
                _serve(server, known, children)
    _end(children)


def _serve(server: socket.socket, known: dict[str, EntryPoint], children: set[int]) -> None:
    """Fork for one request."""
    to, _ = server.accept()
    with to:
        data, descriptors, _, _ = socket.recv_fds(to, MOST, 2)
        while data and not data.endswith(b"\n"):
            more = to.recv(MOST)
            data += more
            if not more:
                break
        try:
            asked = json.loads(data)
            point = known[asked["argv"][0]]
        except (ValueError, KeyError):
            return
        pid = os.fork()
        if not pid:
            server.close()
            _become(point, asked, descriptors, to)
        children.add(pid)
    for descriptor in descriptors:
        os.close(descriptor)


def _become(point: EntryPoint, asked: dict[str, Any], descriptors: list[int], to: socket.socket) -> None:
    """Be the command that is asked for, and tell whoever asked how it ends; never return."""
    code = 1
    try:
        to.sendall(f"{os.getpid()} ".encode())
        os.setsid()
        for sign in (signal.SIGTERM, signal.SIGPIPE):
            signal.signal(sign, signal.SIG_DFL if sign == signal.SIGTERM else signal.SIG_IGN)
        for target, descriptor in zip((1, 2), descriptors, strict=True):
            os.dup2(descriptor, target)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.environ.clear()
        os.environ.update(asked["env"])
        os.chdir(asked["cwd"])
        sys.argv = asked["argv"]
        code = int(point.load()() or 0)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
            to.sendall(str(code).encode())
        os._exit(code)


def _reap(children: set[int]) -> None:
    """Let children that have ended go."""
    for pid in list(children):
        with contextlib.suppress(ChildProcessError):
            if os.waitpid(pid, os.WNOHANG)[0] == 0:
                continue
        children.discard(pid)


def _end(children: set[int]) -> None:
    """End all children, gently and then not."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        for pid in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, sign)
        end = time.monotonic() + GRACE
        while children and time.monotonic() < end:
            _reap(children)
            time.sleep(0.02)


if __name__ == "__main__":
    main(sys.argv[1])
