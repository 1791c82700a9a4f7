"""Flower's processes on this machine: a SuperLink, SuperNodes, and the command that submits a run."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from juyi.errors import WriteError
from juyi.personalize.flower.forks import alive, ask, write_shims
from juyi.runs.files import write_text

START = 120.0
"""Seconds in which a process has to answer after its start."""
QUIET = {"FLWR_TELEMETRY_ENABLED": "0", "FLWR_DISABLE_UPDATE_CHECK": "1"}
"""Flower neither reports that it is used, nor asks whether there is a newer one."""
LOOPBACK = "127.0.0.1"


class Process:
    """A process of Flower's.

    Args:
        pid: its number.
        log: where it writes its log.
    """

    def __init__(self, pid: int, log: Path) -> None:
        self.pid, self.log = pid, log

    def is_alive(self) -> bool:
        """Whether it is still there."""
        return alive(self.pid)

    def kill(self) -> None:
        """Kill it, as `kill -9` does, and wait till it is gone."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        while self.is_alive():
            time.sleep(0.02)


class Processes:
    """Flower's processes, on loopback alone; as a context manager it starts a SuperLink, and in the end stops them all.

    Args:
        folder: where they keep their files and write their logs.
        threads: threads of each client's computing.
    """

    def __init__(self, folder: Path, threads: int = 1) -> None:
        self.folder = folder.resolve()
        self.port = free_port()
        self.address = f"{LOOPBACK}:{self.port}"
        self._near = Path(tempfile.mkdtemp(prefix="juyi-"))  # the name of a socket must be short
        self._socket = str(self._near / "forks")
        self.environment = {
            **os.environ, **QUIET, "FLWR_HOME": str(self.folder / "home"), "OMP_NUM_THREADS": str(threads),
            "FLWR_SUPEREXEC_TASK_POLL_INTERVAL": "0.3",
            "PATH": f"{self._near / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}",
        }  # fmt: skip
        self._forks: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Processes:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start the SuperLink, and wait till it answers.

        Raises:
            WriteError: it does not.
        """
        (self.folder / "home").mkdir(parents=True, exist_ok=True)
        write_shims(self._near / "bin", self._socket)
        with self.log("forks").open("ab") as log:
            forks = self._forks = subprocess.Popen(
                [sys.executable, "-m", "juyi.personalize.flower.forks", self._socket], env=self.environment,
                stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self._wait("forks", lambda: Path(self._socket).exists(), lambda: forks.poll() is None)
        connection = f'[superlink]\ndefault = "here"\n\n[superlink.here]\naddress = "{self.address}"\ninsecure = true\n'
        write_text(self.folder / "home" / "config.toml", connection)
        link = self.spawn(
            "superlink", ["flower-superlink", "--insecure", "--host", LOOPBACK, "--port", str(self.port),
                          "--disable-runtime-dependency-installation"]
        )  # fmt: skip
        self._wait("superlink", self._answers, link.is_alive)

    def node(self, name: str, config: Mapping[str, Any]) -> Process:
        """Start a SuperNode.

        Args:
            name: of its log.
            config: what `--node-config` says.
        """
        words = " ".join(f"{key}={toml(value)}" for key, value in config.items())
        return self.spawn(
            name, ["flower-supernode", "--insecure", "--superlink", self.address, "--host", LOOPBACK,
                   "--port", str(free_port()), "--node-config", words]
        )  # fmt: skip

    def submit(self, app: Path) -> Process:
        """Submit a run; the process ends when the run does, and its log is the server's."""
        return self.spawn("server", ["flwr", "run", str(app), "here", "--stream"])

    def spawn(self, name: str, command: Sequence[str]) -> Process:
        """Start a process with a log."""
        with self.log(name).open("ab") as log:
            return Process(ask(self._socket, list(command), self.environment, log.fileno()), self.log(name))

    def log(self, name: str) -> Path:
        """Where a process writes its log."""
        return self.folder / f"{name}.log"

    def stop(self) -> None:
        """Stop all processes."""
        if self._forks is not None and self._forks.stdin is not None:
            self._forks.stdin.close()
            self._forks.wait()
        shutil.rmtree(self._near, ignore_errors=True)

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, self.port), 1.0):
            return True
        return False

    def _wait(self, name: str, is_there: Callable[[], bool], is_alive: Callable[[], bool]) -> None:
        end = time.monotonic() + START
        while not is_there():
            if time.monotonic() > end or not is_alive():
                raise WriteError(f"Flower's {name}: does not start; {self.log(name)} says why")
            time.sleep(0.05)


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as some:
        some.bind((LOOPBACK, 0))
        return int(some.getsockname()[1])


def toml(value: Any) -> str:
    """A value as TOML has it.

    Example:
        >>> toml(3), toml('a "b"')
        ('3', '"a \\\\"b\\\\""')
    """
    if isinstance(value, bool | int | float):
        return str(value).lower()
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'
