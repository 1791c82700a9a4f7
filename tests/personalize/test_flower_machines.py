"""The README's five lines that start several machines, on loopback: real processes, TLS, keys; who must not get in."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("flwr", reason="needs the extra federated")

from juyi.check.personaliser import CLIENTS, skewed_clients
from juyi.cli import main
from juyi.personalize.flower.forks import write_shims
from juyi.personalize.flower.processes import free_port
from juyi.training.models import read_model

README = Path(__file__).parents[2] / "README.md"
LIMIT = 400


@contextmanager
def forked(place):
    """An environment in which Flower's commands and ours are forked from one process, and end with it."""
    write_shims(place / "bin", str(place / "s"))
    environment = {
        **os.environ, "PATH": f"{place / 'bin'}{os.pathsep}{os.environ['PATH']}", "OMP_NUM_THREADS": "1",
        "FLWR_TELEMETRY_ENABLED": "0", "FLWR_DISABLE_UPDATE_CHECK": "1", "FLWR_SUPEREXEC_TASK_POLL_INTERVAL": "0.5",
    }  # fmt: skip
    forks = subprocess.Popen(
        [sys.executable, "-m", "juyi.personalize.flower.forks", str(place / "s")], env=environment,
        stdin=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    try:
        wait_for(lambda: (place / "s").exists())
        yield environment
    finally:
        forks.stdin.close()
        forks.wait()


def wait_for(there, seconds=LIMIT):
    end = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.2)


def write_table(path, rows):
    domain = skewed_clients()
    lines = [",".join([*(f"column {k}" for k in range(8)), "label"])]
    lines += [",".join([*map(str, domain.x[row]), domain.classes[domain.y[row]]]) for row in rows]
    Path(path).write_text("\n".join(lines) + "\n")


def test_the_five_lines_of_the_readme(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    domain, port = skewed_clients(), free_port()
    write_table("sample.csv", range(0, domain.size, 9))
    for number, name in enumerate(CLIENTS[:2]):
        write_table(f"{name}.csv", np.flatnonzero(domain.group == number))
    block = next(block for block in re.findall(r"```sh\n(.*?)```", README.read_text(), re.S) if "--make-app" in block)
    make, server, ann, bob, run = block.strip().splitlines()
    make = f"{make.replace('localhost', f'localhost:{port}')} --net mlp-12 --rounds 1 --device cpu"
    for line in (make, make.replace("ours", "theirs")):
        assert main(shlex.split(line)[1:]) == 0
    with forked(tmp_path) as environment:

        def start(line, name, **more):
            with Path(f"{name}.log").open("wb") as log:
                return subprocess.Popen(line, shell=True, env={**environment, **more}, stdout=log, stderr=log)

        def says(name, words):
            return words in Path(f"{name}.log").read_text(errors="replace")

        for number in (1, 2):
            shutil.copytree(f"ours/client-{number}", f"client-{number}")
        start(server, "server")
        wait_for(lambda: says("server", "the server is ready"))
        start("sh theirs/client-1/start.sh eve bob.csv", "of-another-server", NODE_PORT=str(free_port()))
        shutil.copy("ours/server/ca.crt", "theirs/client-2/ca.crt")
        start("sh theirs/client-2/start.sh eve bob.csv", "not-let-in", NODE_PORT=str(free_port()))
        start(ann, "ann", NODE_PORT=str(free_port()))
        start(bob, "bob", NODE_PORT=str(free_port()))
        ended = start(run, "run")
        wait_for(lambda: ended.poll() is not None)
        record = json.loads(Path("ours/run/run.json").read_text())
        assert record["status"] == "finished", Path("run.log").read_text()
        assert says("of-another-server", "certificate verify failed")
        assert says("not-let-in", "Failed to activate SuperNode")
    assert record["federation"]["clients"] == ["ann", "bob"]
    for number in (1, 2):
        read_model(Path(f"client-{number}/state/models"), f"client-000{number}")
    assert "All rounds are done" in Path("ours/run/progress.html").read_text()
    assert not list(Path("ours/app").rglob("*.key")) and Path("client-1/node.key").stat().st_mode & 0o077 == 0
