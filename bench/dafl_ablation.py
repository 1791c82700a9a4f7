"""Which of DAFL's losses matter: short runs on MNIST without its data, each part a JSON file; what is there stays.

    JUYI_DATA=... python bench/dafl_ablation.py

The teacher is the `mnist_lenet5` of bench/run.py, seed 0.  The student, of half its width, is scored on development
data (mnist@train[:5000]), never on the test set.  The paper's figures (200 epochs, test set): all three 98.20, one-hot
and entropy 97.25, entropy alone 88.14, one-hot alone 78.77, none 88.01.
"""

from __future__ import annotations

import time
from functools import partial

from run import RESULTS, fill, find_teacher

import juyi
from juyi.distill import DAFL

PLACES = RESULTS / "dafl_ablation"
OFF = {"one_hot": 0.0, "activation": 0.0, "entropy": 0.0, "adversarial": 0.0}
ON = {"one_hot": 1.0, "activation": 0.1, "entropy": 2.17, "adversarial": 1.0}
PARTS: dict[str, tuple[str, ...]] = {
    "none": (),
    "one_hot": ("one_hot",),
    "entropy": ("entropy",),
    "activation": ("activation",),
    "one_hot+entropy": ("one_hot", "entropy"),
    "one_hot+activation+entropy": ("one_hot", "activation", "entropy"),
    "one_hot+entropy+adversarial": ("one_hot", "entropy", "adversarial"),
    "one_hot+activation+entropy+adversarial": tuple(ON),
    "adversarial": ("adversarial",),
}
STEPS = 600


def main() -> None:
    for name, parts in PARTS.items():
        fill(PLACES / f"{name}.json", partial(look, parts))


def look(parts: tuple[str, ...]) -> dict:
    """Train a student by these parts of the loss."""
    weights = {**OFF, **{part: ON[part] for part in parts}}
    settings = {**weights, "epochs": 1, "epoch_steps": STEPS, "student_turns": 3, "random_state": 0}
    busy = time.process_time()
    fitted = DAFL(teacher=find_teacher("mnist_lenet5", 0), student="lenet5_half", **settings).fit()
    accuracy = fitted.score(juyi.load("mnist@train[:5000]"))
    print(*parts, accuracy, flush=True)
    return {
        "command": "python bench/dafl_ablation.py",
        "parts": list(parts),
        "settings": settings,
        "scored_on": "mnist@train[:5000], development data",
        "accuracy": accuracy,
        "cpu_seconds": round(time.process_time() - busy, 1),
    }


if __name__ == "__main__":
    main()
