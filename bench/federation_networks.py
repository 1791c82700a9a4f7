"""Four clients, each in a network of its own, joined by a bridge to the server's; one is cut off, and comes back.

    python bench/federation_networks.py    writes bench/results/federation_networks.json (Linux, as root, with `ip`)

Every network is a namespace of the kernel's with an address of its own, so that nothing but packets over the bridge
reaches the server, as between machines.  The scripts are those that `--make-app` writes, with TLS and keys; each
client has its own part of `digits` as a table.  When the first round of `fedrep` is done, the cable of client 3 is
pulled; the server goes on without it, and it is put back when the server has.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from federation_killed import lines_of

import juyi
from juyi.cli import main as command
from juyi.runs import RunFolder
from juyi.runs.files import read_tensors
from juyi.training import choose_device
from juyi.training.machine import describe_machine, versions

NAMES, CUT, ROUNDS = ("ann", "bob", "cem", "dot"), 3, 4
SERVER, BRIDGE = "10.77.0.1", "juyi-bridge"
MAKE = (
    "personalize", "sample.csv", "--method", "fedrep", "--clients", str(len(NAMES)), "--make-app", "ours", "--host",
    SERVER, "--net", "mlp-64", "--rounds", str(ROUNDS), "--patience", "90", "--device", "cpu",
)  # fmt: skip
LIMIT = 2_400


def ip(words: str, must: bool = True) -> None:
    """Say something to the kernel's network."""
    subprocess.run(["ip", *words.split()], check=must, stderr=None if must else subprocess.DEVNULL)


class Networks:
    """A bridge, which is the server's network, and a namespace for each client."""

    def __enter__(self) -> Networks:
        self.__exit__()
        ip(f"link add {BRIDGE} type bridge")
        ip(f"addr add {SERVER}/24 dev {BRIDGE}")
        ip(f"link set {BRIDGE} up")
        for number in range(1, len(NAMES) + 1):
            ip(f"netns add juyi-{number}")
            ip(f"link add juyi-v{number} type veth peer name eth0 netns juyi-{number}")
            ip(f"link set juyi-v{number} master {BRIDGE}")
            ip(f"link set juyi-v{number} up")
            ip(f"-n juyi-{number} addr add 10.77.0.{number + 1}/24 dev eth0")
            ip(f"-n juyi-{number} link set eth0 up")
            ip(f"-n juyi-{number} link set lo up")
        return self

    def __exit__(self, *error: object) -> None:
        for number in range(1, len(NAMES) + 1):
            ip(f"netns del juyi-{number}", must=False)
            ip(f"link del juyi-v{number}", must=False)
        ip(f"link del {BRIDGE}", must=False)


def write_table(place: str, rows: np.ndarray) -> None:
    """Digits as a table."""
    digits = juyi.load("digits@train")
    x, y = digits.x.reshape(digits.size, -1)[rows], digits.y[rows]
    lines = [",".join([*(f"p{k}" for k in range(x.shape[1])), "label"])]
    lines += [",".join([*map(str, row), f"d{label}"]) for row, label in zip(x, y, strict=True)]
    Path(place).write_text("\n".join(lines) + "\n")


def wait_for(there, what: str) -> None:
    end = time.monotonic() + LIMIT
    while not there():
        if time.monotonic() > end:
            raise RuntimeError(f"{what}: not within {LIMIT} s")
        time.sleep(0.2)


def bench(folder: Path) -> dict:
    """Start all, cut one off, and look at what is there in the end."""
    os.chdir(folder)
    os.environ |= {"OMP_NUM_THREADS": "1", "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    size = juyi.load("digits@train").size
    write_table("sample.csv", np.arange(0, size, 6))
    for number, name in enumerate(NAMES):
        write_table(f"{name}.csv", np.arange(number, size, len(NAMES)))
    assert command(list(MAKE)) == 0
    run, events, processes = Path("ours/run"), [], []

    def start(line: str, name: str, network: int | None = None) -> subprocess.Popen:
        inside = [] if network is None else ["ip", "netns", "exec", f"juyi-{network}"]
        with Path(f"{name}.log").open("wb") as log:
            process = subprocess.Popen([*inside, "sh", *line.split()], stdout=log, stderr=log, start_new_session=True)
        processes.append(process)
        return process

    def begun() -> bool:
        return any(line["model"] == "fedrep" for line in lines_of(run))

    began = time.time()
    try:
        with Networks():
            start(f"ours/server/start.sh {SERVER}", "server")
            wait_for(lambda: "the server is ready" in Path("server.log").read_text(errors="replace"), "the server")
            for number, name in enumerate(NAMES, 1):
                start(f"ours/client-{number}/start.sh {name} {name}.csv", name, number)
            ended = start("ours/server/run.sh", "run")
            wait_for(lambda: begun() or ended.poll() is not None, "the first round")
            ip(f"link set juyi-v{CUT} down")
            events.append({"cut": NAMES[CUT - 1], "after_round": lines_of(run)[-1]["round"]})
            wait_for(lambda: any(line["lost"] for line in lines_of(run)) or ended.poll() is not None, "a lost client")
            ip(f"link set juyi-v{CUT} up")
            events.append({"back": NAMES[CUT - 1], "after_round": lines_of(run)[-1]["round"]})
            wait_for(lambda: ended.poll() is not None, "the end")
    except (RuntimeError, IndexError) as error:
        logs = "\n".join(f"{p}:\n{p.read_text(errors='replace')[-2_000:]}" for p in sorted(Path().glob("*.log")))
        raise SystemExit(f"{error}\n{logs}") from error
    finally:
        for process in processes:
            subprocess.run(["pkill", "-KILL", "-s", str(process.pid)], check=False)
    record = RunFolder(run).read()
    kept = [Path(f"ours/client-{number}/state/models") for number in range(1, len(NAMES) + 1)]
    return {
        "command": "juyi " + " ".join(MAKE), "what": __doc__.splitlines()[0], "seconds": round(time.time() - began, 1),
        "status": record["status"], "clients": record["federation"]["clients"], "events": events,
        "participation": [line for line in lines_of(run) if line["model"] == "fedrep"],
        "said": (run / "federation.log").read_text().splitlines(),
        "models_on_the_clients": [sorted(str(p.name) for p in place.glob("*.safetensors")) for place in kept],
        "weights": [sum(t.numel() for t in read_tensors(next(p.glob("*.safetensors")))[0].values()) for p in kept],
        "versions": versions(), "machine": describe_machine(choose_device("cpu")),
    }  # fmt: skip


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        result = bench(Path(place))
    path = Path(__file__).resolve().parent / "results" / "federation_networks.json"
    path.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    print(json.dumps(result, indent=1))
