"""Flower's processes on this machine: a SuperLink, SuperNodes, and the command that submits a run."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from juyi.errors import WriteError
from juyi.runs.files import write_text

START = 120.0
"""Seconds in which a SuperLink has to answer."""
QUIET = {"FLWR_TELEMETRY_ENABLED": "0", "FLWR_DISABLE_UPDATE_CHECK": "1"}
"""Flower neither reports that it is used, nor asks whether there is a newer one."""
LOOPBACK = "127.0.0.1"


class Processes:
    """Flower's processes, on loopback alone; as a context manager it stops them all.

    Args:
        folder: where they keep their files and write their logs.
        threads: threads of each client's computing.
        secure: speak TLS, and let none but registered nodes in.
    """

    def __init__(self, folder: Path, threads: int = 1) -> None:
        self.folder = folder.resolve()
        self.port = free_port()
        self.address = f"{LOOPBACK}:{self.port}"
        self.environment = {
            **os.environ, **QUIET, "FLWR_HOME": str(self.folder / "home"), "OMP_NUM_THREADS": str(threads),
            "FLWR_SUPEREXEC_TASK_POLL_INTERVAL": "0.2",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        }  # fmt: skip
        self.running: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start the SuperLink, and wait till it answers.

        Raises:
            WriteError: it does not.
        """
        connection = f'[superlink]\ndefault = "here"\n\n[superlink.here]\naddress = "{self.address}"\ninsecure = true\n'
        write_text(self.folder / "home" / "config.toml", connection)
        link = self.spawn(
            "superlink", ["flower-superlink", "--insecure", "--host", LOOPBACK, "--port", str(self.port),
                          "--disable-runtime-dependency-installation"]
        )  # fmt: skip
        end = time.monotonic() + START
        while time.monotonic() < end and link.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, self.port), 1.0):
                return
            time.sleep(0.1)
        raise WriteError(f"SuperLink: does not answer; {self.log('superlink')} says why")

    def node(self, name: str, config: Mapping[str, Any]) -> subprocess.Popen[bytes]:
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

    def submit(self, app: Path) -> subprocess.Popen[bytes]:
        """Submit a run; the process ends when the run does, and its log is the server's."""
        return self.spawn("server", ["flwr", "run", str(app), "here", "--stream"])

    def spawn(self, name: str, command: Sequence[str]) -> subprocess.Popen[bytes]:
        """Start a process with a log."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.log(name).open("ab") as log:
            found = subprocess.Popen(
                command, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip
        self.running.append(found)
        return found

    def log(self, name: str) -> Path:
        """Where a process writes its log."""
        return self.folder / f"{name}.log"

    def stop(self) -> None:
        """Stop all processes, those who start them last."""
        for process in reversed(self.running):
            if process.poll() is None:
                process.terminate()
        end = time.monotonic() + 5.0
        for process in self.running:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.1, end - time.monotonic()))
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self.running.clear()


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
