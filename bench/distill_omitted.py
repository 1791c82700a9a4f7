"""Classes that the transfer set lacks (Hinton, Vinyals and Dean 2014, section 3): errors before and after correction.

    JUYI_DATA=... python bench/distill_omitted.py [three | seven_eight]

A student of the teacher `mnist_mlp` learns at T = 20 from soft answers alone, on training rows without a 3, or with 7s
and 8s alone.  Its class biases are then corrected by the labels of 5,000 held-out training rows (all classes), or by
the teacher's class shares on the same rows without labels.  The paper moved them to do best on the test; here the test
is opened once, at the end.  One JSON a part and seed, so it can be stopped and started at will.
"""

from __future__ import annotations

import copy
import sys
from functools import partial

from run import RESULTS, fill, find_teacher

import juyi
from juyi.data import hold_out
from juyi.data.domain import Domain
from juyi.distill import Hinton, correct_bias
from juyi.distill.teachers import as_teacher
from juyi.measure import wilson_interval

SETTINGS = {
    "student": "mlp-800-800", "temperature": 20.0, "soft_weight": 1.0, "hard_weight": 0.0,
    "batch": 128, "learning_rate": 0.001,
}  # fmt: skip
PARTS = {"three": (lambda y: y != 3, 30), "seven_eight": (lambda y: (y == 7) | (y == 8), 60)}
"""Which rows stay, and the epochs."""


def look(name: str, seed: int) -> dict:
    """Train, correct, and count errors on the test."""
    stays, epochs = PARTS[name]
    teacher = as_teacher(find_teacher("mnist_mlp", seed))
    training, held = hold_out(juyi.load("mnist@train"), seed=seed)
    few = training.select(stays(training.y))
    student = Hinton(teacher=teacher, epochs=epochs, random_state=seed, **SETTINGS).fit(few)
    nets = {"before": student.net_}
    notes = {}
    for how, data in (("labels", held), ("shares", Domain(held.x, classes=held.classes, name="held-out rows"))):
        nets[how] = copy.deepcopy(student.net_)
        notes[how] = correct_bias(nets[how], teacher, data)
    test = juyi.load("mnist@test")
    results = []
    for model, net in nets.items():
        student.net_ = net
        wrong = student.scores(test).argmax(1) != test.y
        low, high = wilson_interval(int(wrong.sum()), test.size)
        threes = int(wrong[test.y == 3].sum())
        found = {"value": float(wrong.mean()), "low": low, "high": high, "n": test.size, "errors": int(wrong.sum())}
        on = {"data": "mnist@test", "role": "test"}
        results.append({"name": "error", "model": model, **found, "errors_on_threes": threes, "on": on})
    print({r["model"]: r["errors"] for r in results}, flush=True)
    return {
        "command": f"python bench/distill_omitted.py {name}", "seed": seed, "epochs": epochs, "settings": SETTINGS,
        "rows": few.size, "correction": notes, "results": results,
    }  # fmt: skip


def main(wanted: list[str]) -> None:
    """Run what is missing."""
    for seed in range(3):
        for name in PARTS:
            if not wanted or name in wanted:
                fill(RESULTS / f"omitted_{name}" / f"seed-{seed}.json", partial(look, name, seed))


if __name__ == "__main__":
    main(sys.argv[1:])
