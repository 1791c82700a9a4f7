"""DANN and SimCLR end to end, Juyi beside its peers: the same network, batch, optimiser and data, in one run.

    JUYI_DATA=... python bench/peers/speed.py --rounds 5             every peer; adds the rounds that are missing
    JUYI_DATA=... python bench/peers/speed.py skada --threads 2
    python bench/peers/speed.py --summary                            print what bench/results/peers.json holds

Each training is a process of its own.  In a round of a row there are three: Juyi in float32, the peer, and Juyi with
`--precision auto`.  They take turns of a second, in which the others are halted, so that all three see the same
machine however busy it is; the ratio is the peer's seconds a step over Juyi's.  What is compared, and what is not
equal: README.md beside this file.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import juyi
from juyi.training.machine import describe_machine, now

HERE = Path(__file__).parent
PLACE = HERE.parent / "results" / "peers.json"
ROWS: dict[str, dict] = {
    "pytorch-adapt, 0 workers": {"worker": "pytorch_adapt", "loop": "plain", "form": "pictures", "workers": 0},
    "pytorch-adapt, 2 workers": {"worker": "pytorch_adapt", "loop": "plain", "form": "pictures", "workers": 2},
    "pytorch-adapt by Ignite, 0 workers": {
        "worker": "pytorch_adapt", "loop": "ignite", "form": "pictures", "workers": 0,
    },
    "pytorch-adapt, ready tensors": {"worker": "pytorch_adapt", "loop": "plain", "form": "tensors", "workers": 0},
    "skada": {"worker": "skada", "workers": 0},
    "tllib, 0 workers": {"worker": "tllib", "workers": 0},
    "tllib, 2 workers": {"worker": "tllib", "workers": 2},
    "lightly, 0 workers": {"worker": "lightly", "workers": 0, "against": "juyi_simclr"},
    "lightly, 2 workers": {"worker": "lightly", "workers": 2, "against": "juyi_simclr"},
}  # fmt: skip
TURN = 1.0  # seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", nargs="*", help="the beginnings of the rows' names; by default all")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--environments", type=Path, default=HERE / ".environments")
    parser.add_argument("--summary", action="store_true", help="run nothing")
    args = parser.parse_args()
    rows = [name for name in ROWS if not args.rows or name.startswith(tuple(args.rows))]
    record = json.loads(PLACE.read_text()) if PLACE.exists() else {"command": "", "results": [], "rounds": []}
    if not args.summary:
        with tempfile.TemporaryDirectory() as folder:
            data = make_data(Path(folder))
            for number in range(args.rounds):
                for name in rows:
                    key = {"row": name, "threads": args.threads, "epochs": args.epochs, "round": number}
                    if not any(key.items() <= done.items() for done in record["rounds"]):
                        record["rounds"].append({**key, **one_round(key, data, args.environments)})
                        write(record)
    show(record)


def make_data(folder: Path) -> Path:
    """10,000 training images each of MNIST, MNIST-M and CIFAR-10, in a file that every environment can read."""
    photographs = juyi.load("cifar10@train[:10000]")
    source, target = juyi.load("mnist@train[:10000]"), juyi.load("mnist_m@train[:10000]")
    place = folder / "data.npz"
    images, pictures = (np.ascontiguousarray(domain.x.transpose(0, 2, 3, 1)) for domain in (target, photographs))
    np.savez(
        place, source=np.ascontiguousarray(source.x[:, 0]), labels=source.y.astype(np.int64), target=images,
        photographs=pictures, kinds=photographs.y.astype(np.int64),
    )  # fmt: skip
    return place


def one_round(key: dict, data: Path, environments: Path) -> dict:
    """Train with Juyi, the peer, and Juyi with `--precision auto`, in turns of a second."""
    peer = ROWS[key["row"]]
    plain, auto = (
        (f"juyi {name}", {"worker": peer.get("against", "juyi"), "precision": name}) for name in ("float32", "auto")
    )
    order = [plain, (key["row"], peer), auto]
    load = os.getloadavg()[0]
    workers = [Worker(name, settings, key, data, environments) for name, settings in order]
    try:
        for worker in workers:  # one after another, so that none imports while another is timed
            worker.wait_for_start()
        waiting = workers if key["round"] % 2 == 0 else workers[::-1]
        while waiting:
            for worker in waiting:
                worker.take_turn()
            waiting = [worker for worker in waiting if not worker.stopped]
        runs = {worker.name: worker.result() for worker in workers}
    finally:
        for worker in workers:
            worker.end()
    print({name: (run["seconds"], run["processor_seconds"]) for name, run in runs.items()}, flush=True)
    return {"at": now(), "load_average": round(load, 2), "runs": runs}


class Worker:
    """A training in a process group of its own, which is halted but for its turns."""

    def __init__(self, name: str, settings: dict, key: dict, data: Path, environments: Path, **more) -> None:
        self.name, self.seconds, self.stopped, self.lines = name, 0.0, False, []
        kind = settings["worker"]
        python = sys.executable if kind.startswith("juyi") else str(environments / kind / "bin" / "python")
        request = {"data": str(data), "epochs": key["epochs"], "threads": key["threads"], **settings, **more}
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed with the worker)
        self.process = subprocess.Popen(
            [python, "-W", "ignore", str(HERE / f"worker_{kind}.py"), json.dumps(request)],
            env={**os.environ, "OMP_NUM_THREADS": str(key["threads"])},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            start_new_session=True,
        )
        os.set_blocking(self.process.stdout.fileno(), False)
        self.text, self.started = b"", False

    def wait_for_start(self) -> None:
        """Let it import and read its data; then halt it."""
        self._read_until("START", 600)
        self._signal(signal.SIGSTOP)
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()

    def take_turn(self) -> None:
        """Let it run for a second, or until it has trained; count the time."""
        start = time.perf_counter()
        self._signal(signal.SIGCONT)
        self.stopped = self._read_until("STOP", TURN)
        self.seconds += time.perf_counter() - start
        self._signal(signal.SIGSTOP)

    def result(self) -> dict:
        """What it printed, with the seconds of its turns."""
        self._signal(signal.SIGCONT)
        if not self._read_until("RESULT", 600):
            self._fail()
        line = self.text[self.text.index(b"RESULT ") :].split(b"\n")[0]
        return {"seconds": round(self.seconds, 4), **json.loads(line.removeprefix(b"RESULT "))}

    def end(self) -> None:
        """Take it off the machine."""
        if self.process.poll() is None:
            self._signal(signal.SIGKILL)
        self.process.wait()
        self.errors.close()

    def _signal(self, kind: int) -> None:
        os.killpg(self.process.pid, kind)

    def _read_until(self, word: str, seconds: float) -> bool:
        """Take what it prints until a line begins with `word`; False if the seconds pass before."""
        wanted, end = f"\n{word}".encode(), time.perf_counter() + seconds
        while True:
            at = self.text.find(wanted)
            if at >= 0 and b"\n" in self.text[at + 1 :]:
                return True
            left = end - time.perf_counter()
            if left <= 0:
                return False
            if select.select([self.process.stdout], [], [], left)[0]:
                piece = self.process.stdout.read()
                if piece == b"":
                    self._fail()
                self.text += piece or b""

    def _fail(self) -> None:
        self.errors.seek(0)
        raise SystemExit(f"{self.name} failed:\n{self.text.decode()[-2000:]}\n{self.errors.read()[-4000:]}")


def summarise(rounds: list[dict]) -> list[dict]:
    """For each row, number of threads and epochs: seconds a step, and peer / Juyi: median, least and most of rounds."""
    results = []
    keys = sorted({(done["threads"], done["epochs"], done["row"]) for done in rounds})
    for threads, epochs, row in keys:
        chosen = [d["runs"] for d in rounds if (d["threads"], d["epochs"], d["row"]) == (threads, epochs, row)]
        result = {"row": row, "threads": threads, "epochs": epochs, "rounds": len(chosen)}
        for name in (row, "juyi float32", "juyi auto"):
            step = [1000 * runs[name]["seconds"] / runs[name]["steps"] for runs in chosen]
            result["peer" if name == row else name] = {"milliseconds_a_step": round(float(np.median(step)), 2)}
        for name in ("juyi float32", "juyi auto"):
            for clock in ("seconds", "processor_seconds"):
                ratios = [runs[row][clock] / runs[name][clock] for runs in chosen]
                result[name][f"ratio_of_{clock}"] = {
                    "median": round(float(np.median(ratios)), 3),
                    "least": round(min(ratios), 3),
                    "most": round(max(ratios), 3),
                }
        gains = [runs["juyi float32"]["seconds"] / runs["juyi auto"]["seconds"] for runs in chosen]
        result["auto_over_float32"] = round(float(np.median(gains)), 3)
        result["auto_computed_in"] = sorted({runs["juyi auto"]["computed_in"] for runs in chosen})
        results.append(result)
    return results


def write(record: dict) -> None:
    """Write the results beside their rounds, so that nothing is lost when the benchmark is stopped."""
    import torch

    record["command"] = "python bench/peers/speed.py"
    commit = ["git", "-C", str(Path(juyi.__file__).parent), "rev-parse", "--short", "HEAD"]
    record["juyi_commit"] = subprocess.run(commit, capture_output=True, text=True).stdout.strip()
    record["results"] = summarise(record["rounds"])
    record["machine"] = {key: value for key, value in describe_machine(torch.device("cpu")).items() if key != "threads"}
    PLACE.parent.mkdir(exist_ok=True)
    PLACE.with_suffix(".tmp").write_text(json.dumps(record, indent=1) + "\n")
    PLACE.with_suffix(".tmp").rename(PLACE)


def show(record: dict) -> None:
    """Print the results as a table."""
    print("| row | threads | epochs | rounds | ms a step | Juyi | auto | ratio | by processor | auto | by processor |")
    print("|" + " --- |" * 11)
    for r in summarise(record["rounds"]):
        plain, auto = r["juyi float32"], r["juyi auto"]
        cells = [r["row"], r["threads"], r["epochs"], r["rounds"], r["peer"]["milliseconds_a_step"]]
        cells += [plain["milliseconds_a_step"], auto["milliseconds_a_step"]]
        for side in (plain, auto):
            for ratio in (side["ratio_of_seconds"], side["ratio_of_processor_seconds"]):
                cells.append(f"{ratio['median']:.2f} ({ratio['least']:.2f} to {ratio['most']:.2f})")
        print("| " + " | ".join(map(str, cells)) + " |")


if __name__ == "__main__":
    main()
