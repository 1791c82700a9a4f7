"""Run the benchmarks: one JSON a run; what is there is not run again, so it can be stopped and started at will.

    JUYI_DATA=... python bench/run.py                 every run that is missing
    JUYI_DATA=... python bench/run.py mnist_m_dann    those of one experiment
    python bench/run.py --list

A run that was killed goes on where it was stored.  Each run is the command as a person would type it; its result file
holds the command and what run.json says.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

HERE = Path(__file__).parent
RESULTS = HERE / "results"

MNIST_M = "juyi adapt mnist@train mnist_m@train --test mnist_m@test"
PART = "juyi adapt mnist@train[:10000] mnist_m@train[:10000] --test mnist_m@test --epochs 6"
ADAMATCH = "--method adamatch --epochs"
TO_MNIST = "juyi adapt usps@train[:1800] mnist@train[:2000] --test mnist@test"
TO_USPS = "juyi adapt mnist@train[:2000] usps@train[:1800] --test usps@test"

ONE_TEACHER = "--standardise source --batch-norm none"
TEACHERS: dict[str, str] = {
    "mnist_mlp_short": f"juyi train mnist@train --test mnist@test --net mlp-1200-1200 {ONE_TEACHER} --dropout 0.5 "
    "--max-norm 3 --augment weak --shift 2 --epochs 45 --batch 250 --precision float32",
    "mnist_mlp": f"juyi train mnist@train --test mnist@test --net mlp-1200-1200 {ONE_TEACHER} --dropout 0.5 "
    "--max-norm 3 --augment weak --shift 2 --epochs 120 --batch 250",
    "mnist_lenet5": f"juyi train mnist@train --test mnist@test --net lenet5 {ONE_TEACHER} --epochs 8 --batch 128",
    "fashion_lenet5": "juyi train fashion_mnist@train --test fashion_mnist@test --net lenet5 "
    f"{ONE_TEACHER} --epochs 12 --batch 128",
    "cifar_cnn": "juyi train cifar10@train[:20000] --test cifar10@test --net cnn_small --batch-norm shared "
    "--standardise source --augment weak --flip --epochs 12 --batch 128",
    "cifar_airbench": "juyi train cifar10@train --test cifar10@test --net airbench-0.5 --batch-norm shared "
    "--standardise source --augment weak --flip --epochs 15 --batch 128",
}
"""Teachers by name: how each is trained; one a seed, in the folder `teachers` of Juyi's cache."""

TEMPERATURES = (
    "juyi distill TEACHER:mnist_mlp mnist@train[:10000] --no-alone --temperatures 1,2.5,4,8,20 --soft-weight 1 "
    "--hard-weight 0 --epochs 30 --batch 128 --learning-rate 0.002"
)
WITHOUT = "juyi distill --student lenet5_half TEACHER:"
STUDENT = (
    "juyi distill TEACHER:mnist_mlp mnist@train --test mnist@test --student mlp-800-800 --temperature 20 "
    "--soft-weight 1 --hard-weight 0"
)
SMALLER = f"{STUDENT} --epochs 60 --batch 128 --learning-rate 0.001"
CIFAR = (
    "juyi distill TEACHER:cifar_cnn cifar10@train[:20000] --test cifar10@test --student cnn_small_half "
    "--batch-norm shared --augment weak --flip --epochs 12 --batch 128"
)

CIFAR_LONG = (
    "juyi distill TEACHER:cifar_airbench cifar10@train --test cifar10@test --student cnn_small_half "
    "--batch-norm shared --augment weak --flip --epochs 20 --batch 128"
)

PERSONAL = (
    "juyi personalize cifar10@train[:10000] --test cifar10@test --clients 20 --net lenet5 --rounds 25 --partition"
)
SKEWS = {"pathological": "pathological:2", "strong": "dirichlet:0.1", "mild": "dirichlet:5"}
DIGITS = (
    "juyi personalize mnist@train[:743],usps@train[:743],mnist_m@train[:743],digits@train[:743] "
    "--test mnist@test,usps@test,mnist_m@test,digits@test --batch-norm shared --rounds 40"
)

EXPERIMENTS: dict[str, tuple[str, range]] = {
    "demo": ("juyi demo", range(5)),
    "mnist_m_dann": (MNIST_M, range(3)),
    "mnist_m_dann_paper": (f"{MNIST_M} --config bench/dann_paper.yaml", range(3)),
    "mnist_m_adamatch": (f"{MNIST_M} {ADAMATCH} 5", range(3)),
    "mnist_m_adamatch_without": (f"{MNIST_M} {ADAMATCH} 5 --exclude-operations invert,solarize", range(3)),
    "usps_mnist_adamatch": (f"juyi adapt usps@train mnist@train --test mnist@test {ADAMATCH} 3", range(3)),
    "mnist_usps_adamatch": (f"juyi adapt mnist@train usps@train --test usps@test {ADAMATCH} 3", range(3)),
    "usps_mnist_adda": (f"{TO_MNIST} --config bench/adda_paper.yaml", range(5)),
    "mnist_usps_adda": (f"{TO_USPS} --config bench/adda_paper.yaml", range(5)),
    "mnist_usps_adda_batch_norm": (f"{TO_USPS} --config bench/adda_batch_norm.yaml", range(5)),
    "part_dann": (PART, range(3)),
    "part_dann_source_scale": (f"{PART} --standardise source", range(3)),
    "part_dann_1": (f"{PART} --target-labels 1", range(3)),
    "part_dann_5": (f"{PART} --target-labels 5", range(3)),
    "part_dann_10": (f"{PART} --target-labels 10", range(3)),
    "labels_1": ("labels 1", range(3)),
    "labels_5": ("labels 5", range(3)),
    "labels_10": ("labels 10", range(3)),
    "distill_mnist_short": (
        "juyi distill TEACHER:mnist_mlp_short mnist@train --test mnist@test --student mlp-800-800 --temperature 20 "
        "--soft-weight 1 --hard-weight 0 --epochs 30 --batch 128 --learning-rate 0.002 --precision float32",
        range(1),
    ),
    "distill_mnist": (SMALLER, range(3)),
    "distill_mnist_jittered": (f"{SMALLER} --augment weak --shift 2", range(3)),
    "distill_mnist_jittered_long": (
        f"{STUDENT} --epochs 150 --batch 512 --learning-rate 0.002 --augment weak --shift 2 --no-alone",
        range(3),
    ),
    "temperature_30": (f"{TEMPERATURES} --student mlp-30-30", range(3)),
    "temperature_300": (f"{TEMPERATURES} --student mlp-300-300", range(3)),
    "zskd_mnist": (f"{WITHOUT}mnist_lenet5 --method zskd --test mnist@test", range(3)),
    "dafl_mnist": (f"{WITHOUT}mnist_lenet5 --method dafl --test mnist@test", range(3)),
    "zskd_fashion": (f"{WITHOUT}fashion_lenet5 --method zskd --test fashion_mnist@test", range(3)),
    "dafl_fashion": (f"{WITHOUT}fashion_lenet5 --method dafl --test fashion_mnist@test", range(3)),
    "cifar_hinton": (f"{CIFAR} --loss hinton", range(3)),
    "cifar_dkd": (f"{CIFAR} --loss dkd --no-alone", range(3)),
    "cifar_dist": (f"{CIFAR} --loss dist --no-alone", range(3)),
    "cifar_long_hinton": (f"{CIFAR_LONG} --loss hinton", range(3)),
    "cifar_standardised": (f"{CIFAR} --loss standardised --no-alone", range(3)),
    **{f"personal_{skew}_auto": (f"{PERSONAL} {how} --method auto", range(3)) for skew, how in SKEWS.items()},
    "personal_digits_fedbn": (f"{DIGITS} --method fedbn", range(3)),
    "personal_dropouts": (f"{PERSONAL} dirichlet:0.1 --method ditto --dropouts 0.3", range(3)),
}
"""Name: the command (a seed is added), and the seeds.  `labels N` trains on N target labels a class alone;
`TEACHER:NAME` is the teacher of that name and seed."""


def main(wanted: list[str]) -> None:
    for name, (command, seeds) in EXPERIMENTS.items():
        if wanted and name not in wanted:
            continue
        for seed in seeds:
            fill(RESULTS / name / f"seed-{seed}.json", partial(run_one, command, seed))


def run_one(command: str, seed: int) -> dict:
    """Run one command in a folder that is thrown away, or go on with it if it was killed; return its record."""
    from juyi.data.cache import cache_folder

    if command.startswith("labels "):
        return labels_alone(int(command.split()[1]), seed)
    name = hashlib.sha256(f"{command} {seed}".encode()).hexdigest()[:16]
    folder = cache_folder() / "runs" / name
    record = folder / "run.json"
    if not record.exists():
        words = [*with_teacher(command, seed), "--seed", str(seed), "--out", str(folder)]
        subprocess.run([sys.executable, "-m", *words], check=True, cwd=HERE.parent)
    elif json.loads(record.read_text())["status"] != "finished":
        subprocess.run([sys.executable, "-m", "juyi", "resume", str(folder)], check=True, cwd=HERE.parent)
    text = record.read_text().replace(str(folder.parent), "FOLDER").replace(str(teachers_folder()), "TEACHERS")
    shutil.rmtree(folder)
    return json.loads(text) | {"command": f"{command} --seed {seed}"}


def teachers_folder() -> Path:
    """Where trained teachers are kept."""
    from juyi.data.cache import cache_folder

    return cache_folder() / "teachers"


def find_teacher(name: str, seed: int) -> Path:
    """The folder of the teacher of that name and seed, which is trained if it is not."""
    folder = teachers_folder() / f"{name}-{seed}"
    make_once(f"{TEACHERS[name]} --seed {seed}", folder, RESULTS / f"teacher_{name}" / f"seed-{seed}.json")
    return folder


def make_once(command: str, folder: Path, result: Path) -> None:
    """Run a command into a folder that stays, unless it is there, and keep its record as a result."""
    if not (folder / "report.html").exists():
        words = [*shlex.split(command), "--out", str(folder), "--overwrite"]
        subprocess.run([sys.executable, "-m", *words], check=True, cwd=HERE.parent)
    if not result.exists():
        text = (folder / "run.json").read_text().replace(str(folder.parent), folder.parent.name.upper())
        record = json.loads(text) | {"command": command}
        keep(record, result, time.time() - sum(record["seconds"].values()))


def with_teacher(command: str, seed: int) -> list[str]:
    """The words of a command, each `TEACHER:NAME` replaced by the folder of that teacher."""
    return [
        str(find_teacher(word.removeprefix("TEACHER:"), seed)) if word.startswith("TEACHER:") else word
        for word in shlex.split(command)
    ]


def fill(place: Path, measure: Callable[[], dict]) -> None:
    """Measure what is not there yet, and keep it."""
    if place.exists():
        return
    print(place.relative_to(RESULTS), "...", flush=True)
    began = time.time()
    keep(measure(), place, began)


def keep(record: dict, place: Path, began: float) -> None:
    """Write a record, with how long it took and how busy the machine was, beside its place, then rename it."""
    record["wall_seconds"] = round(time.time() - began, 1)
    record["load_average"] = round(os.getloadavg()[2], 2)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.with_suffix(".tmp").write_text(json.dumps(record, ensure_ascii=False, indent=1) + "\n")
    place.with_suffix(".tmp").rename(place)


def labels_alone(per_class: int, seed: int) -> dict:
    """Learn from the target rows whose labels `PART --target-labels N --seed S` gives, and from nothing else."""
    import juyi
    from juyi.measure import wilson_interval

    settings = {"epochs": 200, "batch": 8, "batch_norm": "shared", "random_state": seed}
    target = juyi.withhold_labels(juyi.load("mnist_m@train[:10000]", seed=seed), per_class, seed)
    model = juyi.adapt.SourceOnly(**settings).fit(target.select(target.labelled))
    test = juyi.load("mnist_m@test")
    accuracy = model.score(test)
    low, high = wilson_interval(round(accuracy * test.size), test.size)
    on = {"data": "mnist_m@test", "role": "test"}
    result = {"name": "accuracy", "model": "labels_alone", "value": accuracy, "low": low, "high": high}
    return {
        "command": f"SourceOnly({settings}) on {per_class} labels a class of mnist_m@train[:10000], in Python",
        "results": [{**result, "n": test.size, "on": on, "saw_target_labels": True}],
    }


if __name__ == "__main__":
    if "--list" in sys.argv:
        for name, (command, seeds) in EXPERIMENTS.items():
            print(f"{name:<20} {len(seeds)} seeds  {command}")
    else:
        main(sys.argv[1:])
